//! Expressions and templates of a tool's approval: strict about unknown variables, bounded in work, without access to
//! files or other templates.

use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// How many steps an expression or template may take.
const FUEL: u64 = 50_000;

/// Evaluates `expression` over `context`; a value counts as Jinja counts it (0, "", none and empty lists are false).
///
/// # Errors
/// What could not be evaluated.
pub fn is_true(expression: &str, context: impl Serialize) -> Result<bool, String> {
    let environment = environment();
    let expression = environment.compile_expression(expression).map_err(|error| error.to_string())?;
    let value =
        expression.eval(minijinja::Value::from(minijinja::value::Serde(context))).map_err(|error| error.to_string())?;
    // An expression that is only an unknown name evaluates without an error; it decides nothing.
    if value.is_undefined() {
        return Err("undefined value".to_owned());
    }
    Ok(value.is_true())
}

/// Renders `template` over `context`.
///
/// # Errors
/// What could not be rendered.
pub fn render(template: &str, context: impl Serialize) -> Result<String, String> {
    environment()
        .render_str(template, minijinja::Value::from(minijinja::value::Serde(context)))
        .map_err(|error| error.to_string())
}

/// Returns what is wrong with the syntax of `expression`.
pub fn expression_problem(expression: &str) -> Option<String> {
    environment().compile_expression(expression).err().map(|error| error.to_string())
}

/// Returns what is wrong with the syntax of `template`.
pub fn template_problem(template: &str) -> Option<String> {
    environment().template_from_str(template).err().map(|error| error.to_string())
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_expression_decides_on_facts() {
        let facts = json!({ "input": { "n": 3 }, "preview": { "amount": 50.01 } });
        assert_eq!(is_true("preview.amount > 50", &facts), Ok(true));
        assert_eq!(is_true("preview.amount > 50 and input.n > 3", &facts), Ok(false));
        assert!(is_true("preview.total > 50", &facts).is_err());
        assert!(is_true("preview.total", &facts).is_err());
        assert!(is_true("preview.amount >", &facts).is_err());
    }

    #[test]
    fn an_expression_that_runs_on_is_stopped() {
        let endless = "{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(render(endless, json!({})).is_err());
        assert!(render("{% include 'secret' %}", json!({})).is_err());
    }
}
