//! Whether an answer is good enough: what a tier of a cascade must pass, and what an ensemble takes as the first good
//! one.

use super::config::Accept;
use crate::config::ConfigError;
use bedplate_core::{
    message::{ContentBlock, StopReason},
    port::model::{ModelReply, ModelRequest},
};
use jsonschema::Validator;
use regex_lite::Regex;

/// What an answer must pass, ready to be held against answers.
pub(crate) struct Check {
    schema: Option<Validator>,
    confidence: Option<f64>,
    logprob: Option<f64>,
    no_refusal: bool,
    denied: Vec<Regex>,
    pattern: Option<Regex>,
}

/// What is added to the instructions of a model that shall say how sure it is.
const RATE: &str = "After your answer write one more line: CONFIDENCE: and a number from 0 (a guess) to 1 (certain) that \
                    says how sure you are that the answer is right and complete.";

/// Beginnings of texts that decline. Only the beginning counts: an answer may well speak of refusals later.
const REFUSALS: [&str; 12] = [
    "i can't help",
    "i cannot help",
    "i can't assist",
    "i cannot assist",
    "i'm sorry, but i can't",
    "i'm sorry, but i cannot",
    "i am sorry, but i cannot",
    "sorry, i can't",
    "i'm unable to",
    "i am unable to",
    "i won't be able to",
    "i don't know",
];

impl Check {
    /// Returns the check that `accept` asks for.
    ///
    /// # Errors
    /// [`ConfigError::BadCheck`].
    pub(crate) fn new(accept: &Accept) -> Result<Self, ConfigError> {
        let bad = |error: String| ConfigError::BadCheck(error);
        let regex = |text: &String| Regex::new(text).map_err(|error| bad(error.to_string()));
        Ok(Self {
            schema: accept
                .schema
                .as_ref()
                .map(|schema| jsonschema::validator_for(schema).map_err(|error| bad(error.to_string())))
                .transpose()?,
            confidence: accept.confidence,
            logprob: accept.logprob,
            no_refusal: accept.no_refusal,
            denied: accept.denied.iter().map(regex).collect::<Result<_, _>>()?,
            pattern: accept.pattern.as_ref().map(regex).transpose()?,
        })
    }

    /// Returns whether the mean of the tokens' logarithmic probabilities is looked at.
    pub(crate) fn wants_logprobs(&self) -> bool {
        self.logprob.is_some()
    }

    /// Changes `request` such that its answer can be checked.
    pub(crate) fn prepare(&self, request: &mut ModelRequest) {
        if self.confidence.is_some() {
            request.system.push(ContentBlock::text(RATE));
        }
    }

    /// Takes what was asked for out of `reply` again and says why it is not good enough, if it is not. `logprob` is the
    /// mean over its tokens, where the provider said it.
    pub(crate) fn judge(&self, reply: &mut ModelReply, logprob: Option<f64>) -> Option<&'static str> {
        let rated = self.confidence.map(|_| take_rating(reply));
        if self.no_refusal && is_refusal(reply) {
            return Some("refusal");
        }
        // A call of a tool is judged by what comes of it, not by its words.
        if reply.message.tool_uses().next().is_some() {
            return None;
        }
        let text = reply.message.text();
        if let Some(schema) = &self.schema {
            match serde_json::from_str(unfenced(&text)) {
                Ok(value) if schema.is_valid(&value) => {}
                Ok(_) => return Some("schema"),
                Err(_) => return Some("no json"),
            }
        }
        if self.denied.iter().any(|denied| denied.is_match(&text)) {
            return Some("guard");
        }
        if self.pattern.as_ref().is_some_and(|pattern| !pattern.is_match(&text)) {
            return Some("pattern");
        }
        if let (Some(least), Some(rated)) = (self.confidence, rated)
            && rated.is_none_or(|rated| rated < least)
        {
            return Some("confidence");
        }
        if let Some(least) = self.logprob
            && logprob.is_none_or(|mean| mean < least)
        {
            return Some("logprobs");
        }
        None
    }
}

/// Returns whether `reply` declines to answer.
pub(crate) fn is_refusal(reply: &ModelReply) -> bool {
    if matches!(reply.stop_reason, StopReason::Refusal | StopReason::ContentFiltered) {
        return true;
    }
    if reply.message.tool_uses().next().is_some() {
        return false;
    }
    let text = reply.message.text().trim_start().replace('\u{2019}', "'").to_lowercase();
    text.is_empty() || REFUSALS.iter().any(|begin| text.starts_with(begin))
}

/// Returns JSON without the fence that models like to put around it.
pub(crate) fn unfenced(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|rest| rest.strip_suffix("```")) else { return text };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

/// Takes the last line off that says how sure the model is.
fn take_rating(reply: &mut ModelReply) -> Option<f64> {
    let last = reply.message.content.iter_mut().rev().find_map(|block| match block {
        ContentBlock::Text { text } => Some(text),
        _ => None,
    })?;
    let at = last.rfind("CONFIDENCE:")?;
    let number = last[at + "CONFIDENCE:".len()..].trim().trim_matches('*').trim_end_matches('.').trim();
    let rated = match number.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.0),
        None => number.parse::<f64>().ok(),
    };
    let kept = last[..at].trim_end().trim_end_matches('*').trim_end().len();
    last.truncate(kept);
    rated.filter(|rated| (0.0..=1.0).contains(rated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::message::{Message, Usage};
    use serde_json::json;

    fn reply(text: &str) -> ModelReply {
        ModelReply {
            message: Message::assistant(text),
            stop_reason: StopReason::EndTurn,
            stop_sequence: None,
            usage: Usage::default(),
            cost: None,
            model: String::new(),
            provider: String::new(),
        }
    }

    #[test]
    fn a_rating_decides_and_is_never_shown() {
        let check = Check::new(&Accept { confidence: Some(0.7), ..Accept::default() }).unwrap();
        for (text, verdict) in [
            ("Paris.\nCONFIDENCE: 0.95", None),
            ("Paris.\n\n**CONFIDENCE: 80%**", None),
            ("Paris.\nCONFIDENCE: 0.3", Some("confidence")),
            ("Paris.\nCONFIDENCE: 7", Some("confidence")),
        ] {
            let mut reply = reply(text);
            assert_eq!(check.judge(&mut reply, None), verdict, "{text}");
            assert_eq!(reply.message.text(), "Paris.");
        }
        assert_eq!(check.judge(&mut reply("Paris."), None), Some("confidence"), "who does not say is not sure");
    }

    #[test]
    fn an_answer_that_is_not_of_the_schema_goes_up_a_tier() {
        let schema = json!({"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}});
        let check = Check::new(&Accept { schema: Some(schema), ..Accept::default() }).unwrap();
        assert_eq!(check.judge(&mut reply("```json\n{\"city\": \"Paris\"}\n```"), None), None);
        assert_eq!(check.judge(&mut reply("{\"city\": 1}"), None), Some("schema"));
        assert_eq!(check.judge(&mut reply("Paris"), None), Some("no json"));
    }

    #[test]
    fn refusals_denied_words_and_low_probabilities_go_up_a_tier() {
        let accept =
            Accept { no_refusal: true, denied: vec!["(?i)as an ai".into()], logprob: Some(-0.5), ..Accept::default() };
        let check = Check::new(&accept).unwrap();
        assert_eq!(check.judge(&mut reply("I\u{2019}m sorry, but I can't do that."), Some(0.0)), Some("refusal"));
        assert_eq!(check.judge(&mut reply("Well, as an AI, no."), Some(0.0)), Some("guard"));
        assert_eq!(check.judge(&mut reply("Yes."), Some(-0.9)), Some("logprobs"));
        assert_eq!(check.judge(&mut reply("He said \"I can't help it\"."), Some(-0.1)), None);
    }
}
