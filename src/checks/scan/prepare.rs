//! Before the first scan: the catalog, what it proves, what is compared with, and every question.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::execute::Session;
use super::plan::Asked;
use crate::checks::gates::{Gates, Planned, TableGates};
use crate::checks::known::{Abilities, Known};
use crate::checks::profile;
use crate::checks::question::Question;
use crate::names::TableName;
use crate::ports::postgres::{PgError, Postgres, catalog, evidence};
use crate::profile::Profile;

/// What the checks need from outside.
pub struct Setting<'a> {
    /// Connections at most.
    pub pool: usize,
    /// Reads a file of the workspace.
    pub read: &'a (dyn Fn(&str) -> Result<String, String> + Sync),
    /// Measures of earlier runs, the latest first, by the check's path.
    pub history: BTreeMap<String, Vec<f64>>,
}

/// A snapshot, and the questions to put to it.
pub struct Prepared<'g> {
    pub session: Session,
    pub known: Known,
    pub tables: Vec<(&'g TableGates, Vec<Asked<'g>>)>,
    /// How long making up the questions took.
    pub asking: Duration,
}

pub async fn prepare<'g>(server: &Postgres, gates: &'g Gates, setting: &Setting<'_>) -> Result<Prepared<'g>, PgError> {
    let mut session = Session::open(server, None).await?;
    let known = compared(server, &mut session, gates, setting).await?;
    let started = Instant::now();
    let mut tables = ask(gates, &known);
    let asking = started.elapsed();
    refute(&mut session, &mut tables, &known).await?;
    Ok(Prepared { session, known, tables, asking })
}

/// The catalog, and everything that is compared with.
async fn compared(server: &Postgres, session: &mut Session, gates: &Gates, setting: &Setting<'_>) -> Result<Known, PgError> {
    let mut known = know(server, session, gates, &[]).await?;
    known.history.clone_from(&setting.history);
    let mut files: BTreeMap<&str, Result<Profile, String>> = BTreeMap::new();
    for planned in gates.tables.iter().flat_map(|t| &t.checks) {
        let Some(against) = planned.check.against() else { continue };
        let key = against.key(&planned.target);
        if known.references.contains_key(&key) {
            continue;
        }
        let found = match (against.file(), against.rows(&planned.target)) {
            (Some(path), _) => {
                let read = || {
                    (setting.read)(path)
                        .map_err(|why| format!("{why} (`mlops data profile` writes it)"))
                        .and_then(|text| Profile::read(&text).map_err(|why| format!("{path}: {why}")))
                };
                let profile = files.entry(path).or_insert_with(read);
                let table = |profile: &Profile| {
                    profile
                        .tables
                        .get(&planned.target.table.to_string())
                        .cloned()
                        .ok_or_else(|| format!("{path} has no table {}", planned.target.table))
                };
                profile.as_ref().map_err(Clone::clone).and_then(table)
            }
            (None, Some(rows)) => profile::of(session, &known, &rows).await?,
            (None, None) => continue,
        };
        known.references.insert(key, found);
    }
    Ok(known)
}

/// The catalog, and what it proves; asked once.
pub async fn know(server: &Postgres, session: &mut Session, gates: &Gates, more: &[TableName]) -> Result<Known, PgError> {
    let fail = |e: tokio_postgres::Error| server.error("reading the catalog", &e);
    let mut names: Vec<TableName> =
        gates.tables.iter().flat_map(|t| t.checks.iter().flat_map(|c| c.check.tables()).chain([t.table.clone()])).collect();
    names.extend(more.iter().cloned());
    let compared = gates.tables.iter().flat_map(|t| &t.checks).filter_map(|c| c.check.against()?.rows(&c.target));
    names.extend(compared.map(|rows| rows.table));
    names.sort();
    names.dedup();
    let catalog = catalog::read(&session.client, &names).await.map_err(fail)?;
    let oids = catalog.tables.iter().map(|(name, table)| (name.clone(), table.oid)).collect();
    let evidence = evidence::read(&session.client, &oids).await;
    // Through the session: a server that does not even know how to be asked leaves the snapshot whole.
    let hash = session.row("select (to_regprocedure('hash_record_extended(record, bigint)') is not null)::text").await?;
    let can = Abilities { record_hash: hash.is_ok_and(|row| row == [Some("true".to_owned())]) };
    let listed = gates.tables.iter().map(|table| (table.table.clone(), table.columns.clone())).collect();
    Ok(Known { catalog, evidence, redacted: gates.redacted.clone(), listed, can, ..Known::default() })
}

/// Every question of every table.
fn ask<'g>(gates: &'g Gates, known: &Known) -> Vec<(&'g TableGates, Vec<Asked<'g>>)> {
    let of = |table: &'g TableGates| {
        let exists = known.catalog.tables.contains_key(&table.table);
        let one = |planned: &'g Planned| {
            let question = planned.check.ask(&planned.target, known);
            // Nothing is asked of a table that is not there.
            let vain = !exists && question.as_ref().is_ok_and(|q| q.answered.is_none());
            (planned, if vain { Err(format!("table {} does not exist", table.table)) } else { question })
        };
        (table, table.checks.iter().map(one).collect())
    };
    gates.tables.iter().map(of).collect()
}

/// Asks the server's planner whether its constraints rule out what a check looks for: an answer without a scan.
async fn refute(session: &mut Session, tables: &mut [(&TableGates, Vec<Asked<'_>>)], known: &Known) -> Result<(), PgError> {
    let mut ready = false;
    for (planned, question) in tables.iter_mut().flat_map(|(_, asked)| asked) {
        let Ok(Question { proof: None, refute: Some(condition), .. }) = &question else { continue };
        let constraints = known.constraints_of(&planned.target);
        if constraints.is_empty() {
            continue;
        }
        if !std::mem::replace(&mut ready, true) {
            session.row("select set_config('constraint_exclusion', 'on', true)").await?.ok();
        }
        let sql = format!("explain (costs off) select 1 from {} t where {condition}", planned.target.table.quoted());
        let Ok(plan) = session.rows(&sql).await? else { continue };
        if plan.len() == 2 && plan[1].get::<_, &str>(0).trim() == "One-Time Filter: false" {
            *question = Ok(Question::proven(constraints.join(", ")));
        }
    }
    Ok(())
}
