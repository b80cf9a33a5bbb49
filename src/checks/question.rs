//! The words between checks and the database.

use crate::mistakes::suggestion;
use crate::names::{TableName, ident};
use crate::outcome::Status;
use crate::picture::Shape;
use crate::ports::postgres::catalog::{Catalog, ColumnFacts, Table};
use crate::profile::TableProfile;

use super::known::Known;

/// What a check may be written on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Table,
    Column,
    Both,
}

/// What one check looks at.
#[derive(Debug, Clone)]
pub struct Target {
    pub table: TableName,
    pub column: Option<String>,
    /// `where` of the whole table.
    pub table_filter: Option<String>,
    /// `where` of this check.
    pub filter: Option<String>,
}

/// How the values of several groups become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fold {
    Sum,
    Min,
    Max,
    /// Not at all: a standard deviation has to see every row.
    Whole,
}

/// One aggregate of the merged scan, in parts, so that the scan may take it a group at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Term {
    pub fold: Fold,
    pub call: String,
    /// The check's own `where`.
    pub filter: Option<String>,
    /// What has to hold for a row to count.
    pub when: Option<String>,
    /// The one column that `when` reads: then it can be judged once for each value instead of once for each row.
    pub of: Option<String>,
    /// Judging it for every row would cost more than grouping the rows by that column.
    pub costly: bool,
    /// SQL around the aggregate's value.
    pub finish: Option<[String; 2]>,
}

/// A query of one value. What `quick` answers with 0 is 0; anything else is asked again exactly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Single {
    pub quick: Option<String>,
    pub exact: String,
}

/// What one look at every key answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Keys that occur more than once: answered with how many there are, and how many rows have them.
    Duplicates { nulls_equal: bool },
    /// Values that another table's column does not have: how many, and how many rows have a value.
    Orphans { table: TableName, column: String },
    /// Keys that occur in more than one of these groups: how many, and how many keys there are.
    Shared { group: String, names: Vec<String> },
}

/// A question about keys: put to a stream of them where that is exact, else to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    pub ask: Ask,
    /// SQL expressions of the key's parts.
    pub key: Vec<String>,
    /// Equal keys have equal bytes, so that they may be compared outside the server.
    pub portable: bool,
    /// The check's own `where`.
    pub filter: Option<String>,
    /// The same answer by the server: two numbers with a blank between them.
    pub exact: String,
    /// A cheaper query that is 0 when the first number is.
    pub quick: Option<String>,
}

/// How often each value of some expressions occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// As text, at most a few thousand combinations.
    pub by: Vec<String>,
    pub filter: Option<String>,
    /// How many different values are expected; unknown for a column that may hold anything.
    pub size: Option<usize>,
}

/// Everything a check wants to know. The catalog has been read already.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Question {
    /// Aggregates over the table: merged with every other check's into one scan.
    pub scan: Vec<Term>,
    /// More terms, asked only when the first of the scan is not 0; their values follow the scan's.
    pub detail: Vec<Term>,
    pub singles: Vec<Single>,
    pub keyed: Option<Keyed>,
    pub tallies: Vec<Tally>,
    /// What each tally is about, for the check's own use.
    pub names: Vec<String>,
    /// What the answer is compared with.
    pub reference: Option<TableProfile>,
    /// The verdict, where the catalog has the whole answer.
    pub answered: Option<Judgement>,
    /// What the catalog guarantees: the constraint's name. Nothing else is asked then, but whether there are rows.
    pub proof: Option<String>,
    /// A condition that no row may meet, in case the server's constraints can refute it.
    pub refute: Option<String>,
}

impl Question {
    pub fn scan(terms: impl IntoIterator<Item = Term>) -> Self {
        Self { scan: terms.into_iter().collect(), ..Self::default() }
    }

    pub fn single(query: impl Into<String>) -> Self {
        Self { singles: vec![Single { quick: None, exact: query.into() }], ..Self::default() }
    }

    pub fn keyed(keyed: Keyed) -> Self {
        Self { keyed: Some(keyed), ..Self::default() }
    }

    pub fn answered(verdict: Judgement) -> Self {
        Self { answered: Some(verdict), ..Self::default() }
    }

    pub fn proven(by: impl Into<String>) -> Self {
        Self { proof: Some(by.into()), ..Self::default() }
    }
}

/// A value and how many rows have it.
pub type Counts = Vec<(Vec<Option<String>>, u64)>;

/// The values in the order of the question, as the server prints them.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Rows that the check looked at.
    pub rows: u64,
    pub scan: Vec<Option<String>>,
    pub singles: Vec<Option<String>>,
    pub keyed: Option<[u64; 2]>,
    pub tallies: Vec<Counts>,
    pub names: Vec<String>,
    pub reference: Option<TableProfile>,
    /// What this check measured in earlier runs, the latest first.
    pub history: Vec<f64>,
}

impl Answer {
    pub fn count(&self, at: usize) -> u64 {
        self.scan.get(at).and_then(Option::as_deref).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A number of the scan; nothing for NULL.
    pub fn number(&self, at: usize) -> Option<f64> {
        self.scan.get(at)?.as_deref()?.parse().ok()
    }

    pub fn single(&self, at: usize) -> Option<&str> {
        self.singles.get(at).and_then(Option::as_deref)
    }
}

/// A verdict on one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub status: Status,
    pub message: String,
    pub measure: Option<(f64, String)>,
    /// What it rests on, a line each.
    pub evidence: Vec<String>,
    /// The same to look at, and in words.
    pub picture: Option<(Shape, String)>,
}

impl Judgement {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), measure: None, evidence: Vec::new(), picture: None }
    }

    #[must_use]
    pub fn measured(mut self, value: f64, expected: impl Into<String>) -> Self {
        self.measure = Some((value, expected.into()));
        self
    }

    #[must_use]
    pub fn with_evidence(mut self, evidence: Vec<String>) -> Self {
        self.evidence = evidence;
        self
    }

    #[must_use]
    pub fn drawn(mut self, shape: Shape, about: impl Into<String>) -> Self {
        self.picture = Some((shape, about.into()));
        self
    }

    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Status::Broken, message)
    }
}

impl Target {
    /// All rows of a table that its gates look at.
    pub fn of_table(table: TableName, table_filter: Option<String>) -> Self {
        Self { table, column: None, table_filter, filter: None }
    }

    /// The same rows without the check's own `where`.
    pub fn whole(&self) -> Self {
        Self::of_table(self.table.clone(), self.table_filter.clone())
    }

    /// The column as SQL. Column checks always have one.
    pub fn column(&self) -> String {
        ident(self.column.as_deref().unwrap_or_default())
    }

    /// `flights` or `flights.tailnum`
    pub fn subject(&self) -> String {
        match &self.column {
            Some(column) => format!("{}.{column}", self.table),
            None => self.table.to_string(),
        }
    }

    /// Rows of the scan that the check's filter keeps.
    pub fn rows(&self) -> Term {
        self.aggregate(Fold::Sum, "count(*)")
    }

    /// Rows of the scan that the check's filter keeps and the predicate holds for.
    pub fn count(&self, predicate: impl Into<String>) -> Term {
        Term { when: Some(predicate.into()), ..self.rows() }
    }

    /// The same for a predicate that reads the target's column and nothing else.
    pub fn count_values(&self, predicate: impl Into<String>) -> Term {
        Term { of: self.column.clone(), ..self.count(predicate) }
    }

    /// The same for a list or a pattern, which is dear to judge.
    pub fn count_matches(&self, predicate: impl Into<String>) -> Term {
        Term { costly: true, ..self.count_values(predicate) }
    }

    /// An aggregate over the rows that the check's filter keeps.
    pub fn aggregate(&self, fold: Fold, call: impl Into<String>) -> Term {
        Term { fold, call: call.into(), filter: self.filter.clone(), when: None, of: None, costly: false, finish: None }
    }

    /// `from t where …` with every filter and a predicate.
    pub fn selection(&self, predicate: Option<&str>) -> String {
        let condition = all(&[self.table_filter.as_deref(), self.filter.as_deref(), predicate]);
        let condition = condition.map(|c| format!(" where {c}")).unwrap_or_default();
        format!("from {} t{condition}", self.table.quoted())
    }

    /// Offending rows: the column, and the table's key to find them by.
    pub fn rows_where(&self, known: &Known, predicate: &str) -> String {
        let mut columns = known.key_of(&self.table);
        columns.extend(self.column.clone().filter(|c| !columns.contains(c)));
        self.rows_with(known, &columns, predicate)
    }

    /// These columns of offending rows; what is personal is not shown.
    pub fn rows_with(&self, known: &Known, columns: &[String], predicate: &str) -> String {
        format!("select {} {}", self.shown(known, columns), self.selection(Some(predicate)))
    }

    /// Columns of a result that people read.
    pub fn shown(&self, known: &Known, columns: &[String]) -> String {
        let one = |c: &String| {
            let name = ident(c);
            if known.is_redacted(&self.table, c) {
                format!("case when t.{name} is not null then '(redacted)' end as {name}")
            } else {
                format!("t.{name}")
            }
        };
        columns.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    pub fn facts<'a>(&self, catalog: &'a Catalog) -> Result<&'a Table, String> {
        find_table(catalog, &self.table)
    }

    pub fn column_facts<'a>(&self, catalog: &'a Catalog) -> Result<&'a ColumnFacts, String> {
        find_column(catalog, &self.table, self.column.as_deref().unwrap_or_default())
    }
}

/// Conditions joined by `and`.
pub fn all(conditions: &[Option<&str>]) -> Option<String> {
    let parts: Vec<String> = conditions.iter().flatten().map(|c| format!("({c})")).collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

pub(super) fn find_table<'a>(catalog: &'a Catalog, table: &TableName) -> Result<&'a Table, String> {
    catalog.tables.get(table).ok_or_else(|| {
        let help = suggestion(&table.to_string(), catalog.known.iter().map(String::as_str), "tables");
        format!("table {table} does not exist; {help}")
    })
}

pub(super) fn find_column<'a>(catalog: &'a Catalog, table: &TableName, column: &str) -> Result<&'a ColumnFacts, String> {
    let facts = find_table(catalog, table)?;
    facts.column(column).ok_or_else(|| {
        let help = suggestion(column, facts.columns.iter().map(|c| c.name.as_str()), "columns");
        format!("table {table} has no column `{column}`; {help}")
    })
}
