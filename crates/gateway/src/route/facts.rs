//! What a rule can know of a request: its length, what it offers and shows, its language, and its last words.

use crate::call::Call;
use bedplate_core::{
    message::{ContentBlock, Message, Role, ToolResultContent},
    port::model::{ModelError, ModelRequest},
};

/// How much of a text is looked at, in bytes.
const LOOK: usize = 64 << 10;

/// Returns about how many tokens of input a call has: a fourth of its bytes. A raw request is not decoded for it.
pub(crate) fn tokens(call: &Call) -> u64 {
    let bytes = match call.raw() {
        Some(raw) => raw.body.len(),
        None => call.core().map_or(0, |request| {
            let texts = request.system.iter().chain(request.messages.iter().flat_map(|message| &message.content));
            texts.map(length).sum::<usize>()
                + request.tools.iter().map(|tool| tool.description.len() + 200).sum::<usize>()
        }),
    };
    bytes as u64 / 4
}

fn length(block: &ContentBlock) -> usize {
    match block {
        ContentBlock::Text { text } => text.len(),
        // About what a picture of common size costs.
        ContentBlock::Image { .. } => 6_000,
        ContentBlock::Document { .. } => 12_000,
        ContentBlock::ToolUse(call) => call.input.to_string().len() + call.name.len(),
        ContentBlock::ToolResult(result) => result
            .content
            .iter()
            .map(|part| match part {
                ToolResultContent::Text { text } => text.len(),
                ToolResultContent::Json { json } => json.to_string().len(),
                ToolResultContent::Image { .. } => 6_000,
            })
            .sum(),
        ContentBlock::Reasoning(reasoning) => reasoning.text.len(),
        ContentBlock::CachePoint => 0,
    }
}

/// Returns whether a picture or document is in `request`.
pub(crate) fn has_images(request: &ModelRequest) -> bool {
    request
        .messages
        .iter()
        .flat_map(|message| &message.content)
        .any(|block| matches!(block, ContentBlock::Image { .. } | ContentBlock::Document { .. }))
}

/// Returns what the user said last, bounded.
pub(crate) fn last_words(request: &ModelRequest) -> String {
    let said = |message: &Message| Some(message.text()).filter(|text| message.role == Role::User && !text.is_empty());
    let mut text = request.messages.iter().rev().find_map(|message| said(message)).unwrap_or_default();
    text.truncate(text.floor_char_boundary(LOOK));
    text
}

/// Returns what the user said last in the messages of a request of any dialect, bounded; none when nobody said anything.
pub(crate) fn last_words_of_json(messages: &serde_json::Value) -> Option<String> {
    let text_of = |content: &serde_json::Value| match content.as_array() {
        None => content.as_str().map(str::to_owned),
        Some(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect();
            (!texts.is_empty()).then(|| texts.join("\n\n"))
        }
    };
    let mut text = match messages.as_array() {
        None => messages.as_str()?.to_owned(),
        Some(messages) => {
            let mut users = messages.iter().rev().filter(|message| message["role"] == "user");
            users.find_map(|message| text_of(&message["content"]))?
        }
    };
    text.truncate(text.floor_char_boundary(LOOK));
    Some(text)
}

/// Returns the language of `text` as ISO 639-3 says it, if it can be told.
pub(crate) fn language(text: &str) -> Option<&'static str> {
    whatlang::detect(text).filter(whatlang::Info::is_reliable).map(|info| info.lang().code())
}

/// Returns whether `code`, of two or three letters, means the language that is `found`.
pub(crate) fn is_language(code: &str, found: &str) -> bool {
    let short = TWO_LETTERS.iter().find(|(three, _)| *three == found).map(|(_, two)| *two);
    code.eq_ignore_ascii_case(found) || short.is_some_and(|short| code.eq_ignore_ascii_case(short))
}

/// Returns whether a language is known by `code`.
#[must_use]
pub fn knows_language(code: &str) -> bool {
    TWO_LETTERS.iter().any(|(three, two)| code.eq_ignore_ascii_case(three) || code.eq_ignore_ascii_case(two))
}

/// The languages that can be told apart, in ISO 639-3 and 639-1.
const TWO_LETTERS: &[(&str, &str)] = &[
    ("afr", "af"),
    ("aka", "ak"),
    ("amh", "am"),
    ("ara", "ar"),
    ("aze", "az"),
    ("bel", "be"),
    ("ben", "bn"),
    ("bul", "bg"),
    ("cat", "ca"),
    ("ces", "cs"),
    ("cmn", "zh"),
    ("cym", "cy"),
    ("dan", "da"),
    ("deu", "de"),
    ("ell", "el"),
    ("eng", "en"),
    ("epo", "eo"),
    ("est", "et"),
    ("fin", "fi"),
    ("fra", "fr"),
    ("guj", "gu"),
    ("heb", "he"),
    ("hin", "hi"),
    ("hrv", "hr"),
    ("hun", "hu"),
    ("hye", "hy"),
    ("ind", "id"),
    ("ita", "it"),
    ("jav", "jv"),
    ("jpn", "ja"),
    ("kan", "kn"),
    ("kat", "ka"),
    ("khm", "km"),
    ("kor", "ko"),
    ("lat", "la"),
    ("lav", "lv"),
    ("lit", "lt"),
    ("mal", "ml"),
    ("mar", "mr"),
    ("mkd", "mk"),
    ("mya", "my"),
    ("nep", "ne"),
    ("nld", "nl"),
    ("nob", "nb"),
    ("ori", "or"),
    ("pan", "pa"),
    ("pes", "fa"),
    ("pol", "pl"),
    ("por", "pt"),
    ("ron", "ro"),
    ("rus", "ru"),
    ("sin", "si"),
    ("slk", "sk"),
    ("slv", "sl"),
    ("sna", "sn"),
    ("spa", "es"),
    ("srp", "sr"),
    ("swe", "sv"),
    ("tam", "ta"),
    ("tel", "te"),
    ("tgl", "tl"),
    ("tha", "th"),
    ("tuk", "tk"),
    ("tur", "tr"),
    ("ukr", "uk"),
    ("urd", "ur"),
    ("uzb", "uz"),
    ("vie", "vi"),
    ("yid", "yi"),
    ("zul", "zu"),
];

/// Returns whether `error` says that the request is longer than the model can read. Servers of the Chat Completions API
/// say it as a wrong request, so its words are looked at.
pub(crate) fn is_overflow(error: &ModelError) -> bool {
    use bedplate_core::port::model::ModelErrorKind::{InvalidRequest, TooLarge};
    let says = |words: &str| error.message.to_ascii_lowercase().contains(words);
    match error.kind {
        TooLarge => true,
        InvalidRequest => [
            "context length",
            "context window",
            "context_length",
            "too many tokens",
            "prompt is too long",
            "input is too long",
        ]
        .iter()
        .any(|words| says(words)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_that_can_be_told_has_a_code_of_two_letters() {
        let unnamed: Vec<_> =
            whatlang::Lang::all().iter().map(whatlang::Lang::code).filter(|code| !knows_language(code)).collect();
        assert_eq!(unnamed, Vec::<&str>::new());
    }

    #[test]
    fn a_language_is_told_from_a_sentence() {
        let found = language("Wo bleibt meine Bestellung, und wann kommt endlich das Geld zurück?").unwrap();
        assert!(is_language("de", found) && is_language("DEU", found) && !is_language("en", found));
    }
}
