//! "Cheapest", "best rated", "newest": which member of rows a question ranks by, and from which end.

use super::Token;

/// What a question ranks rows by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// The word, as it is said of a row ("cheapest").
    pub word: &'static str,
    /// Words that the member's key may have, best first.
    pub keys: &'static [&'static str],
    /// Whether the smallest comes first.
    pub ascending: bool,
}

const PRICE: &[&str] = &["price", "cost", "total", "fee", "amount"];
const RATING: &[&str] = &["rating", "score", "stars", "rank"];
const TIME: &[&str] = &["released", "release", "year", "date", "placed", "created", "published"];
const LENGTH: &[&str] = &["volumes", "pages", "length", "duration", "chapters", "episodes"];

const WORDS: &[(&str, Ranking)] = &[
    ("cheapest", Ranking { word: "cheapest", keys: PRICE, ascending: true }),
    ("priciest", Ranking { word: "most expensive", keys: PRICE, ascending: false }),
    ("dearest", Ranking { word: "most expensive", keys: PRICE, ascending: false }),
    ("best", Ranking { word: "best rated", keys: RATING, ascending: false }),
    ("highest-rated", Ranking { word: "best rated", keys: RATING, ascending: false }),
    ("top-rated", Ranking { word: "best rated", keys: RATING, ascending: false }),
    ("worst", Ranking { word: "lowest rated", keys: RATING, ascending: true }),
    ("newest", Ranking { word: "newest", keys: TIME, ascending: false }),
    ("latest", Ranking { word: "newest", keys: TIME, ascending: false }),
    ("oldest", Ranking { word: "oldest", keys: TIME, ascending: true }),
    ("longest", Ranking { word: "longest", keys: LENGTH, ascending: false }),
    ("shortest", Ranking { word: "shortest", keys: LENGTH, ascending: true }),
];

/// Returns whether a lower-case word ranks by itself.
fn is_one(word: &str) -> bool {
    WORDS.iter().any(|(own, _)| *own == word)
}

/// Returns whether the token at a place belongs to a ranking: "cheapest", "most expensive", "best rated".
#[must_use]
pub fn covers(tokens: &[Token], at: usize) -> bool {
    let lower = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let before = at.checked_sub(1).map_or("", lower);
    is_one(lower(at))
        || matches!(lower(at), "most" | "least" | "highest" | "lowest" | "top")
            && matches!(lower(at + 1), "expensive" | "rated" | "popular" | "recent")
        || matches!(lower(at), "expensive" | "rated" | "popular" | "recent" | "rating")
            && matches!(before, "most" | "least" | "highest" | "lowest" | "best" | "top" | "worst")
}

/// Returns how a question ranks; none when it does not.
#[must_use]
pub fn ranking(tokens: &[Token]) -> Option<Ranking> {
    tokens.iter().enumerate().find_map(|(at, token)| {
        let next = tokens.get(at + 1).map_or("", |token| token.lower.as_str());
        let pair = match (token.lower.as_str(), next) {
            ("most", "expensive") => Some("priciest"),
            ("least", "expensive") => Some("cheapest"),
            ("highest" | "top" | "most", "rated" | "popular") => Some("best"),
            ("lowest" | "least", "rated" | "popular") => Some("worst"),
            ("most", "recent") => Some("newest"),
            _ => None,
        };
        let word = pair.unwrap_or(token.lower.as_str());
        WORDS.iter().find(|(own, _)| *own == word).map(|(_, ranking)| *ranking)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::tokens;

    #[test]
    fn rankings_are_read_from_one_word_or_two() {
        for (text, word) in [
            ("cheapest horror manga", Some("cheapest")),
            ("the most expensive one", Some("most expensive")),
            ("best rated romance", Some("best rated")),
            ("the highest rated", Some("best rated")),
            ("most of them", None),
        ] {
            assert_eq!(ranking(&tokens(text)).map(|ranking| ranking.word), word, "{text}");
        }
    }
}
