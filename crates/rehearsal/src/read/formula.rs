//! Formulas with a variable in a text: `3x^2 + 2x - 1`, `f(x) = x**3`.

/// Returns the byte ranges of formulas; a leading `y =` or `f(x) =` is left out.
#[must_use]
pub fn formulas(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut run: Option<(usize, usize)> = None;
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let start = at;
        at += piece.len();
        let word = piece.trim_end().trim_end_matches(['.', ',', '?', '!', ';', ':']);
        let closed = word.len() < piece.trim_end().len();
        if mathy(word) {
            run = Some((run.map_or(start, |(first, _)| first), start + word.len()));
            if closed {
                out.extend(run.take());
            }
        } else {
            out.extend(run.take());
        }
    }
    out.extend(run);
    out.into_iter().filter_map(|(start, end)| trim(text, start, end)).collect()
}

/// Returns whether a text is a number with a unit, or a unit alone: `10 m^3`, `9.8 m/s^2`, `5cm`.
fn quantity(part: &str) -> bool {
    let unit = part.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | ' '));
    let mut names =
        unit.split('/').map(|name| name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '^' | '-')));
    !unit.is_empty()
        && !unit.contains(['+', '*', '=', '('])
        && names
            .all(|name| matches!(name, "m" | "s" | "cm" | "km" | "mm" | "ft" | "kg" | "g" | "h" | "mi" | "in" | "sec"))
}

fn mathy(word: &str) -> bool {
    let word = word.trim_matches(['\'', '"', '`']);
    if word.is_empty() || word.len() > 60 || !word.is_ascii() {
        return false;
    }
    let operators = word.bytes().all(|byte| b"+-*/^=()".contains(&byte));
    let allowed = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-*/^=().".contains(&byte));
    // Letters come alone (a variable) or as a function's name before a bracket.
    let mut letters = 0;
    let mut fine = true;
    let bytes = word.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        if byte.is_ascii_alphabetic() {
            letters += 1;
        } else {
            fine &= letters <= 1 || *byte == b'(';
            letters = 0;
        }
        if index + 1 == bytes.len() {
            fine &= letters <= 1;
        }
    }
    let lone_word = word.len() == 1 && matches!(word, "a" | "A" | "I");
    operators || (allowed && fine && !lone_word)
}

fn trim(text: &str, mut start: usize, mut end: usize) -> Option<(usize, usize)> {
    let outer = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | '`');
    loop {
        let part = &text[start..end];
        let lead = part.len() - part.trim_start_matches(outer).len();
        let trail =
            part.len() - part.trim_end_matches(|c: char| outer(c) || matches!(c, '+' | '*' | '/' | '=' | '-')).len();
        if lead == 0 && trail == 0 {
            break;
        }
        start += lead;
        end = end.saturating_sub(trail).max(start);
    }
    if let Some(equals) = text[start..end].find('=') {
        let head = text[start..start + equals].trim();
        if head.len() == 1 || head.ends_with("(x)") || head.ends_with(')') && head.len() == 4 {
            start += equals + 1;
            start += text[start..end].len() - text[start..end].trim_start().len();
        }
    }
    let part = &text[start..end];
    if quantity(part) {
        return None;
    }
    let variable = part.bytes().any(|byte| byte.is_ascii_alphabetic());
    let power = part.contains('^') || part.contains("**");
    let product =
        part.as_bytes().windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'x' | b'y' | b'z' | b't'));
    let sum = part.contains(" + ") || part.contains(" - ") || part.contains(" * ") || part.contains('(');
    let alone = part.trim().contains('=');
    (variable && !alone && (power || (product && sum) || (sum && part.len() > 3 && part.contains(['x', 'y', 't']))))
        .then_some((start, end))
}
