//! Runs all checks in one read-only snapshot: the catalog once, then one scan and one statement of single values a table.

use std::time::Instant;

use tokio_postgres::{IsolationLevel, Transaction};

use super::gates::{Gates, Planned, TableGates};
use super::{Answer, Judgement, Question};
use crate::names::TableName;
use crate::outcome::{Outcome, Status};
use crate::ports::postgres::catalog::{self, Catalog};
use crate::ports::postgres::{PgError, Postgres, describe, sql_state};

/// What the checks cost, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    pub statements: usize,
}

/// Postgres allows 1,664 columns in a result.
const WIDTH: usize = 1_600;
const SAMPLES: usize = 5;
/// Characters of a row that is shown.
const WIDEST: usize = 500;

/// Every outcome, also of what could not be evaluated. Only a lost server is an error.
pub async fn run(server: &Postgres, gates: &Gates) -> Result<(Vec<Outcome>, Cost), PgError> {
    let mut client = server.client().await?;
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let snapshot = begin.await.map_err(|e| server.error("opening a snapshot", &e))?;
    let mut cost = Cost::default();
    let tables: Vec<TableName> = {
        let own = gates.tables.iter().map(|t| t.table.clone());
        let named = gates.tables.iter().flat_map(|t| &t.checks).flat_map(|c| c.check.tables());
        let mut all: Vec<TableName> = own.chain(named).collect();
        all.sort();
        all.dedup();
        all
    };
    // Two `set`s in one round trip: the merged scans are wide, and compiling them costs more than it saves.
    snapshot.batch_execute("set local jit = off").await.map_err(|e| server.error("opening a snapshot", &e))?;
    let catalog = catalog::read(&snapshot, &tables).await.map_err(|e| server.error("reading the catalog", &e))?;
    cost.statements += 1;
    let mut outcomes = Vec::new();
    for table in &gates.tables {
        let asker = Asker { server, snapshot: &snapshot, cost: &mut cost };
        outcomes.extend(check_table(asker, table, &catalog).await?);
    }
    snapshot.commit().await.map_err(|e| server.error("closing the snapshot", &e))?;
    Ok((outcomes, cost))
}

async fn check_table(mut asker: Asker<'_>, table: &TableGates, catalog: &Catalog) -> Result<Vec<Outcome>, PgError> {
    let started = Instant::now();
    let questions: Vec<Result<Question, String>> = table.checks.iter().map(|c| c.check.ask(&c.target, catalog)).collect();
    let merged = Merged::new(table, &questions);
    let from = table.checks.first().map(|c| c.target.clone()).map(|t| super::Target { filter: None, ..t }.selection(None)).unwrap_or_default();
    let exists = catalog.tables.contains_key(&table.table);
    let scan = if exists { asker.values(&merged.scan, |list| format!("select {list} {from}")).await? } else { vec![] };
    let scalars = asker.values(&merged.scalars, |list| format!("select {list}")).await?;
    // The scan is shared, and so is its time.
    let elapsed = started.elapsed() / u32::try_from(table.checks.len().max(1)).unwrap_or(1);
    let mut outcomes = Vec::new();
    for (i, (planned, question)) in table.checks.iter().zip(&questions).enumerate() {
        let judged = match question {
            Err(why) => unanswerable(planned, why, exists, catalog),
            Ok(_) => merged
                .answer(i, &scan, &scalars)
                .map_or_else(|why| Judgement::broken(format!("could not be evaluated: {why}")), |answer| judge(planned, &answer, table.allow_empty)),
        };
        let samples = match judged.status {
            Status::Failed | Status::Warned if question.is_ok() => asker.samples(planned, catalog).await?,
            _ => vec![],
        };
        outcomes.push(outcome(planned, judged, samples).took(elapsed));
    }
    Ok(outcomes)
}

/// What cannot be asked: the catalog's own checks have failed with it, the others did not get that far.
fn unanswerable(planned: &Planned, why: &str, table_exists: bool, catalog: &Catalog) -> Judgement {
    let missing_column = planned.target.column.is_some() && planned.target.column_facts(catalog).is_err();
    match planned.kind {
        "exists" => Judgement::new(Status::Failed, why),
        _ if !table_exists => Judgement::new(Status::Skipped, format!("table {} does not exist", planned.target.table)),
        "columns" | "type" if !missing_column => Judgement::new(Status::Failed, why),
        _ if missing_column => Judgement::new(Status::Skipped, format!("{} does not exist", planned.target.subject())),
        _ => Judgement::broken(format!("could not be evaluated: {why}")),
    }
}

fn judge(planned: &Planned, answer: &Answer, allow_empty: bool) -> Judgement {
    if answer.rows == 0 && !allow_empty && !planned.check.judges_empty() {
        let filtered = planned.target.filter.is_some() || planned.target.table_filter.is_some();
        let what = if filtered { "no row is left by `where`" } else { "the table is empty" };
        return Judgement::new(Status::Failed, format!("{what}, so nothing was checked (accept it with `allow_empty: true`)"));
    }
    planned.check.judge(&planned.target, answer)
}

fn outcome(planned: &Planned, judged: Judgement, samples: Vec<String>) -> Outcome {
    let status = planned.level.apply(judged.status);
    let outcome =
        Outcome::new(planned.target.subject(), planned.title(), status, judged.message).with_evidence(samples).at(Some(planned.location.clone()));
    match judged.measure {
        Some((value, expected)) => outcome.measured(value, expected),
        None => outcome,
    }
}

/// All questions about one table, each expression once.
struct Merged {
    scan: Vec<String>,
    scalars: Vec<String>,
    /// For each check: where its row count, its scan values and its single values are.
    places: Vec<(usize, Vec<usize>, Vec<usize>)>,
}

impl Merged {
    fn new(table: &TableGates, questions: &[Result<Question, String>]) -> Self {
        let (mut scan, mut scalars) = (Vec::new(), Vec::new());
        let place = |list: &mut Vec<String>, text: String| match list.iter().position(|known| *known == text) {
            Some(at) => at,
            None => {
                list.push(text);
                list.len() - 1
            }
        };
        let places = table.checks.iter().zip(questions).map(|(planned, question)| {
            let Ok(question) = question else { return (0, vec![], vec![]) };
            let rows = place(&mut scan, planned.target.aggregate("count(*)", None));
            let own = question.scan.iter().map(|e| place(&mut scan, e.clone())).collect();
            let single = question.scalars.iter().map(|q| place(&mut scalars, format!("({q})"))).collect();
            (rows, own, single)
        });
        let places = places.collect();
        Self { scan, scalars, places }
    }

    /// `Err` is the server's word on the part that it could not evaluate.
    fn answer(&self, check: usize, scan: &[Value], scalars: &[Value]) -> Result<Answer, String> {
        let (rows, own, single) = &self.places[check];
        let take = |values: &[Value], at: &[usize]| at.iter().map(|i| values[*i].clone()).collect::<Result<Vec<_>, _>>();
        let rows = scan[*rows].clone()?.and_then(|text| text.parse().ok()).ok_or("the server gave no row count")?;
        Ok(Answer { rows, scan: take(scan, own)?, scalars: take(scalars, single)? })
    }
}

type Value = Result<Option<String>, String>;

struct Asker<'a> {
    server: &'a Postgres,
    snapshot: &'a Transaction<'a>,
    cost: &'a mut Cost,
}

impl Asker<'_> {
    /// The values of many expressions in as few statements as possible. When the server rejects a statement it is
    /// halved until the culprit stands alone: one bad expression breaks one check, not all.
    async fn values(&mut self, expressions: &[String], statement: impl Fn(&str) -> String) -> Result<Vec<Value>, PgError> {
        let mut values: Vec<Value> = vec![Err("not asked".into()); expressions.len()];
        let mut open: Vec<(usize, usize)> = (0..expressions.len()).step_by(WIDTH).map(|at| (at, (at + WIDTH).min(expressions.len()))).collect();
        while let Some((from, to)) = open.pop() {
            let list: Vec<String> = expressions[from..to].iter().map(|e| format!("({e})::text")).collect();
            match self.try_row(&statement(&list.join(", "))).await? {
                Ok(row) => row.into_iter().enumerate().for_each(|(i, value)| values[from + i] = Ok(value)),
                Err(why) if to - from == 1 => values[from] = Err(why),
                Err(_) => {
                    let middle = usize::midpoint(from, to);
                    open.extend([(from, middle), (middle, to)]);
                }
            }
        }
        Ok(values)
    }

    /// One row of texts, or the server's rejection; the snapshot survives it.
    async fn try_row(&mut self, sql: &str) -> Result<Result<Vec<Option<String>>, String>, PgError> {
        let doing = "checking the data";
        self.cost.statements += 1;
        let fail = |e: &tokio_postgres::Error| self.server.error(doing, e);
        // Sent together, so that each statement costs one round trip; a later savepoint of the same name hides this one.
        let (savepoint, answer) = tokio::join!(self.snapshot.batch_execute("savepoint one"), self.snapshot.query_typed(sql, &[]));
        savepoint.map_err(|e| fail(&e))?;
        match answer {
            Ok(rows) => {
                let row = rows.first().map(|row| (0..row.len()).map(|i| row.get(i)).collect());
                Ok(row.ok_or_else(|| "the server gave no row".to_owned()))
            }
            Err(error) if sql_state(&error).is_some() && fail(&error).is_statement() => {
                self.snapshot.batch_execute("rollback to savepoint one").await.map_err(|e| fail(&e))?;
                Ok(Err(describe(&error)))
            }
            Err(error) => Err(fail(&error)),
        }
    }

    /// A few offending rows, as the server writes them.
    async fn samples(&mut self, planned: &Planned, catalog: &Catalog) -> Result<Vec<String>, PgError> {
        let Some(query) = planned.check.sample(&planned.target, catalog) else { return Ok(vec![]) };
        let sql = format!(
            "select string_agg(left(row_to_json(\"mlops.row\")::text, {WIDEST}), E'\\n') from (select * from ({query}) s limit {SAMPLES}) \"mlops.row\""
        );
        Ok(match self.try_row(&sql).await? {
            Ok(row) => row.into_iter().flatten().flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect(),
            Err(why) => vec![format!("rows could not be shown: {why}")],
        })
    }
}
