//! A folder as an object: which digest each of its files has.

use md5::{Digest as _, Md5};
use serde_json::Value;

use super::is_md5;
use crate::names::RelPath;
use crate::ports::files::hex;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::dataset) struct Entry {
    pub(in crate::dataset) path: String,
    pub(in crate::dataset) md5: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dataset) struct Tree {
    pub(in crate::dataset) entries: Vec<Entry>,
}

impl Tree {
    /// Sorted by path, as plain text.
    pub(in crate::dataset) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort();
        Self { entries }
    }

    /// The bytes that Python's `json.dumps(…, sort_keys=True)` gives: the id is of these, so every blank counts.
    pub(in crate::dataset) fn write(&self) -> String {
        let item = |e: &Entry| format!("{{\"md5\": \"{}\", \"relpath\": {}}}", e.md5, python(&e.path));
        format!("[{}]", self.entries.iter().map(item).collect::<Vec<_>>().join(", "))
    }

    pub(in crate::dataset) fn id(&self) -> String {
        format!("{}.dir", hex(&Md5::digest(self.write())))
    }

    pub(in crate::dataset) fn parse(text: &str) -> Result<Self, String> {
        let items: Vec<Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let field = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
        let entries = items.iter().map(|item| {
            let (path, md5) = field(item, "relpath").zip(field(item, "md5"))?;
            // Somebody's folder may not write outside of it.
            (is_md5(&md5) && RelPath::parse(&path).is_ok()).then_some(Entry { path, md5 })
        });
        entries.collect::<Option<_>>().map(Self::new).ok_or_else(|| "it is no list of files".into())
    }
}

/// Text as Python's `json` writes it: ASCII, the rest escaped.
fn python(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            c => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_are_those_of_python() {
        let entry = |path: &str, md5: char| Entry { path: path.into(), md5: md5.to_string().repeat(32) };
        let tree = Tree::new(vec![entry("a/x", 'a'), entry("a-b", 'b'), entry("é😀\"", 'c')]);
        let expected = format!(
            "[{{\"md5\": \"{}\", \"relpath\": \"a-b\"}}, {{\"md5\": \"{}\", \"relpath\": \"a/x\"}}, {{\"md5\": \"{}\", \"relpath\": \"\\u00e9\\ud83d\\ude00\\\"\"}}]",
            "b".repeat(32),
            "a".repeat(32),
            "c".repeat(32)
        );
        assert_eq!(tree.write(), expected);
        assert_eq!(Tree::parse(&tree.write()), Ok(tree));
        assert!(Tree::parse("[{\"md5\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", \"relpath\": \"../x\"}]").is_err());
    }
}
