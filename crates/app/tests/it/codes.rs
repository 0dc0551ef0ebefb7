//! Every error code that a client can meet is explained, and every code that is explained can be met.
//!
//! What would be lost if this failed: somebody looks up the code of an error and finds nothing.

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn the_reference_lists_exactly_the_codes_that_the_server_answers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut made = BTreeSet::new();
    sources(&root.join("crates/server/src"), &mut |text| made.extend(codes_in_source(text)));
    let model = fs::read_to_string(root.join("crates/core/src/port/model.rs")).expect("the model port is there");
    let kinds = model.split("fn code(").nth(1).expect("the kinds of model errors have codes");
    made.extend(literals(kinds.split("\n    }\n").next().unwrap_or_default()));
    let reference = fs::read_to_string(root.join("docs/reference/errors.md")).expect("the reference is there");
    let explained = codes_in_table(&reference);
    let unexplained: Vec<_> = made.difference(&explained).collect();
    let unmade: Vec<_> = explained.difference(&made).collect();
    assert!(unexplained.is_empty(), "not in docs/reference/errors.md: {unexplained:?}");
    assert!(unmade.is_empty(), "in docs/reference/errors.md and nowhere made: {unmade:?}");
}

fn sources(folder: &Path, take: &mut impl FnMut(&str)) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, take);
        } else {
            let text = fs::read_to_string(&path).expect("a source is text");
            // Tests name codes too.
            take(text.split("#[cfg(test)]").next().unwrap_or_default());
        }
    }
}

/// Returns the codes that a source gives to the constructors of `ApiError`: the first literal after each.
fn codes_in_source(text: &str) -> Vec<String> {
    let makers =
        ["ApiError::bad_request(", "ApiError::not_found(", "ApiError::forbidden(", "ApiError::conflict(", "::new("];
    let mut found = Vec::new();
    for maker in makers {
        for call in text.split(maker).skip(1) {
            let arguments = call.split(';').next().unwrap_or_default();
            if maker == "::new("
                && !arguments.trim_start().starts_with("StatusCode::")
                && !arguments.starts_with("status,")
            {
                continue;
            }
            found.extend(literals(arguments).into_iter().next());
        }
    }
    for chosen in text.split("let code = ").skip(1) {
        found.extend(literals(chosen.split(';').next().unwrap_or_default()));
    }
    if text.contains("fn outcome_word(") {
        let words =
            text.split("fn outcome_word(").nth(1).and_then(|rest| rest.split("\n}\n").next()).unwrap_or_default();
        // These have an answer and are no errors.
        found.extend(
            literals(words).into_iter().filter(|word| !["completed", "max_tokens", "refused"].contains(&word.as_str())),
        );
    }
    if text.contains("fn unauthorized(") {
        found.push("unauthorized".to_owned());
    }
    found
}

/// Returns the string literals of `text` that look like codes.
fn literals(text: &str) -> Vec<String> {
    let is_code = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    text.split('"').skip(1).step_by(2).filter(is_code).map(str::to_owned).collect()
}

/// Returns what stands in the second column of the reference's tables.
fn codes_in_table(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| status"));
    rows.filter_map(|row| row.split('|').nth(2))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
