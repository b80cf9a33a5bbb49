//! The plan's jobs on several connections that see one snapshot.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::keys::Counter;
use super::parents::Gathering;
use super::plan::{Job, Plan, Work};
use super::statement::{self, Stream};
use crate::checks::question::{Answer, Ask, Counts, Keyed, Question, Single, Tally};
use crate::names::ident;
use crate::ports::postgres::copy::{CopyOutError, each_row};
use crate::ports::postgres::{PgError, Postgres, Trouble, describe, running, sql_state};

/// Values of a tally that are kept.
pub const MOST: usize = 5_000;
/// Rows from which a second connection pays.
const MANY: u64 = 100_000;

/// The server's answer, or its word on why there is none.
pub type Value = Result<Option<String>, String>;

/// All answers, by the plan's slots.
pub struct Results {
    pub values: Vec<Value>,
    pub keyed: Vec<Result<[u64; 2], String>>,
    pub counts: Vec<Result<Counts, String>>,
    /// For each check, its part of the time of the jobs that answer it.
    pub elapsed: Vec<Duration>,
}

impl Results {
    fn new(plan: &Plan) -> Self {
        let unasked = || "it was not asked".to_owned();
        Self {
            values: vec![Err(unasked()); plan.values],
            keyed: vec![Err(unasked()); plan.keyed],
            counts: vec![Err(unasked()); plan.counts],
            elapsed: vec![Duration::ZERO; plan.places.len()],
        }
    }

    /// `Err` is the server's word on the part that it could not evaluate.
    pub fn answer(&self, places: &super::plan::Places, question: &Question) -> Result<Answer, String> {
        let take = |at: &[usize]| at.iter().map(|i| self.values[*i].clone()).collect::<Result<Vec<_>, _>>();
        let rows = match places.rows {
            Some(at) => self.values[at].clone()?.and_then(|text| text.parse().ok()).ok_or("the server gave no row count")?,
            None => 0,
        };
        Ok(Answer {
            rows,
            scan: take(&places.scan)?,
            singles: take(&places.singles)?,
            keyed: places.keyed.map(|at| self.keyed[at].clone()).transpose()?,
            tallies: places.tallies.iter().map(|at| self.counts[*at].clone()).collect::<Result<_, _>>()?,
            names: question.names.clone(),
            history: Vec::new(),
            reference: question.reference.clone(),
        })
    }
}

/// One connection inside the snapshot.
pub struct Session {
    pub client: Client,
    server: Postgres,
    pub statements: usize,
}

impl Session {
    /// The first connection opens the snapshot, others join it.
    pub async fn open(server: &Postgres, snapshot: Option<&str>) -> Result<Self, PgError> {
        let client = server.dedicated().await?;
        let join = snapshot.map(|id| format!("set transaction snapshot {};", crate::names::literal(id))).unwrap_or_default();
        // Compiling a wide scan costs more than it saves; whoever waits for a lock this long waits for a migration.
        let begin = format!("begin isolation level repeatable read, read only; {join} set local jit = off; set local lock_timeout = '60s'");
        client.batch_execute(&begin).await.map_err(|e| server.error("opening a snapshot", &e))?;
        Ok(Self { client, server: server.clone(), statements: 0 })
    }

    fn error(&self, source: &tokio_postgres::Error) -> PgError {
        self.server.error("checking the data", source)
    }

    /// Rows of texts, or the server's rejection; the snapshot survives it.
    pub async fn rows(&mut self, sql: &str) -> Result<Result<Vec<tokio_postgres::Row>, Refusal>, PgError> {
        self.statements += 1;
        // Sent together, so that each statement costs one round trip; a later savepoint of the same name hides this one.
        let (savepoint, answer) = tokio::join!(self.client.batch_execute("savepoint one"), self.client.query_typed(sql, &[]));
        savepoint.map_err(|e| self.error(&e))?;
        match answer {
            Ok(rows) => Ok(Ok(rows)),
            Err(error) => self.refused(&error).await.map(Err),
        }
    }

    /// A statement that was refused is undone; a lost connection is an error.
    async fn refused(&self, error: &tokio_postgres::Error) -> Result<Refusal, PgError> {
        let failure = self.error(error);
        if sql_state(error).is_none() || !failure.is_statement() || failure.may_be_tried_again() {
            return Err(failure);
        }
        self.client.batch_execute("rollback to savepoint one").await.map_err(|e| self.error(&e))?;
        // Cancelled by a timeout: half of it would take as long again.
        let timeout = ["57014", "55P03"].contains(&sql_state(error).unwrap_or_default());
        Ok(Refusal { why: describe(error), timeout })
    }

    /// One row of texts.
    pub async fn row(&mut self, sql: &str) -> Result<Result<Vec<Option<String>>, Refusal>, PgError> {
        let rows = self.rows(sql).await?;
        Ok(rows.and_then(|rows| match rows.first() {
            Some(row) => Ok((0..row.len()).map(|i| row.get(i)).collect()),
            None => Err(Refusal { why: "the server gave no row".into(), timeout: false }),
        }))
    }

    async fn value(&mut self, sql: &str) -> Result<Value, PgError> {
        Ok(self.row(sql).await?.map(|row| row.into_iter().next().flatten()).map_err(|refusal| refusal.why))
    }
}

/// Why the server did not answer.
#[derive(Debug)]
pub struct Refusal {
    pub why: String,
    timeout: bool,
}

/// Runs every job; the sessions are left open for what is asked afterwards.
pub async fn execute(server: &Postgres, first: Session, plan: Plan, pool: usize) -> Result<(Session, Results), PgError> {
    let results = Mutex::new(Results::new(&plan));
    let work: u64 = plan.jobs.iter().map(|job| job.weight).sum();
    let wanted = if work < MANY { 1 } else { pool.min(plan.jobs.len()).max(1) };
    let mut sessions = vec![first];
    if wanted > 1 {
        // A server that hands out no snapshot is asked on one connection.
        if let Ok(row) = sessions[0].row("select pg_export_snapshot()").await?
            && let Some(Some(id)) = row.into_iter().next()
        {
            let more = (1..wanted).map(|_| Session::open(server, Some(&id)));
            // Nor is one without a connection to spare.
            sessions.extend(futures_util::future::join_all(more).await.into_iter().flatten());
        }
    }
    let queue = Mutex::new(VecDeque::from(plan.jobs));
    let workers = sessions.into_iter().map(|mut session| {
        let (queue, results) = (&queue, &results);
        async move {
            loop {
                let job = queue.lock().ok().and_then(|mut queue| queue.pop_front());
                let Some(job) = job else { return Ok::<_, PgError>(session) };
                let started = Instant::now();
                let found = run(&mut session, &job.work).await?;
                keep(results, &job, found, started.elapsed());
            }
        }
    });
    let ended = futures_util::future::try_join_all(workers).await;
    if ended.is_err() {
        // The others must not go on with what nobody waits for.
        running::cancel().await;
    }
    let sessions = ended?;
    let statements = sessions.iter().map(|session| session.statements).sum();
    let results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    match sessions.into_iter().next() {
        Some(session) => Ok((Session { statements, ..session }, results)),
        None => Err(PgError::new(server.endpoint(), "checking the data", Trouble::Usage("there is no connection".into()))),
    }
}

/// What a job found out.
enum Found {
    Values(Vec<Value>),
    Keyed(Vec<Result<[u64; 2], String>>),
    Counts(Vec<Result<Counts, String>>),
}

fn keep(results: &Mutex<Results>, job: &Job, found: Found, elapsed: Duration) {
    let Ok(mut results) = results.lock() else { return };
    match (found, &job.work) {
        (Found::Values(values), Work::Scan { first, .. }) => {
            for (i, value) in values.into_iter().enumerate() {
                results.values[first + i] = value;
            }
        }
        (Found::Values(mut values), Work::Single { slot, .. }) => results.values[*slot] = values.swap_remove(0),
        (Found::Keyed(mut found), Work::Keyed { slot, .. }) => results.keyed[*slot] = found.swap_remove(0),
        (Found::Keyed(found), Work::Keys { slots, .. }) => slots.iter().zip(found).for_each(|(slot, one)| results.keyed[*slot] = one),
        (Found::Counts(found), Work::Tally { slots, .. }) => slots.iter().zip(found).for_each(|(slot, one)| results.counts[*slot] = one),
        _ => {}
    }
    let share = elapsed / u32::try_from(job.checks.len().max(1)).unwrap_or(1);
    job.checks.iter().for_each(|check| results.elapsed[*check] += share);
}

async fn run(session: &mut Session, work: &Work) -> Result<Found, PgError> {
    Ok(match work {
        Work::Scan { scan, .. } => Found::Values(scanned(session, scan).await?),
        Work::Single { single, .. } => Found::Values(vec![one(session, single).await?]),
        Work::Keys { from, questions, .. } => Found::Keyed(keyed(session, from, questions).await?),
        Work::Keyed { question, .. } => Found::Keyed(vec![asked(session, question).await?]),
        Work::Tally { from, tallies, .. } => Found::Counts(counted(session, from, tallies).await?),
    })
}

/// When the server rejects a scan it is halved until the culprit stands alone: one bad expression breaks one check.
async fn scanned(session: &mut Session, scan: &statement::Scan) -> Result<Vec<Value>, PgError> {
    let mut values: Vec<Value> = vec![Err("it was not asked".into()); scan.terms.len()];
    let mut open = vec![(0, scan.terms.len())];
    while let Some((from, to)) = open.pop() {
        match session.row(&scan.sql(from, to)).await? {
            Ok(row) => row.into_iter().enumerate().for_each(|(i, value)| values[from + i] = Ok(value)),
            Err(refusal) if to - from == 1 || refusal.timeout => values[from..to].iter_mut().for_each(|v| *v = Err(refusal.why.clone())),
            Err(_) => {
                let middle = usize::midpoint(from, to);
                open.extend([(from, middle), (middle, to)]);
            }
        }
    }
    Ok(values)
}

async fn one(session: &mut Session, single: &Single) -> Result<Value, PgError> {
    if let Some(quick) = &single.quick
        && let Ok(Some(zero)) = session.value(quick).await?
        && zero == "0"
    {
        return Ok(Ok(Some(zero)));
    }
    session.value(&single.exact).await
}

/// The stream's numbers where they are exact; the server's own where they are not, or where it refused the stream.
async fn keyed(session: &mut Session, from: &str, questions: &[Keyed]) -> Result<Vec<Result<[u64; 2], String>>, PgError> {
    let streamed = stream(session, from, questions).await?;
    let mut answers = Vec::new();
    for (i, question) in questions.iter().enumerate() {
        let found = streamed.as_ref().map(|found| found[i]);
        // A hash says "these may be equal" and "these are not"; only the second is certain.
        let certain = found.filter(|[n, _]| *n == 0 || !matches!(question.ask, Ask::Duplicates { .. }));
        answers.push(match certain {
            Some(numbers) => Ok(numbers),
            None => asked(session, question).await?,
        });
    }
    Ok(answers)
}

async fn asked(session: &mut Session, question: &Keyed) -> Result<Result<[u64; 2], String>, PgError> {
    let single = Single { quick: question.quick.clone(), exact: question.exact.clone() };
    let text = match one(session, &single).await? {
        Ok(text) => text.unwrap_or_default(),
        Err(why) => return Ok(Err(why)),
    };
    let mut numbers = text.split(' ').map(|n| n.parse::<u64>().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    Ok(match (first, second) {
        (Some(n), second) => Ok([n, second.unwrap_or(0)]),
        _ => Err("the server gave no count".into()),
    })
}

/// Every value that a reference may have.
pub fn parents(table: &crate::names::TableName, column: &str) -> String {
    format!("copy (select {} from {}) to stdout (format binary)", ident(column), table.quoted())
}

/// Nothing when the server refuses the stream.
async fn stream(session: &mut Session, from: &str, questions: &[Keyed]) -> Result<Option<Vec<[u64; 2]>>, PgError> {
    let stream = Stream::new(questions);
    let mut counters = Vec::new();
    for (question, places) in questions.iter().zip(&stream.places) {
        let parents = match &question.ask {
            Ask::Orphans { table, column } => {
                let mut found = Gathering::default();
                let sound = copied(session, &parents(table, column), 1, |row| row.get(0).into_iter().for_each(|value| found.add(value))).await?;
                if !sound {
                    return Ok(None);
                }
                Some(found.finish())
            }
            _ => None,
        };
        counters.push(Counter::new(&question.ask, places.clone(), parents));
    }
    let mut buffer = Vec::new();
    let copy = stream.sql(from);
    let sound = copied(session, &copy, stream.list.len(), |row| {
        counters.iter_mut().for_each(|counter| counter.see(row, &mut buffer));
    });
    if !sound.await? {
        return Ok(None);
    }
    // Sorting millions of keys would keep the other connections waiting.
    let finished = tokio::task::spawn_blocking(move || counters.into_iter().map(Counter::finish).collect());
    Ok(finished.await.ok())
}

/// Whether the server sent every row.
async fn copied(
    session: &mut Session,
    copy: &str,
    fields: usize,
    mut row: impl FnMut(crate::ports::postgres::copy::Row<'_>),
) -> Result<bool, PgError> {
    session.statements += 1;
    let (savepoint, opened) = tokio::join!(session.client.batch_execute("savepoint one"), session.client.copy_out(copy));
    savepoint.map_err(|e| session.error(&e))?;
    let read = match opened {
        Ok(stream) => {
            each_row(stream, fields, |r| {
                row(r);
                Ok(())
            })
            .await
        }
        Err(error) => Err(CopyOutError::Server(error)),
    };
    match read {
        Ok(()) => Ok(true),
        Err(CopyOutError::Server(error)) => session.refused(&error).await.map(|_| false),
        Err(CopyOutError::Stream(why)) => {
            let trouble = Trouble::Lost(why);
            Err(PgError::new(session.server.endpoint(), "reading keys", trouble))
        }
    }
}

async fn counted(session: &mut Session, from: &str, tallies: &[Tally]) -> Result<Vec<Result<Counts, String>>, PgError> {
    let rows = match session.rows(&statement::tally(tallies, from, MOST)).await? {
        Ok(rows) if rows.len() > MOST && tallies.len() == 1 => return Ok(vec![Err(format!("there are more than {MOST} different values"))]),
        Ok(rows) if rows.len() > MOST => return apart(session, from, tallies).await,
        Ok(rows) => rows,
        Err(refusal) if tallies.len() == 1 => return Ok(vec![Err(refusal.why)]),
        // One of them is the culprit.
        Err(_) => return apart(session, from, tallies).await,
    };
    let mut at = 0;
    let marginal = |tally: &Tally| {
        let columns = at..at + tally.by.len();
        at = columns.end;
        let mut counts = std::collections::BTreeMap::new();
        for row in &rows {
            let value: Vec<Option<String>> = columns.clone().map(|i| row.get(i)).collect();
            let n: i64 = row.get(row.len() - 1);
            *counts.entry(value).or_insert(0) += u64::try_from(n).unwrap_or(0);
        }
        Ok(counts.into_iter().collect())
    };
    Ok(tallies.iter().map(marginal).collect())
}

async fn apart(session: &mut Session, from: &str, tallies: &[Tally]) -> Result<Vec<Result<Counts, String>>, PgError> {
    let mut all = Vec::new();
    for tally in tallies {
        all.extend(Box::pin(counted(session, from, std::slice::from_ref(tally))).await?);
    }
    Ok(all)
}
