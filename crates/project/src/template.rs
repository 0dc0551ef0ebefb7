//! Templates and expressions: checked when the project is loaded, strict and bounded when they are rendered.

use crate::problem::{Place, Source};
use minijinja::{Environment, UndefinedBehavior, value::Serde};
use serde::Serialize;
use std::collections::BTreeSet;

/// How many steps a template may take.
const FUEL: u64 = 100_000;

/// Renders templates; setting one up costs more than most templates, so it is kept.
pub struct Renderer(Environment<'static>);

impl Renderer {
    /// Returns a renderer.
    #[must_use]
    pub fn new() -> Self {
        Self(environment())
    }

    /// Renders `template` over `context`, which is only made when something in the template asks for it.
    ///
    /// # Errors
    /// What could not be rendered.
    pub fn render<C: Serialize>(&self, template: &str, context: impl FnOnce() -> C) -> Result<String, String> {
        if let Some(text) = plain(template) {
            return Ok(text.to_owned());
        }
        self.0.render_str(template, minijinja::Value::from(Serde(context()))).map_err(|error| error.to_string())
    }
}

/// Returns what a template without any markup renders to.
fn plain(template: &str) -> Option<&str> {
    let is_markup = |pair: &[u8]| matches!(pair, [b'{', b'{' | b'%' | b'#']);
    if template.as_bytes().windows(2).any(is_markup) || template.contains('\r') {
        return None;
    }
    // As the environment does, one line break at the end goes.
    Some(template.strip_suffix('\n').unwrap_or(template))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_without_markup_is_what_the_environment_makes_of_it() {
        for text in ["", "\n", "a", "a\n", "a\n\n", "{ a } %} #} }}", "# a\n{\n{", "ä { % x", "a\r\n", "a\n\r\n\n"] {
            let rendered = environment().render_str(text, ()).unwrap();
            assert_eq!(Renderer::new().render(text, || ()).unwrap(), rendered, "{text:?}");
        }
        assert_eq!(plain("{{ user }}"), None);
        assert_eq!(plain("{% if x %}"), None);
        assert_eq!(plain("{# no #}"), None);
    }
}
