//! Tool names that a dialect does not allow: a reversible map for each request.

use bedplate_core::{
    id::ContentHash,
    message::ContentBlock,
    port::model::{ModelRequest, ToolChoice},
};
use std::collections::BTreeMap;

/// What tool names a dialect allows: letters, digits, `_` and `-`, up to a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRule {
    /// The greatest length in bytes; at least 16.
    pub max: usize,
}

impl NameRule {
    fn allows(self, name: &str) -> bool {
        (1..=self.max).contains(&name.len()) && name.bytes().all(is_plain)
    }
}

/// The names of one request on the wire. Names that fit stay as they are; the others get a readable stem and a hash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameMap {
    to_wire: BTreeMap<String, String>,
    to_core: BTreeMap<String, String>,
}

impl NameMap {
    /// Returns the map for all names that `request` holds: of its tools, its choice and its history.
    #[must_use]
    pub fn of(request: &ModelRequest, rule: NameRule) -> Self {
        let mut names: Vec<&str> = request.tools.iter().map(|tool| tool.name.as_str()).collect();
        if let ToolChoice::Tool(name) = &request.tool_choice {
            names.push(name);
        }
        for block in request.messages.iter().flat_map(|message| &message.content) {
            if let ContentBlock::ToolUse(call) = block {
                names.push(&call.name);
            }
        }
        let mut map = Self::default();
        if names.iter().all(|name| rule.allows(name)) {
            return map;
        }
        // Names that fit come first, so that no made-up name can take one of theirs.
        let (fitting, others): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| rule.allows(name));
        for name in others {
            if map.to_wire.contains_key(name) {
                continue;
            }
            let wire = (0_u32..)
                .map(|round| made_up(name, round, rule))
                .find(|wire| !fitting.contains(&wire.as_str()) && !map.to_core.contains_key(wire))
                .expect("finitely many names are taken");
            map.to_core.insert(wire.clone(), name.to_owned());
            map.to_wire.insert(name.to_owned(), wire);
        }
        map
    }

    /// Returns the name as the wire has it.
    #[must_use]
    pub fn wire<'a>(&'a self, name: &'a str) -> &'a str {
        self.to_wire.get(name).map_or(name, String::as_str)
    }

    /// Returns the name as core has it.
    #[must_use]
    pub fn core<'a>(&'a self, name: &'a str) -> &'a str {
        self.to_core.get(name).map_or(name, String::as_str)
    }
}

fn made_up(name: &str, round: u32, rule: NameRule) -> String {
    let hash = ContentHash::of(format!("{round} {name}").as_bytes()).to_string();
    let stem: String = name
        .chars()
        .map(|c| u8::try_from(c).ok().filter(|byte| is_plain(*byte)).map_or('_', char::from))
        .take(rule.max.saturating_sub(9))
        .collect();
    format!("{stem}_{}", &hash[..8])
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;
    use bedplate_core::{port::model::ModelParams, tool::ToolSpec};

    fn request(names: &[String]) -> ModelRequest {
        let tools: Vec<ToolSpec> = names
            .iter()
            .map(|name| ToolSpec {
                name: name.clone(),
                description: String::new(),
                input_schema: serde_json::json!({}),
            })
            .collect();
        ModelRequest {
            model: "m".into(),
            system: vec![],
            messages: vec![],
            tools: tools.into(),
            tool_choice: ToolChoice::Auto,
            params: ModelParams::default(),
        }
    }

    #[test]
    fn every_name_comes_back_and_no_two_share_one() {
        let rule = NameRule { max: 64 };
        let mut names = vec![
            "plain".to_owned(),
            "a.b".into(),
            "a_b".into(),
            "a b".into(),
            "ü".repeat(80),
            "x".repeat(128),
            format!("{}y", "x".repeat(127)),
        ];
        // A tool that already has the name that would be made up for `a.b`.
        names.push(made_up("a.b", 0, rule));
        let map = NameMap::of(&request(&names), rule);
        let wires: Vec<&str> = names.iter().map(|name| map.wire(name)).collect();
        assert_eq!(wires[0], "plain");
        for (name, wire) in names.iter().zip(&wires) {
            assert!(rule.allows(wire), "{wire}");
            assert_eq!(map.core(wire), name);
        }
        let distinct: std::collections::BTreeSet<&&str> = wires.iter().collect();
        assert_eq!(distinct.len(), names.len());
    }
}
