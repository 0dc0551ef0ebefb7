//! The rules of the Documents port that both adapters share, as pure functions.

use bedplate_core::port::documents::{
    DocumentError, MAX_DOCUMENT_BYTES, MAX_DOCUMENT_NAME, NewDocument, Precondition, Revision,
};

/// Checks everything about a write that needs no store.
pub(crate) fn check(collection: &str, document: &NewDocument) -> Result<(), DocumentError> {
    within("the collection's name", collection.len(), MAX_DOCUMENT_NAME)?;
    within("the document's name", document.id.len(), MAX_DOCUMENT_NAME)?;
    within("the document", document.body.len(), MAX_DOCUMENT_BYTES)
}

/// Checks a precondition against the revision that is stored.
pub(crate) fn meets(precondition: Precondition, stored: Option<Revision>) -> Result<(), DocumentError> {
    let met = match precondition {
        Precondition::Any => true,
        Precondition::Absent => stored.is_none(),
        Precondition::At(expected) => stored == Some(expected),
    };
    if met { Ok(()) } else { Err(DocumentError::Conflict) }
}

/// Returns the smallest text that comes after everything that begins with `prefix`; none when nothing does.
pub(crate) fn end_of(prefix: &str) -> Option<String> {
    let mut kept = prefix.to_owned();
    while let Some(last) = kept.pop() {
        // UTF-8 keeps the order of characters; the surrogates, which are none, are stepped over.
        if let Some(next) = (last..=char::MAX).nth(1) {
            kept.push(next);
            return Some(kept);
        }
    }
    None
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), DocumentError> {
    if bytes > limit { Err(DocumentError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(end_of("ab"), Some("ac".into()));
        assert_eq!(end_of("a\u{d7ff}"), Some("a\u{e000}".into()));
        assert_eq!(end_of("a\u{10ffff}"), Some("b".into()));
        assert_eq!((end_of(""), end_of("\u{10ffff}")), (None, None));
    }
}
