//! An entry of the section `seed`, and what it asks for.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::feed::{Dialect, Feed, Format};
use super::source::{Generated, Naming, Recipe};
use crate::names::{RelPath, TableName};

/// One seed: a file into a table, rows that are made up, or a script.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The table to load.
    pub table: Option<TableName>,
    /// A `.csv`, `.tsv` or `.ndjson` file, also packed (`.gz`, `.zst`), or a `.parquet` file.
    pub file: Option<RelPath>,
    /// What happens to rows that are already there.
    #[serde(default)]
    pub mode: Mode,
    /// The columns that tell rows apart, for `mode: upsert`; by default the primary key.
    pub key: Option<Vec<String>>,
    /// Column of the file: what it is called in the table.
    #[serde(default)]
    pub rename: BTreeMap<String, String>,
    /// Columns of the file that are not loaded.
    #[serde(default)]
    pub skip: BTreeSet<String>,
    /// What stands between two fields of a CSV file; by default `,`, or a tabulator in a `.tsv` file.
    pub delimiter: Option<String>,
    /// What stands around a field of a CSV file; `none` where nothing does.
    pub quote: Option<String>,
    /// What stands in front of a quote inside quotes; by default the quote is doubled.
    pub escape: Option<String>,
    /// The words that stand for NULL in a CSV file, unquoted; by default the empty field.
    pub nulls: Option<Vec<String>>,
    /// The columns of a CSV file that has no line with their names.
    pub header: Option<Vec<String>>,
    /// How many rows may be bad and left out; they are written to `rejects/` in the folder of reports.
    #[serde(default)]
    pub max_bad_rows: u64,
    /// Two load a new or empty table at once, each in a transaction of its own.
    pub connections: Option<usize>,
    /// How many rows to make up, for load tests.
    pub rows: Option<u64>,
    /// Column: how its values are made up.
    pub columns: Option<BTreeMap<String, Generated>>,
    /// Another number makes up other rows.
    pub random_seed: Option<u64>,
    /// A script to run instead of loading a file.
    pub sql: Option<RelPath>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The table holds the file's rows and nothing else.
    #[default]
    Replace,
    /// The file's rows are added.
    Append,
    /// Nothing is loaded into a table that has rows.
    IfEmpty,
    /// A row whose key is there is changed, any other is added.
    Upsert,
}

impl Mode {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Append => "append",
            Self::IfEmpty => "if-empty",
            Self::Upsert => "upsert",
        }
    }
}

/// What one entry asks for, once it makes sense.
#[derive(Debug, Clone)]
pub enum Task {
    Table(Box<Load>),
    Script { file: RelPath },
}

/// A table and what fills it.
#[derive(Debug, Clone)]
pub struct Load {
    pub table: TableName,
    pub mode: Mode,
    pub(super) file: Option<RelPath>,
    pub(super) feed: Feed,
    pub(super) key: Option<Vec<String>>,
    pub(super) max_bad_rows: u64,
    pub(super) connections: usize,
    /// What decides the rows beside the file's content; empty where nothing does.
    pub(super) settings: String,
}

const SHAPES: &str = "a seed is `{table, file}`, `{table, rows, columns}` or `{sql}`";

impl Entry {
    pub fn task(&self) -> Result<Task, String> {
        let made_up = self.rows.is_some() || self.columns.is_some() || self.random_seed.is_some();
        match (&self.table, &self.file, &self.sql) {
            (None, None, Some(sql)) if !made_up => Ok(Task::Script { file: sql.clone() }),
            (Some(table), None, None) if made_up => self.load(table, None, Format::Generate(self.recipe()?)),
            (Some(table), Some(file), None) if !made_up => {
                let format = self.format(file)?;
                self.load(table, Some(file), format)
            }
            (Some(_), None, None) => Err(format!("missing key `file`: {SHAPES}")),
            (None, Some(_), None) => Err(format!("missing key `table`: {SHAPES}")),
            _ => Err(SHAPES.into()),
        }
    }

    fn load(&self, table: &TableName, file: Option<&RelPath>, format: Format) -> Result<Task, String> {
        if !matches!(format, Format::Csv(_))
            && let Some((key, _)) = self.csv_keys().into_iter().find(|(_, given)| *given)
        {
            return Err(format!("`{key}` is for CSV files"));
        }
        if self.key.is_some() && self.mode != Mode::Upsert {
            return Err("`key` goes with `mode: upsert`".into());
        }
        let connections = self.connections.unwrap_or(1);
        if !(1..=8).contains(&connections) {
            return Err("`connections` is a number from 1 to 8".into());
        }
        if connections > 1 && !matches!(self.mode, Mode::Replace | Mode::IfEmpty) {
            return Err("`connections` goes with `mode: replace` or `if-empty`: only an empty table can be loaded by several at once".into());
        }
        let naming = Naming { rename: self.rename.clone(), skip: self.skip.clone() };
        let (table, mode, file) = (table.clone(), self.mode, file.cloned());
        let (key, max_bad_rows) = (self.key.clone(), self.max_bad_rows);
        Ok(Task::Table(Box::new(Load {
            table,
            mode,
            file,
            feed: Feed { format, naming },
            key,
            max_bad_rows,
            connections,
            settings: self.settings(),
        })))
    }

    fn csv_keys(&self) -> [(&'static str, bool); 5] {
        [
            ("delimiter", self.delimiter.is_some()),
            ("quote", self.quote.is_some()),
            ("escape", self.escape.is_some()),
            ("nulls", self.nulls.is_some()),
            ("header", self.header.is_some()),
        ]
    }

    fn format(&self, file: &str) -> Result<Format, String> {
        let lower = file.to_lowercase();
        let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
        match plain.rsplit('.').next() {
            Some("csv") => Ok(Format::Csv(self.dialect(b',')?)),
            Some("tsv") => Ok(Format::Csv(self.dialect(b'\t')?)),
            Some("ndjson" | "jsonl") => Ok(Format::Json),
            Some("parquet") if plain == lower => Ok(Format::Parquet),
            _ => Err(format!("{file}: seeds end in .csv, .tsv, .ndjson, .jsonl (also packed: .gz, .zst) or .parquet")),
        }
    }

    fn dialect(&self, delimiter: u8) -> Result<Dialect, String> {
        let default = Dialect { delimiter, ..Dialect::default() };
        let quote = match self.quote.as_deref() {
            None => default.quote,
            Some("none") => None,
            Some(text) => Some(one("quote", text)?),
        };
        if self.header.as_ref().is_some_and(Vec::is_empty) {
            return Err("`header` names no column".into());
        }
        Ok(Dialect {
            delimiter: self.delimiter.as_deref().map(|text| one("delimiter", text)).transpose()?.unwrap_or(default.delimiter),
            quote,
            escape: self.escape.as_deref().map(|text| one("escape", text)).transpose()?,
            nulls: self.nulls.clone().unwrap_or(default.nulls),
            header: self.header.clone(),
        })
    }

    fn recipe(&self) -> Result<Recipe, String> {
        let (Some(rows), Some(columns)) = (self.rows, self.columns.clone().filter(|columns| !columns.is_empty())) else {
            return Err("rows are made up by `rows` and `columns` together".into());
        };
        for (name, column) in &columns {
            column.check().map_err(|why| format!("column `{name}`: {why}"))?;
        }
        Ok(Recipe { rows, random_seed: self.random_seed.unwrap_or(0), columns })
    }

    /// Empty for a file that is read as it is, so that its digest alone tells whether it has changed.
    fn settings(&self) -> String {
        #[derive(Serialize)]
        struct Deciding<'a>(
            &'a BTreeMap<String, String>,
            &'a BTreeSet<String>,
            [&'a Option<String>; 3],
            [&'a Option<Vec<String>>; 3],
            Option<u64>,
            &'a Option<BTreeMap<String, Generated>>,
            Option<u64>,
        );
        let plain = self.rename.is_empty() && self.skip.is_empty() && self.rows.is_none() && self.key.is_none();
        if plain && !self.csv_keys().iter().any(|(_, given)| *given) {
            return String::new();
        }
        let texts = [&self.delimiter, &self.quote, &self.escape];
        let lists = [&self.nulls, &self.header, &self.key];
        let deciding = Deciding(&self.rename, &self.skip, texts, lists, self.rows, &self.columns, self.random_seed);
        serde_json::to_string(&deciding).unwrap_or_default()
    }
}

/// A character that is one byte.
fn one(key: &str, text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Ok(*byte),
        b"tab" | b"\\t" => Ok(b'\t'),
        _ => Err(format!("`{key}` is one character of ASCII, or `tab`")),
    }
}

impl Task {
    /// The key under which the history remembers it.
    pub fn target(&self) -> String {
        match self {
            Self::Table(load) => match (load.mode, &load.file) {
                (Mode::Append | Mode::Upsert, Some(file)) => format!("{} + {file}", load.table),
                (Mode::Append | Mode::Upsert, None) => format!("{} + made up", load.table),
                _ => load.table.to_string(),
            },
            Self::Script { file } => file.to_string(),
        }
    }

    /// Where its rows come from.
    pub fn origin(&self) -> String {
        let load = match self {
            Self::Script { file } => return file.to_string(),
            Self::Table(load) => load,
        };
        match (&load.file, &load.feed.format) {
            (Some(file), _) => file.to_string(),
            (None, Format::Generate(recipe)) => format!("random seed {}", recipe.random_seed),
            (None, _) => "nowhere".into(),
        }
    }

    pub(super) fn file(&self) -> Option<&RelPath> {
        match self {
            Self::Table(load) => load.file.as_ref(),
            Self::Script { file } => Some(file),
        }
    }

    pub(super) fn as_load(&self) -> Option<&Load> {
        if let Self::Table(load) = self { Some(load) } else { None }
    }
}

impl Load {
    /// `table.column` of the tables whose values it takes.
    pub(super) fn refers_to(&self) -> impl Iterator<Item = &str> {
        let recipe = if let Format::Generate(recipe) = &self.feed.format { Some(recipe) } else { None };
        recipe.into_iter().flat_map(|recipe| recipe.columns.values()).filter_map(|column| column.references.as_deref())
    }
}
