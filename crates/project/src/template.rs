//! Templates and expressions: checked when the project is loaded, strict and bounded when they are rendered.

use crate::problem::{Place, Source};
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;
use std::collections::BTreeSet;

/// How many steps a template may take.
const FUEL: u64 = 100_000;

/// Renders `template` over `context`.
///
/// # Errors
/// What could not be rendered.
pub fn render(template: &str, context: impl Serialize) -> Result<String, String> {
    environment().render_str(template, minijinja::Value::from(Serde(context))).map_err(|error| error.to_string())
}

/// Checks the template `text`, whose first line is at `place`: its syntax, and that it names no variable that
/// `is_known` denies (a path such as `input.city`).
pub fn check(source: Source<'_>, place: Place, text: &str, is_known: impl Fn(&str) -> Result<(), String>) {
    let environment = environment();
    match environment.template_from_str(text) {
        Ok(template) => variables(source, place, text, template.undeclared_variables(true), is_known),
        Err(error) => syntax(source, place, &error),
    }
}

/// Checks the expression `text` as [`check`] does.
pub fn check_expression(source: Source<'_>, place: Place, text: &str, is_known: impl Fn(&str) -> Result<(), String>) {
    let environment = environment();
    match environment.compile_expression(text) {
        Ok(expression) => variables(source, place, text, expression.undeclared_variables(true), is_known),
        Err(error) => syntax(source, place, &error),
    }
}

/// Returns the variables that `template` names, without those that it sets; none when its syntax is wrong.
pub fn variables_of(template: &str) -> BTreeSet<String> {
    let environment = environment();
    let found = environment.template_from_str(template).map(|template| template.undeclared_variables(false));
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    found.unwrap_or_default().into_iter().filter(|name| !globals.contains(name.as_str())).collect()
}

/// Says that a variable is none of `known`; a path counts by its first word.
pub fn one_of(known: &[&str], path: &str) -> Result<(), String> {
    let first = path.split('.').next().unwrap_or(path);
    if known.contains(&first) {
        return Ok(());
    }
    Err(match crate::problem::nearest(first, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the variables here are: {}", known.join(", ")),
    })
}

fn variables(
    source: Source<'_>,
    place: Place,
    text: &str,
    found: impl IntoIterator<Item = String>,
    is_known: impl Fn(&str) -> Result<(), String>,
) {
    let environment = environment();
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let found: BTreeSet<String> = found.into_iter().collect();
    for path in found.iter().filter(|path| !globals.contains(path.as_str())) {
        if let Err(hint) = is_known(path) {
            let last = path.rsplit('.').next().unwrap_or(path);
            let line =
                text.find(path.as_str()).or_else(|| text.find(last)).map_or(0, |at| text[..at].matches('\n').count());
            source.error_with(place.below(line), "template_variable", format!("there is no variable {path:?}"), hint);
        }
    }
}

fn syntax(source: Source<'_>, place: Place, error: &minijinja::Error) {
    let line = error.line().unwrap_or(1).saturating_sub(1);
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    source.error(place.below(line), "template_syntax", format!("this template is not valid: {message}"));
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment
}
