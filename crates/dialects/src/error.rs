//! The errors of translation: what came cannot be read, or what is wanted cannot be said in a dialect.

/// Input that is not what its dialect allows, or that has no core form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}", if .path.is_empty() { String::new() } else { format!("{}: ", .path) })]
pub struct DecodeError {
    /// Where, in the way `messages[2].content[0].type`; empty for the whole document.
    pub path: String,
    /// What is wrong there, for the one who sent it.
    pub message: String,
}

impl DecodeError {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// A core request that a dialect cannot say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A forced tool choice together with reasoning, which models refuse.
    #[error("a forced tool choice cannot be combined with reasoning: ask for reasoning or force the tool, not both")]
    ForcedChoiceWithReasoning,
    /// A conversation that the dialect's models refuse.
    #[error("the conversation must begin with a user's message that is not empty")]
    NoUserMessageFirst,
    /// An image or document whose bytes nobody has fetched yet.
    #[error("an image or document must be loaded from the store before it is sent to a model")]
    UnresolvedBlob,
    /// A choice of a tool that is not on offer.
    #[error("the chosen tool `{0}` is not among the tools of the request")]
    UnknownTool(String),
    /// A document that is said to be text and is not.
    #[error("the document `{0}` is declared as text but is not base64 of UTF-8")]
    NotText(String),
    /// A picture or document of a kind that the dialect has no word for.
    #[error("a picture or document of the type `{0}` cannot be said in this dialect")]
    UnknownMedia(String),
}
