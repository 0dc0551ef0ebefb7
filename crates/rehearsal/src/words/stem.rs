//! A light stemmer: enough to meet "orders" with "order" and "calculating" with "calculate".

/// Returns the stem of a lower-case word. Words with digits or without Latin letters stay as they are.
#[must_use]
pub fn stem(word: &str) -> String {
    if word.len() < 4 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return word.to_owned();
    }
    let mut root = plural(word);
    for (suffix, keep) in
        [("ational", "ate"), ("ization", "ize"), ("isation", "ize"), ("fulness", "ful"), ("iveness", "ive")]
    {
        if let Some(head) = root.strip_suffix(suffix).filter(|head| head.len() >= 3) {
            root = format!("{head}{keep}");
        }
    }
    for suffix in [
        "ingly", "edly", "ations", "ation", "ators", "ator", "ating", "ated", "ate", "ments", "ment", "ings", "ing",
        "ions", "ion", "ers", "er", "ors", "or", "ed", "ly", "al", "e", "y", "i",
    ] {
        if let Some(head) = root.strip_suffix(suffix) {
            let enough = if suffix.len() <= 1 { 3 } else { 4 };
            if head.len() >= enough || (head.len() == 3 && matches!(suffix, "ing" | "ed") && has_vowel(head)) {
                return undouble(head);
            }
        }
    }
    root
}

fn plural(word: &str) -> String {
    if let Some(head) = word.strip_suffix("ies").filter(|head| head.len() >= 2) {
        return format!("{head}y");
    }
    for tail in ["sses", "xes", "ches", "shes", "zes"] {
        if word.ends_with(tail) {
            return word[..word.len() - 2].to_owned();
        }
    }
    match word.strip_suffix('s') {
        Some(head) if head.len() >= 3 && !head.ends_with(['s', 'u', 'i']) => head.to_owned(),
        _ => word.to_owned(),
    }
}

fn has_vowel(word: &str) -> bool {
    word.contains(['a', 'e', 'i', 'o', 'u', 'y'])
}

fn undouble(head: &str) -> String {
    let bytes = head.as_bytes();
    let double = bytes.len() >= 4
        && bytes[bytes.len() - 1] == bytes[bytes.len() - 2]
        && !matches!(bytes[bytes.len() - 1], b's' | b'l' | b'z');
    if double { head[..head.len() - 1].to_owned() } else { head.to_owned() }
}
