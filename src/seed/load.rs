//! The loading itself: each group in a transaction of its own, side by side where nothing has to wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_postgres::Transaction;

use super::bad::Origin;
use super::empty::{Full, empties, empty};
use super::order::{Group, Item, groups};
use super::plan::{Action, Known, LOADING, decide};
use super::rejects;
use super::survey::{Survey, digest, may_share};
use super::table::{Filled, Filling};
use super::{Load, Mode, SeedError, Task};
use crate::ports::files::Workspace;
use crate::ports::postgres::{Postgres, guarded};
use crate::units::counted;

#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Bad rows that are left out of every table, where the seed does not allow more.
    pub max_bad_rows: u64,
    /// The folder of reports: bad rows are written below it.
    pub out: String,
    /// Also what was loaded last time: the rows may have changed since.
    pub anew: bool,
}

/// What came of one seed.
#[derive(Debug)]
pub struct Loaded {
    pub target: String,
    pub what: What,
    pub elapsed: Duration,
}

#[derive(Debug)]
pub enum What {
    Rows {
        rows: u64,
        note: String,
        /// What was left out, and the file that holds it.
        bad: Vec<String>,
        rejects: Option<String>,
    },
    /// Nothing had to be done, for the reason given; `bad_rows` were left out by the load that did it.
    Nothing {
        why: &'static str,
        bad_rows: u64,
        allowed: u64,
    },
    Failed(SeedError),
    /// Something that it builds on has failed.
    Skipped(String),
}

/// `mlsee` in ASCII.
const LOCK: i64 = 0x006d_6c73_6565;

/// Loads what changed. An error says that nothing was begun.
pub async fn load(server: &Postgres, workspace: &Workspace, tasks: &[Task], options: &Options) -> Result<Vec<Loaded>, (String, SeedError)> {
    let target = |i: Option<usize>| i.map_or_else(|| "seed".to_owned(), |i| tasks[i].target());
    let everything = |e: SeedError| ("seed".to_owned(), e);
    let mut guard = server.dedicated().await.map_err(|e| everything(e.into()))?;
    // Two runs that load at once would each find the tables empty. The lock goes with the session.
    let locked = guard.execute("select pg_advisory_lock($1)", &[&LOCK]).await;
    locked.map_err(|e| everything(server.error("waiting for another run that is seeding", &e).into()))?;
    let mut survey = Survey::take(&mut guard, server, workspace, tasks).await.map_err(|(i, e)| (target(i), e))?;
    survey.references.extend(made_up_references(tasks, &survey));
    one_name(tasks, &survey).map_err(|(i, e)| (tasks[i].target(), e))?;
    let mut actions = decide(tasks, &survey.known, &survey.references);
    if options.anew {
        actions.iter_mut().filter(|action| **action == Action::Unchanged).for_each(|action| *action = Action::Load);
    }
    let items: Vec<Item> = tasks.iter().zip(&survey.known).zip(&actions).map(|((task, known), action)| item(task, known, *action)).collect();
    let groups = groups(&items, &survey.references).map_err(|circle| everything(in_a_circle(tasks, &survey, &circle)))?;
    let work = Work { server, workspace, tasks, survey: &survey, options };
    let mut results = work.run(&groups).await;
    let _ = guard.execute("select pg_advisory_unlock($1)", &[&LOCK]).await;
    let nothing = |i: usize| match actions[i] {
        Action::NotEmpty => "the table has rows already",
        Action::Load | Action::Unchanged => "unchanged since the last load",
    };
    for (i, task) in tasks.iter().enumerate() {
        if !results.iter().any(|(at, _)| *at == i) {
            let bad_rows = survey.known[i].last.as_ref().and_then(|last| u64::try_from(last.bad_rows).ok()).unwrap_or(0);
            let allowed = task.as_load().map_or(0, |load| load.max_bad_rows).max(options.max_bad_rows);
            let what = What::Nothing { why: nothing(i), bad_rows, allowed };
            results.push((i, Loaded { target: task.target(), what, elapsed: Duration::ZERO }));
        }
    }
    results.sort_by_key(|(i, _)| *i);
    Ok(results.into_iter().map(|(_, loaded)| loaded).collect())
}

fn item(task: &Task, known: &Known, action: Action) -> Item {
    let loads = action == Action::Load;
    Item { table: known.relation, loads, empties: loads && task.as_load().is_some_and(|load| empties(load, known)) }
}

/// What is made up from the values of another table comes after it.
fn made_up_references(tasks: &[Task], survey: &Survey) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (task, known) in tasks.iter().zip(&survey.known) {
        let (Some(load), Some(relation)) = (task.as_load(), known.relation) else { continue };
        let names: BTreeSet<&str> = load.refers_to().filter_map(|from| Some(from.rsplit_once('.')?.0)).collect();
        let parents = tasks.iter().zip(&survey.known).filter(|(t, _)| t.as_load().is_some_and(|l| names.contains(l.table.to_string().as_str())));
        found.extend(parents.filter_map(|(_, parent)| Some((relation, parent.relation?))));
    }
    found
}

/// `t` and `public.t` may be one table, which only one of them can replace.
fn one_name(tasks: &[Task], survey: &Survey) -> Result<(), (usize, SeedError)> {
    for (i, task) in tasks.iter().enumerate() {
        let Some(load) = task.as_load().filter(|load| matches!(load.mode, Mode::Replace | Mode::IfEmpty)) else { continue };
        let earlier = (0..i).find(|at| survey.known[*at].relation == survey.known[i].relation);
        if let Some(earlier) = earlier.and_then(|at| tasks[at].as_load()) {
            let why = format!("{} and {} are one table; further files of it have `mode: append` or `upsert`", earlier.table, load.table);
            return Err((i, SeedError::Wrong(why)));
        }
    }
    Ok(())
}

fn in_a_circle(tasks: &[Task], survey: &Survey, circle: &[u32]) -> SeedError {
    let name = |relation: &u32| {
        let at = survey.known.iter().position(|known| known.relation == Some(*relation));
        at.and_then(|at| tasks[at].as_load()).map(|load| load.table.to_string()).unwrap_or_default()
    };
    let path: Vec<String> = circle.iter().map(name).collect();
    SeedError::Wrong(format!(
        "the tables refer to each other in a circle ({}), so none of them can be loaded first; load one of them in a script, or drop one of the foreign keys",
        path.join(" → ")
    ))
}

struct Work<'a> {
    server: &'a Postgres,
    workspace: &'a Workspace,
    tasks: &'a [Task],
    survey: &'a Survey,
    options: &'a Options,
}

/// The task at which a group stopped, and why.
type Trouble = (usize, SeedError);

impl Work<'_> {
    /// Every group as soon as those before it are done; one that fails takes with it what waits for it, nothing else.
    async fn run(&self, groups: &[Group]) -> Vec<(usize, Loaded)> {
        let mut results = Vec::new();
        let mut waiting: BTreeSet<usize> = (0..groups.len()).collect();
        let mut done: BTreeSet<usize> = BTreeSet::new();
        let mut failed: Vec<(usize, String)> = Vec::new();
        let mut running = FuturesUnordered::new();
        loop {
            let ready: Vec<usize> = waiting.iter().copied().filter(|g| groups[*g].after.iter().all(|before| done.contains(before))).collect();
            for group in ready {
                waiting.remove(&group);
                running.push(async move { (group, Instant::now(), self.group(&groups[group]).await) });
            }
            let Some((group, started, result)) = running.next().await else { break };
            match result {
                Ok(loaded) => {
                    done.insert(group);
                    results.extend(loaded);
                }
                Err((at, error)) => {
                    failed.push((group, self.tasks[at].target()));
                    let with = format!("rolled back with {}", self.tasks[at].target());
                    let others = groups[group].tasks.iter().filter(|task| **task != at);
                    results.extend(others.map(|task| (*task, self.loaded(*task, What::Skipped(with.clone()), started))));
                    results.push((at, self.loaded(at, What::Failed(error), started)));
                }
            }
        }
        for group in waiting {
            // Whatever it was directly or at the end of a chain, the first failure is where to look.
            let because = failed.first().map(|(_, target)| target.clone()).unwrap_or_default();
            results.extend(
                groups[group]
                    .tasks
                    .iter()
                    .map(|task| (*task, self.loaded(*task, What::Skipped(format!("{because} was not loaded")), Instant::now()))),
            );
        }
        results
    }

    fn loaded(&self, task: usize, what: What, started: Instant) -> Loaded {
        Loaded { target: self.tasks[task].target(), what, elapsed: started.elapsed() }
    }

    async fn group(&self, group: &Group) -> Result<Vec<(usize, Loaded)>, Trouble> {
        let first = group.tasks.first().copied().unwrap_or(0);
        if let ([only], Some(load)) = (group.tasks.as_slice(), self.tasks[first].as_load())
            && may_share(load, &self.survey.known[first])
            && let Some(loaded) = self.shared(*only, load).await.map_err(|e| (first, e))?
        {
            return Ok(vec![(*only, loaded)]);
        }
        let at =
            |task: usize, e: tokio_postgres::Error| (task, SeedError::from(self.server.error(&format!("loading {}", self.tasks[task].target()), &e)));
        let mut client = self.server.client().await.map_err(|e| (first, e.into()))?;
        let mut transaction = client.transaction().await.map_err(|e| at(first, e))?;
        let loads = group.tasks.iter().filter_map(|i| Some((self.tasks[*i].as_load()?, &self.survey.known[*i])));
        let full: Vec<Full> = loads.filter(|(load, known)| empties(load, known)).filter_map(|(load, known)| Full::of(load, known)).collect();
        empty(&transaction, self.server, &full, &self.survey.references).await.map_err(|e| (first, e))?;
        let mut loaded = Vec::new();
        for task in &group.tasks {
            let started = Instant::now();
            let what = self.task(&mut transaction, *task).await.map_err(|e| (*task, e))?;
            loaded.push((*task, self.loaded(*task, what, started)));
        }
        transaction.commit().await.map_err(|e| at(*group.tasks.last().unwrap_or(&first), e))?;
        Ok(loaded)
    }

    async fn task(&self, transaction: &mut Transaction<'_>, i: usize) -> Result<What, SeedError> {
        match &self.tasks[i] {
            Task::Script { file } => {
                let sql = self.workspace.read_text(file)?;
                let ran = transaction.batch_execute(&guarded(&sql)).await;
                ran.map_err(|e| self.server.error(&format!("running {file}"), &e))?;
                let digest = self.digest(i).await?;
                self.write(transaction, i, &digest, &Filled::default()).await?;
                Ok(What::Rows { rows: 0, note: format!("ran {file}"), bad: vec![], rejects: None })
            }
            Task::Table(load) => {
                let filling = Filling::begin(transaction, self.server, self.workspace, self.survey, (load, self.options.max_bad_rows)).await?;
                let (filled, recorded) = futures_util::join!(filling.fill(transaction), self.digest(i));
                let (filled, digest) = (filled?, recorded?);
                self.write(transaction, i, &digest, &filled).await?;
                self.what(i, &filled, &filling.origin, "")
            }
        }
    }

    fn what(&self, i: usize, filled: &Filled, origin: &Origin, how: &str) -> Result<What, SeedError> {
        let rejects = rejects::write(self.workspace, &self.options.out, &self.tasks[i].target(), filled, origin)?;
        let bad = filled.bad.iter().take(5).map(|row| row.shown(origin)).collect();
        Ok(What::Rows { rows: filled.rows, note: format!("from {}{how}", self.tasks[i].origin()), bad, rejects })
    }

    /// Several connections at once, each in its own transaction; `None`: one alone has to do it.
    async fn shared(&self, i: usize, load: &Load) -> Result<Option<Loaded>, SeedError> {
        let started = Instant::now();
        let error = |e: tokio_postgres::Error| SeedError::from(self.server.error(&format!("loading {}", load.table), &e));
        let mut clients = Vec::new();
        for _ in 0..load.connections {
            clients.push(self.server.dedicated().await?);
        }
        // Until every part is there, the history says that none is.
        let half = clients[0].transaction().await.map_err(error)?;
        self.write(&half, i, LOADING, &Filled::default()).await?;
        half.commit().await.map_err(error)?;
        let mut transactions = Vec::new();
        for client in &mut clients {
            transactions.push(client.transaction().await.map_err(error)?);
        }
        for transaction in &transactions {
            // The same key twice makes one wait for the other, which waits for the end of both.
            transaction.batch_execute("set local lock_timeout = '10s'; set local array_nulls = on").await.map_err(error)?;
        }
        let filling = Filling::begin(&transactions[0], self.server, self.workspace, self.survey, (load, self.options.max_bad_rows)).await?;
        let all: Vec<&Transaction<'_>> = transactions.iter().collect();
        let (filled, digest) = futures_util::join!(filling.shared(&all), self.digest(i));
        let (Some(filled), digest) = (filled?, digest?) else { return Ok(None) };
        for transaction in &transactions {
            // What is checked at the end is checked before one of them ends.
            if transaction.batch_execute("set constraints all immediate").await.is_err() {
                return Ok(None);
            }
        }
        let last = transactions.pop();
        for transaction in transactions {
            transaction.commit().await.map_err(error)?;
        }
        if let Some(last) = last {
            filling.move_sequences(&last).await?;
            self.write(&last, i, &digest, &filled).await?;
            last.commit().await.map_err(error)?;
        }
        let how = format!(" over {}, each in its own transaction", counted(load.connections as u64, "connection"));
        Ok(Some(self.loaded(i, self.what(i, &filled, &filling.origin, &how)?, started)))
    }

    async fn digest(&self, i: usize) -> Result<String, SeedError> {
        match &self.survey.known[i].digest {
            Some(digest) => Ok(digest.clone()),
            None => {
                let path = self.tasks[i].file().map(|file| self.workspace.path(file)).transpose()?;
                digest(&self.tasks[i], path).await
            }
        }
    }

    async fn write(&self, transaction: &Transaction<'_>, i: usize, digest: &str, filled: &Filled) -> Result<(), SeedError> {
        let sql = "insert into mlops.seed (target, digest, relation, rows, bad_rows) values ($1, $2, $3, $4, $5) on conflict (target) do update \
                   set digest = excluded.digest, relation = excluded.relation, rows = excluded.rows, bad_rows = excluded.bad_rows, \
                   loaded_at = now(), loaded_by = session_user";
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let (rows, bad) = (count(filled.copied + filled.bad.len() as u64), count(filled.bad.len() as u64));
        let written = transaction.execute(sql, &[&self.tasks[i].target(), &digest, &self.survey.known[i].relation, &rows, &bad]).await;
        written.map(drop).map_err(|e| self.server.error("writing the seed history", &e).into())
    }
}
