//! Names parsed once, and the one place where SQL is quoted.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// `flights` or `raw.flights`: each part is quoted, so case and odd letters are kept as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(into = "String")]
pub struct TableName {
    schema: Option<String>,
    table: String,
}

impl TableName {
    pub fn parse(text: &str) -> Result<Self, String> {
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(schema.to_owned()), table),
            None => (None, text),
        };
        let parts = schema.iter().map(String::as_str).chain([table]);
        for part in parts {
            if part.is_empty() || part.len() > 63 || part.contains('\0') || (table.contains('.')) {
                return Err(format!("`{text}` is no table name (`table` or `schema.table`)"));
            }
        }
        Ok(Self { schema, table: table.to_owned() })
    }

    pub fn quoted(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{}.{}", ident(schema), ident(&self.table)),
            None => ident(&self.table),
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.table),
            None => f.write_str(&self.table),
        }
    }
}

impl From<TableName> for String {
    fn from(name: TableName) -> Self {
        name.to_string()
    }
}

impl<'de> Deserialize<'de> for TableName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for TableName {
    fn schema_name() -> Cow<'static, str> {
        "TableName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A table: `table` or `schema.table`.", "minLength": 1})
    }
}

/// `airlines.carrier` or `raw.airlines.carrier`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPath {
    pub table: TableName,
    pub column: String,
}

impl ColumnPath {
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no column (`table.column` or `schema.table.column`)");
        let (table, column) = text.rsplit_once('.').ok_or_else(wrong)?;
        if column.is_empty() {
            return Err(wrong());
        }
        Ok(Self { table: TableName::parse(table).map_err(|_| wrong())?, column: column.to_owned() })
    }
}

impl fmt::Display for ColumnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.table, self.column)
    }
}

impl<'de> Deserialize<'de> for ColumnPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for ColumnPath {
    fn schema_name() -> Cow<'static, str> {
        "ColumnPath".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A column: `table.column`.", "pattern": "^[^.]+\\.[^.]+(\\.[^.]+)?$"})
    }
}

/// A name that may stand in a registry, a file path and a Kubernetes label: letters, digits, `.`, `_`, `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Slug(String);

impl Slug {
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 128 || !text.chars().all(fits) || !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err(format!("`{text}` must start with a letter or digit and hold only letters, digits, `.`, `_` and `-` (128 at most)"));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Slug {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Slug {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$|^\\$\\{"})
    }
}

/// A path from the configuration: relative to `mlops.yml`, and inside its folder as far as its text says. What links
/// lead to is judged when it is opened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelPath(String);

impl RelPath {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut depth = 0i32;
        for part in std::path::Path::new(text).components() {
            use std::path::Component::{CurDir, Normal, ParentDir, Prefix, RootDir};
            depth += match part {
                Normal(_) => 1,
                CurDir => 0,
                ParentDir => -1,
                RootDir | Prefix(_) => i32::MIN / 2,
            };
            if depth < 0 {
                return Err(format!("`{text}` leaves the workspace; paths are relative to mlops.yml and stay inside its folder"));
            }
        }
        if depth == 0 { Err(format!("`{text}` names no file or folder inside the workspace")) } else { Ok(Self(text.to_owned())) }
    }
}

impl std::ops::Deref for RelPath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for RelPath {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "A path relative to mlops.yml, inside its folder.", "pattern": "^[^/]"})
    }
}

/// One line comment, and not the rest of a string.
fn is_comment(text: &str) -> bool {
    text.trim_start().starts_with("--") && !text.trim().contains('\n') && text.matches('\'').count().is_multiple_of(2)
}

/// A user's query without what ends it: blanks, semicolons, and comments behind them. Put on lines of its own, a
/// comment at its end cannot swallow what follows.
pub fn statement(query: &str) -> &str {
    let mut query = query.trim_start_matches('\u{feff}').trim();
    loop {
        let last = query.rfind('\n').map_or(0, |at| at + 1);
        let shorter = if query[last..].trim_start().starts_with("--") { &query[..last] } else { query };
        // `select 1; -- note`: only a comment stands behind the last semicolon.
        let shorter = match shorter.rfind(';') {
            Some(at) if is_comment(&shorter[at + 1..]) => &shorter[..at],
            _ => shorter,
        };
        let shorter = shorter.trim_end().trim_end_matches(';').trim_end();
        if shorter.len() == query.len() {
            return query;
        }
        query = shorter;
    }
}

/// An identifier, quoted.
pub fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text literal, quoted; with a backslash in it as an escape string, so that no server setting changes its meaning.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!(" E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// Why a database's URL cannot be what was meant, without showing it.
pub fn postgres_url_mistake(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        let plain = !url.is_empty() && !url.contains('=');
        return plain.then_some("is neither postgres://user:password@host:port/database nor `host=… dbname=…`");
    };
    let place = rest.split('?').next().unwrap_or_default();
    if scheme != "postgres" && scheme != "postgresql" {
        Some("starts with postgres:// or postgresql://")
    } else if place.matches('@').count() > 1 || place.contains('#') {
        Some("has `@`, `/` or `#` in its password: write them as %40, %2F and %23")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_part_by_part() {
        assert_eq!(TableName::parse("raw.Odd\"t").expect("name").quoted(), "\"raw\".\"Odd\"\"t\"");
        assert_eq!(TableName::parse("flights").expect("name").quoted(), "\"flights\"");
        for wrong in ["", ".a", "a.", "a.b.c", &"x".repeat(64)] {
            assert!(TableName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_query_loses_only_what_ends_it() {
        assert_eq!(statement("\u{feff}select 1; -- note\n-- more\n;"), "select 1");
        assert_eq!(statement("select ';' -- all"), "select ';' -- all");
        assert_eq!(statement("select ';--x'"), "select ';--x'");
        assert_eq!(statement("-- first\nselect 1"), "-- first\nselect 1");
        assert_eq!(statement(""), "");
    }

    #[test]
    fn paths_stay_inside() {
        for inside in ["a/b.csv", "a/../b", "./a"] {
            assert!(RelPath::parse(inside).is_ok(), "{inside}");
        }
        for outside in ["../x", "/etc/passwd", "a/../../x", "", ".", "a/.."] {
            assert!(RelPath::parse(outside).is_err(), "{outside}");
        }
    }

    #[test]
    fn literals_cannot_be_left() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\'b"), " E'a\\\\''b'");
    }

    #[test]
    fn column_paths_may_name_a_schema() {
        let path = ColumnPath::parse("raw.airlines.carrier").expect("path");
        assert_eq!((path.table.to_string().as_str(), path.column.as_str()), ("raw.airlines", "carrier"));
        assert!(ColumnPath::parse("carrier").is_err());
    }
}
