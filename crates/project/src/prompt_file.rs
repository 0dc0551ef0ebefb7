//! `prompts/<name>.md`: a template with variables, which its front matter may describe.

use crate::{
    fields::Fields,
    front_matter::Document,
    parse,
    problem::Source,
    template::{self, Renderer},
};

/// A prompt template of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its name, that of its file.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The variables that it needs, sorted.
    pub variables: Vec<String>,
    /// The template.
    pub template: String,
}

impl Prompt {
    /// Renders the prompt with `variables`, an object.
    ///
    /// # Errors
    /// What could not be rendered, for example a missing variable.
    pub fn render(&self, variables: &serde_json::Value) -> Result<String, String> {
        Renderer::new().render(&self.template, || variables)
    }
}

/// Reads the prompt called `name`. Front matter is optional: `description`, and `variables`, which then must be all.
pub fn read(source: Source<'_>, name: &str, text: &str) -> Option<Prompt> {
    let document = Document::split(text);
    let mut description = String::new();
    let mut declared = None;
    if let Some(front) = document.front {
        let mut fields = Fields::of(source, parse::yaml(source, front, 2)?)?;
        description = fields.text("description").map(|text| text.value).unwrap_or_default();
        if fields.has("variables") {
            declared = Some(fields.texts("variables").into_iter().map(|text| text.value).collect::<Vec<_>>());
        }
        fields.finish();
    }
    let body = document.body.trim_end();
    template::check(source, document.body_place, body, |path| match &declared {
        Some(declared) => template::one_of(&declared.iter().map(String::as_str).collect::<Vec<_>>(), path),
        None => Ok(()),
    });
    let mut variables = declared.unwrap_or_else(|| template::variables_of(body).into_iter().collect());
    variables.sort();
    Some(Prompt { name: name.to_owned(), description, variables, template: body.to_owned() })
}
