//! How the tokens of a request are counted: by the vocabulary of its model where that is known, else by an estimate.
//!
//! A vocabulary takes more than 40 MB once it is loaded, so it is loaded when the first request has to be counted by it.

use bedplate_core::{
    message::{ContentBlock, Message, ToolResultContent},
    port::model::ModelRequest,
    size,
    tool::ToolSpec,
};
use std::collections::HashSet;
use tiktoken_rs::{
    CoreBPE, cl100k_base_singleton, o200k_base_singleton,
    tokenizer::{Tokenizer, get_tokenizer},
};

/// What a message and a request of chats take besides their words, in tokens.
const MESSAGE: usize = 4;
const REQUEST: usize = 3;

/// Counts tokens as one family of models does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counter {
    /// A token for 3.5 bytes.
    Estimate,
    /// The vocabulary of GPT-4o and later.
    O200k,
    /// The vocabulary of GPT-4 and GPT-3.5.
    Cl100k,
}

impl Counter {
    /// Returns how the tokens of `model` are counted, an id as its provider knows it; what stands before the vendor's own
    /// name (`openai/`, `openai.`) is left out.
    pub(super) fn of(model: &str) -> Self {
        let own = model.rsplit('/').next().unwrap_or(model);
        let own = own.strip_prefix("openai.").unwrap_or(own);
        match get_tokenizer(own) {
            Some(Tokenizer::O200kBase | Tokenizer::O200kHarmony) => Self::O200k,
            Some(Tokenizer::Cl100kBase) => Self::Cl100k,
            // Of models that are no longer served.
            Some(Tokenizer::P50kBase | Tokenizer::R50kBase | Tokenizer::P50kEdit | Tokenizer::Gpt2) | None => {
                Self::Estimate
            }
        }
    }

    /// Returns how many tokens so many units are.
    pub(super) fn tokens(self, units: usize) -> u64 {
        match self {
            Self::Estimate => size::tokens(units),
            Self::O200k | Self::Cl100k => u64::try_from(units).unwrap_or(u64::MAX),
        }
    }

    /// Returns the tokens of a whole request.
    pub(super) fn request(self, request: &ModelRequest) -> u64 {
        let messages: usize = request.messages.iter().map(|message| self.message(message)).sum();
        self.tokens(self.fixed(request) + messages)
    }

    /// Returns what instructions and tools count for, in units.
    pub(super) fn fixed(self, request: &ModelRequest) -> usize {
        let system: usize = request.system.iter().map(|block| self.block(block)).sum();
        system + request.tools.iter().map(|spec| self.spec(spec)).sum::<usize>() + self.more(REQUEST)
    }

    /// Returns what a message counts for, in units.
    pub(super) fn message(self, message: &Message) -> usize {
        match self {
            Self::Estimate => size::message(message),
            Self::O200k | Self::Cl100k => {
                message.content.iter().map(|block| self.block(block)).sum::<usize>() + MESSAGE
            }
        }
    }

    fn more(self, tokens: usize) -> usize {
        if self == Self::Estimate { 0 } else { tokens }
    }

    fn spec(self, spec: &ToolSpec) -> usize {
        match self {
            Self::Estimate => size::spec(spec),
            Self::O200k | Self::Cl100k => {
                self.text(&spec.name) + self.text(&spec.description) + self.text(&spec.input_schema.to_string())
            }
        }
    }

    fn block(self, block: &ContentBlock) -> usize {
        if self == Self::Estimate {
            return size::block(block);
        }
        match block {
            ContentBlock::Text { text } => self.text(text),
            ContentBlock::ToolUse(call) => {
                let input = || self.text(&call.input.to_string());
                self.text(&call.name) + call.malformed.as_ref().map_or_else(input, |text| self.text(text))
            }
            ContentBlock::ToolResult(result) => result.content.iter().map(|part| self.part(part)).sum(),
            // No vocabulary speaks of pictures, documents and seals.
            ContentBlock::Image { .. } | ContentBlock::Document { .. } | ContentBlock::Reasoning(_) => {
                estimated(size::block(block))
            }
            ContentBlock::CachePoint => 0,
        }
    }

    fn part(self, part: &ToolResultContent) -> usize {
        match part {
            ToolResultContent::Text { text } => self.text(text),
            ToolResultContent::Json { json } => self.text(&json.to_string()),
            ToolResultContent::Image { .. } => estimated(size::IMAGE_BYTES),
        }
    }

    /// Returns the tokens of a text, in which nothing is a control token. Some texts, such as a megabyte of spaces, are
    /// beyond the tokeniser; they are estimated.
    fn text(self, text: &str) -> usize {
        let vocabulary: &CoreBPE = match self {
            Self::Estimate => return text.len(),
            Self::O200k => o200k_base_singleton(),
            Self::Cl100k => cl100k_base_singleton(),
        };
        vocabulary.encode(text, &HashSet::new()).map_or_else(|_| estimated(text.len()), |(tokens, _)| tokens.len())
    }
}

fn estimated(bytes: usize) -> usize {
    usize::try_from(size::tokens(bytes)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_openai_are_counted_by_their_vocabulary_whoever_serves_them() {
        for model in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-5-mini", "o3", "openai/gpt-4.1", "openai.gpt-oss-120b-1:0"] {
            assert_eq!(Counter::of(model), Counter::O200k, "{model}");
        }
        assert_eq!(Counter::of("gpt-4-turbo"), Counter::Cl100k);
        for model in ["claude-sonnet-4-5", "llama3.2", "davinci", "amazon.nova-pro-v1:0", "", "/"] {
            assert_eq!(Counter::of(model), Counter::Estimate, "{model}");
        }
    }

    #[test]
    fn text_is_counted_as_the_model_reads_it_and_never_by_a_panic() {
        // As OpenAI's own tokeniser counts them.
        assert_eq!(Counter::O200k.text("hello world"), 2);
        assert_eq!(Counter::Cl100k.text("hello world"), 2);
        assert_eq!(Counter::O200k.text("<|endoftext|>"), 7, "words of a person are never control tokens");
        let spaces = " ".repeat(1_000_000) + "x";
        assert_eq!(Counter::O200k.text(&spaces), estimated(spaces.len()), "beyond the tokeniser");
        assert_eq!(Counter::O200k.text(""), 0);
    }
}
