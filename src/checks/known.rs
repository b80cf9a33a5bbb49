//! What is known before the first question is asked: the catalog, and what it proves.

use std::collections::{BTreeMap, BTreeSet};

use super::question::{Target, find_column};
use crate::names::{TableName, ident};
use crate::ports::postgres::catalog::{Catalog, ColumnFacts};
use crate::ports::postgres::evidence::{Evidence, Reference, UniqueKey};
use crate::profile::TableProfile;

/// Everything that a check may look at while it makes up its question.
#[derive(Debug, Clone, Default)]
pub struct Known {
    pub catalog: Catalog,
    pub evidence: BTreeMap<TableName, Evidence>,
    /// Columns whose values no report may show.
    pub redacted: BTreeSet<(TableName, String)>,
    /// What is listed under each table's `columns`.
    pub listed: BTreeMap<TableName, Vec<String>>,
    pub can: Abilities,
    /// What checks compare with, by its key; `Err` is why it is not known.
    pub references: BTreeMap<String, Result<TableProfile, String>>,
    /// What a measure was in earlier runs, the latest first, by the check's path.
    pub history: BTreeMap<String, Vec<f64>>,
}

/// What the server has, found by asking for it and not by its version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Abilities {
    /// `hash_record_extended`: one hash for any row.
    pub record_hash: bool,
}

/// Equal values of these have equal bytes on the wire.
const PORTABLE: [&str; 15] = [
    "smallint",
    "integer",
    "bigint",
    "oid",
    "boolean",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "timestamp with time zone",
    "uuid",
    "text",
    "character varying",
    "name",
    "bytea",
    "\"char\"",
];

pub(super) fn is_number(facts: &ColumnFacts) -> bool {
    ["smallint", "integer", "bigint", "real", "double precision", "numeric"].contains(&facts.base_type.as_str())
}

/// The types that have NaN and infinity.
pub(super) fn is_inexact(facts: &ColumnFacts) -> bool {
    ["real", "double precision", "numeric"].contains(&facts.base_type.as_str())
}

pub(super) fn is_instant(facts: &ColumnFacts) -> bool {
    facts.base_type.starts_with("timestamp") || facts.base_type == "date"
}

/// A condition that leaves NULL, NaN and infinity out.
pub(super) fn finite(value: &str, facts: &ColumnFacts) -> String {
    if is_inexact(facts) { format!("{value}::text not in ('NaN', 'Infinity', '-Infinity')") } else { format!("{value} is not null") }
}

impl Known {
    pub fn evidence(&self, table: &TableName) -> Option<&Evidence> {
        self.evidence.get(table)
    }

    pub fn listed(&self, table: &TableName) -> &[String] {
        self.listed.get(table).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn is_redacted(&self, table: &TableName, column: &str) -> bool {
        self.redacted.contains(&(table.clone(), column.to_owned()))
    }

    /// The columns by which a reader finds a row again: a key, or the first column.
    pub fn key_of(&self, table: &TableName) -> Vec<String> {
        let evidence = self.evidence(table);
        let whole = |key: &&UniqueKey| evidence.is_some_and(|e| key.columns.iter().all(|column| e.not_null.contains(column)));
        let key = evidence.and_then(|e| e.unique.iter().filter(whole).min_by_key(|key| key.columns.len()));
        match key {
            Some(key) => key.columns.clone(),
            None => self.catalog.tables.get(table).and_then(|t| t.columns.first()).map(|c| c.name.clone()).into_iter().collect(),
        }
    }

    /// The index that keeps these columns unique: one over some of them is enough. A NULL equals no other, unless the
    /// index says otherwise; a key that counts NULLs as equal is proven where there are none.
    pub(super) fn unique_by(&self, table: &TableName, columns: &[String], nulls_equal: bool) -> Option<String> {
        let evidence = self.evidence(table)?;
        let fits = |key: &&UniqueKey| {
            let no_nulls = key.nulls_equal || key.columns.iter().all(|c| evidence.not_null.contains(c));
            !key.columns.is_empty() && key.columns.iter().all(|c| columns.contains(c)) && (!nulls_equal || no_nulls)
        };
        evidence.unique.iter().find(fits).map(|key| key.index.clone())
    }

    /// The validated foreign key from this column to that one.
    pub(super) fn refers(&self, target: &Target, to: &TableName, column: &str) -> Option<String> {
        let oid = self.catalog.tables.get(to)?.oid;
        let own = target.column.as_ref()?;
        let fits =
            |r: &&Reference| r.to == oid && r.columns.iter().zip(&r.to_columns).len() == 1 && r.columns[0] == *own && r.to_columns[0] == column;
        self.evidence(&target.table)?.references.iter().find(fits).map(|r| r.constraint.clone())
    }

    pub(super) fn not_null(&self, target: &Target) -> bool {
        target.column.as_ref().is_some_and(|column| self.evidence(&target.table).is_some_and(|e| e.not_null.contains(column)))
    }

    /// The names of the validated `check` constraints that read this column.
    pub(super) fn constraints_of(&self, target: &Target) -> Vec<String> {
        let Some(evidence) = self.evidence(&target.table) else { return vec![] };
        let reads = |columns: &[String]| target.column.as_ref().is_none_or(|column| columns.contains(column));
        evidence.checks.iter().filter(|(_, columns)| reads(columns)).map(|(name, _)| name.clone()).collect()
    }

    /// The parts of a key, and whether equal keys have equal bytes. Where they do not, or where the values are nobody's
    /// business, the server's own hash stands for the key.
    pub(super) fn key(&self, table: &TableName, columns: &[String], nulls_equal: bool) -> Result<(Vec<String>, bool), String> {
        let facts = columns.iter().map(|column| find_column(&self.catalog, table, column)).collect::<Result<Vec<_>, _>>()?;
        let quoted: Vec<String> = columns.iter().map(|c| format!("t.{}", ident(c))).collect();
        let plain = facts.iter().all(|f| (PORTABLE.contains(&f.base_type.as_str()) || f.is_enum) && f.deterministic);
        if plain && !columns.iter().any(|c| self.is_redacted(table, c)) {
            return Ok((quoted, true));
        }
        let whole = quoted.iter().map(|c| format!("{c} is not null")).collect::<Vec<_>>().join(" and ");
        let hash = Self::row_hash(&quoted);
        Ok((vec![if nulls_equal { hash } else { format!("case when {whole} then {hash} end") }], self.can.record_hash))
    }

    /// One number for the values of a row: equal rows have equal ones.
    pub(super) fn row_hash(expressions: &[String]) -> String {
        format!("hash_record_extended(row({}), 0)", expressions.join(", "))
    }
}
