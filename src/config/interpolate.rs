//! `${NAME}`, `${NAME:-default}` and `${file:/run/secrets/x}`, in values only. `$${` is a plain `${`.

use super::Input;
use crate::mistakes::{Mistakes, Place};
use crate::node::{Node, Text};
use crate::secret::is_secret_key;

pub(super) fn apply(root: &mut Node, input: &Input<'_>, secrets: &mut Vec<String>, mistakes: &mut Mistakes) {
    root.each_text("", &mut |key, place, text| {
        if text.text.contains("${") {
            let mut expander = Expander { input, place, mistakes, parts: Vec::new(), from_file: false };
            let expanded = expander.expand(&text.text);
            if expander.from_file || is_secret_key(key) {
                // The whole, and each part: `postgres://u:${PASSWORD}@h/d` hides the password by itself too.
                secrets.extend(expander.parts.drain(..).filter(|part| !is_public(part, &expanded)));
                secrets.push(expanded.clone());
            }
            *text = Text { text: expanded, interpolated: true };
        }
    });
}

/// Of a database's address only the password is secret: a host from `${HOST}` belongs into the log.
fn is_public(part: &str, whole: &str) -> bool {
    let Some(url) = url::Url::parse(whole).ok().filter(|url| url.scheme().starts_with("postgres") && url.has_host()) else { return false };
    let secret = |text: &str| text.contains(part);
    !url.password().is_some_and(secret) && !url.query().is_some_and(secret)
}

struct Expander<'a, 'b> {
    input: &'a Input<'b>,
    place: Place,
    mistakes: &'a mut Mistakes,
    parts: Vec<String>,
    from_file: bool,
}

impl Expander<'_, '_> {
    fn expand(&mut self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let escaped = rest[..at].ends_with('$');
            expanded.push_str(if escaped { &rest[..at - 1] } else { &rest[..at] });
            rest = &rest[at + 2..];
            if escaped {
                expanded.push_str("${");
                continue;
            }
            let Some(end) = rest.find('}') else {
                self.mistakes.add(self.place, "`${` is not closed; write `$${` for the characters themselves");
                return expanded;
            };
            let value = self.value(&rest[..end]);
            expanded.push_str(&value);
            self.parts.push(value);
            rest = &rest[end + 1..];
        }
        expanded.push_str(rest);
        expanded
    }

    fn value(&mut self, inside: &str) -> String {
        if let Some(path) = inside.strip_prefix("file:") {
            self.from_file = true;
            return match (self.input.read_file)(path) {
                Ok(text) => text.trim_end_matches(['\r', '\n']).to_owned(),
                Err(why) => {
                    self.mistakes.add(self.place, format!("{path}: {why}"));
                    String::new()
                }
            };
        }
        let (name, default) = inside.split_once(":-").map_or((inside, None), |(name, default)| (name, Some(default)));
        let valid =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
        if !valid {
            self.mistakes.add(self.place, format!("`{name}` is no name of an environment variable; write `$${{` for the characters themselves"));
            return String::new();
        }
        // As in a shell, `:-` also stands in for an empty value: an unset CI input arrives as one.
        match (self.input.env.get(name).filter(|value| !value.is_empty()), default) {
            (Some(value), _) => value.clone(),
            (None, Some(default)) => default.to_owned(),
            (None, None) => {
                let help = format!("write `${{{name}:-default}}` for a default");
                self.mistakes.add_with_help(self.place, format!("the environment variable `{name}` is not set"), help);
                String::new()
            }
        }
    }
}
