//! `${name}` in migrations: one text for every environment.

use std::collections::BTreeMap;

use crate::mistakes::suggestion;

/// What `migrate.vars` gives. Without any, `${…}` is plain text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vars(pub BTreeMap<String, String>);

impl Vars {
    /// The text with every variable's value, or each unknown one with its line (from 0).
    pub fn fill(&self, text: &str) -> Result<String, Vec<(usize, String)>> {
        if self.0.is_empty() || !text.contains("${") {
            return Ok(text.to_owned());
        }
        let (mut filled, mut unknown, mut rest) = (String::with_capacity(text.len()), Vec::new(), text);
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at + 2);
            let name = after.split('}').next().unwrap_or_default();
            // A dollar in front makes it a dollar quote: `$${a,b}$$` is an array.
            let plain = before.ends_with("$${") || !after[name.len()..].starts_with('}') || !is_name(name);
            match (plain, self.0.get(name)) {
                (true, _) => filled.push_str(before),
                (false, Some(value)) => {
                    filled.push_str(&before[..at]);
                    filled.push_str(value);
                }
                (false, None) => {
                    let line = super::script::line_of(text, text.len() - after.len());
                    let help = suggestion(name, self.0.keys().map(String::as_str), "variables");
                    unknown.push((line, format!("`migrate.vars` has no `{name}`; {help}")));
                }
            }
            rest = if plain { after } else { &after[name.len() + 1..] };
        }
        filled.push_str(rest);
        if unknown.is_empty() { Ok(filled) } else { Err(unknown) }
    }
}

/// Letters, digits and `_`, as in a shell.
pub fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_filled_in_and_unknown_ones_named() {
        let vars = Vars([("owner".to_owned(), "app".to_owned())].into());
        assert_eq!(vars.fill("alter table t owner to ${owner}; -- ${owner}").expect("filled"), "alter table t owner to app; -- app");
        assert_eq!(
            vars.fill("select $${owner}$$::text[], '${not a name}', '${'").expect("plain"),
            "select $${owner}$$::text[], '${not a name}', '${'"
        );
        assert_eq!(vars.fill("\n${ownr}"), Err(vec![(1, "`migrate.vars` has no `ownr`; did you mean `owner`?".to_owned())]));
        assert_eq!(Vars::default().fill("${anything}").expect("plain"), "${anything}");
    }
}
