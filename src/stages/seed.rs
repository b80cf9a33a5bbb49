use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::migrate;
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::seed::{Entry, Loaded, Mode, Options, Task, What, load};
use crate::units::counted;

/// Loads CSV, NDJSON and Parquet files, and rows that are made up, into tables by COPY; and runs scripts.
///
/// Parents come before those that refer to them, tables that have nothing to do with each other side by side. Each table is
/// loaded in one transaction; those that hold rows and refer to each other share one. A file whose content and table are
/// the same as last time is not loaded again.
#[derive(Debug, JsonSchema)]
pub(super) struct Seed {
    #[schemars(skip)]
    tasks: Vec<Task>,
}

/// The section's entries, as far as they make sense.
pub fn tasks(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<Task>> {
    let entries: Vec<Entry> = node.decode(mistakes)?;
    let mut tasks = Vec::new();
    for (entry, node) in entries.iter().zip(node.items()) {
        match entry.task() {
            Ok(task) => tasks.push(task),
            Err(why) => mistakes.add(node.place, why),
        }
    }
    Some(tasks)
}

impl StageType for Seed {
    const NAME: &'static str = "seed";
    const SECTION: &'static str = "seed";
    const NEEDS: &'static [&'static str] = &["connect", "migrate"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let tasks = tasks(node, mistakes)?;
        for (i, task) in tasks.iter().enumerate() {
            let Task::Table(load) = task else { continue };
            let (table, mode) = (&load.table, load.mode);
            let adds = matches!(mode, Mode::Append | Mode::Upsert);
            let before = |t: &Task| t.target() == task.target() || matches!(t, Task::Table(earlier) if earlier.table == *table && !adds);
            if tasks[..i].iter().any(before) {
                let help = format!("{table} is loaded above already; further files of one table have `mode: append` or `upsert`");
                mistakes.add(node.items()[i].place, help);
            }
        }
        Some(Self { tasks })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<Entry>::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Seed {
    fn describe(&self) -> Vec<String> {
        let line = |task: &Task| match task {
            Task::Table(load) => format!("load {} into {} ({})", task.origin(), load.table, load.mode.word()),
            Task::Script { file } => format!("run {file}"),
        };
        self.tasks.iter().map(line).collect()
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let server = env.database_with_own_tables().await?;
        // What scripts make belongs to the schema as it is meant, unless somebody has changed it by hand before.
        let scripts = self.tasks.iter().any(|task| matches!(task, Task::Script { .. }));
        let as_recorded = scripts && migrate::drift(server).await?.is_some_and(|drift| drift.changes.is_empty());
        let options = Options { max_bad_rows: env.max_bad_rows, out: env.out.clone(), anew: false };
        let loaded = match load(server, &env.workspace, &self.tasks, &options).await {
            Ok(loaded) => loaded,
            Err((subject, error)) => {
                let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
                let message = format!("{error}; nothing was loaded");
                return Ok(Done::new(vec![Outcome::new(subject, "load", status, message)], "nothing was loaded"));
            }
        };
        if as_recorded {
            migrate::record_schema(server).await?;
        }
        Ok(told(&loaded))
    }
}

fn told(loaded: &[Loaded]) -> Done {
    let (mut rows, mut files, mut artifacts) = (0, 0, Vec::new());
    let mut outcomes = Vec::new();
    for l in loaded {
        let (status, message, evidence) = match &l.what {
            What::Rows { rows: count, note, bad, rejects } => {
                (rows, files) = (rows + count, files + 1);
                let message = if *count > 0 { format!("{} {note}", counted(*count, "row")) } else { note.clone() };
                artifacts.extend(rejects.clone());
                match rejects {
                    None if bad.is_empty() => (Status::Passed, message, vec![]),
                    None => (Status::Warned, format!("{message}; bad rows were left out"), bad.clone()),
                    Some(file) => (Status::Warned, format!("{message}; bad rows were left out and are in {file}"), bad.clone()),
                }
            }
            What::Nothing { why, bad_rows: 0, .. } => (Status::Passed, (*why).to_owned(), vec![]),
            What::Nothing { why, bad_rows, allowed } => {
                let status = if bad_rows > allowed { Status::Failed } else { Status::Warned };
                (status, format!("{why}, which left {} out", counted(*bad_rows, "bad row")), vec![])
            }
            What::Failed(error) => {
                let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
                (status, format!("{error}; it left no trace"), vec![])
            }
            What::Skipped(why) => (Status::Skipped, why.clone(), vec![]),
        };
        outcomes.push(Outcome::new(&l.target, "load", status, message).took(l.elapsed).with_evidence(evidence));
    }
    let summary = match (files, loaded.iter().any(|l| matches!(l.what, What::Failed(_)))) {
        (0, true) => "nothing was loaded".into(),
        (n, true) => format!("stopped; {} loaded", counted(n, "seed")),
        (0, false) => "unchanged: nothing to load".into(),
        (n, false) => format!("{} from {}", counted(rows, "row"), counted(n, "file")),
    };
    Done { artifacts, ..Done::new(outcomes, summary) }
}
