//! "… and another with …", "then repeat with …": a parameter that gets a second value starts a second call.

use crate::{
    fill::{self, Filled, Scope},
    read::Reading,
    schema::{Kind, Tool},
};
use serde_json::Value;

/// A part of a text with the values that it names.
type Group = ((usize, usize), Vec<(String, Value)>);

/// Cuts a window where a parameter that was named is named again with another value; none when that never happens.
#[must_use]
pub fn groups(tool: &Tool, reading: &Reading, window: (usize, usize)) -> Option<Vec<(usize, usize)>> {
    let atoms = atoms(reading, window);
    if atoms.len() < 2 {
        return None;
    }
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut group: Option<Group> = None;
    for atom in atoms {
        let told = told(tool, reading, atom);
        match group.as_mut() {
            Some((range, known)) => {
                let clash =
                    told.iter().any(|(name, value)| known.iter().any(|(own, other)| own == name && other != value));
                if clash {
                    out.push(*range);
                    group = Some((atom, told));
                } else {
                    range.1 = atom.1;
                    for (name, value) in told {
                        if !known.iter().any(|(own, _)| *own == name) {
                            known.push((name, value));
                        }
                    }
                }
            }
            // What stands before the first value is its context.
            None => group = Some(((window.0.min(atom.0), atom.1), told)),
        }
    }
    out.extend(group.map(|(range, _)| range));
    (out.len() > 1).then_some(out)
}

/// Fills what a call lacks from the call before it.
#[must_use]
pub fn inherit(tool: &Tool, mut filled: Filled, before: Option<&Filled>) -> Filled {
    let Some(before) = before else { return filled };
    for param in tool.required() {
        let weak = !filled.told.contains(&param.name)
            && before.told.contains(&param.name)
            && !filled.sources.iter().any(|(name, _)| *name == param.name);
        if (!filled.args.contains_key(&param.name) || weak)
            && let Some(value) = before.args.get(&param.name)
        {
            filled.args.insert(param.name.clone(), value.clone());
            filled.told.push(param.name.clone());
        }
    }
    filled.missing.retain(|name| !filled.args.contains_key(name));
    filled
}

/// Fills what the first calls lack from the later ones: "in Boston and in Rome, both in Celsius".
pub fn complete_first(tool: &Tool, all: &mut [Filled]) {
    for index in (0..all.len().saturating_sub(1)).rev() {
        let after = all[index + 1].clone();
        for param in tool.required() {
            if let (false, Some(value)) = (all[index].args.contains_key(&param.name), after.args.get(&param.name)) {
                all[index].args.insert(param.name.clone(), value.clone());
            }
        }
        let args = all[index].args.clone();
        all[index].missing.retain(|name| !args.contains_key(name));
    }
}

/// Returns the scalar values that a part of the text names on its own.
fn told(tool: &Tool, reading: &Reading, atom: (usize, usize)) -> Vec<(String, Value)> {
    let mut scope = Scope::new(reading, atom, tool);
    for index in 0..reading.spans.len() {
        scope.blocked[index] = !scope.inside(index);
    }
    let filled = fill::fill(tool, &mut scope);
    tool.params
        .iter()
        .filter(|param| {
            !matches!(param.kind, Kind::List | Kind::Object | Kind::Boolean) && filled.told.contains(&param.name)
        })
        .filter(|param| param.required || !param.choices.is_empty())
        .filter_map(|param| filled.args.get(&param.name).map(|value| (param.name.clone(), value.clone())))
        .collect()
}

/// Cuts a window at sentence ends and at conjunctions that do not join the members of a list.
fn atoms(reading: &Reading, window: (usize, usize)) -> Vec<(usize, usize)> {
    const MOST: usize = 14;
    let inside_list = |at: usize| {
        reading.lists.iter().any(|list| {
            let (Some(first), Some(last)) = (list.first(), list.last()) else { return false };
            reading.spans[*first].tokens.0 < at && at < reading.spans[*last].tokens.1
        })
    };
    let inside_span = |at: usize| reading.spans.iter().any(|span| span.tokens.0 < at && at <= span.tokens.1);
    let mut cuts = vec![window.0];
    for at in window.0 + 1..=window.1.min(reading.tokens.len().saturating_sub(1)) {
        let here = reading.lower(at);
        let stop = matches!(reading.lower(at - 1), "." | "?" | "!" | ";")
            && reading.tokens[at].start > reading.tokens[at - 1].end;
        let value_next = reading.spans.iter().any(|span| span.tokens.0 == at + 1);
        let joint =
            matches!(here, "and" | "then" | "also" | "while" | ",") && !inside_list(at) && !(here == "," && value_next);
        if (stop || joint) && !inside_span(at) {
            cuts.push(at);
        }
    }
    cuts.truncate(MOST);
    cuts.push(window.1 + 1);
    cuts.windows(2).filter(|pair| pair[0] < pair[1]).map(|pair| (pair[0], pair[1] - 1)).collect()
}
