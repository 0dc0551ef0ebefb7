//! Bodies of Bedrock's InvokeModel, which has no form of its own: each family of models has one. Anthropic's is that of
//! [`crate::anthropic_messages`]; here are Amazon's Nova and Titan's embeddings, and how a body tells whose it is.

pub mod nova;
pub mod titan;

use crate::{DecodeError, json};
use serde::{Deserialize, de::IgnoredAny};

/// Whose form a body has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Words, in Anthropic's form.
    Anthropic,
    /// Words, in Nova's form.
    Nova,
    /// An embedding, in Titan's form.
    Titan,
}

/// What of a body tells its family.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marks {
    #[serde(rename = "anthropic_version")]
    anthropic_version: Option<IgnoredAny>,
    schema_version: Option<IgnoredAny>,
    messages: Option<IgnoredAny>,
    input_text: Option<IgnoredAny>,
    text_generation_config: Option<IgnoredAny>,
}

/// Tells whose form a client's body for `model` has.
///
/// # Errors
/// [`DecodeError`], also for a family that is not known here.
pub fn family(body: &[u8], model: &str) -> Result<Family, DecodeError> {
    let marks: Marks = json::from_slice(body)?;
    if marks.anthropic_version.is_some() {
        Ok(Family::Anthropic)
    } else if marks.schema_version.is_some() || (marks.messages.is_some() && model.contains("nova")) {
        Ok(Family::Nova)
    } else if marks.input_text.is_some() && marks.text_generation_config.is_none() {
        Ok(Family::Titan)
    } else {
        Err(DecodeError::new(
            "",
            "missing field `anthropic_version`, Nova's `schemaVersion`, or `inputText` of Titan's embeddings",
        ))
    }
}
