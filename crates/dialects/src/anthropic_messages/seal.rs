//! The seals of reasoning: byte for byte to the family that made them, and to no other.

use super::{FAMILY, wire::Block};
use bedplate_core::message::Reasoning;

/// Marks a seal of another family, so that a client carries it without reading it and it can be told apart again. The
/// family's own seals are base64 and hold no colon.
const FOREIGN: &str = "bedplate:";

/// Returns whether an upstream of this family takes the block back.
pub(crate) fn is_own(reasoning: &Reasoning) -> bool {
    reasoning.family.as_deref() == Some(FAMILY) && (reasoning.signature.is_some() || reasoning.redacted.is_some())
}

/// Returns the block; whoever sends it upstream has asked [`is_own`] before.
pub(super) fn block_of(reasoning: &Reasoning) -> Block {
    match &reasoning.redacted {
        Some(data) => Block::RedactedThinking { data: marked(data, reasoning) },
        None => Block::Thinking { thinking: reasoning.text.clone(), signature: signature_of(reasoning) },
    }
}

/// Returns the signature as the wire has it; empty for an unsigned block.
pub(crate) fn signature_of(reasoning: &Reasoning) -> String {
    reasoning.signature.as_deref().map(|seal| marked(seal, reasoning)).unwrap_or_default()
}

/// Returns a redacted block's data as the wire has it.
pub(crate) fn redacted_of(reasoning: &Reasoning) -> Option<String> {
    reasoning.redacted.as_deref().map(|data| marked(data, reasoning))
}

/// Reads a thinking block; without a signature it is nobody's.
pub(crate) fn of_thinking(text: String, signature: &str) -> Reasoning {
    let (seal, family) = unmarked(signature);
    Reasoning {
        text,
        signature: (!seal.is_empty()).then(|| seal.to_owned()),
        redacted: None,
        family: family.filter(|_| !seal.is_empty()),
    }
}

/// Reads a redacted block.
pub(crate) fn of_redacted(data: &str) -> Reasoning {
    let (data, family) = unmarked(data);
    Reasoning { text: String::new(), signature: None, redacted: Some(data.to_owned()), family }
}

/// Returns data that names its family in any case, for a dialect that has to tell it from what is not marked.
pub(crate) fn marked_always(data: &str) -> String {
    if is_marked(data) { data.to_owned() } else { format!("{FOREIGN}{FAMILY}:{data}") }
}

/// Returns whether a seal names its family.
pub(crate) fn is_marked(wire: &str) -> bool {
    wire.starts_with(FOREIGN)
}

fn marked(seal: &str, reasoning: &Reasoning) -> String {
    match reasoning.family.as_deref() {
        Some(FAMILY) => seal.to_owned(),
        family => format!("{FOREIGN}{}:{seal}", family.unwrap_or_default()),
    }
}

fn unmarked(wire: &str) -> (&str, Option<String>) {
    match wire.strip_prefix(FOREIGN).and_then(|rest| rest.split_once(':')) {
        Some((family, seal)) => (seal, (!family.is_empty()).then(|| family.to_owned())),
        None => (wire, Some(FAMILY.to_owned())),
    }
}
