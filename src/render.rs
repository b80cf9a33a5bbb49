//! Templates: handlebars in strict mode, embedded from `templates/`. It knows nothing of what it renders.

use handlebars::{Context, Handlebars, Helper, HelperResult, Output, RenderContext, RenderErrorReason};
use serde::Serialize;

const TEMPLATES: [(&str, &str); 9] = [
    ("deployment.yaml", include_str!("../templates/deployment.yaml.hbs")),
    ("service.yaml", include_str!("../templates/service.yaml.hbs")),
    ("kustomization.yaml", include_str!("../templates/kustomization.yaml.hbs")),
    ("report.html", include_str!("../templates/report.html.hbs")),
    ("model-card.md", include_str!("../templates/model-card.md.hbs")),
    ("mlops.yml", include_str!("../templates/mlops.yml.hbs")),
    ("workflow.yml", include_str!("../templates/workflow.yml.hbs")),
    ("gitlab-ci.yml", include_str!("../templates/gitlab-ci.yml.hbs")),
    ("report.md", include_str!("../templates/report.md.hbs")),
];

#[derive(Debug, thiserror::Error)]
#[error("template {template}: {why}")]
pub struct RenderError {
    pub template: String,
    pub why: String,
}

/// The templates of the program, some of them perhaps the project's own.
#[derive(Debug, Clone)]
pub struct Templates(Handlebars<'static>);

impl Default for Templates {
    fn default() -> Self {
        let mut handlebars = Handlebars::new();
        handlebars.set_strict_mode(true);
        handlebars.register_escape_fn(handlebars::no_escape);
        handlebars.register_helper("yaml", Box::new(yaml));
        handlebars.register_helper("flow", Box::new(flow));
        handlebars.register_helper("cell", Box::new(cell));
        handlebars.register_helper("html", Box::new(html));
        for (name, text) in TEMPLATES {
            // A test reads every one of them.
            let _ = handlebars.register_template_string(name, text);
        }
        Self(handlebars)
    }
}

impl Templates {
    pub fn names() -> impl Iterator<Item = &'static str> {
        TEMPLATES.iter().map(|(name, _)| *name)
    }

    /// The project's own text for one of them.
    pub fn replace(&mut self, name: &str, text: &str) -> Result<(), RenderError> {
        self.0.register_template_string(name, text).map_err(|e| RenderError { template: name.into(), why: e.to_string() })
    }

    /// An unknown variable is an error, never an empty text.
    pub fn render(&self, template: &str, data: &impl Serialize) -> Result<String, RenderError> {
        self.0.render(template, data).map_err(|e| RenderError { template: template.into(), why: e.to_string() })
    }
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

/// A value as a person would write it on one line of YAML, quoted only where it has to be.
fn flow(helper: &Helper<'_>, _: &Handlebars<'_>, _: &Context, _: &mut RenderContext<'_, '_>, out: &mut dyn Output) -> HelperResult {
    let value = argument(helper)?;
    let written = match value {
        serde_json::Value::Object(_) => serde_saphyr::to_string(&serde_saphyr::FlowMap(value)),
        serde_json::Value::Array(_) => serde_saphyr::to_string(&serde_saphyr::FlowSeq(value)),
        _ => serde_saphyr::to_string(value),
    };
    let line = written.ok().map(|text| text.trim_end().to_owned()).filter(|text| !text.contains('\n') && is_read_as(text, value));
    out.write(&line.unwrap_or_else(|| value.to_string()))?;
    Ok(())
}

/// Also between braces, where more characters mean something.
fn is_read_as(line: &str, value: &serde_json::Value) -> bool {
    let read = serde_saphyr::from_str::<serde_json::Value>(&format!("{{k: {line}}}"));
    read.is_ok_and(|read| read["k"] == *value)
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
    let text: String = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let visible: String = text.chars().filter(|c| !c.is_control() || "\t\n\r".contains(*c)).collect();
    out.write(&handlebars::html_escape(&visible))?;
    Ok(())
}

/// Data values and server messages are anybody's text. What means something in Markdown becomes an entity, which also holds
/// where a line of HTML ends the Markdown; what means something to GitHub or GitLab in the finished page (a mention, a
/// reference to an issue, an address) is broken by a joiner that nobody sees.
fn markdown(text: &str) -> String {
    const JOINER: char = '\u{200d}';
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied().unwrap_or(' ');
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '|' | '`' | '[' | ']' | '*' | '_' | '\\' | '~' | '$' => safe.push_str(&format!("&#{};", u32::from(c))),
            c if c.is_control() => continue,
            c => safe.push(c),
        }
        let refers = "@#!%&~$[".contains(c) && (next.is_alphanumeric() || "\"_".contains(next));
        let address = c == ':' && ":/".contains(next) || "wW".contains(c) && next == '.' || "hH".contains(c) && next == '-';
        if refers || address {
            safe.push(JOINER);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anybodys_text_cannot_leave_its_cell() {
        let joined = |text: &str| markdown(text).replace('\u{200d}', "^");
        assert_eq!(joined("a|b\n<img> @org/team ::error::x"), "a&#124;b &lt;img&gt; @^org/team :^:error:^:x");
        assert_eq!(joined("#12 GH-3 !4 %5 a@b.c https://x www.x"), "#^12 GH^-3 !^4 %^5 a@^b.c https:^//x www^.x");
        assert_eq!(joined("16.1% of 3 & more, C# is fine: yes"), "16.1% of 3 &amp; more, C# is fine: yes");
    }

    #[test]
    fn every_template_can_be_read() {
        let templates = Templates::default();
        let missing: Vec<&str> = Templates::names().filter(|name| !templates.0.has_template(name)).collect();
        assert_eq!(missing, Vec::<&str>::new());
    }

    #[test]
    fn an_unknown_variable_is_an_error() {
        assert!(Templates::default().render("service.yaml", &serde_json::json!({})).is_err());
    }
}
