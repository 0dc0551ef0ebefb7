//! What to do next: which tools to call with which arguments, or what to say instead.

pub mod again;
pub mod chain;
pub mod clauses;
pub mod expand;
pub mod follow;
pub mod narrow;
pub mod repair;

use crate::{
    choose::{Fit, Toolbox},
    fill::Filled,
    read::Reading,
    turn::Turn,
    words::{stop, superlative},
};
use bedplate_core::time::Timestamp;
use serde_json::{Map, Value};

/// How many calls a turn may make.
pub const MAX_CALLS: usize = 12;
/// What a tool must reach to be called unasked.
const THRESHOLD: f64 = 1.0;
/// How many tools are filled for one clause.
const SHORT_LIST: usize = 6;

/// A call that should be made.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// The arguments.
    pub args: Map<String, Value>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// These calls, at once.
    Calls(Vec<Call>),
    /// A question: the tool cannot be called without these parameters.
    Ask {
        /// The tool's name.
        tool: String,
        /// The parameters' names.
        missing: Vec<String>,
    },
    /// Nothing more to call: word the results.
    Answer,
    /// No tool fits.
    Nothing,
}

/// A clause with the tool that serves it.
#[derive(Clone, Debug)]
pub struct Task {
    /// Index into the toolbox.
    pub tool: usize,
    /// First and last token, inclusive.
    pub window: (usize, usize),
    /// How surely, before filling.
    pub score: f64,
}

/// Decides for the last of the turns. `must` says that some tool has to be called, `only` which.
#[must_use]
pub fn next(toolbox: &Toolbox, turns: &[Turn], now: Timestamp, must: bool, only: Option<&str>) -> Next {
    let Some(turn) = turns.last() else { return Next::Nothing };
    if let Some(calls) = repair::calls(toolbox, turn) {
        return Next::Calls(calls);
    }
    if let Some(call) = narrow::call(toolbox, turn) {
        return Next::Calls(vec![call]);
    }
    let made = turn.steps.len();
    if made >= MAX_CALLS {
        return Next::Answer;
    }
    let mut reading = Reading::new(&turn.question, now);
    if let Some(next) = follow::next(toolbox, turns, &reading, now) {
        return fresh(turn, next);
    }
    let mut tasks = tasks(toolbox, &reading, must, only);
    if let Some((whole, joined)) = continued(toolbox, turns, &tasks, now) {
        reading = whole;
        tasks = joined;
    }
    if tasks.is_empty() {
        return if made > 0 { Next::Answer } else { Next::Nothing };
    }
    let mut calls = Vec::new();
    let mut ask = None;
    for (index, task) in tasks.iter().enumerate() {
        let tool = &toolbox.tools[task.tool];
        for filled in expand::expand(tool, &reading, task.window) {
            match complete(toolbox, turns, &reading, &tasks[..index], task, filled, now) {
                chain::Completed::Ready(args) => calls.push(Call { name: tool.name.clone(), args }),
                chain::Completed::First(call) => calls.push(call),
                chain::Completed::Later => {}
                chain::Completed::Missing(missing) => {
                    ask.get_or_insert(Next::Ask { tool: tool.name.clone(), missing });
                }
            }
        }
    }
    let next = match fresh(turn, Next::Calls(calls)) {
        Next::Calls(calls) => Next::Calls(calls),
        _ if made > 0 && ask.is_none() => Next::Answer,
        // A result that was to bring the missing value has come and did not.
        _ if made > 0 && turn.steps.iter().all(|step| step.output.is_some()) => Next::Answer,
        other => ask.unwrap_or(other),
    };
    match follow::reckon(toolbox, turn, &reading, now) {
        Some(call) if next == Next::Answer && made > 0 => Next::Calls(vec![call]),
        _ => next,
    }
}

/// Joins an answer to the assistant's question with what was asked before it.
fn continued(toolbox: &Toolbox, turns: &[Turn], tasks: &[Task], now: Timestamp) -> Option<(Reading, Vec<Task>)> {
    let [.., before, turn] = turns else { return None };
    if !before.steps.is_empty() || !before.answer.trim_end().ends_with('?') || turn.question.len() > 400 {
        return None;
    }
    let whole =
        Reading::new(&format!("{}. {}", before.question.trim_end_matches(['?', '.', '!', ' ']), turn.question), now);
    let joined = self::tasks(toolbox, &whole, false, None);
    let same = joined.len() == 1 && tasks.iter().all(|task| task.tool == joined[0].tool);
    same.then_some((whole, joined))
}

/// Returns the call that must be made although values are missing: they are the plainest that the schema allows.
#[must_use]
pub fn forced(toolbox: &Toolbox, name: &str, question: &str, now: Timestamp) -> Call {
    let mut args = Map::new();
    if let Some(tool) = toolbox.tools.iter().find(|tool| tool.name == name) {
        let reading = Reading::new(question, now);
        let mut scope = crate::fill::Scope::new(&reading, (0, reading.tokens.len().saturating_sub(1)), tool);
        let filled = crate::fill::fill(tool, &mut scope);
        args = filled.args;
        for param in tool.params.iter().filter(|param| filled.missing.contains(&param.name)) {
            args.insert(param.name.clone(), crate::fill::value::plainest(param, question));
        }
    }
    Call { name: name.to_owned(), args }
}

/// Removes calls that were made already; none left means that the answer is due.
fn fresh(turn: &Turn, next: Next) -> Next {
    let Next::Calls(calls) = next else { return next };
    let mut out: Vec<Call> = Vec::new();
    for call in calls {
        let known = turn.steps.iter().any(|step| step.name == call.name && step.input.as_object() == Some(&call.args));
        if !known && !out.contains(&call) {
            out.push(call);
        }
    }
    out.truncate(MAX_CALLS - turn.steps.len().min(MAX_CALLS));
    if out.is_empty() { Next::Answer } else { Next::Calls(out) }
}

fn complete(
    toolbox: &Toolbox,
    turns: &[Turn],
    reading: &Reading,
    before: &[Task],
    task: &Task,
    filled: Filled,
    now: Timestamp,
) -> chain::Completed {
    if filled.missing.is_empty() {
        return chain::Completed::Ready(filled.args);
    }
    chain::complete(&chain::Situation { toolbox, turns, reading, before, task, now }, filled)
}

/// Returns which tools serve which parts of a question.
#[must_use]
pub fn tasks(toolbox: &Toolbox, reading: &Reading, must: bool, only: Option<&str>) -> Vec<Task> {
    if let Some(tool) = only.and_then(|name| toolbox.tools.iter().position(|tool| tool.name == name)) {
        let window = (0, reading.tokens.len().saturating_sub(1));
        return vec![Task { tool, window, score: THRESHOLD }];
    }
    let mut tasks: Vec<Task> = Vec::new();
    let mut lead: Option<usize> = None;
    for window in clauses::clauses(reading) {
        match best(toolbox, reading, window) {
            Some((tool, score)) => {
                let from = lead.take().unwrap_or(window.0);
                join(toolbox, reading, &mut tasks, Task { tool, window: (from, window.1), score });
            }
            // Words that ask for nothing of their own belong to what they stand by.
            None => match tasks.last_mut() {
                Some(task) => task.window.1 = window.1,
                None => lead = Some(lead.unwrap_or(window.0)),
            },
        }
    }
    let all = (0, reading.tokens.len().saturating_sub(1));
    if tasks.is_empty() && !reading.tokens.is_empty() {
        tasks.extend(best(toolbox, reading, all).map(|(tool, score)| Task { tool, window: all, score }));
    }
    if tasks.is_empty() && must && !toolbox.tools.is_empty() {
        let tool = rank(toolbox, reading, all).first().map_or(0, |(tool, ..)| *tool);
        tasks.push(Task { tool, window: all, score: 0.0 });
    }
    tasks
}

/// Adds a task, or widens the last one when both are parts of one call.
fn join(toolbox: &Toolbox, reading: &Reading, tasks: &mut Vec<Task>, task: Task) {
    if let Some(last) = tasks.last_mut().filter(|last| last.tool == task.tool) {
        let tool = &toolbox.tools[task.tool];
        let own = |window: (usize, usize)| {
            let mut scope = crate::fill::Scope::new(reading, window, tool);
            for index in 0..reading.spans.len() {
                scope.blocked[index] = !scope.inside(index);
            }
            crate::fill::fill(tool, &mut scope)
        };
        let (left, right) = (own(last.window), own(task.window));
        let required = tool.required().count();
        let separate = required > 0
            && left.missing.is_empty()
            && right.missing.len() < required
            && left.args != right.args
            && !right.args.is_empty()
            && (required > 1 || right.missing.is_empty());
        // Searches for words are told apart by their sentences, all else by a value that is named anew.
        let words = tool.required().any(crate::fill::query::is_query);
        if !separate || !words {
            last.window.1 = task.window.1;
            return;
        }
    }
    tasks.push(task);
}

/// Returns the tool that serves a clause; none when nothing fits well enough.
fn best(toolbox: &Toolbox, reading: &Reading, window: (usize, usize)) -> Option<(usize, f64)> {
    let (tool, score, fit) = *rank(toolbox, reading, window).first()?;
    let enough = score >= THRESHOLD
        && (toolbox.tools[tool].open
            || fit.shape >= 0.8
            || fit.covered >= 0.15
            || fit.named >= 0.5
            || fit.overlap >= 2.5);
    enough.then_some((tool, score))
}

/// Returns the tools in order of how well they serve a clause.
fn rank(toolbox: &Toolbox, reading: &Reading, window: (usize, usize)) -> Vec<(usize, f64, Fit)> {
    let mut fits: Vec<(usize, f64, Fit)> = toolbox
        .tools
        .iter()
        .enumerate()
        .map(|(index, tool)| {
            let fit = toolbox.fit(tool, reading, window);
            (index, fit.overlap, fit)
        })
        .collect();
    fits.sort_by(|a, b| b.1.total_cmp(&a.1));
    // Arithmetic, an id of a pattern and a plain question speak for a tool without any of its words.
    let shaped = |tool: &crate::schema::Tool| {
        tool.open || tool.params.iter().any(|param| param.strict || crate::fill::expression::wanted(param))
    };
    let mut listed = SHORT_LIST.min(fits.len());
    let most = fits.len().min(SHORT_LIST * 4);
    for at in SHORT_LIST.min(most)..most {
        if shaped(&toolbox.tools[fits[at].0]) && listed < SHORT_LIST * 2 {
            fits.swap(listed, at);
            listed += 1;
        }
    }
    for (index, score, fit) in fits.iter_mut().take(listed) {
        let tool = &toolbox.tools[*index];
        let mut scope = crate::fill::Scope::new(reading, window, tool);
        let filled = crate::fill::fill(tool, &mut scope);
        let shaped =
            strong_shape(tool, &filled) + if tool.open { informational(reading, window, &filled) } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "small counts")]
        let lack = filled.missing.len() as f64;
        // Who says the tool's own verb and thing wants it, and is asked for the rest.
        let ordered = fit.named >= 0.6 && stop::is_command(opening(reading, window));
        let lacking = if ordered { 0.2 * lack.min(4.0) } else { 0.8 * lack.min(4.0) };
        // Only a search is ranked over all there is.
        let ranked =
            superlative::ranking(&reading.tokens).is_some() && tool.params.iter().any(crate::fill::query::is_query);
        let shaped = shaped
            + if ranked && fit.overlap > 0.5 { 0.4 } else { 0.0 }
            + named_thing(tool, reading, window, &filled, fit);
        *score = fit.overlap + 0.6 * fit.named + 0.35 * filled.evidence.min(3.0) + shaped - lacking;
        fit.lack = lack;
        fit.shape = shaped;
    }
    fits[..listed].sort_by(|a, b| b.1.total_cmp(&a.1));
    fits
}

/// Returns a bonus for a clause that asks to be told of something, for tools that look up anything.
fn informational(reading: &Reading, window: (usize, usize), filled: &Filled) -> f64 {
    if !filled.missing.is_empty() {
        return 0.0;
    }
    let words: Vec<&str> = reading.tokens[window.0..=window.1.min(reading.tokens.len().saturating_sub(1))]
        .iter()
        .filter(|token| token.word)
        .map(|token| token.lower.as_str())
        .collect();
    let has = |word: &str| words.contains(&word);
    let own = words.iter().any(|word| matches!(*word, "my" | "i" | "me" | "mine"))
        && !(has("tell")
            || has("explain")
            || has("describe")
            || has("show")
            || has("give")
            || has("for")
            || has("like")
            || has("want")
            || has("can")
            || has("need"));
    // "Manga about time travel" asks for manga.
    let things = crate::choose::topic_start(reading, window).is_some();
    let asks = words.iter().filter(|word| !(things && **word == "about")).any(|word| {
        matches!(
            *word,
            "what"
                | "what's"
                | "whats"
                | "who"
                | "who's"
                | "explain"
                | "describe"
                | "define"
                | "search"
                | "lookup"
                | "about"
                | "which"
                | "where"
                | "why"
                | "when"
                | "how"
                | "information"
                | "info"
                | "details"
                | "facts"
                | "overview"
                | "learn"
                | "summary"
                | "meaning"
        )
    }) || has("look") && has("up")
        || has("find") && has("out");
    if asks && !own { 1.3 } else { 0.0 }
}

/// A change that is asked for and that no tool makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unable {
    /// The verb ("cancel").
    pub verb: String,
    /// What is to be changed ("order MA-10218").
    pub what: String,
    /// A tool that tells the rules for it, with its call.
    pub rules: Option<(String, String, String)>,
}

/// Returns the change that a question orders when no tool makes such a change.
#[must_use]
pub fn unable(toolbox: &Toolbox, reading: &Reading) -> Option<Unable> {
    const CHANGES: &[&str] = &[
        "cancel",
        "delete",
        "remove",
        "erase",
        "unsubscribe",
        "close",
        "deactivate",
        "buy",
        "purchase",
        "pay",
        "refund",
        "transfer",
        "reset",
    ];
    let first = reading.tokens.iter().find(|token| token.word)?.lower.as_str();
    if stop::is_question(first) && !matches!(first, "can" | "could" | "will" | "would") || toolbox.tools.is_empty() {
        return None;
    }
    // "Can I cancel?" asks for the rules; "can you cancel" and "I want to cancel" order it.
    if reading
        .tokens
        .windows(2)
        .any(|pair| matches!(pair[0].lower.as_str(), "can" | "could" | "may") && pair[1].lower == "i")
    {
        return None;
    }
    let window = (0, reading.tokens.len().checked_sub(1)?);
    let verb = opening(reading, window);
    if !CHANGES.contains(&verb) {
        return None;
    }
    let stem = crate::words::stem(verb);
    let alike = |own: &String| *own == stem || crate::words::synonyms::alike(own, &stem);
    // Any mention counts, except by a tool that only tells the rules for it.
    let speaks =
        |param: &crate::schema::Param| param.stems.iter().any(alike) || param.choice_stems.iter().flatten().any(alike);
    let made = toolbox.tools.iter().any(|tool| {
        tool.name_stems.iter().any(alike)
            || !tool.topical
                && (tool.stems.iter().any(alike) && !chain::reads_only(tool) || tool.params.iter().any(speaks))
    });
    // A tool that runs anything may well be able to.
    let made = made || best(toolbox, reading, window).is_some_and(|(tool, _)| !chain::reads_only(&toolbox.tools[tool]));
    if made {
        return None;
    }
    let at = reading.tokens.iter().position(|token| token.lower == verb)?;
    let ordered = reading.tokens[..at].iter().filter(|token| token.word).all(|token| {
        matches!(
            token.lower.as_str(),
            "please"
                | "can"
                | "could"
                | "would"
                | "will"
                | "you"
                | "i"
                | "i'd"
                | "like"
                | "want"
                | "need"
                | "to"
                | "hi"
                | "hello"
                | "hey"
                | "and"
        )
    });
    if !ordered || matches!(reading.lower(at + 1), "of" | "that" | "") {
        return None;
    }
    let end = (at + 1..reading.tokens.len()).take(6).take_while(|at| {
        reading.tokens[*at].word && !matches!(reading.lower(*at), "and" | "because" | "please" | "then" | "for" | "now")
    });
    let last = end.last().unwrap_or(at);
    let what = crate::read::facts::turned(reading.slice(at + 1, last));
    let rules =
        toolbox.tools.iter().find(|tool| tool.topical && tool.stems.iter().any(|own| own.starts_with(&stem))).and_then(
            |tool| {
                let param = tool.required().next()?;
                // An id is no topic.
                let thing: Vec<&str> = reading
                    .tokens
                    .get(at + 1..=last)
                    .unwrap_or(&[])
                    .iter()
                    .filter(|token| {
                        token.word && !token.text.contains(|c: char| c.is_ascii_digit()) && !stop::is_stop(&token.lower)
                    })
                    .map(|token| token.text.as_str())
                    .collect();
                Some((tool.name.clone(), param.name.clone(), format!("{verb} {}", thing.join(" ")).trim().to_owned()))
            },
        );
    Some(Unable { verb: verb.to_owned(), what, rules })
}

/// Returns the first telling word of a clause.
fn opening(reading: &Reading, window: (usize, usize)) -> &str {
    reading
        .tokens
        .iter()
        .take(window.1 + 1)
        .skip(window.0)
        .find(|token| token.word && !stop::is_stop(&token.lower))
        .map_or("", |token| token.lower.as_str())
}

/// Returns a bonus for a question that names the one thing a tool tells everything about: "who wrote Iron Sparrow?".
fn named_thing(
    tool: &crate::schema::Tool,
    reading: &Reading,
    window: (usize, usize),
    filled: &Filled,
    fit: &Fit,
) -> f64 {
    let mut required = tool.required();
    let (Some(param), None) = (required.next(), required.next()) else { return 0.0 };
    let asks = stop::is_question(reading.lower(window.0)) || reading.lower(window.1) == "?";
    let title = param.kind == crate::schema::Kind::Text && param.named(&["title", "product", "item", "book"]);
    let name = filled.sources.iter().any(|(own, span)| {
        *own == param.name && matches!(reading.spans[*span].what, crate::read::What::Name | crate::read::What::Quoted)
    });
    let told = reading.tokens.iter().any(|token| token.lower == "about");
    match (asks, told) {
        _ if !title || !name => 0.0,
        (true, _) if fit.overlap >= 0.2 => 0.9,
        (_, true) => 1.05,
        _ => 0.0,
    }
}

/// Returns a bonus for arguments whose shape alone says what is meant: arithmetic, an id of the tool's own pattern.
fn strong_shape(tool: &crate::schema::Tool, filled: &Filled) -> f64 {
    let mut bonus: f64 = 0.0;
    for param in &tool.params {
        let Some(value) = filled.args.get(&param.name) else { continue };
        if crate::fill::expression::wanted(param) && value.is_string() {
            bonus += 2.8;
        }
        if param.strict && value.is_string() {
            bonus += 0.8;
        }
    }
    bonus
}
