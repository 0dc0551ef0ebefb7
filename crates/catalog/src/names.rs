//! Which names Step Functions takes.

/// The longest name, in characters.
const MAX_NAME: usize = 80;

/// A name that Step Functions does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid Name: '{0}'")]
pub struct NameError(pub String);

/// Refuses a name that is empty, too long, or has a blank, a bracket, a wildcard, a control character or one of
/// `" # % \ ^ | ~ ` $ & , ; : /`.
///
/// # Errors
/// [`NameError`].
pub fn check_name(name: &str) -> Result<(), NameError> {
    let is_bad = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || matches!(c, '\u{fffe}' | '\u{ffff}' | '<' | '>' | '{' | '}' | '[' | ']' | '?' | '*')
            || "\"#%\\^|~`$&,;:/".contains(c)
    };
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(is_bad) {
        return Err(NameError(name.to_owned()));
    }
    Ok(())
}

/// Returns whether an alias may be called so: letters, digits, `-`, `_` and `.`, and not digits alone.
pub(crate) fn is_alias(name: &str) -> bool {
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(is_good) && !name.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_break_an_arn_is_refused() {
        for name in ["a", "state.machine_1-x", "ä", &"x".repeat(80)] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "a b", "a:b", "a/b", "a*", "a\u{7f}", "a\n", "{a}", &"x".repeat(81)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_alias_is_never_taken_for_a_version() {
        assert!(is_alias("prod") && is_alias("v1") && is_alias("1.0"));
        assert!(!is_alias("17") && !is_alias("") && !is_alias("a b"));
    }
}
