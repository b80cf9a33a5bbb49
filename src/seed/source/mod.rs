//! Where rows come from: one file a format, each a row after the other in constant memory.

mod csv;
mod generate;
mod json;
mod parquet;

pub use self::generate::Column as Generated;
/// Values of other tables, for columns that refer to them.
pub(super) use self::generate::{Pools, Recipe};

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::feed::{Feed, Format};
use crate::mistakes::suggestion;
use crate::ports::postgres::rows::Rows;

/// Rows, one after the other.
pub(super) trait Source: Send {
    /// The columns of the table that it fills.
    fn columns(&self) -> &[String];

    /// Writes the next row; false at the end. After a fault of one row, the row is undone and the next one can be had.
    fn next(&mut self, rows: &mut Rows) -> Result<bool, Fault>;

    /// Where the row that was read last starts: its line, or its number where there are no lines.
    fn place(&self) -> u64;
}

/// What is wrong with a row, or with everything from here on.
#[derive(Debug)]
pub(super) enum Fault {
    /// Only the server can read one of its values.
    Odd,
    /// It is no row of this file.
    Row(String),
    /// What it holds makes no sense from here on.
    Content(String),
    /// The file cannot be read any further.
    File(String),
}

impl Fault {
    fn into_text(self) -> String {
        match self {
            Self::Odd => "a value that cannot be read".into(),
            Self::Row(why) | Self::Content(why) | Self::File(why) => why,
        }
    }
}

/// What a file calls its columns, and which of them are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Naming {
    pub(super) rename: BTreeMap<String, String>,
    pub(super) skip: BTreeSet<String>,
}

impl Naming {
    /// The table's name of a column; `None`: it is skipped.
    fn target(&self, column: &str) -> Option<String> {
        (!self.skip.contains(column)).then(|| self.rename.get(column).cloned().unwrap_or_else(|| column.to_owned()))
    }

    /// The columns by their names in the table, and for each one of the file whether it is kept.
    fn apply(&self, found: &[String]) -> Result<(Vec<String>, Vec<bool>), String> {
        for name in self.rename.keys().chain(&self.skip) {
            if !found.contains(name) {
                let help = suggestion(name, found.iter().map(String::as_str), "columns");
                return Err(format!("it has no column `{name}`; {help}"));
            }
        }
        let targets: Vec<Option<String>> = found.iter().map(|name| self.target(name)).collect();
        let columns: Vec<String> = targets.iter().flatten().cloned().collect();
        if let Some(twice) = columns.iter().enumerate().find(|(i, name)| columns[..*i].contains(name)) {
            return Err(format!("the column `{}` is there twice", twice.1));
        }
        if columns.is_empty() {
            return Err("no column is left to load".into());
        }
        Ok((columns, targets.iter().map(Option::is_some).collect()))
    }
}

/// From the first row on. `path` is the file of the feed, if it has one; an error says what is wrong with the file.
pub(super) fn open(feed: &Feed, path: &Path, pools: &Pools) -> Result<Box<dyn Source>, String> {
    Ok(match &feed.format {
        Format::Csv(dialect) => Box::new(csv::Csv::open(bytes(path)?, dialect, &feed.naming)?),
        Format::Json => Box::new(json::Json::open(|| bytes(path), &feed.naming)?),
        Format::Parquet => Box::new(parquet::Parquet::open(path, &feed.naming)?),
        Format::Generate(recipe) => Box::new(generate::Generate::new(recipe, pools)),
    })
}

/// A file's bytes, unpacked by its ending.
fn bytes(path: &Path) -> Result<Box<dyn Read + Send>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    Ok(match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(CHUNK, file))),
        Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).map_err(|e| e.to_string())?),
        _ => Box::new(file),
    })
}

/// How much of a file is read at a time.
const CHUNK: usize = 128 * 1024;
