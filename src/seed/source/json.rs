//! NDJSON: an object a line.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use serde_json::value::RawValue;

use super::{CHUNK, Fault, Naming, Source};
use crate::ports::postgres::rows::Rows;

pub(super) struct Json {
    lines: BufReader<Box<dyn Read + Send>>,
    /// Keys in the file, in the order of the columns.
    keys: Vec<String>,
    columns: Vec<String>,
    line: String,
    place: u64,
}

/// Values as they are written: a number keeps all its digits.
type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Json {
    /// The file is read twice: the keys of all lines together are the columns.
    pub(super) fn open(input: impl Fn() -> Result<Box<dyn Read + Send>, String>, naming: &Naming) -> Result<Self, String> {
        let mut keys: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for line in BufReader::with_capacity(CHUNK, input()?).lines() {
            // What is no object is a bad row, told when rows are read.
            let line = line.map_err(|e| e.to_string())?;
            let Ok(object) = serde_json::from_str::<Object<'_>>(&line) else { continue };
            for key in object.into_keys().filter(|key| !seen.contains(key.as_ref())).collect::<Vec<_>>() {
                seen.insert(key.to_string());
                keys.push(key.into_owned());
            }
        }
        if keys.is_empty() {
            return Err("there is no line with a JSON object in it".into());
        }
        let (columns, keep) = naming.apply(&keys)?;
        let keys = keys.into_iter().zip(keep).filter(|(_, keep)| *keep).map(|(key, _)| key).collect();
        Ok(Self { lines: BufReader::with_capacity(CHUNK, input()?), keys, columns, line: String::new(), place: 0 })
    }

    fn cells(&self, rows: &mut Rows) -> Result<(), Fault> {
        let object: Object<'_> = serde_json::from_str(&self.line).map_err(|e| Fault::Row(format!("it is no JSON object: {e}")))?;
        rows.begin();
        for key in &self.keys {
            match object.get(key.as_str()).map(|value| value.get()) {
                None | Some("null") => rows.null(),
                Some(value) => cell(value, rows)?,
            }
        }
        rows.end();
        Ok(())
    }
}

fn cell(value: &str, rows: &mut Rows) -> Result<(), Fault> {
    let odd = |_| Fault::Odd;
    let read = |e: serde_json::Error| Fault::Row(e.to_string());
    match value.as_bytes().first() {
        Some(b'"') => rows.cell(serde_json::from_str::<Cow<'_, str>>(value).map_err(read)?.as_bytes()).map_err(odd),
        Some(b't' | b'f') => rows.boolean(value == "true").map_err(odd),
        Some(b'[') if rows.takes_list() => {
            let items: Vec<serde_json::Value> = serde_json::from_str(value).map_err(read)?;
            let text = |item: serde_json::Value| match item {
                serde_json::Value::Null => None,
                serde_json::Value::String(text) => Some(text),
                other => Some(other.to_string()),
            };
            let items: Vec<Option<String>> = items.into_iter().map(text).collect();
            rows.list(items.iter().map(Option::as_deref)).map_err(odd)
        }
        _ => rows.cell(value.as_bytes()).map_err(odd),
    }
}

impl Source for Json {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn place(&self) -> u64 {
        self.place
    }

    fn next(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        loop {
            self.line.clear();
            self.place += 1;
            match self.lines.read_line(&mut self.line) {
                Ok(0) => return Ok(false),
                Ok(_) if self.line.trim().is_empty() => {}
                Ok(_) => {
                    let before = rows.len();
                    return self.cells(rows).map(|()| true).inspect_err(|_| {
                        if rows.len() > before {
                            rows.undo();
                        }
                    });
                }
                Err(error) if error.kind() == std::io::ErrorKind::InvalidData => return Err(Fault::Row("it is not UTF-8 text".into())),
                Err(error) => return Err(Fault::File(error.to_string())),
            }
        }
    }
}
