//! Rows on their way into a table, in the binary format of COPY where every column has one, else as text.

use std::io::Write as _;

use bytes::Bytes;

use super::kind::{Kind, Odd, date_text, instant_text, time_text};

/// Takes one cell after the other.
pub struct Rows {
    /// Of the columns, in the order of the cells.
    kinds: Vec<Option<Kind>>,
    binary: bool,
    out: Vec<u8>,
    /// Where the row that is being written starts.
    start: usize,
    column: usize,
}

impl Rows {
    /// In the binary format where it is wanted and every column has one.
    pub fn new(kinds: Vec<Option<Kind>>, binary: bool) -> Self {
        Self { binary: binary && kinds.iter().all(Option::is_some), kinds, out: Vec::new(), start: 0, column: 0 }
    }

    pub const fn is_binary(&self) -> bool {
        self.binary
    }

    /// What comes before the first row and after the last.
    pub const fn frame(&self) -> (&'static [u8], &'static [u8]) {
        if self.binary { (b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", b"\xff\xff") } else { (b"", b"") }
    }

    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// What was written since the last time.
    pub fn take(&mut self) -> Bytes {
        self.start = 0;
        std::mem::take(&mut self.out).into()
    }

    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    pub fn begin(&mut self) {
        (self.start, self.column) = (self.out.len(), 0);
        if self.binary {
            self.out.extend_from_slice(&i16::try_from(self.kinds.len()).unwrap_or(0).to_be_bytes());
        }
    }

    pub fn end(&mut self) {
        debug_assert_eq!(self.column, self.kinds.len());
        if !self.binary {
            self.out.push(b'\n');
        }
    }

    /// Takes back the row that was begun.
    pub fn undo(&mut self) {
        self.out.truncate(self.start);
    }

    pub fn null(&mut self) {
        if self.next().is_some() {
            self.out.extend_from_slice(&(-1i32).to_be_bytes());
        } else {
            self.out.extend_from_slice(b"\\N");
        }
    }

    pub fn cell(&mut self, text: &[u8]) -> Result<(), Odd> {
        match self.next() {
            Some(kind) => kind.text(text, &mut self.out),
            None => {
                escape(text, &mut self.out);
                Ok(())
            }
        }
    }

    pub fn int(&mut self, value: i64) -> Result<(), Odd> {
        self.typed(|kind, out| kind.int(value, out), || Ok(value.to_string()))
    }

    pub fn float(&mut self, value: f64) -> Result<(), Odd> {
        self.typed(|kind, out| kind.float(value, out), || Ok(float_text(value)))
    }

    pub fn single(&mut self, value: f32) -> Result<(), Odd> {
        // The same number, not the same digits: 0.1 in 32 bits is another one than in 64.
        if self.kinds.get(self.column) == Some(&Some(Kind::Float8)) {
            return self.float(value.into());
        }
        self.typed(|kind, out| kind.single(value, out), || Ok(infinite(value.into()).map_or_else(|| value.to_string(), str::to_owned)))
    }

    pub fn boolean(&mut self, value: bool) -> Result<(), Odd> {
        self.typed(|kind, out| kind.boolean(value, out), || Ok(value.to_string()))
    }

    /// Days since 1970.
    pub fn date(&mut self, days: i64) -> Result<(), Odd> {
        self.typed(|kind, out| kind.days(days, out), || Ok(date_text(days)))
    }

    /// Microseconds since 1970; `utc`: a point in time, not what a clock shows.
    pub fn instant(&mut self, micros: i64, utc: bool) -> Result<(), Odd> {
        let same = move |kind: Kind| if utc { matches!(kind, Kind::TimestampTz(_)) } else { kind == Kind::Timestamp };
        self.typed(move |kind, out| if same(kind) { kind.micros(micros, out) } else { Err(Odd) }, || Ok(instant_text(micros, utc)))
    }

    /// Microseconds of the day.
    pub fn time(&mut self, micros: i64) -> Result<(), Odd> {
        self.typed(|kind, out| kind.time(micros, out), || Ok(time_text(micros)))
    }

    /// Bytes that may be text, where the column holds text.
    pub fn bytes(&mut self, value: &[u8]) -> Result<(), Odd> {
        let hex = || value.iter().map(|b| format!("{b:02x}")).collect::<String>();
        match self.kinds.get(self.column).copied().flatten() {
            Some(Kind::Text | Kind::Jsonb) => self.cell(value),
            Some(Kind::Uuid) if value.len() == 16 => self.cell(hex().as_bytes()),
            _ => self.cell(format!("\\x{}", hex()).as_bytes()),
        }
    }

    /// Whether the next column is one that no value but a text is known for.
    pub fn takes_list(&self) -> bool {
        self.kinds.get(self.column).copied().flatten().is_none()
    }

    /// In the column's own form, else by way of its text.
    fn typed(&mut self, own: impl FnOnce(Kind, &mut Vec<u8>) -> Result<(), Odd>, text: impl FnOnce() -> Result<String, Odd>) -> Result<(), Odd> {
        let Some(kind) = self.next() else {
            // None of these has a character that would need escaping.
            return text().map(|text| self.out.extend_from_slice(text.as_bytes()));
        };
        let at = self.out.len();
        own(kind, &mut self.out).or_else(|Odd| {
            self.out.truncate(at);
            kind.text(text()?.as_bytes(), &mut self.out)
        })
    }

    /// The kind of the next column; in the text format none, but the tabulator in front of it.
    fn next(&mut self) -> Option<Kind> {
        let column = self.column;
        self.column += 1;
        if self.binary {
            return self.kinds.get(column).copied().flatten();
        }
        if column > 0 {
            self.out.push(b'\t');
        }
        None
    }
}

/// An item of an array.
pub fn quoted_item(item: Option<&str>) -> String {
    item.map_or_else(|| "null".into(), |text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// As the server reads it.
pub fn float_text(value: f64) -> String {
    infinite(value).map_or_else(|| value.to_string(), str::to_owned)
}

fn infinite(value: f64) -> Option<&'static str> {
    value.is_infinite().then_some(if value > 0.0 { "Infinity" } else { "-Infinity" })
}

/// <https://www.postgresql.org/docs/current/sql-copy.html>, "Text Format".
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(*byte),
        }
    }
}

/// The cells of one row in the text format, as a reader knows them.
pub fn cells(row: &[u8]) -> Vec<Option<String>> {
    let row = row.strip_suffix(b"\n").unwrap_or(row);
    row.split(|b| *b == b'\t').map(|cell| (cell != b"\\N").then(|| unescape(cell))).collect()
}

fn unescape(cell: &[u8]) -> String {
    let (mut out, mut bytes) = (Vec::with_capacity(cell.len()), cell.iter());
    while let Some(byte) = bytes.next() {
        let plain = match (byte, if *byte == b'\\' { bytes.next() } else { None }) {
            (_, Some(b't')) => b'\t',
            (_, Some(b'n')) => b'\n',
            (_, Some(b'r')) => b'\r',
            (_, Some(other)) => *other,
            (byte, None) => *byte,
        };
        let _ = out.write_all(&[plain]);
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format_keeps_null_empty_and_odd_characters_apart() {
        let mut rows = Rows::new(vec![None; 3], true);
        rows.begin();
        rows.cell(b"x\ty\\N\n").expect("text");
        rows.instant(0, true).expect("instant");
        rows.float(f64::NAN).expect("float");
        rows.end();
        rows.begin();
        rows.null();
        rows.cell(b"").expect("empty");
        rows.float(0.1).expect("float");
        rows.end();
        let written = rows.take();
        assert_eq!(std::str::from_utf8(&written).expect("utf-8"), "x\\ty\\\\N\\n\t1970-01-01 00:00:00.000000Z\tNaN\n\\N\t\t0.1\n");
        let first = written.split_inclusive(|b| *b == b'\n').next().expect("row");
        assert_eq!(cells(first)[0].as_deref(), Some("x\ty\\N\n"));
    }

    #[test]
    fn a_row_that_only_the_server_can_read_is_taken_back_whole() {
        let mut rows = Rows::new(vec![Some(Kind::Int4), Some(Kind::Date)], true);
        rows.begin();
        rows.int(1).expect("int");
        assert_eq!(rows.cell(b"yesterday"), Err(Odd));
        rows.undo();
        assert_eq!(rows.len(), 0);
    }

    #[test]
    fn a_value_goes_into_a_column_of_another_type_by_its_text() {
        let mut wide = Rows::new(vec![Some(Kind::Float8), None], true);
        wide.begin();
        wide.single(0.1).expect("wider");
        wide.single(0.1).expect("as text");
        assert_eq!(wide.take(), "0.10000000149011612\t0.1");
        let mut rows = Rows::new([Kind::Numeric, Kind::Text, Kind::TimestampTz(true)].map(Some).to_vec(), true);
        rows.begin();
        rows.int(10_000).expect("numeric");
        rows.boolean(true).expect("text");
        rows.date(10_957).expect("timestamp");
        rows.end();
        let mut expected = vec![0, 3, 0, 0, 0, 10, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4];
        expected.extend_from_slice(b"true");
        expected.extend_from_slice(&[0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(rows.take(), expected);
    }
}
