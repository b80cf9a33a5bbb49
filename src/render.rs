//! Templates: handlebars in strict mode, embedded from `templates/`. It knows nothing of what it renders.

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde::Serialize;

const TEMPLATES: [(&str, &str); 6] = [
    ("deployment.yaml", include_str!("../templates/deployment.yaml.hbs")),
    ("service.yaml", include_str!("../templates/service.yaml.hbs")),
    ("kustomization.yaml", include_str!("../templates/kustomization.yaml.hbs")),
    ("report.html", include_str!("../templates/report.html.hbs")),
    ("model-card.md", include_str!("../templates/model-card.md.hbs")),
    ("report.md", include_str!("../templates/report.md.hbs")),
];

#[derive(Debug, thiserror::Error)]
#[error("template {template}: {why}")]
pub struct RenderError {
    pub template: String,
    pub why: String,
}

/// Renders one of the embedded templates. An unknown variable is an error, never an empty text.
pub fn render(template: &str, data: &impl Serialize) -> Result<String, RenderError> {
    let fail = |why: String| RenderError { template: template.into(), why };
    let mut handlebars = Handlebars::new();
    handlebars.set_strict_mode(true);
    handlebars.register_escape_fn(handlebars::no_escape);
    handlebars.register_helper("yaml", Box::new(yaml));
    handlebars.register_helper("cell", Box::new(cell));
    handlebars.register_helper("html", Box::new(html));
    for (name, text) in TEMPLATES {
        handlebars.register_template_string(name, text).map_err(|e| fail(e.to_string()))?;
    }
    handlebars.render(template, data).map_err(|e| fail(e.to_string()))
}

fn argument<'a>(helper: &'a Helper<'_>) -> Result<&'a serde_json::Value, RenderErrorReason> {
    let given = helper.param(0).filter(|p| !p.is_value_missing());
    given.map(|p| p.value()).ok_or(RenderErrorReason::ParamNotFoundForIndex("yaml/cell", 0))
}

/// A value as YAML that every reader reads alike: JSON is YAML's flow style, and its texts are always quoted.
fn yaml(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Context, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> HelperResult {
    out.write(&argument(helper)?.to_string())?;
    Ok(())
}

/// A text inside a Markdown table: no line break, no column break, no HTML, no mention, no command of a CI runner.
fn cell(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Context, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> HelperResult {
    let value = argument(helper)?;
    out.write(&markdown(value.as_str().map_or_else(|| value.to_string(), str::to_owned).as_str()))?;
    Ok(())
}

/// A text in HTML, also between the quotes of an attribute.
fn html(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Context, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> HelperResult {
    let value = argument(helper)?;
    out.write(&handlebars::html_escape(&value.as_str().map_or_else(|| value.to_string(), str::to_owned)))?;
    Ok(())
}

/// Data values and server messages are anybody's text.
fn markdown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            '|' => safe.push_str("\\|"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '`' => safe.push_str("&#96;"),
            '[' => safe.push_str("&#91;"),
            '*' => safe.push_str("&#42;"),
            '_' => safe.push_str("\\_"),
            // A zero-width joiner keeps `@team` from calling anyone, and `::error` from being a command.
            '@' => safe.push_str("@\u{200d}"),
            ':' if safe.ends_with(':') => safe.push_str("\u{200d}:"),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybodys_text_cannot_leave_its_cell() {
        assert_eq!(markdown("a|b\n<img> @org/team ::error::x"), "a\\|b &lt;img&gt; @\u{200d}org/team :\u{200d}:error:\u{200d}:x");
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        assert!(render("service.yaml", &serde_json::json!({})).is_err());
    }
}
