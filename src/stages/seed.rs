use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::seed::{Entry, Mode, Task, load};
use crate::units::counted;

/// Loads CSV and Parquet files into tables by COPY, all in one transaction.
///
/// A file whose content and table are the same as last time is not loaded again.
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
            let Task::Table { table, mode, .. } = task else { continue };
            let before = |t: &Task| {
                t.target() == task.target() || matches!(t, Task::Table { table: earlier, .. } if earlier == table && *mode != Mode::Append)
            };
            if tasks[..i].iter().any(before) {
                mistakes.add(node.items()[i].place, format!("{table} is loaded above already; further files of one table have `mode: append`"));
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
            Task::Table { table, file, mode } => format!("load {file} into {table} ({mode:?})").to_lowercase(),
            Task::Script { file } => format!("run {file}"),
        };
        self.tasks.iter().map(line).collect()
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let server = env.database_with_own_tables().await?;
        let loaded = match load(server, &env.workspace, &self.tasks).await {
            Ok(loaded) => loaded,
            Err((subject, error)) => {
                let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
                let message = format!("{error}; nothing was loaded");
                return Ok(Done::new(vec![Outcome::new(subject, "load", status, message)], "rolled back; nothing was loaded"));
            }
        };
        let outcome = |l: &crate::seed::Loaded| {
            let message = match l.rows {
                Some(rows) if rows > 0 => format!("{} {}", counted(rows, "row"), l.note),
                _ => l.note.clone(),
            };
            Outcome::new(&l.target, "load", Status::Passed, message).took(l.elapsed)
        };
        let rows: u64 = loaded.iter().filter_map(|l| l.rows).sum();
        let files = loaded.iter().filter(|l| l.rows.is_some()).count() as u64;
        let summary = match files {
            0 => "unchanged: nothing to load".into(),
            n => format!("{} from {}", counted(rows, "row"), counted(n, "file")),
        };
        Ok(Done::new(loaded.iter().map(outcome).collect(), summary))
    }
}
