//! Applying and undoing: one round trip a migration, history in the same transaction.

use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable};
use tokio_postgres::Client;
use tokio_postgres::error::{ErrorPosition, SqlState};

use super::files::{Folder, Migration};
use super::history::{self, History, NewRow};
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
    /// The server process in which the lock was taken.
    pid: i32,
}

/// Up, down or to a version. What was done before something went wrong stays done.
pub async fn migrate(server: &Postgres, source: Source, folder: &Folder, goal: &Goal, options: &Options) -> Run {
    let mut run = Run::default();
    if let Err(troubles) = locked(server, source, folder, goal, options, &mut run).await {
        run.troubles = troubles;
    }
    run
}

async fn locked(server: &Postgres, source: Source, folder: &Folder, goal: &Goal, options: &Options, run: &mut Run) -> Result<(), Vec<MigrateError>> {
    let session = Session::begin(server, source, options).await.map_err(one)?;
    let mut known = history::read(&session.client, server, source).await.map_err(one)?;
    let result = session.work(&known, folder, goal, run).await;
    if !run.done.is_empty() {
        known = history::read(&session.client, server, source).await.map_err(one)?;
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
    for applied in run.done.iter().filter(|a| !a.undone) {
        let there = history.versioned.values().any(|row| format!("{}_{}", row.version, row.name) == applied.id)
            || history.repeatable.values().any(|row| row.version == applied.id);
        if !there {
            return Err(MigrateError::Unrecorded { version: applied.id.clone() });
        }
    }
    Ok(())
}

impl<'a> Session<'a> {
    pub(super) async fn begin(server: &'a Postgres, source: Source, options: &'a Options) -> Result<Self, MigrateError> {
        let client = server.dedicated().await?;
        let held = lock::acquire(&client, server, options.wait).await?;
        history::ensure(&client, server).await?;
        Ok(Self { client, server, source, options, pid: held.pid })
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
            && !folder.migrations.iter().any(|m| m.version == *version)
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
                let elapsed = self.transaction(&repeatable.id(), &repeatable.script, &row.insert()).await.map_err(one)?;
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
            self.transaction(&migration.id(), &migration.up, &self.row(migration, Some(&meaning), None).insert()).await?
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
            let tail = history::delete(self.source, version, self.options.run.as_deref());
            self.transaction(&migration.id(), script, &tail).await?;
        } else {
            let at = row.and_then(|row| row.steps).filter(|at| at.undoing);
            steps::run(self, migration, true, at).await?;
        }
        run.done.push(Applied { id: migration.id(), file: migration.down_file.clone(), elapsed: started.elapsed(), undone: true });
        Ok(())
    }

    /// A script and its history in one transaction and one message; again after a lock that did not come in time.
    async fn transaction(&self, id: &str, script: &Script, history: &str) -> Result<Duration, MigrateError> {
        let started = Instant::now();
        let batch = format!("{}; {}; reset role; {history}; commit", self.head(true), guarded(&script.text));
        self.send(id, script, &batch).await.map_err(|error| self.rejected(id, script, &error))?.map_or(Ok(()), Err)?;
        Ok(started.elapsed())
    }

    /// What the last migration left in the session must not change what this one means.
    pub(super) fn head(&self, transaction: bool) -> String {
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
            Err(error) if error.as_db_error().is_some_and(|e| e.message().contains("\"mlops: another session")) => Ok(Some(MigrateError::Pooled)),
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

/// The server counts characters of the script; a reader counts lines of the file.
fn line_of(error: &tokio_postgres::Error, sql: &str) -> Option<usize> {
    let Some(ErrorPosition::Internal { position, query }) = error.as_db_error()?.position() else { return None };
    let at = usize::try_from(*position).ok()?.checked_sub(1)?;
    // An error inside a function that the script calls counts in that function.
    if query != sql {
        return None;
    }
    (at < sql.chars().count()).then(|| 1 + sql.chars().take(at).filter(|c| *c == '\n').count())
}
