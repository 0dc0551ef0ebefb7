//! Just enough of SQL's words to find parameters and to tell a query from a change. Nothing is executed here.

/// Words of parameters that the platform gives; no input property may have one of these names.
pub const RESERVED: [&str; 4] = ["caller_user", "now", "today", "idempotency_key"];

/// Returns the names of the `:name` parameters in `sql`, each with the line (from 0) on which it stands.
pub fn parameters(sql: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (start, token) in tokens(sql) {
        if let Some(name) = token.strip_prefix(':') {
            found.push((name.to_owned(), sql[..start].matches('\n').count()));
        }
    }
    found
}

/// Returns the first word of `sql` in upper case; empty when there is none.
pub fn first_word(sql: &str) -> String {
    tokens(sql).first().map(|(_, token)| token.to_ascii_uppercase()).unwrap_or_default()
}

/// Returns words and `:name`s with their offsets; texts, quoted names, comments and everything else are left out.
fn tokens(sql: &str) -> Vec<(usize, &str)> {
    let bytes = sql.as_bytes();
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
    let end_of_word = |from: usize| bytes[from..].iter().position(|byte| !word(byte)).map_or(bytes.len(), |n| from + n);
    let after = |from: usize, end: &str| {
        sql.get(from..).and_then(|rest| rest.find(end)).map_or(bytes.len(), |n| from + n + end.len())
    };
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at = match bytes[at] {
            b'\'' => after(at + 1, "'"),
            b'"' => after(at + 1, "\""),
            b'`' => after(at + 1, "`"),
            b'[' => after(at + 1, "]"),
            b'-' if bytes.get(at + 1) == Some(&b'-') => after(at, "\n"),
            b'/' if bytes.get(at + 1) == Some(&b'*') => after(at + 2, "*/"),
            b':' if bytes.get(at + 1).is_some_and(word) => {
                let end = end_of_word(at + 1);
                found.push((at, &sql[at..end]));
                end
            }
            byte if word(&byte) => {
                let end = end_of_word(at);
                found.push((at, &sql[at..end]));
                end
            }
            _ => at + 1,
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_in_texts_and_comments_are_none() {
        let sql =
            "-- :no\nSELECT ':no', \":no\", [:no], 'it''s :no' /* :no\n */ FROM t\nWHERE a = :yes AND b=:caller_user";
        assert_eq!(parameters(sql), [("yes".to_owned(), 3), ("caller_user".to_owned(), 3)]);
        assert_eq!(first_word(sql), "SELECT");
        assert_eq!(first_word(" /* x */ with a as (select 1)"), "WITH");
        assert_eq!(first_word("'open"), "");
        assert_eq!(parameters("SELECT 'ü :x', :ü"), [("ü".to_owned(), 0)]);
    }
}
