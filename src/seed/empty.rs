//! Taking the rows out of tables that are loaded anew.

use tokio_postgres::Transaction;

use super::plan::{Known, LOADING};
use super::{Load, Mode, SeedError};
use crate::ports::postgres::Postgres;

/// A table whose rows have to go.
pub(super) struct Full {
    relation: u32,
    quoted: String,
    partitioned: bool,
}

/// Whether a load takes rows out first: those that it replaces, and what a load that was cut off has left.
pub(super) fn empties(load: &Load, known: &Known) -> bool {
    let half = known.last.as_ref().is_some_and(|last| last.digest == LOADING);
    known.has_rows && (load.mode == Mode::Replace || half)
}

impl Full {
    pub(super) fn of(load: &Load, known: &Known) -> Option<Self> {
        Some(Self { relation: known.relation?, quoted: load.table.quoted(), partitioned: known.partitioned })
    }

    /// Of a partitioned table the rows are in its partitions; what inherits from another one is a table of its own.
    fn only(&self) -> String {
        format!("{}{}", if self.partitioned { "" } else { "only " }, self.quoted)
    }
}

/// Together, parents in front: they may refer to each other.
pub(super) async fn empty(transaction: &Transaction<'_>, server: &Postgres, tables: &[Full], references: &[(u32, u32)]) -> Result<(), SeedError> {
    if tables.is_empty() {
        return Ok(());
    }
    let inside = |table: &u32| tables.iter().any(|full| full.relation == *table);
    let sql = if references.iter().any(|(from, to)| inside(to) && !inside(from)) {
        // The server empties no table at once that another one refers to, not even by no row. Children first.
        refuse_cascade(transaction, server, tables).await?;
        tables.iter().rev().map(|full| format!("delete from {}", full.only())).collect::<Vec<_>>().join("; ")
    } else {
        format!("truncate {}", tables.iter().map(Full::only).collect::<Vec<_>>().join(", "))
    };
    transaction.batch_execute(&sql).await.map_err(|e| server.error("emptying the tables with mode replace", &e).into())
}

/// Rows of other tables would go, or lose their reference, without a word.
async fn refuse_cascade(transaction: &Transaction<'_>, server: &Postgres, tables: &[Full]) -> Result<(), SeedError> {
    let error = |e| SeedError::from(server.error("looking at who refers to the tables", &e));
    let emptied: Vec<u32> = tables.iter().map(|full| full.relation).collect();
    let sql = "select c.conrelid::regclass::text, c.confrelid::regclass::text, \
               case c.confdeltype when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end \
               from pg_constraint c where c.contype = 'f' and c.conparentid = 0 and c.confdeltype in ('c', 'n', 'd') \
               and c.confrelid = any($1) and c.conrelid <> all($1)";
    for row in transaction.query(sql, &[&emptied]).await.map_err(error)? {
        let (child, parent, action): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        if transaction.query_one(&format!("select exists (select from {child})"), &[]).await.map_err(error)?.get(0) {
            return Err(SeedError::Wrong(format!(
                "{child} refers to {parent} with `on delete {action}`: replacing {parent} would change its rows; seed {child} with `mode: replace` too"
            )));
        }
    }
    Ok(())
}
