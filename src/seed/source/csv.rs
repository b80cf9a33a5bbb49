//! CSV by its own rules: quotes tell an empty text from NULL, as in the server's COPY.

use std::io::Read;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{CHUNK, Fault, Naming, Source};
use crate::ports::postgres::rows::Rows;
use crate::seed::feed::Dialect;

pub(super) struct Csv {
    records: Records,
    columns: Vec<String>,
    /// Of every column in the file, whether it is loaded.
    keep: Vec<bool>,
    nulls: Vec<Vec<u8>>,
    /// Empty lines that are still to be handed over: rows of a single column may be empty.
    blank: usize,
    /// A record that was read and not handed over yet.
    waiting: bool,
    place: u64,
}

impl Csv {
    pub(super) fn open(input: Box<dyn Read + Send>, dialect: &Dialect, naming: &Naming) -> Result<Self, String> {
        let mut records = Records::new(input, dialect);
        let header = match &dialect.header {
            Some(names) => names.clone(),
            None => {
                if !records.read()? {
                    return Err("it is empty; the first line names the columns".into());
                }
                let name = |i| String::from_utf8(records.field(i).to_vec()).map_err(|_| "its first line is not UTF-8 text".to_owned());
                let mut names = (0..records.count).map(name).collect::<Result<Vec<_>, _>>()?;
                if let Some(first) = names.first_mut() {
                    *first = first.trim_start_matches('\u{feff}').to_owned();
                }
                names
            }
        };
        if header.iter().any(|name| name.trim().is_empty()) {
            return Err(format!("one of the {} columns in its first line has no name", header.len()));
        }
        let (columns, keep) = naming.apply(&header)?;
        Ok(Self {
            records,
            columns,
            keep,
            nulls: dialect.nulls.iter().map(|word| word.clone().into_bytes()).collect(),
            blank: 0,
            waiting: false,
            place: 0,
        })
    }

    /// An empty line between rows, where it says something: a single column that is NULL.
    fn blank_row(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        self.blank -= 1;
        self.place += 1;
        rows.begin();
        if self.nulls.iter().any(Vec::is_empty) {
            rows.null();
        } else {
            rows.cell(b"").map_err(|_| Fault::Odd)?;
        }
        rows.end();
        Ok(true)
    }
}

impl Source for Csv {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn place(&self) -> u64 {
        self.place
    }

    fn next(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        if self.blank == 0 && !self.waiting {
            self.waiting = true;
            self.records.read().map_err(Fault::File)?;
            if self.keep.len() == 1 {
                self.blank = self.records.blank_lines();
                self.place = self.records.line - self.blank as u64 - 1;
            }
        }
        if self.blank > 0 {
            return self.blank_row(rows);
        }
        self.waiting = false;
        if self.records.ended {
            return Ok(false);
        }
        self.place = self.records.line;
        if self.records.count != self.keep.len() {
            let (found, expected) = (self.records.count, self.keep.len());
            return Err(Fault::Row(format!("it has {} instead of {expected}", crate::units::counted(found as u64, "field"))));
        }
        rows.begin();
        let mut quotes = None;
        for i in (0..self.keep.len()).filter(|i| self.keep[*i]) {
            let field = self.records.field(i);
            let null = self.nulls.iter().any(|word| word == field)
                && !(*quotes.get_or_insert_with(|| self.records.has_quotes()) && self.records.is_quoted(i));
            if null {
                rows.null();
            } else if rows.cell(field).is_err() {
                rows.undo();
                return Err(Fault::Odd);
            }
        }
        rows.end();
        Ok(true)
    }
}

/// The records of a stream, with the bytes each was made from.
struct Records {
    input: Box<dyn Read + Send>,
    reader: Reader,
    quote: Option<u8>,
    escape: Option<u8>,
    delimiter: u8,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    fields: Vec<u8>,
    ends: Vec<usize>,
    /// Fields of the record.
    count: usize,
    raw: Vec<u8>,
    /// The line on which the record starts.
    line: u64,
    /// The last record ended with a carriage return; the line feed is still to come.
    half: bool,
    ended: bool,
}

impl Records {
    fn new(input: Box<dyn Read + Send>, dialect: &Dialect) -> Self {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(dialect.delimiter).quoting(dialect.quote.is_some()).escape(dialect.escape).double_quote(dialect.escape.is_none());
        if let Some(quote) = dialect.quote {
            builder.quote(quote);
        }
        Self {
            input,
            reader: builder.build(),
            quote: dialect.quote,
            escape: dialect.escape,
            delimiter: dialect.delimiter,
            buffer: vec![0; CHUNK],
            at: 0,
            filled: 0,
            fields: vec![0; 4096],
            ends: vec![0; 64],
            count: 0,
            raw: Vec::new(),
            line: 1,
            half: false,
            ended: false,
        }
    }

    /// The next record; false at the end.
    fn read(&mut self) -> Result<bool, String> {
        self.half = self.raw.last() == Some(&b'\r');
        self.raw.clear();
        let (before, mut written, mut count) = (self.reader.line(), 0, 0);
        loop {
            if self.at == self.filled {
                self.filled = self.input.read(&mut self.buffer).map_err(|e| e.to_string())?;
                self.at = 0;
            }
            let input = &self.buffer[self.at..self.filled];
            let (result, used, out, ends) = self.reader.read_record(input, &mut self.fields[written..], &mut self.ends[count..]);
            self.raw.extend_from_slice(&input[..used]);
            self.at += used;
            written += out;
            count += ends;
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.fields.resize(self.fields.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record | ReadRecordResult::End => {
                    self.count = count;
                    self.line = before + self.leading().1;
                    self.ended = result == ReadRecordResult::End;
                    return Ok(!self.ended);
                }
            }
        }
    }

    fn field(&self, i: usize) -> &[u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.fields[from..self.ends[i]]
    }

    /// Line ends in front of the record: how many bytes, and how many line feeds.
    fn leading(&self) -> (usize, u64) {
        let bytes = self.raw.iter().take_while(|b| b"\r\n".contains(b)).count();
        (bytes, self.raw[..bytes].iter().map(|b| u64::from(*b == b'\n')).sum())
    }

    fn blank_lines(&self) -> usize {
        let feeds = usize::try_from(self.leading().1).unwrap_or(0);
        feeds - usize::from(self.half && self.raw.first() == Some(&b'\n'))
    }

    fn has_quotes(&self) -> bool {
        self.quote.is_some_and(|quote| self.raw.contains(&quote))
    }

    /// Whether a field stands in quotes, which the reader does not tell.
    fn is_quoted(&self, field: usize) -> bool {
        let (mut at, mut inside, mut start, mut escaped) = (0, false, true, false);
        for byte in &self.raw[self.leading().0..] {
            if at == field && start {
                return Some(*byte) == self.quote;
            }
            start = false;
            if std::mem::take(&mut escaped) {
                continue;
            }
            if inside && Some(*byte) == self.escape {
                escaped = true;
            } else if Some(*byte) == self.quote {
                inside = !inside;
            } else if *byte == self.delimiter && !inside {
                (at, start) = (at + 1, true);
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, dialect: &Dialect) -> Vec<Result<String, String>> {
        let mut source = Csv::open(Box::new(std::io::Cursor::new(text.as_bytes().to_vec())), dialect, &Naming::default()).expect("header");
        let mut rows = Rows::new(vec![None; source.columns().len()], false);
        let mut found = Vec::new();
        loop {
            match source.next(&mut rows) {
                Ok(false) => return found,
                Ok(true) => found.push(Ok(format!("{}:{}", source.place(), String::from_utf8_lossy(&rows.take()).trim_end_matches('\n')))),
                Err(fault) => found.push(Err(format!("{}:{fault:?}", source.place()))),
            }
        }
    }

    fn rows(text: &str) -> Vec<String> {
        load(text, &Dialect::default()).into_iter().map(|row| row.expect("row")).collect()
    }

    #[test]
    fn quotes_tell_an_empty_text_from_null() {
        assert_eq!(rows("a,b,c\n,\"\",x\n\"\"\"\",,\"\"\n"), ["2:\\N\t\tx", "3:\"\t\\N\t"]);
        let words = Dialect { nulls: vec![String::new(), "NA".into()], ..Dialect::default() };
        assert_eq!(load("a,b\r\nNA,\"NA\"\r\n", &words), [Ok("2:\\N\tNA".to_owned())]);
    }

    #[test]
    fn lines_are_counted_as_an_editor_counts_them() {
        assert_eq!(rows("\u{feff}a,b\r\n1,\"x\r\ny\"\r\n\r\n2,z"), ["2:1\tx\\r\\ny", "5:2\tz"]);
        let found = load("a,b\n1\n2,3,4\n5,6\n", &Dialect::default());
        assert_eq!(found[0], Err("2:Row(\"it has 1 field instead of 2\")".into()));
        assert_eq!((found[1].is_err(), &found[2]), (true, &Ok("4:5\t6".into())));
    }

    #[test]
    fn an_empty_line_of_a_single_column_is_a_row() {
        assert_eq!(rows("a\n1\n\n2\n\n"), ["2:1", "3:\\N", "4:2", "5:\\N"]);
        assert_eq!(rows("a\r\n1\r\n\r\n2\r\n"), ["2:1", "3:\\N", "4:2"]);
        assert_eq!(rows("a\n\n\n1"), ["2:\\N", "3:\\N", "4:1"]);
    }

    #[test]
    fn dialects() {
        let dialect =
            Dialect { delimiter: b';', quote: Some(b'\''), escape: Some(b'\\'), header: Some(vec!["a".into(), "b".into()]), ..Dialect::default() };
        assert_eq!(load("'x;\\'y';\"2\"\n", &dialect), [Ok("1:x;'y\t\"2\"".to_owned())]);
    }

    #[test]
    fn a_record_longer_than_every_buffer() {
        let long = "x".repeat(3 * CHUNK);
        assert_eq!(rows(&format!("a,b\n{long},\"\"\n"))[0].len(), long.len() + 3);
    }
}
