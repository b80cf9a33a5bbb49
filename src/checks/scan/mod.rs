//! Runs all checks in one read-only snapshot: the catalog once, then as few statements as the questions need.

mod execute;
mod keys;
mod parents;
mod plan;
mod statement;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};

pub(super) use self::execute::Session;
use self::execute::{Results, execute};
use self::plan::{Asked, Plan, Work};
use super::gates::{Gates, Planned, TableGates};
use super::known::{Abilities, Known};
use super::question::{Ask, Question};
use super::{Answer, Judgement};
use crate::names::TableName;
use crate::outcome::{Outcome, Status};
use crate::ports::postgres::{PgError, Postgres, catalog, evidence};
use crate::profile::Profile;
use crate::units::count;

/// What the checks cost, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub statements: usize,
    pub connections: usize,
    pub proven: usize,
}

/// Everything that one look at the data gives.
#[derive(Debug)]
pub struct Looked {
    pub outcomes: Vec<Outcome>,
    pub cost: Cost,
    /// What is remembered for the next run, by the check's path.
    pub measures: Vec<(String, f64)>,
}

const SAMPLES: usize = 5;
/// Characters of a row that is shown.
const WIDEST: usize = 500;

/// Every outcome, also of what could not be evaluated. Only a lost server is an error, and only when a second and a
/// third look at it fail too: each look is a new snapshot, so that no report mixes two.
pub async fn run(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<Looked, PgError> {
    let retry = ExponentialBuilder::default().with_min_delay(Duration::from_millis(100)).with_max_times(2);
    let told = |error: &PgError, _| tracing::warn!("{error}; the checks begin again");
    (|| look(server, gates, setting)).retry(retry).when(PgError::may_be_tried_again).notify(told).await
}

async fn look(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<Looked, PgError> {
    let mut session = Session::open(server, None).await?;
    let known = prepared(server, &mut session, gates, setting).await?;
    let started = Instant::now();
    let mut tables = ask(gates, &known);
    let asking = started.elapsed();
    refute(&mut session, &mut tables, &known).await?;
    let started = Instant::now();
    let plan = Plan::new(&tables, &known);
    tracing::debug!(jobs = plan.jobs.len(), elapsed = ?(asking + started.elapsed()), "planned the checks");
    let places = plan.places.clone();
    let (session, results) = execute(server, session, plan, setting.pool).await?;
    let mut report = Report { session, known: &known, results, places, outcomes: Vec::new(), measures: Vec::new(), proven: 0, at: 0 };
    for (table, asked) in &tables {
        report.table(table, asked).await?;
    }
    let cost = Cost { statements: report.results.statements, connections: report.results.connections, proven: report.proven };
    report.session.client.batch_execute("commit").await.map_err(|e| server.error("closing the snapshot", &e))?;
    Ok(Looked { outcomes: report.outcomes, cost, measures: report.measures })
}

/// What the checks need from outside.
pub struct Setting<'a> {
    /// Connections at most.
    pub pool: usize,
    /// Reads a file of the workspace.
    pub read: &'a (dyn Fn(&str) -> Result<String, String> + Sync),
    /// Measures of earlier runs, the latest first, by the check's path.
    pub history: BTreeMap<String, Vec<f64>>,
}

/// The catalog, and everything that is compared with.
async fn prepared(server: &Postgres, session: &mut Session, gates: &Gates, setting: &Setting<'_>) -> Result<Known, PgError> {
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
            (None, Some(rows)) => super::profile::of(session, &known, &rows).await?,
            (None, None) => continue,
        };
        known.references.insert(key, found);
    }
    Ok(known)
}

/// The catalog, and what it proves; asked once.
pub(super) async fn know(server: &Postgres, session: &Session, gates: &Gates, more: &[TableName]) -> Result<Known, PgError> {
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
    let hash = session.client.query_one("select to_regprocedure('hash_record_extended(record, bigint)') is not null", &[]).await;
    let can = Abilities { record_hash: hash.is_ok_and(|row| row.get(0)) };
    Ok(Known { catalog, evidence, redacted: gates.redacted.clone(), can, ..Known::default() })
}

/// Every question of every table.
fn ask<'g>(gates: &'g Gates, known: &Known) -> Vec<(&'g TableGates, Vec<Asked<'g>>)> {
    let of = |table: &'g TableGates| {
        let exists = known.catalog.tables.contains_key(&table.table);
        let one = |planned: &'g Planned| {
            let question = planned.check.ask(&planned.target, known);
            // Nothing is asked of a table that is not there.
            (planned, if exists { question } else { question.and(Err(format!("table {} does not exist", table.table))) })
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

/// `mlops check --explain`: every statement, and the checks that it answers. Nothing but the catalog is read.
pub async fn explain(server: &Postgres, gates: &Gates, setting: &Setting<'_>) -> Result<String, PgError> {
    let mut session = Session::open(server, None).await?;
    let known = prepared(server, &mut session, gates, setting).await?;
    let mut tables = ask(gates, &known);
    refute(&mut session, &mut tables, &known).await?;
    let titles: Vec<String> = tables.iter().flat_map(|(_, asked)| asked).map(|(planned, _)| planned.path()).collect();
    let mut text = String::new();
    let mut asked = vec![false; titles.len()];
    for (i, job) in Plan::new(&tables, &known).jobs.iter().enumerate() {
        let _ = writeln!(text, "-- {}. {}", i + 1, job.checks.iter().map(|at| titles[*at].as_str()).collect::<Vec<_>>().join(", "));
        job.checks.iter().for_each(|at| asked[*at] = true);
        for sql in job.work.sql() {
            let _ = writeln!(text, "{sql};");
        }
        text.push('\n');
    }
    let proven =
        tables.iter().flat_map(|(_, asked)| asked).filter_map(|(planned, question)| Some((planned, question.as_ref().ok()?.proof.as_ref()?)));
    for (planned, proof) in proven {
        let _ = writeln!(text, "-- proven by {proof}: {}", planned.path());
    }
    for ((planned, question), asked) in tables.iter().flat_map(|(_, asked)| asked).zip(asked) {
        match question {
            Err(why) => text.push_str(&format!("-- cannot be asked: {}: {why}\n", planned.path())),
            Ok(question) if !asked && question.proof.is_none() => text.push_str(&format!("-- answered by the catalog: {}\n", planned.path())),
            Ok(_) => {}
        }
    }
    Ok(text)
}

impl Work {
    /// What is sent, as far as it is known before any answer.
    fn sql(&self) -> Vec<String> {
        match self {
            Self::Scan { scan, .. } => vec![scan.sql(0, scan.terms.len())],
            Self::Single { single, .. } => vec![single.quick.clone().unwrap_or_else(|| single.exact.clone())],
            Self::Tally { from, tallies, .. } => vec![statement::tally(tallies, from, execute::MOST)],
            Self::Keys { from, questions, .. } if questions.iter().all(|q| q.portable) => {
                let parents = questions.iter().filter_map(|q| match &q.ask {
                    Ask::Orphans { table, column } => Some(execute::parents(table, column)),
                    _ => None,
                });
                parents.chain([statement::Stream::new(questions).sql(from)]).collect()
            }
            Self::Keys { questions, .. } => questions.iter().map(|q| q.quick.clone().unwrap_or_else(|| q.exact.clone())).collect(),
        }
    }
}

/// Answers become outcomes, with a few offending rows where there are some.
struct Report<'a> {
    session: Session,
    known: &'a Known,
    results: Results,
    places: Vec<plan::Places>,
    outcomes: Vec<Outcome>,
    measures: Vec<(String, f64)>,
    proven: usize,
    at: usize,
}

impl Report<'_> {
    async fn table(&mut self, table: &TableGates, asked: &[Asked<'_>]) -> Result<(), PgError> {
        let exists = self.known.catalog.tables.contains_key(&table.table);
        for (planned, question) in asked {
            let at = self.at;
            self.at += 1;
            let judged = match question {
                Err(why) => unanswerable(planned, why, exists, self.known),
                Ok(question) => match self.results.answer(&self.places[at], question) {
                    Err(why) => Judgement::broken(format!("could not be evaluated: {why}")),
                    Ok(mut answer) => {
                        if !question.detail.is_empty() && answer.count(0) > 0 {
                            answer.scan.extend(self.detail(planned, question).await?);
                        }
                        let history = self.known.history.get(&planned.path()).cloned().unwrap_or_default();
                        judge(planned, question, &Answer { history, ..answer }, table.allow_empty)
                    }
                },
            };
            self.proven += usize::from(question.as_ref().is_ok_and(|q| q.proof.is_some()));
            if let (Some((value, _)), true) = (&judged.measure, planned.check.has_history()) {
                self.measures.push((planned.path(), *value));
            }
            let samples = match judged.status {
                Status::Failed | Status::Warned if question.is_ok() => self.samples(planned).await?,
                _ => vec![],
            };
            let elapsed = self.results.elapsed[at];
            self.outcomes.push(outcome(planned, judged, samples).took(elapsed));
        }
        Ok(())
    }

    /// What only matters once something is wrong.
    async fn detail(&mut self, planned: &Planned, question: &Question) -> Result<Vec<Option<String>>, PgError> {
        let from = super::Target { filter: None, ..planned.target.clone() }.selection(None);
        let scan = statement::Scan { from, terms: question.detail.clone(), groups: vec![] };
        Ok(self.session.row(&scan.sql(0, question.detail.len())).await?.unwrap_or_default())
    }

    /// A few offending rows, as the server writes them.
    async fn samples(&mut self, planned: &Planned) -> Result<Vec<String>, PgError> {
        let Some(query) = planned.check.sample(&planned.target, self.known) else { return Ok(vec![]) };
        let sql = format!(
            "select string_agg(left(row_to_json(\"mlops.row\")::text, {WIDEST}), E'\\n') from (select * from ({query}) s limit {SAMPLES}) \"mlops.row\""
        );
        Ok(match self.session.row(&sql).await? {
            Ok(row) => row.into_iter().flatten().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect(),
            Err(refusal) => vec![format!("rows could not be shown: {}", refusal.why)],
        })
    }
}

/// What cannot be asked: the catalog's own checks have failed with it, the others did not get that far.
fn unanswerable(planned: &Planned, why: &str, table_exists: bool, known: &Known) -> Judgement {
    let missing_column = planned.target.column.is_some() && planned.target.column_facts(&known.catalog).is_err();
    match planned.kind {
        "exists" => Judgement::new(Status::Failed, why),
        _ if !table_exists => Judgement::new(Status::Skipped, format!("table {} does not exist", planned.target.table)),
        "columns" | "type" if !missing_column => Judgement::new(Status::Failed, why),
        _ if missing_column => Judgement::new(Status::Skipped, format!("{} does not exist", planned.target.subject())),
        _ => Judgement::broken(format!("could not be evaluated: {why}")),
    }
}

fn judge(planned: &Planned, question: &Question, answer: &Answer, allow_empty: bool) -> Judgement {
    if answer.rows == 0 && !allow_empty && !planned.check.judges_empty() {
        let filtered = planned.target.filter.is_some() || planned.target.table_filter.is_some();
        let what = if filtered { "no row is left by `where`" } else { "the table is empty" };
        return Judgement::new(Status::Failed, format!("{what}, so nothing was checked (accept it with `allow_empty: true`)"));
    }
    if let Some(proof) = &question.proof {
        return Judgement::new(Status::Passed, format!("proven by {proof} for all {} rows", count(answer.rows)));
    }
    planned.check.judge(&planned.target, answer)
}

fn outcome(planned: &Planned, judged: Judgement, samples: Vec<String>) -> Outcome {
    let status = planned.apply(judged.status);
    let outcome = Outcome::new(planned.target.subject(), planned.title(), status, judged.message)
        .with_evidence(judged.evidence)
        .with_evidence(samples)
        .with_remedy(planned.remedy(status))
        .at(Some(planned.location.clone()));
    match judged.measure {
        Some((value, expected)) => outcome.measured(value, expected),
        None => outcome,
    }
}
