//! Applying and undoing: one round trip a migration, history in the same transaction.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use backon::{ExponentialBuilder, Retryable};
use tokio_postgres::Client;
use tokio_postgres::error::{ErrorPosition, SqlState};

use super::files::{Folder, Migration};
use super::history::{self, Change, History, NewRow};
use super::plan::{above, pending};
use super::script::Script;
use super::version::Version;
use super::{MigrateError, Options, Source, lock, schema, steps};
use crate::mistakes::suggestion;
use crate::ports::postgres::{Postgres, describe, guarded, sql_state};

/// Where to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// Everything that is pending.
    Up,
    /// That many back.
    Down(usize),
    /// This version and no later one, from either side.
    To(Version),
    /// The same, but only down.
    DownTo(Version),
    /// Back behind the first.
    Zero,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub id: String,
    pub file: String,
    pub elapsed: Duration,
    pub undone: bool,
}

/// What a run did, also when it had to stop.
#[derive(Debug, Default)]
pub struct Run {
    pub done: Vec<Applied>,
    /// Applied by earlier runs.
    pub before: usize,
    /// The last version in the history after this run.
    pub head: Option<String>,
    pub troubles: Vec<MigrateError>,
    /// Of the schema as this run left it.
    pub schema_digest: Option<String>,
}

/// A connection that holds the migration lock, and what it works for.
pub(super) struct Session<'a> {
    pub(super) client: Client,
    pub(super) server: &'a Postgres,
    pub(super) source: Source,
    pub(super) options: &'a Options,
    /// The history as it was when the lock was taken.
    pub(super) known: History,
    /// The server process in which the lock was taken.
    pid: i32,
    /// Microseconds since 1970: with the process, a name that no other session has.
    began: u128,
    preparations: AtomicUsize,
    /// The preparation that holds; 0: none.
    prepared: AtomicUsize,
}

/// In front of a script that only defines; positions in errors count from before it.
const PLAIN: &str = "begin; ";

/// Up, down or to a version. What was done before something went wrong stays done.
pub async fn migrate(server: &Postgres, source: Source, folder: &Folder, goal: &Goal, options: &Options) -> Run {
    let mut run = Run::default();
    if let Err(troubles) = locked(server, source, folder, goal, options, &mut run).await {
        run.troubles = troubles;
    }
    run
}

/// What `up` says when there is nothing to do; nothing when there is, or when anything is in its way. The down parts of
/// the folder are not looked at, and nothing waits for a lock: that nothing was pending is true even if another run is at work.
pub async fn up_to_date(server: &Postgres, source: Source, folder: &Folder, options: &Options) -> Option<Run> {
    let client = server.dedicated().await.ok()?;
    let known = history::look(&client, server, source).await.ok()??;
    let nothing = pending(&known, folder, options).is_ok_and(|p| p.unfinished.is_none() && p.migrations.is_empty() && p.repeatables.is_empty());
    let head = known.head().map(|row| row.version.clone());
    nothing.then(|| Run { before: known.versioned.len(), head, ..Run::default() })
}

async fn locked(server: &Postgres, source: Source, folder: &Folder, goal: &Goal, options: &Options, run: &mut Run) -> Result<(), Vec<MigrateError>> {
    let session = Session::begin(server, source, options).await.map_err(one)?;
    let result = session.work(&session.known, folder, goal, run).await;
    if !run.done.is_empty() {
        let known = history::read(&session.client, server, source).await.map_err(one)?;
        run.head = known.head().map(|row| row.version.clone());
        if result.is_ok() {
            unrecorded(&known, run).map_err(one)?;
        }
        if source == Source::App {
            run.schema_digest = Some(schema::record(&session.client, server, run.head.as_deref(), source.word()).await.map_err(one)?);
        }
    }
    session.end().await;
    result
}

fn one(error: MigrateError) -> Vec<MigrateError> {
    vec![error]
}

/// The proof is in the history, not in what we think we did.
fn unrecorded(history: &History, run: &Run) -> Result<(), MigrateError> {
    let versioned = history.versioned.values().map(|row| format!("{}_{}", row.version, row.name));
    let there: BTreeSet<String> = versioned.chain(history.repeatable.values().map(|row| row.version.clone())).collect();
    let missing = run.done.iter().find(|applied| !applied.undone && !there.contains(&applied.id));
    missing.map_or(Ok(()), |applied| Err(MigrateError::Unrecorded { version: applied.id.clone() }))
}

impl<'a> Session<'a> {
    pub(super) async fn begin(server: &'a Postgres, source: Source, options: &'a Options) -> Result<Self, MigrateError> {
        let client = server.dedicated().await?;
        let held = lock::acquire(&client, server, options.wait).await?;
        let known = history::ensure(&client, server, source).await?;
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        Ok(Self { client, server, source, options, known, pid: held.pid, began, preparations: AtomicUsize::new(0), prepared: AtomicUsize::new(0) })
    }

    pub(super) async fn end(self) {
        lock::release(&self.client).await;
    }

    async fn work(&self, known: &History, folder: &Folder, goal: &Goal, run: &mut Run) -> Result<(), Vec<MigrateError>> {
        run.before = known.versioned.len();
        run.head = known.head().map(|row| row.version.clone());
        // Edited, gone and out of order are refused both ways.
        let pending = pending(known, folder, self.options)?;
        if let Goal::To(version) | Goal::DownTo(version) = goal
            && folder.find(version).is_none()
        {
            let known: Vec<&str> = folder.migrations.iter().map(|m| m.version.as_str()).collect();
            let help = suggestion(version.as_str(), known.iter().copied(), "versions");
            return Err(one(MigrateError::NoVersion { wanted: version.to_string(), help }));
        }
        let down = match goal {
            Goal::Up => vec![],
            Goal::Down(n) => above(known, folder, |_| false).into_iter().take(*n).collect(),
            Goal::Zero => above(known, folder, |_| false),
            Goal::To(version) | Goal::DownTo(version) => above(known, folder, |v| v <= version),
        };
        // Known before the first one is undone.
        if let Some(migration) = down.iter().find(|m| m.down.is_none()) {
            return Err(one(MigrateError::NoDown { file: migration.down_file.clone() }));
        }
        let up = |m: &&Migration| match goal {
            Goal::Up => true,
            Goal::To(version) => m.version <= *version,
            Goal::Down(_) | Goal::DownTo(_) | Goal::Zero => false,
        };
        if let Some((migration, at)) = pending.unfinished.filter(|(m, at)| (up(m) || at.undoing) && !down.contains(m)) {
            self.resume(migration, at, &up, run).await.map_err(one)?;
        }
        for migration in down {
            self.down(migration, known, run).await.map_err(one)?;
        }
        for migration in pending.migrations.into_iter().filter(up) {
            self.up(migration, run).await.map_err(one)?;
        }
        if *goal == Goal::Up {
            for repeatable in pending.repeatables {
                let row = NewRow {
                    source: self.source,
                    version: &repeatable.id(),
                    name: &repeatable.name,
                    checksum: &repeatable.checksum,
                    meaning: None,
                    reason: repeatable.script.reason.as_deref(),
                    statements: None,
                    adopted_from: None,
                    run: self.options.run.as_deref(),
                };
                let elapsed = self.transaction(&repeatable.id(), &repeatable.script, &Change::Applied(row)).await.map_err(one)?;
                run.done.push(Applied { id: repeatable.id(), file: repeatable.script.file.clone(), elapsed, undone: false });
            }
        }
        Ok(())
    }

    /// Goes on where an earlier run stopped half-way.
    async fn resume(&self, migration: &Migration, at: history::Steps, up: &impl Fn(&&Migration) -> bool, run: &mut Run) -> Result<(), MigrateError> {
        let started = Instant::now();
        if at.undoing {
            steps::run(self, migration, true, Some(at)).await?;
            run.done.push(Applied { id: migration.id(), file: migration.down_file.clone(), elapsed: started.elapsed(), undone: true });
            return if up(&migration) { self.up(migration, run).await } else { Ok(()) };
        }
        steps::run(self, migration, false, Some(at)).await?;
        run.done.push(Applied { id: migration.id(), file: migration.file().into(), elapsed: started.elapsed(), undone: false });
        Ok(())
    }

    pub(super) async fn up(&self, migration: &Migration, run: &mut Run) -> Result<(), MigrateError> {
        let elapsed = if migration.up.transactional {
            let meaning = migration.up.meaning();
            self.transaction(&migration.id(), &migration.up, &Change::Applied(self.row(migration, Some(&meaning), None))).await?
        } else {
            let started = Instant::now();
            steps::run(self, migration, false, None).await?;
            started.elapsed()
        };
        run.done.push(Applied { id: migration.id(), file: migration.file().into(), elapsed, undone: false });
        Ok(())
    }

    pub(super) fn row<'m>(&'m self, migration: &'m Migration, meaning: Option<&'m str>, statements: Option<usize>) -> NewRow<'m> {
        NewRow {
            source: self.source,
            version: migration.version.as_str(),
            name: &migration.name,
            checksum: &migration.checksum,
            meaning,
            reason: migration.up.reason.as_deref(),
            statements,
            adopted_from: None,
            run: self.options.run.as_deref(),
        }
    }

    pub(super) async fn down(&self, migration: &Migration, known: &History, run: &mut Run) -> Result<(), MigrateError> {
        let Some(script) = &migration.down else { return Err(MigrateError::NoDown { file: migration.down_file.clone() }) };
        let row = known.versioned.get(&migration.version);
        let started = Instant::now();
        if script.transactional {
            let version = row.map_or(migration.version.as_str(), |row| &row.version);
            let undone = Change::Undone { source: self.source, version, run: self.options.run.as_deref() };
            self.transaction(&migration.id(), script, &undone).await?;
        } else {
            let at = row.and_then(|row| row.steps).filter(|at| at.undoing);
            steps::run(self, migration, true, at).await?;
        }
        run.done.push(Applied { id: migration.id(), file: migration.down_file.clone(), elapsed: started.elapsed(), undone: true });
        Ok(())
    }

    /// A script and its history in one transaction and one message; again after a lock that did not come in time.
    async fn transaction(&self, id: &str, script: &Script, change: &Change<'_>) -> Result<Duration, MigrateError> {
        let started = Instant::now();
        let batch = if script.only_defines() {
            let prepared = self.prepared().await?;
            format!("{PLAIN}{}\n; {}; commit", script.text, change.execute(&prepared))
        } else {
            format!("{}; {}; reset role; {}; commit", self.head(true), guarded(&script.text), change.sql())
        };
        self.send(id, script, &batch).await.map_err(|error| self.rejected(id, script, &error))?.map_or(Ok(()), Err)?;
        Ok(started.elapsed())
    }

    /// A clean session with its settings and statements, as long as nothing but definitions runs in it.
    async fn prepared(&self) -> Result<String, MigrateError> {
        let nth = self.prepared.load(Ordering::Relaxed);
        if nth > 0 {
            return Ok(self.prefix(nth));
        }
        let nth = self.preparations.fetch_add(1, Ordering::Relaxed) + 1;
        let batch = format!("{}; {}", self.head(false), history::prepare(&self.prefix(nth)));
        match self.client.batch_execute(&batch).await {
            Err(error) if of_another_session(&error) => return Err(MigrateError::Pooled),
            sent => sent.map_err(|e| self.server.error("preparing the session", &e))?,
        }
        self.prepared.store(nth, Ordering::Relaxed);
        Ok(self.prefix(nth))
    }

    fn prefix(&self, nth: usize) -> String {
        format!("mlops_{}_{}_{nth}", self.pid, self.began)
    }

    /// What the last migration left in the session must not change what this one means.
    pub(super) fn head(&self, transaction: bool) -> String {
        self.prepared.store(0, Ordering::Relaxed);
        let local = if transaction { "local " } else { "" };
        let statement = self.options.statement_timeout.map(|t| format!("; set {local}statement_timeout = {}", t.as_millis())).unwrap_or_default();
        format!(
            "reset role; reset all; {}set {local}lock_timeout = {}{statement}; \
             select case when pg_backend_pid() <> {} then ('mlops: another session ' || pg_backend_pid())::int end",
            if transaction { "begin; " } else { "" },
            self.options.lock_timeout.as_millis(),
            self.pid
        )
    }

    /// Sends a transaction, again after a lock that did not come in time or a deadlock; a failed one is rolled back.
    /// The inner error is not the script's.
    pub(super) async fn send(&self, id: &str, script: &Script, batch: &str) -> Result<Option<MigrateError>, tokio_postgres::Error> {
        let attempt = || async {
            let sent = self.client.batch_execute(batch).await;
            if sent.is_err() {
                // The session sits in a failed transaction; should this fail too, its end rolls back.
                let _ = self.client.batch_execute("rollback").await;
            }
            sent
        };
        let again = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .with_max_times(self.options.retries)
            .with_jitter();
        let sent =
            attempt.retry(again).when(may_pass).notify(|error, wait| tracing::warn!("{id}: {}; trying again in {wait:?}", describe(error))).await;
        match sent {
            Err(error) if of_another_session(&error) => Ok(Some(MigrateError::Pooled)),
            Err(error) if may_pass(&error) => Ok(Some(MigrateError::Busy {
                version: id.into(),
                file: script.file.clone(),
                tries: self.options.retries + 1,
                why: describe(&error),
                open: lock::open_transactions(&self.client).await,
            })),
            Err(error) => Err(error),
            Ok(()) => Ok(None),
        }
    }

    pub(super) fn rejected(&self, id: &str, script: &Script, error: &tokio_postgres::Error) -> MigrateError {
        let wrapped = self.server.error(&format!("applying {id}"), error);
        if !wrapped.is_statement() {
            return wrapped.into();
        }
        let line = line_of(error, &script.text).map(|line| script.line + line);
        MigrateError::Rejected { version: id.into(), file: script.file.clone(), line, why: describe(error) }
    }
}

/// A lock that did not come in time, or a deadlock: the same again may succeed.
pub(super) fn may_pass(error: &tokio_postgres::Error) -> bool {
    sql_state(error).is_some_and(|code| code == SqlState::LOCK_NOT_AVAILABLE.code() || code == SqlState::T_R_DEADLOCK_DETECTED.code())
}

/// The guard has seen another server process, or the statements that were prepared are not there.
fn of_another_session(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|e| e.message().contains("\"mlops: another session") || e.message().contains("prepared statement \"mlops_"))
}

/// The server counts characters of the message or of the guarded script; a reader counts lines of the file.
fn line_of(error: &tokio_postgres::Error, sql: &str) -> Option<usize> {
    let at = match error.as_db_error()?.position()? {
        ErrorPosition::Original(position) => usize::try_from(*position).ok()?.checked_sub(1 + PLAIN.len())?,
        // An error inside a function that the script calls counts in that function.
        ErrorPosition::Internal { position, query } if query == sql => usize::try_from(*position).ok()?.checked_sub(1)?,
        ErrorPosition::Internal { .. } => return None,
    };
    (at < sql.chars().count()).then(|| 1 + sql.chars().take(at).filter(|c| *c == '\n').count())
}
