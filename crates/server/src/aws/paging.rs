//! Pages of lists: `maxResults` and `nextToken`.

use super::{Fault, Params};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bedplate_catalog::PageQuery;
use serde_json::{Value, json};

/// How many items a page has when nobody says.
const USUAL: usize = 100;

/// Reads which page is asked for; a token of another list is refused.
pub(crate) fn query(params: &Params, list: &str) -> Result<PageQuery, Fault> {
    let after = params.text("nextToken", 1..=3096)?.map(|token| open(token, list)).transpose()?;
    Ok(PageQuery { after, limit: limit(params)? })
}

/// Reads how many items are asked for.
pub(crate) fn limit(params: &Params) -> Result<usize, Fault> {
    let asked = params.number("maxResults", 0..=1000)?.unwrap_or(0);
    Ok(usize::try_from(asked).ok().filter(|asked| *asked > 0).unwrap_or(USUAL))
}

/// Returns the token under which the page after `last` is asked for.
pub(crate) fn token(list: &str, last: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}\n{last}"))
}

/// Returns what the page before ended with.
pub(crate) fn open(token: &str, list: &str) -> Result<String, Fault> {
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let last = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix('\n'));
    last.map(ToOwned::to_owned).ok_or_else(|| Fault::new("InvalidToken", "Invalid Token: 'Invalid token'"))
}

/// Returns the reply of a list operation.
pub(crate) fn reply(field: &str, items: Vec<Value>, list: &str, next: Option<&str>) -> Value {
    let mut reply = json!({ field: items });
    if let Some(next) = next {
        reply["nextToken"] = token(list, next).into();
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_list_alone() {
        let token = token("ListActivities", "a/b");
        assert_eq!(open(&token, "ListActivities"), Ok("a/b".to_owned()));
        assert!(open(&token, "ListExecutions").is_err());
        assert!(open("stub", "ListActivities").is_err());
    }
}
