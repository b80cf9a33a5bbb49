//! CSV as the server's own COPY writes it: NULL is nothing at all, an empty text is `""`. The kept CSV writers quote a whole
//! column or none, and so cannot tell the two apart.

use std::io::{self, Write};

use arrow_array::cast::AsArray as _;
use arrow_array::{Array as _, RecordBatch, StringArray};
use arrow_schema::Schema;

use super::Writing;

pub(super) struct Csv {
    out: Box<dyn Write + Send>,
    line: Vec<u8>,
}

impl Csv {
    pub(super) fn new(schema: &Schema, out: Box<dyn Write + Send>) -> io::Result<Self> {
        let mut csv = Self { out, line: Vec::new() };
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        csv.row(names.iter().map(|name| Some(*name)))?;
        Ok(csv)
    }

    fn row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a str>>) -> io::Result<()> {
        self.line.clear();
        for (i, cell) in cells.enumerate() {
            if i > 0 {
                self.line.push(b',');
            }
            match cell {
                None => {}
                Some(text) if text.is_empty() || text == "\\." || text.contains(['"', ',', '\n', '\r']) || text.trim() != text => {
                    self.line.push(b'"');
                    self.line.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                    self.line.push(b'"');
                }
                Some(text) => self.line.extend_from_slice(text.as_bytes()),
            }
        }
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}

impl Writing for Csv {
    fn batch(&mut self, batch: &RecordBatch, _: usize) -> Result<(), String> {
        let columns: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
        for row in 0..batch.num_rows() {
            let cells = columns.iter().map(|column| column.is_valid(row).then(|| column.value(row)));
            self.row(cells).map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), String> {
        self.out.flush().map_err(|e| e.to_string())
    }
}
