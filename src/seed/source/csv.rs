//! CSV as the server's COPY reads it: quotes tell an empty text from NULL, and may stand inside a field too.
//! <https://www.postgresql.org/docs/current/sql-copy.html>, "CSV Format".

use std::io::Read;

use super::{CHUNK, Fault, Naming, Source};
use crate::ports::postgres::rows::Rows;
use crate::seed::feed::Dialect;
use crate::units::counted;

pub(super) struct Csv {
    records: Records,
    columns: Vec<String>,
    /// Of every column in the file, whether it is loaded.
    keep: Vec<bool>,
    nulls: Vec<Vec<u8>>,
    place: u64,
}

impl Csv {
    pub(super) fn open(input: Box<dyn Read + Send>, dialect: &Dialect, naming: &Naming) -> Result<Self, String> {
        let mut records = Records::new(input, dialect);
        let header = match &dialect.header {
            Some(names) => names.clone(),
            None => {
                if !records.read().map_err(Fault::into_text)? {
                    return Err("it is empty; the first line names the columns".into());
                }
                let name = |i| String::from_utf8(records.field(i).to_vec()).map_err(|_| "its first line is not UTF-8 text".to_owned());
                (0..records.count()).map(name).collect::<Result<Vec<_>, _>>()?
            }
        };
        if header.iter().any(|name| name.trim().is_empty()) {
            return Err(format!("one of the {} columns in its first line has no name", header.len()));
        }
        let (columns, keep) = naming.apply(&header)?;
        Ok(Self { records, columns, keep, nulls: dialect.nulls.iter().map(|word| word.clone().into_bytes()).collect(), place: 0 })
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
        loop {
            let more = self.records.read();
            self.place = self.records.start;
            if !more? {
                return Ok(false);
            }
            // An empty line says something only where a row is one field.
            if !(self.records.is_blank() && self.keep.len() > 1) {
                break;
            }
        }
        let (found, expected) = (self.records.count(), self.keep.len());
        if found != expected {
            return Err(Fault::Row(format!("it has {} instead of {expected}", counted(found as u64, "field"))));
        }
        rows.begin();
        for i in (0..expected).filter(|i| self.keep[*i]) {
            let field = self.records.field(i);
            if !self.records.quoted[i] && self.nulls.iter().any(|word| word == field) {
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

/// How the file ends its lines, told by the first one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Unknown,
    LineFeed,
    CarriageReturn,
    Both,
}

/// The records of a stream, one at a time.
struct Records {
    input: Box<dyn Read + Send>,
    quote: Option<u8>,
    escape: Option<u8>,
    delimiter: u8,
    /// Bytes that do not just belong to a field.
    special: [bool; 256],
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
    /// The fields of the record, one behind the other, and where each ends.
    fields: Vec<u8>,
    ends: Vec<usize>,
    quoted: Vec<bool>,
    ends_of_lines: Ends,
    /// The line on which the record starts, and the one that is being read.
    start: u64,
    line: u64,
    fresh: bool,
}

impl Records {
    fn new(input: Box<dyn Read + Send>, dialect: &Dialect) -> Self {
        let mut special = [false; 256];
        for byte in [dialect.delimiter, b'\r', b'\n'].into_iter().chain(dialect.quote).chain(dialect.escape) {
            special[usize::from(byte)] = true;
        }
        Self {
            input,
            quote: dialect.quote,
            // Without another one, a quote is escaped by a quote.
            escape: dialect.escape.or(dialect.quote),
            delimiter: dialect.delimiter,
            special,
            buffer: vec![0; CHUNK],
            at: 0,
            filled: 0,
            fields: Vec::new(),
            ends: Vec::new(),
            quoted: Vec::new(),
            ends_of_lines: Ends::Unknown,
            start: 1,
            line: 1,
            fresh: true,
        }
    }

    fn count(&self) -> usize {
        self.ends.len()
    }

    fn field(&self, i: usize) -> &[u8] {
        let from = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.fields[from..self.ends[i]]
    }

    fn is_blank(&self) -> bool {
        self.ends == [0] && !self.quoted[0]
    }

    /// The byte that comes next, without taking it; `None` at the end.
    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        if self.at == self.filled {
            self.filled = self.input.read(&mut self.buffer).map_err(|e| Fault::File(e.to_string()))?;
            self.at = 0;
            if std::mem::take(&mut self.fresh) {
                self.skip_mark()?;
            }
        }
        Ok((self.at < self.filled).then(|| self.buffer[self.at]))
    }

    /// A byte order mark in front of everything.
    fn skip_mark(&mut self) -> Result<(), Fault> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        while self.filled > 0 && self.filled < MARK.len() {
            match self.input.read(&mut self.buffer[self.filled..]).map_err(|e| Fault::File(e.to_string()))? {
                0 => break,
                n => self.filled += n,
            }
        }
        if self.buffer[..self.filled].starts_with(MARK) {
            self.at = MARK.len();
        }
        Ok(())
    }

    /// The next record; false at the end.
    fn read(&mut self) -> Result<bool, Fault> {
        self.fields.clear();
        self.ends.clear();
        self.quoted.clear();
        self.start = self.line;
        let (mut inside, mut quoted, mut anything) = (false, false, false);
        while let Some(byte) = self.peek()? {
            anything = true;
            if !self.special[usize::from(byte)] {
                self.run();
                continue;
            }
            self.at += 1;
            if inside {
                if Some(byte) == self.escape && self.escapes()? {
                    // The byte behind it stands for itself.
                    self.fields.push(self.buffer[self.at]);
                    self.at += 1;
                } else if Some(byte) == self.quote {
                    inside = false;
                } else {
                    self.line += u64::from(byte == b'\n' || (byte == b'\r' && self.peek()? != Some(b'\n')));
                    self.fields.push(byte);
                }
            } else if Some(byte) == self.quote {
                (inside, quoted) = (true, true);
            } else if byte == self.delimiter {
                self.end_field(std::mem::take(&mut quoted));
            } else if byte == b'\n' || byte == b'\r' {
                self.end_line(byte)?;
                self.end_field(quoted);
                return Ok(true);
            } else {
                // An escape outside quotes is a character like any other.
                self.fields.push(byte);
            }
        }
        if inside {
            let why = format!("the quote in the record that starts on line {} is not closed", self.start);
            return Err(Fault::Content(why));
        }
        if anything {
            self.end_field(quoted);
        }
        Ok(anything)
    }

    /// All bytes up to the next special one.
    fn run(&mut self) {
        let rest = &self.buffer[self.at..self.filled];
        let length = rest.iter().position(|b| self.special[usize::from(*b)]).unwrap_or(rest.len());
        self.fields.extend_from_slice(&rest[..length]);
        self.at += length;
    }

    /// Behind an escape inside quotes: whether a quote or an escape follows, which it takes the meaning from.
    fn escapes(&mut self) -> Result<bool, Fault> {
        let next = self.peek()?;
        Ok(next.is_some() && (next == self.quote || next == self.escape))
    }

    fn end_field(&mut self, quoted: bool) {
        self.ends.push(self.fields.len());
        self.quoted.push(quoted);
    }

    /// Behind a carriage return or a line feed outside quotes.
    fn end_line(&mut self, byte: u8) -> Result<(), Fault> {
        self.line += 1;
        let found = match byte {
            b'\n' => Ends::LineFeed,
            _ if self.peek()? == Some(b'\n') => {
                self.at += 1;
                Ends::Both
            }
            _ => Ends::CarriageReturn,
        };
        if self.ends_of_lines == Ends::Unknown {
            self.ends_of_lines = found;
        }
        // Windows' and Unix' may be mixed, as git leaves them; a bare carriage return is data that nobody has quoted.
        if (found == Ends::CarriageReturn) != (self.ends_of_lines == Ends::CarriageReturn) {
            return Err(Fault::Row("there is a carriage return outside quotes".into()));
        }
        Ok(())
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
    fn a_quote_that_is_not_closed_takes_no_row_with_it() {
        let mut source = Csv::open(Box::new(&b"a,b\n1,\"abc\n2,def\n"[..]), &Dialect::default(), &Naming::default()).expect("header");
        let fault = source.next(&mut Rows::new(vec![None; 2], false)).expect_err("a fault");
        assert!(matches!(&fault, Fault::Content(why) if why.contains("starts on line 2")), "{fault:?}");
    }

    #[test]
    fn a_quote_may_stand_inside_a_field() {
        assert_eq!(rows("a,b\nx\"y,z\",2\n"), ["2:xy,z\t2"]);
        assert_eq!(rows("a,b,c,d\n5\" a,b\" c,,\"\",1\n"), ["2:5 a,b c\t\\N\t\t1"]);
        let escaped = Dialect { escape: Some(b'\\'), ..Dialect::default() };
        assert_eq!(load("a\n\"C:\\new \\\" \\\\\"\n", &escaped), [Ok("2:C:\\\\new \" \\\\".to_owned())]);
        let doubled = Dialect { escape: Some(b'"'), ..Dialect::default() };
        assert_eq!(load("a\n\"say \"\"hi\"\" x\"\n", &doubled), [Ok("2:say \"hi\" x".to_owned())]);
    }

    #[test]
    fn carriage_returns_end_lines_or_are_data_that_must_be_quoted() {
        assert_eq!(rows("a,b\r1,2\r3,4"), ["2:1\t2", "3:3\t4"]);
        let found = load("a,b\n1,x\ry\n2,z\n", &Dialect::default());
        assert!(found[0].as_ref().expect_err("bad").contains("carriage return outside quotes"), "{found:?}");
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
