//! Which tool a clause of a question asks for.

use crate::{
    read::{Reading, What},
    schema::{Param, Tool},
    words::{Token, stop, synonyms},
};
use std::collections::HashMap;

/// The tools of a request, with the weight of each word among them.
pub struct Toolbox {
    /// The tools, in order.
    pub tools: Vec<Tool>,
    weights: HashMap<String, f64>,
}

/// How well a tool fits a clause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fit {
    /// The sum of the weights of the words that meet.
    pub overlap: f64,
    /// The part of the clause's own words that meet something of the tool, 0 to 1.
    pub covered: f64,
    /// The part of the words of the tool's name that the clause says, 0 to 1.
    pub named: f64,
    /// What the shape of the arguments adds (arithmetic for an expression, an id of the right pattern).
    pub shape: f64,
    /// How many required values are missing.
    pub lack: f64,
}

impl Toolbox {
    /// Weighs the words of tools: a word that many tools share tells little.
    #[must_use]
    pub fn new(tools: Vec<Tool>) -> Self {
        let mut counts: HashMap<String, f64> = HashMap::new();
        for tool in &tools {
            let mut own: Vec<&String> = tool
                .name_stems
                .iter()
                .chain(&tool.stems)
                .chain(tool.params.iter().flat_map(|param| &param.name_stems))
                .collect();
            own.sort_unstable();
            own.dedup();
            for stem in own {
                *counts.entry(stem.clone()).or_default() += 1.0;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count of tools")]
        let all = tools.len() as f64;
        let weights = counts.into_iter().map(|(stem, count)| {
            let weight = if all < 2.0 { 0.8 } else { ((all + 1.0) / (count + 0.25)).ln().max(0.08) / (all + 1.0).ln() };
            (stem, weight)
        });
        Self { weights: weights.collect(), tools }
    }

    /// Returns how well a tool fits the words between two tokens.
    #[must_use]
    pub fn fit(&self, tool: &Tool, reading: &Reading, window: (usize, usize)) -> Fit {
        let mut fit = Fit::default();
        let mut seen: Vec<&str> = Vec::new();
        let mut words = 0.0;
        let mut met = 0.0;
        let mut named: Vec<bool> = vec![false; tool.name_stems.len()];
        let opening = reading
            .tokens
            .iter()
            .take(window.1 + 1)
            .skip(window.0)
            .position(|token| token.word && !stop::is_stop(&token.lower))
            .map(|at| at + window.0);
        let topic = topic_start(reading, window).filter(|_| !tool.params.iter().any(crate::fill::query::is_query));
        for (at, token) in reading.tokens.iter().enumerate().take(window.1 + 1).skip(window.0) {
            // "manga about time travel" asks for no time.
            if topic.is_some_and(|topic| at >= topic) {
                continue;
            }
            if !telling(token) || seen.contains(&token.stem.as_str()) {
                continue;
            }
            seen.push(&token.stem);
            let mut best: f64 = 0.0;
            for part in pieces(token) {
                let (score, index) = self.meet(tool, &part);
                best = best.max(score);
                if let Some(index) = index {
                    named[index] = true;
                }
            }
            // Only the verb that opens a request is an order; elsewhere "order" is a thing.
            let followed = at < window.1 && reading.tokens.get(at + 1).is_some_and(|next| next.word);
            let command = opening == Some(at) && followed && stop::is_command(&token.lower);
            if !command && !token.digit() {
                words += 1.0;
                met += f64::from(u8::from(best >= 0.45));
            }
            // A verb that is the tool's own says more than one that opens any request.
            let own = tool.name_stems.first().is_some_and(|first| likeness(first, &token.stem, token.groups) > 0.4);
            fit.overlap += best
                * if command && own {
                    1.3
                } else if command {
                    0.6
                } else {
                    1.0
                };
        }
        let mut topical = false;
        if general(reading, window) {
            if tool.personal {
                fit.overlap *= 0.45;
            } else if tool.topical && !tool.open && self.speaks_of(tool, reading, window) {
                fit.overlap += 1.0;
                topical = true;
            }
        }
        // An exact name is as clear as it gets.
        let lower = reading.text.to_lowercase();
        if tool.name.len() > 3 && lower.contains(&tool.name.to_lowercase()) {
            fit.overlap += 3.0;
        }
        fit.covered = if words > 0.0 { met / words } else { 0.0 };
        if topical {
            fit.covered = fit.covered.max(0.2);
        }
        let loud: Vec<bool> = tool
            .name_stems
            .iter()
            .zip(&named)
            .filter(|(stem, _)| (tool.plain || !stop::is_faint(stem)) && !stop::is_stop(stem) && stem.len() > 1)
            .map(|(_, hit)| *hit)
            .collect();
        let hits = loud.iter().filter(|hit| **hit).count();
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let named = if loud.is_empty() { 0.5 } else { hits as f64 / loud.len() as f64 };
        fit.named = named;
        fit
    }

    /// Returns whether a tool's description or examples have a word of the clause that no function word is.
    fn speaks_of(&self, tool: &Tool, reading: &Reading, window: (usize, usize)) -> bool {
        reading.tokens.iter().take(window.1 + 1).skip(window.0).filter(|token| telling(token)).any(|token| {
            // "Return" says little in a description, and much in a question.
            let clear = !stop::is_faint(&token.stem) || token.lower.starts_with("return");
            let own = |stem: &String| clear && likeness(stem, &token.stem, token.groups) >= 0.8;
            let shown = tool.params.iter().flat_map(|param| &param.examples).any(|(_, stems)| stems.iter().any(own));
            shown || tool.stems.iter().any(own)
        })
    }

    fn weight(&self, stem: &str, plain: bool) -> f64 {
        let weight = self.weights.get(stem).copied().unwrap_or(0.5);
        if stop::is_faint(stem) && !plain { weight * 0.35 } else { weight }
    }

    /// Returns what a stem is worth for a tool, and which word of its name it meets.
    fn meet(&self, tool: &Tool, stem: &str) -> (f64, Option<usize>) {
        let groups = synonyms::groups(stem);
        let mut best: f64 = 0.0;
        let mut index = None;
        for (at, own) in tool.name_stems.iter().enumerate() {
            let likeness = likeness(own, stem, groups);
            if likeness > 0.0 {
                best = best.max(2.2 * likeness * self.weight(own, tool.plain));
                if likeness > 0.4 {
                    index = Some(at);
                }
            }
        }
        for own in &tool.stems {
            let likeness = likeness(own, stem, groups);
            if likeness > 0.0 {
                best = best.max(1.3 * likeness * self.weight(own, tool.plain));
            }
        }
        for param in &tool.params {
            best = best.max(self.meet_param(param, stem, groups));
        }
        (best, index)
    }

    fn meet_param(&self, param: &Param, stem: &str, groups: &[usize]) -> f64 {
        let mut best: f64 = 0.0;
        for own in &param.name_stems {
            let likeness = likeness(own, stem, groups);
            if likeness > 0.0 {
                best = best.max(likeness * self.weight(own, false));
            }
        }
        for own in &param.stems {
            if own == stem {
                best = best.max(0.5 * self.weight(own, false));
            }
        }
        if crate::fill::query::is_query(param)
            && param.examples.iter().any(|(_, stems)| stems.iter().any(|own| own == stem))
        {
            best = best.max(0.7);
        }
        if param.choice_stems.iter().any(|own| own.iter().any(|own| own == stem)) {
            best = best.max(1.0);
        }
        for inner in param.properties.iter().chain(param.items.as_deref()) {
            best = best.max(0.8 * self.meet_param(inner, stem, groups));
        }
        best
    }
}

/// Returns how like two stems are; `groups` are those of the second.
fn likeness(own: &str, stem: &str, groups: &[usize]) -> f64 {
    if own == stem {
        1.0
    } else if own.len() >= 4 && stem.len() >= 4 && (own.starts_with(stem) || stem.starts_with(own)) {
        0.8
    } else if !groups.is_empty() && synonyms::share(synonyms::groups(own), groups) {
        0.5
    } else {
        0.0
    }
}

/// Returns whether a clause asks how things are done in general: nothing in it belongs to the person, and it names no id.
#[must_use]
pub fn general(reading: &Reading, window: (usize, usize)) -> bool {
    let tokens = reading.tokens.get(window.0..reading.tokens.len().min(window.1 + 1)).unwrap_or(&[]);
    let Some(first) = tokens
        .iter()
        .find(|token| token.word && !matches!(token.lower.as_str(), "and" | "so" | "but" | "also" | "hi" | "hello"))
    else {
        return false;
    };
    let asks = stop::is_question(&first.lower)
        || first.lower == "may"
        || reading.lower(window.1) == "?"
        || tokens.iter().any(|token| token.lower == "about") && topic_start(reading, window).is_none();
    let pair = |a: &[&str], b: &[&str]| {
        tokens.windows(2).any(|pair| a.contains(&pair[0].lower.as_str()) && b.contains(&pair[1].lower.as_str()))
    };
    let owned = tokens.iter().any(|token| matches!(token.lower.as_str(), "my" | "mine" | "our" | "we" | "i've"))
        || pair(&["i"], &["have", "ordered", "bought", "got", "own", "made", "placed"])
        || pair(&["did", "have", "had"], &["i"]);
    let coded = reading
        .spans
        .iter()
        .any(|span| span.what == What::Code && span.tokens.0 >= window.0 && span.tokens.1 <= window.1);
    asks && !owned && !coded
}

/// Returns where the subject matter begins in "manga about time travel"; none for "information about …".
#[must_use]
pub fn topic_start(reading: &Reading, window: (usize, usize)) -> Option<usize> {
    const INTRODUCED: &[&str] = &[
        "information",
        "info",
        "details",
        "facts",
        "news",
        "data",
        "report",
        "know",
        "hear",
        "learn",
        "curious",
        "question",
        "questions",
    ];
    let about =
        (window.0 + 1..=window.1.min(reading.tokens.len().checked_sub(1)?)).find(|at| reading.lower(*at) == "about")?;
    let before = &reading.tokens[about - 1];
    let thing = before.word
        && !INTRODUCED.contains(&before.lower.as_str())
        && (!stop::is_stop(&before.lower) || matches!(before.lower.as_str(), "something" | "anything"))
        && !stop::is_command(&before.lower);
    thing.then_some(about + 1)
}

fn telling(token: &Token) -> bool {
    token.word
        && !stop::is_stop(&token.lower)
        && token.lower.len() > 1
        && !matches!(token.lower.as_str(), "what" | "how" | "please")
}

fn pieces(token: &Token) -> Vec<String> {
    let mut out = vec![token.stem.clone()];
    if token.parts.len() > 1 {
        out.extend(token.parts.iter().cloned());
    }
    out
}
