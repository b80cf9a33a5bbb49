//! Rows that the table refuses: which one it was, and going on without it.

use bytes::Bytes;
use tokio_postgres::Transaction;
use tokio_postgres::error::SqlState;

use super::SeedError;
use super::copy::copy_rows;
use super::source::{Fault, Source};
use crate::ports::postgres::rows::{Rows, cells};
use crate::ports::postgres::{Postgres, describe};
use crate::units::{count, counted};

/// A row that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its line, or its number where there are no lines.
    pub place: u64,
    pub column: Option<String>,
    pub value: Option<String>,
    pub why: String,
    /// In the order of the columns; none where the row could not be read.
    pub cells: Vec<Option<String>>,
}

impl Bad {
    fn unread(place: u64, why: impl Into<String>) -> Self {
        Self { place, column: None, value: None, why: why.into(), cells: vec![] }
    }

    /// `flights.csv:17: column dep_delay = 'x': …`
    pub fn shown(&self, origin: &Origin) -> String {
        let column = self.column.as_ref().map(|column| format!("column {column}")).unwrap_or_default();
        let value = match (&self.column, &self.value) {
            (Some(_), Some(value)) => format!(" = '{}': ", value.chars().take(100).collect::<String>()),
            (Some(_), None) => " is NULL: ".into(),
            (None, _) => String::new(),
        };
        format!("{}: {column}{value}{}", origin.at(self.place), self.why)
    }
}

/// What the rows come from, as a reader knows it.
#[derive(Debug, Clone)]
pub struct Origin {
    pub name: String,
    /// Whether places are lines.
    pub lines: bool,
}

impl Origin {
    fn at(&self, place: u64) -> String {
        if self.lines { format!("{}:{place}", self.name) } else { format!("{}, row {}", self.name, count(place)) }
    }

    /// A fault of the source as an error of the load.
    pub(super) fn fault(&self, fault: Fault, place: u64) -> SeedError {
        match fault {
            Fault::Odd => SeedError::Wrong(format!("{}: a value that no column of this type can hold", self.at(place))),
            Fault::Row(why) => SeedError::Wrong(format!("{}: {why}", self.at(place))),
            Fault::Content(why) => SeedError::Wrong(format!("{}: {why}", self.name)),
            Fault::File(why) => SeedError::Unreadable(format!("{}: {why}", self.name)),
        }
    }
}

/// What the server says of the row at which it stopped.
struct Said {
    /// Counted from 1.
    nth: Option<usize>,
    column: Option<String>,
    /// Columns and values that it names instead of a row.
    key: Option<(Vec<String>, Vec<String>)>,
    why: String,
}

impl Said {
    fn by(error: &tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else { return Self { nth: None, column: None, key: None, why: describe(error) } };
        // `COPY flights, line 3, column id: "x"`
        let context = db.where_().unwrap_or_default();
        let after = |label: &str| context.split_once(label).map(|(_, rest)| rest);
        let nth = after(", line ").map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        let column =
            after(", column ").map(|rest| rest.split_once(": ").map_or(rest, |(name, _)| name).lines().next().unwrap_or_default().to_owned());
        let column = column.or_else(|| (*db.code() == SqlState::NOT_NULL_VIOLATION).then(|| db.column().map(str::to_owned)).flatten());
        let key = (*db.code() == SqlState::FOREIGN_KEY_VIOLATION).then(|| db.detail().and_then(named_key)).flatten();
        let detail = db.detail().filter(|_| *db.code() != SqlState::NOT_NULL_VIOLATION).map(|d| format!("; {d}")).unwrap_or_default();
        Self { nth: nth.and_then(|digits| digits.parse().ok()), column, key, why: format!("{}{detail}", db.message()) }
    }

    fn bad(&self, place: u64, cells: Vec<Option<String>>, columns: &[String]) -> Bad {
        let column = self.column.clone().or_else(|| self.key.as_ref().map(|(names, _)| names.join(", ")));
        let at = column.as_ref().and_then(|name| columns.iter().position(|c| c == name));
        let value = at.and_then(|at| cells.get(at).cloned().flatten());
        Bad { place, column: column.filter(|_| at.is_some()), value, why: self.why.clone(), cells }
    }

    /// Whether a row has the key that it names; `None`: it names none.
    fn has_key(&self, columns: &[String]) -> Option<impl Fn(&[u8]) -> bool> {
        let (names, values) = self.key.clone()?;
        let at: Vec<Option<usize>> = names.iter().map(|name| columns.iter().position(|c| c == name)).collect();
        Some(move |row: &[u8]| {
            let cells = cells(row);
            at.iter().zip(&values).all(|(at, value)| at.and_then(|at| cells.get(at)?.as_deref()) == Some(value.as_str()))
        })
    }

    /// The rows of a batch that it is about: the one that it counts to, or all with the key that it names.
    fn among(&self, batch: &[Row], columns: &[String]) -> Vec<usize> {
        match (self.nth, self.has_key(columns)) {
            (Some(nth), _) => (1..=batch.len()).contains(&nth).then(|| nth - 1).into_iter().collect(),
            (None, Some(has_key)) => (0..batch.len()).filter(|i| has_key(&batch[*i].text)).collect(),
            (None, None) => vec![],
        }
    }
}

/// `Key (a, b)=(1, x) is not present in table "t".`
fn named_key(detail: &str) -> Option<(Vec<String>, Vec<String>)> {
    let (names, rest) = detail.strip_prefix("Key (")?.split_once(")=(")?;
    let (values, _) = rest.rsplit_once(") is not present")?;
    let list = |text: &str| text.split(", ").map(str::to_owned).collect::<Vec<_>>();
    Some((list(names), list(values)))
}

/// Looks the row up that the server has refused; `source` starts from the beginning.
pub(super) async fn find(error: &tokio_postgres::Error, source: Box<dyn Source>) -> Option<Bad> {
    let said = Said::by(error);
    tokio::task::spawn_blocking(move || search(&said, source)).await.ok().flatten()
}

fn search(said: &Said, mut source: Box<dyn Source>) -> Option<Bad> {
    let columns = source.columns().to_vec();
    let mut rows = Rows::new(vec![None; columns.len()], false);
    let has_key = said.has_key(&columns);
    for nth in 1.. {
        if !source.next(&mut rows).ok()? {
            return None;
        }
        let row = rows.take();
        let found = match (said.nth, &has_key) {
            (Some(wanted), _) => nth == wanted,
            (None, Some(has_key)) => has_key(&row),
            (None, None) => return None,
        };
        if found {
            return Some(said.bad(source.place(), cells(&row), &columns));
        }
    }
    None
}

/// How many bytes go at once where some rows may be bad: what is refused takes its neighbours with it, and they go again.
pub(super) const BATCH: usize = 128 * 1024;

struct Row {
    place: u64,
    text: Bytes,
}

/// Loads what the table takes, as text, and gives back what it does not; more bad rows than `max` are an error.
pub(super) async fn copy_tolerating(
    transaction: &mut Transaction<'_>,
    server: &Postgres,
    statement: &str,
    mut source: Box<dyn Source>,
    (mut rows, size_of_batch): (Rows, usize),
    (max, origin): (u64, &Origin),
) -> Result<(u64, Vec<Bad>), SeedError> {
    let columns = source.columns().to_vec();
    let (mut loaded, mut bad, mut more) = (0, Vec::new(), true);
    while more {
        let (mut batch, mut size) = (Vec::new(), 0);
        while more && size < size_of_batch {
            match source.next(&mut rows) {
                Ok(true) => {
                    let text = rows.take();
                    size += text.len();
                    batch.push(Row { place: source.place(), text });
                }
                Ok(false) => more = false,
                Err(Fault::Row(why)) => bad.push(Bad::unread(source.place(), why)),
                Err(Fault::Odd) => bad.push(Bad::unread(source.place(), "a value that no column of this type can hold")),
                Err(fault @ (Fault::File(_) | Fault::Content(_))) => return Err(origin.fault(fault, source.place())),
            }
            enough(&bad, max, origin)?;
        }
        // Together without the bad ones: rows may need each other.
        while !batch.is_empty() {
            let point = transaction.savepoint("mlops_rows").await.map_err(|e| server.error("setting a savepoint", &e))?;
            let text: Bytes = batch.iter().flat_map(|row| row.text.clone()).collect();
            let error = match copy_rows(&point, statement, text).await {
                Ok(n) => {
                    loaded += n;
                    point.commit().await.map_err(|e| server.error("keeping rows", &e))?;
                    break;
                }
                Err(error) => error,
            };
            point.rollback().await.map_err(|_| server.error("loading rows", &error))?;
            let wrapped = server.error("loading rows", &error);
            let said = Said::by(&error);
            let refused = said.among(&batch, &columns);
            if !wrapped.is_statement() || refused.is_empty() {
                return Err(wrapped.into());
            }
            // From the end, so that the places of the others hold.
            for at in refused.into_iter().rev() {
                let row = batch.remove(at);
                bad.push(said.bad(row.place, cells(&row.text), &columns));
            }
            enough(&bad, max, origin)?;
        }
    }
    bad.sort_by_key(|row| row.place);
    Ok((loaded, bad))
}

fn enough(bad: &[Bad], max: u64, origin: &Origin) -> Result<(), SeedError> {
    if bad.len() as u64 <= max {
        return Ok(());
    }
    let mut first: Vec<&Bad> = bad.iter().collect();
    first.sort_by_key(|row| row.place);
    let first: Vec<String> = first.into_iter().take(3).map(|row| row.shown(origin)).collect();
    Err(SeedError::Wrong(format!("more than {}: {}", counted(max, "bad row"), first.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_name_columns_and_values() {
        let key = named_key("Key (carrier, dest)=(ZZ, A, B) is not present in table \"x\".").expect("key");
        assert_eq!(key, (vec!["carrier".into(), "dest".into()], vec!["ZZ".into(), "A".into(), "B".into()]));
        assert_eq!(named_key("Failing row contains (1, null)."), None);
    }

    #[test]
    fn a_bad_row_is_shown_with_file_line_column_and_value() {
        let bad = Bad { place: 17, column: Some("delay".into()), value: Some("x".into()), why: "no integer".into(), cells: vec![] };
        assert_eq!(bad.shown(&Origin { name: "a.csv".into(), lines: true }), "a.csv:17: column delay = 'x': no integer");
        let parquet = Origin { name: "a.parquet".into(), lines: false };
        assert_eq!(Bad { value: None, ..bad }.shown(&parquet), "a.parquet, row 17: column delay is NULL: no integer");
    }
}
