//! Small talk, memory of what people said of themselves, and what to say when no tool fits.

use crate::{
    choose::Toolbox,
    read::facts::{self, About, Fact},
    turn::Turn,
    words::{self, stop},
};

/// Answers small talk; none when the question is more than that.
#[must_use]
pub fn small_talk(question: &str, toolbox: &Toolbox) -> Option<String> {
    let tokens = words::tokens(question);
    let lower: Vec<&str> = tokens.iter().filter(|token| token.word).map(|token| token.lower.as_str()).collect();
    if lower.is_empty() {
        return Some(format!("I did not find any words in that. {}", offer(toolbox)));
    }
    if lower.len() > 16 {
        return None;
    }
    let has = |word: &str| lower.contains(&word);
    let pair = |a: &str, b: &str| lower.windows(2).any(|pair| pair[0] == a && pair[1] == b);
    let kin = [
        "chatgpt",
        "gpt",
        "gpt-4",
        "gpt4",
        "claude",
        "model",
        "llm",
        "ai",
        "bot",
        "robot",
        "human",
        "openai",
        "anthropic",
        "gemini",
        "llama",
        "machine",
        "person",
        "real",
        "mistral",
    ];
    let about_kin = kin.iter().any(|word| has(word));
    let you = has("you") || has("you're") || has("your");
    if you
        && about_kin
        && (pair("are", "you")
            || has("which")
            || has("what")
            || pair("you", "are")
            || has("who")
            || has("you're")
            || has("your"))
        || pair("who", "are") && you
        || pair("what", "are") && has("you") && lower.len() <= 4
        || pair("your", "name")
        || pair("who", "made") && you
    {
        return Some(identity(toolbox));
    }
    let can = pair("you", "do") && has("what")
        || pair("can", "you") && has("help") && lower.len() <= 7 && (has("what") || has("how"))
        || lower == ["help"]
        || has("capabilities")
        || has("tools") && has("you")
        || pair("help", "me") && lower.len() <= 4 && (has("can") || lower.len() == 2)
        || has("abilities");
    if can && !has("know") && !has("think") {
        return Some(abilities(toolbox));
    }
    if pair("how", "are") && has("you") && lower.len() <= 5 || pair("how's", "it") && has("going") {
        return Some(format!("All is well here, thank you. {}", offer(toolbox)));
    }
    let insult =
        ["stupid", "dumb", "idiot", "useless", "wrong", "suck", "sucks", "moron", "terrible", "awful", "crap", "shit"];
    if insult.iter().any(|word| has(word)) && (you || has("this") || lower.len() <= 2) && lower.len() <= 8 {
        return Some(format!("I am sorry that I was no help. {}", offer(toolbox)));
    }
    if has("sorry") && lower.len() <= 5 {
        return Some("No harm done. What can I do for you?".into());
    }
    let content: Vec<&&str> = lower.iter().filter(|word| !stop::is_stop(word)).collect();
    let only = |set: &[&str], most: usize| {
        content.iter().all(|word| set.contains(*word))
            && lower.iter().any(|word| set.contains(word))
            && lower.len() <= most
    };
    if only(
        &[
            "thank",
            "thanks",
            "thx",
            "cheers",
            "appreciated",
            "appreciate",
            "great",
            "helpful",
            "perfect",
            "awesome",
            "nice",
            "cool",
            "lot",
            "much",
            "wonderful",
            "ta",
            "lovely",
            "brilliant",
            "excellent",
            "merci",
        ],
        9,
    ) {
        return Some("You are welcome. Is there anything else?".into());
    }
    if only(&["bye", "goodbye", "farewell", "later", "ciao", "goodnight", "night", "good", "cya"], 5)
        && !has("morning")
        && (has("bye")
            || has("goodbye")
            || has("later")
            || has("night")
            || has("ciao")
            || has("farewell")
            || has("goodnight"))
    {
        return Some("Goodbye, and come back whenever you like.".into());
    }
    if only(
        &[
            "hi",
            "hello",
            "hey",
            "hiya",
            "yo",
            "greetings",
            "howdy",
            "morning",
            "evening",
            "afternoon",
            "good",
            "day",
            "howdy",
            "sup",
            "doing",
        ],
        7,
    ) {
        return Some(format!("Hello! {}", offer(toolbox)));
    }
    None
}

/// Answers a question about the person from what they said before.
#[must_use]
pub fn recall(turns: &[Turn], certain: bool) -> Option<String> {
    let turn = turns.last()?;
    if let Some(text) = said_before(turns) {
        return Some(text);
    }
    let (about, stems) = facts::asked(&turn.question)?;
    let known: Vec<Fact> = turns[..turns.len() - 1].iter().flat_map(|turn| facts::facts(&turn.question)).collect();
    let everything = about == About::Other && stems.is_empty()
        || stems.iter().all(|stem| stem == "know" || stem == "remember")
            && turn.question.to_lowercase().contains("about me");
    if everything && turn.question.to_lowercase().contains("me") && !known.is_empty() {
        let told: Vec<String> = known.iter().map(|fact| sentence(&fact.told)).collect();
        return Some(told.join(" "));
    }
    if let Some(fact) = facts::find(&known, about, &stems) {
        return Some(sentence(&fact.told));
    }
    if certain {
        return None;
    }
    match about {
        About::Name => Some("You have not told me your name yet. What should I call you?".into()),
        About::Age => Some("You have not told me how old you are.".into()),
        About::Place => Some("You have not told me where you live.".into()),
        About::Work => Some("You have not told me what you do.".into()),
        About::Other => None,
    }
}

/// Repeats what the person asked or what the answer was, when that is the question.
fn said_before(turns: &[Turn]) -> Option<String> {
    let (turn, earlier) = turns.split_last()?;
    let tokens = words::tokens(&turn.question);
    let has = |set: &[&str]| tokens.iter().any(|token| set.contains(&token.lower.as_str()));
    if tokens.len() > 12 || earlier.is_empty() {
        return None;
    }
    let mine = has(&["i", "my"])
        && has(&["question", "ask", "asked", "say", "said", "message", "tell", "told"])
        && has(&["first", "last", "previous", "before", "earlier", "just", "what"]);
    let yours = has(&["repeat", "again"]) && has(&["answer", "that", "you", "it"]) && !mine;
    if mine && !has(&["name", "find", "search"]) && has(&["first", "last", "previous", "before", "earlier", "just"]) {
        let which = if has(&["first"]) { earlier.first()? } else { earlier.last()? };
        return Some(format!("You said: “{}”", which.question.trim()));
    }
    let answer = &earlier.last()?.answer;
    (yours && tokens.len() <= 7 && has(&["repeat", "say"]) && !answer.is_empty()).then(|| answer.clone())
}

/// Acknowledges what a person says of themselves; none when the text asks for something.
#[must_use]
pub fn acknowledge(question: &str) -> Option<String> {
    if !facts::only_facts(question) {
        return None;
    }
    let facts = facts::facts(question);
    let mut out = Vec::new();
    if let Some(name) = facts.iter().find(|fact| fact.about == About::Name).and_then(|fact| fact.value.as_deref()) {
        out.push(format!("Nice to meet you, {name}."));
    }
    let rest: Vec<String> =
        facts.iter().filter(|fact| fact.about != About::Name).map(|fact| lower_first(&fact.told)).collect();
    if !rest.is_empty() {
        out.push(format!("I will remember that {}.", rest.join(", and that ")));
    }
    (!out.is_empty()).then(|| out.join(" "))
}

/// Says that no tool fits, and what could be done.
#[must_use]
pub fn decline(toolbox: &Toolbox) -> String {
    if toolbox.tools.is_empty() {
        "I cannot answer that: I have no tools in this conversation, and as a rehearsal stand-in I know only what you tell me here.".into()
    } else {
        format!("I cannot help with that here: I have no tool for it. {}", offer(toolbox))
    }
}

/// Says that a change that was asked for cannot be made.
#[must_use]
pub fn unable(verb: &str, named: &str) -> String {
    let what = if named.is_empty() { "that" } else { named };
    format!("I cannot {verb} {what}: there is no tool for it here, so nothing has changed.")
}

/// Asks for what a tool needs.
#[must_use]
pub fn ask(toolbox: &Toolbox, tool: &str, missing: &[String]) -> String {
    let params: Vec<String> = missing
        .iter()
        .map(|name| {
            let param = toolbox
                .tools
                .iter()
                .find(|own| own.name == tool)
                .and_then(|own| own.params.iter().find(|param| param.name == *name));
            let label = param.map_or_else(|| crate::schema::spoken(name), crate::schema::Param::label);
            let choices: Vec<&str> = param
                .map(|param| param.choices.iter().filter_map(serde_json::Value::as_str).take(6).collect())
                .unwrap_or_default();
            if choices.is_empty() { format!("the {label}") } else { format!("the {label} ({})", choices.join(", ")) }
        })
        .collect();
    format!("I can do that, but I need {}. Could you tell me?", and(&params))
}

/// Joins parts with commas and "and".
#[must_use]
pub fn and(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [head @ .., last] => format!("{} and {last}", head.join(", ")),
    }
}

/// Returns a text as a sentence: a capital in front, a full stop behind.
#[must_use]
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    let mut chars = text.chars();
    let head: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let mut out = head + chars.as_str();
    if !out.is_empty() && !out.ends_with(['.', '!', '?', ':']) {
        out.push('.');
    }
    out
}

fn identity(toolbox: &Toolbox) -> String {
    format!(
        "I am the rehearsal stand-in, a deterministic program that takes the place of a foundation model here; I am not one myself. {}",
        offer(toolbox)
    )
}

fn abilities(toolbox: &Toolbox) -> String {
    if toolbox.tools.is_empty() {
        return "I have no tools in this conversation. I can remember what you tell me about yourself and repeat it."
            .into();
    }
    let lines: Vec<String> = toolbox
        .tools
        .iter()
        .take(20)
        .map(|tool| format!("- **{}**: {}", crate::schema::spoken(&tool.name), sentence(tool.summary())))
        .collect();
    format!("I can use these tools:\n\n{}", lines.join("\n"))
}

/// Says what the tools can do, in a sentence.
#[must_use]
pub fn offer(toolbox: &Toolbox) -> String {
    let can: Vec<String> = toolbox.tools.iter().map(ability).collect();
    match can.as_slice() {
        [] => "What can I do for you?".into(),
        can if can.len() <= 4 => format!("I can {}.", and(can)),
        can => {
            // A few that stand apart in the list tell more than the first ones.
            let step = can.len() / 4;
            let some: Vec<String> = can.iter().step_by(step.max(1)).take(4).cloned().collect();
            format!("I can, for example, {}. Ask “what can you do?” for everything.", and(&some))
        }
    }
}

/// Returns what a tool does, in the few words with which its description begins.
fn ability(tool: &crate::schema::Tool) -> String {
    const MOST: usize = 60;
    let summary = tool.summary();
    let cut = [": ", ", ", " by ", " with ", " that ", " (", " for example", "; ", " and suits"]
        .iter()
        .filter_map(|mark| summary.find(mark))
        .filter(|at| *at > 12)
        .min()
        .unwrap_or(summary.len());
    let text = lower_first(summary.get(..cut).unwrap_or(summary));
    let verb = text.split(' ').next().unwrap_or("").to_owned();
    // "Computes an expression" becomes "compute an expression".
    let base = match verb.strip_suffix('s') {
        Some(base) if !base.ends_with('s') && base.len() > 2 => format!("{base}{}", &text[verb.len()..]),
        _ => text,
    };
    let base = base.replace("the customer's", "your").replace("the user's", "your").replace(" of the customer", "");
    if summary.is_empty() || base.chars().count() > MOST {
        format!("use {}", crate::schema::spoken(&tool.name))
    } else {
        base
    }
}

/// Returns a text with a capital in front.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default() + chars.as_str()
}

/// Returns a text with a small letter in front.
#[must_use]
pub fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().collect::<String>()).unwrap_or_default() + chars.as_str()
}
