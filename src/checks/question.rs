//! The words between checks and the database.

use crate::mistakes::suggestion;
use crate::names::{TableName, ident};
use crate::outcome::Status;
use crate::ports::postgres::catalog::{Catalog, ColumnFacts, Table};

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

/// Everything a check wants to know. The catalog has been read already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Aggregates over the table: merged with every other check's into one scan.
    pub scan: Vec<String>,
    /// Queries of one value: merged into one statement a table.
    pub scalars: Vec<String>,
}

impl Question {
    pub fn scan(expressions: impl IntoIterator<Item = String>) -> Self {
        Self { scan: expressions.into_iter().collect(), scalars: vec![] }
    }

    pub fn scalar(query: impl Into<String>) -> Self {
        Self { scan: vec![], scalars: vec![query.into()] }
    }
}

/// The values in the order of the question, as the server prints them.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Rows that the check looked at.
    pub rows: u64,
    pub scan: Vec<Option<String>>,
    pub scalars: Vec<Option<String>>,
}

impl Answer {
    pub fn count(&self, at: usize) -> u64 {
        self.scan.get(at).and_then(Option::as_deref).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    pub fn scalar(&self, at: usize) -> Option<&str> {
        self.scalars.get(at).and_then(Option::as_deref)
    }
}

/// A verdict on one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub status: Status,
    pub message: String,
    pub measure: Option<(f64, String)>,
}

impl Judgement {
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), measure: None }
    }

    #[must_use]
    pub fn measured(mut self, value: f64, expected: impl Into<String>) -> Self {
        self.measure = Some((value, expected.into()));
        self
    }

    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Status::Broken, message)
    }
}

impl Target {
    /// The column, quoted. Column checks always have one.
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

    /// Rows of the scan that the check's filter keeps and the predicate holds for.
    pub fn count(&self, predicate: &str) -> String {
        self.aggregate("count(*)", Some(predicate))
    }

    /// An aggregate over the rows that the check's filter keeps.
    pub fn aggregate(&self, aggregate: &str, predicate: Option<&str>) -> String {
        match all(&[self.filter.as_deref(), predicate]) {
            Some(condition) => format!("{aggregate} filter (where {condition})"),
            None => aggregate.to_owned(),
        }
    }

    /// `from t where …` with every filter and a predicate.
    pub fn selection(&self, predicate: Option<&str>) -> String {
        let condition = all(&[self.table_filter.as_deref(), self.filter.as_deref(), predicate]);
        let condition = condition.map(|c| format!(" where {c}")).unwrap_or_default();
        format!("from {} t{condition}", self.table.quoted())
    }

    /// Offending rows: the column, and the table's first column to find them by.
    pub fn rows_where(&self, catalog: &Catalog, predicate: &str) -> String {
        let first = self.facts(catalog).ok().and_then(|facts| facts.columns.first());
        let mut columns: Vec<&str> = first.map(|c| c.name.as_str()).into_iter().chain(self.column.as_deref()).collect();
        columns.dedup();
        let list: Vec<String> = columns.into_iter().map(|c| format!("t.{}", ident(c))).collect();
        format!("select {} {}", list.join(", "), self.selection(Some(predicate)))
    }

    pub fn facts<'a>(&self, catalog: &'a Catalog) -> Result<&'a Table, String> {
        find_table(catalog, &self.table)
    }

    pub fn column_facts<'a>(&self, catalog: &'a Catalog) -> Result<&'a ColumnFacts, String> {
        find_column(catalog, &self.table, self.column.as_deref().unwrap_or_default())
    }
}

fn all(conditions: &[Option<&str>]) -> Option<String> {
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
