use anyhow::Context;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Env, Stage, StageType};
use crate::migrate::{MigrateError, Migration, Options, Run, Source, parse, up};
use crate::mistakes::Mistakes;
use crate::names::RelPath;
use crate::node::Node;
use crate::outcome::{Location, Outcome, StageReport, Status};
use crate::ports::files::Workspace;
use crate::units::{Span, counted};

/// Applies the pending migrations of a folder, in order, each in one transaction with its history row.
///
/// One run migrates a database at a time. An edited, missing or out-of-order migration is refused.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// The folder with `0001_name.up.sql` and `.down.sql`, or `0001_name.sql` with `-- migrate:up` and `-- migrate:down`.
    pub dir: RelPath,
    /// How long a statement may wait for a table's lock.
    #[serde(default = "five_seconds")]
    pub lock_timeout: Span,
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

impl StageType for Migrate {
    const NAME: &'static str = "migrate";
    const SECTION: &'static str = "migrate";
    const NEEDS: &'static [&'static str] = &["connect"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        node.decode(mistakes)
    }
}

impl Migrate {
    pub fn options(&self) -> Options {
        Options { lock_timeout: self.lock_timeout.0, ..Options::default() }
    }

    /// The folder's migrations, or every mistake in it.
    pub fn load(&self, workspace: &Workspace) -> anyhow::Result<Result<Vec<Migration>, Vec<String>>> {
        let names = workspace.list(&self.dir).context("reading migrate.dir")?;
        let mut files = Vec::new();
        for name in names.into_iter().filter(|name| name.to_lowercase().ends_with(".sql")) {
            let text = workspace.read_text(&format!("{}/{name}", self.dir))?;
            files.push((name, text));
        }
        Ok(parse(&files))
    }
}

/// A run of migrations as outcomes: what was done, then what stopped it.
pub fn outcomes(run: &Run, dir: &str, workspace: &Workspace, verb: &str) -> Vec<Outcome> {
    let done = run.done.iter().map(|applied| {
        Outcome::new(&applied.id, verb, Status::Passed, format!("{}/{}", dir, applied.file)).took(applied.elapsed).at(Some(Location {
            file: workspace.shown(&format!("{dir}/{}", applied.file)),
            line: 1,
            column: 1,
        }))
    });
    done.chain(run.trouble.as_ref().map(|trouble| failure(trouble, dir, workspace, verb))).collect()
}

fn failure(trouble: &MigrateError, dir: &str, workspace: &Workspace, verb: &str) -> Outcome {
    let status = if trouble.is_verdict() { Status::Failed } else { Status::Broken };
    let (subject, file, line) = match trouble {
        MigrateError::Rejected { version, file, line, .. } => (version.clone(), Some(file), *line),
        MigrateError::Edited { file, .. } | MigrateError::OutOfOrder { file, .. } | MigrateError::NoDown { file } => (file.clone(), Some(file), None),
        MigrateError::Gone { version, .. } => (version.clone(), None, None),
        MigrateError::Locked { .. } | MigrateError::Server(_) => ("migrate".into(), None, None),
    };
    let location = file.map(|file| Location { file: workspace.shown(&format!("{dir}/{file}")), line: line.unwrap_or(1), column: 1 });
    let place = location.as_ref().filter(|_| line.is_some()).map(|l| format!("{}:{}: ", l.file, l.line)).unwrap_or_default();
    Outcome::new(subject, verb, status, format!("{place}{trouble}")).at(location)
}

#[async_trait]
impl Stage for Migrate {
    fn describe(&self) -> Vec<String> {
        vec![format!("apply the pending migrations of {}", self.dir)]
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let migrations = match self.load(&env.workspace)? {
            Ok(migrations) if migrations.is_empty() => anyhow::bail!("{}: there is no migration in this folder", self.dir),
            Ok(migrations) => migrations,
            Err(mistakes) => {
                let failed = |m: String| Outcome::new(&*self.dir, "files", Status::Failed, format!("{}/{m}", self.dir));
                return Ok(Done::new(mistakes.into_iter().map(failed).collect(), "the files are wrong; nothing was applied"));
            }
        };
        let run = up(env.database()?, Source::App, &migrations, self.options()).await;
        env.learn(|facts| facts.schema_revision.clone_from(&run.head));
        let applied = run.done.len() as u64;
        let mut found = outcomes(&run, &self.dir, &env.workspace, "apply");
        let summary = match (&run.trouble, applied) {
            (Some(_), 0) => "stopped; nothing was applied".into(),
            (Some(_), n) => format!("stopped after {}", counted(n, "migration")),
            (None, 0) => format!("up to date: {} applied before, nothing to do", counted(run.before as u64, "migration")),
            (None, n) => format!("{} applied", counted(n, "migration")),
        };
        if found.is_empty() {
            found.push(Outcome::new(&*self.dir, "apply", Status::Passed, summary.clone()));
        }
        Ok(Done::new(found, summary))
    }
}
