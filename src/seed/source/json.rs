//! NDJSON: an object a line.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};

use serde_json::value::RawValue;

use super::{CHUNK, Fault, Naming, Source};
use crate::ports::postgres::rows::{Rows, quoted_item};

pub(super) struct Json {
    lines: BufReader<Box<dyn Read + Send>>,
    /// Keys in the file, in the order of the columns.
    keys: Vec<String>,
    columns: Vec<String>,
    line: Vec<u8>,
    place: u64,
}

/// Values as they are written: a number keeps all its digits.
type Object<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl Json {
    /// The file is read twice: the keys of all lines together are the columns.
    pub(super) fn open(input: impl Fn() -> Result<Box<dyn Read + Send>, String>, naming: &Naming) -> Result<Self, String> {
        let mut keys: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for line in BufReader::with_capacity(CHUNK, input()?).split(b'\n') {
            // What is no object is a bad row, told when rows are read.
            let line = line.map_err(|e| e.to_string())?;
            let Ok(object) = serde_json::from_slice::<Object<'_>>(&line) else { continue };
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
        Ok(Self { lines: BufReader::with_capacity(CHUNK, input()?), keys, columns, line: Vec::new(), place: 0 })
    }

    fn cells(&self, rows: &mut Rows) -> Result<(), Fault> {
        let object: Object<'_> = serde_json::from_slice(&self.line).map_err(|e| Fault::Row(format!("it is no JSON object: {e}")))?;
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
        Some(b'[') if rows.takes_list() => rows.cell(array(value).map_err(read)?.as_bytes()).map_err(odd),
        _ => rows.cell(value.as_bytes()).map_err(odd),
    }
}

/// A list as the literal of an array; numbers keep their digits, lists in it are further dimensions.
fn array(value: &str) -> Result<String, serde_json::Error> {
    let items: Vec<&RawValue> = serde_json::from_str(value)?;
    let item = |raw: &&RawValue| match raw.get().as_bytes().first() {
        Some(b'[') => array(raw.get()),
        Some(b'n') => Ok(quoted_item(None)),
        Some(b'"') => Ok(quoted_item(Some(&serde_json::from_str::<Cow<'_, str>>(raw.get())?))),
        _ => Ok(quoted_item(Some(raw.get()))),
    };
    Ok(format!("{{{}}}", items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(",")))
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
            match self.lines.read_until(b'\n', &mut self.line) {
                Ok(0) => return Ok(false),
                Ok(_) if self.line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(_) => {
                    let before = rows.len();
                    return self.cells(rows).map(|()| true).inspect_err(|_| {
                        if rows.len() > before {
                            rows.undo();
                        }
                    });
                }
                Err(error) => return Err(Fault::File(error.to_string())),
            }
        }
    }
}
