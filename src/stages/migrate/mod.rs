//! The stage, its settings, and the gate in front of it.

mod gate;
mod report;

pub use self::gate::{Around, Gate};
pub use self::report::{failure, outcomes};

use std::collections::BTreeMap;

use anyhow::Context;
use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Done, Env, Stage, StageType};
use crate::migrate::lint::{Policy, rule_names};
use crate::migrate::{Folder, Goal, Options, Source, Vars, is_migration, is_name, migrate, only_undoes, parse};
use crate::mistakes::{Mistakes, suggestion};
use crate::names::RelPath;
use crate::node::{Node, Value};
use crate::outcome::{Outcome, StageReport, Status};
use crate::ports::files::Workspace;
use crate::units::{Span, counted};

/// Applies the pending migrations of a folder, in order, each in one transaction with its history row.
///
/// One run migrates a database at a time. An edited, missing or out-of-order migration is refused. A statement that may
/// not run in a transaction says so with `-- mlops: no-transaction` in its file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Migrate {
    /// The folder with `0001_name.up.sql` and `.down.sql`, or `0001_name.sql` with `-- migrate:up` and `-- migrate:down`;
    /// `R__name.sql` is applied again whenever it changes. The names and markers of golang-migrate, sqlx, dbmate, goose
    /// and Flyway are understood.
    pub dir: RelPath,
    /// What `${name}` stands for in the files.
    #[serde(default)]
    pub vars: BTreeMap<String, String>,
    /// How long a statement may wait for a table's lock.
    #[serde(default = "five_seconds")]
    pub lock_timeout: Span,
    /// How long a statement may take; else `database.statement_timeout`. Concurrent index builds take what they need.
    pub statement_timeout: Option<Span>,
    /// How often a migration is tried again that did not get a lock in time, or met a deadlock.
    #[serde(default = "five")]
    pub retries: usize,
    /// How long to wait for another run that is migrating.
    #[serde(default = "five_minutes")]
    pub wait: Span,
    /// Whether a version below the last one may still be applied.
    #[serde(default)]
    pub out_of_order: bool,
    /// How much the findings about new migrations weigh.
    #[serde(default)]
    pub lint: Lint,
    /// Up, down and up again on a scratch database before anything is applied: the schemas must be equal, and seeded
    /// rows must survive.
    #[serde(default)]
    pub round_trip: bool,
}

/// How much the findings about new migrations weigh. Words are rules or classes: destructive, locking, compatibility,
/// transaction, contract, undo, style.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lint {
    /// What stops the run; by default destructive, locking, transaction and contract. A finding about a table that is
    /// new or empty is a note, one about locks on a small table a warning.
    pub fail: Option<Vec<String>>,
    /// What is a warning; by default compatibility and undo.
    pub warn: Option<Vec<String>>,
    /// What is not looked at.
    #[serde(default)]
    pub off: Vec<String>,
    /// Version: rules that are all right in it.
    #[serde(default)]
    pub allow: BTreeMap<String, Vec<String>>,
    /// From how many rows on a table is large.
    pub large_rows: Option<u64>,
    /// Tables that are large in production, however small they are here.
    #[serde(default)]
    pub large_tables: Vec<String>,
}

impl Lint {
    fn policy(&self) -> Policy {
        let base = Policy::default();
        Policy {
            fail: self.fail.clone().unwrap_or(base.fail),
            warn: self.warn.clone().unwrap_or(base.warn),
            off: self.off.clone(),
            allow: self.allow.clone(),
            large_rows: self.large_rows.unwrap_or(base.large_rows),
            large_tables: self.large_tables.clone(),
        }
    }

    fn check(node: &Node, mistakes: &mut Mistakes) {
        let known = rule_names();
        let mut words = |list: Option<&Node>| {
            for item in list.map(|list| list.items()).unwrap_or_default() {
                if let Value::Text(word) = &item.value
                    && !known.contains(&word.text)
                {
                    let help = suggestion(&word.text, known.iter().map(String::as_str), "rules");
                    mistakes.add_with_help(item.place, format!("unknown rule `{}`", word.text), help);
                }
            }
        };
        ["fail", "warn", "off"].into_iter().for_each(|key| words(node.get(key)));
        node.get("allow").map(Node::entries).unwrap_or_default().iter().for_each(|(_, list)| words(Some(list)));
    }
}

fn five_seconds() -> Span {
    Span::seconds(5)
}

fn five_minutes() -> Span {
    Span::seconds(300)
}

fn five() -> usize {
    5
}

impl StageType for Migrate {
    const NAME: &'static str = "migrate";
    const SECTION: &'static str = "migrate";
    const NEEDS: &'static [&'static str] = &["connect"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let stage: Self = node.decode(mistakes)?;
        let place = |name: &str| node.get("vars").and_then(|vars| vars.get(name)).map_or(node.place, |value| value.place);
        for (name, value) in &stage.vars {
            if !is_name(name) {
                mistakes.add(place(name), format!("`{name}` is no name for a variable: letters, digits and `_`"));
            } else if value.contains('\n') {
                mistakes.add(place(name), format!("the variable `{name}` has more than one line"));
            }
        }
        if let Some(node) = node.get("lint") {
            Lint::check(node, mistakes);
        }
        Some(stage)
    }
}

impl Migrate {
    pub fn options(&self, run: Option<String>) -> Options {
        Options {
            lock_timeout: self.lock_timeout.0,
            statement_timeout: self.statement_timeout.map(|s| s.0),
            retries: self.retries,
            wait: self.wait.0,
            out_of_order: self.out_of_order,
            run,
        }
    }

    /// The folder's migrations, or every mistake in it.
    pub fn load(&self, workspace: &Workspace) -> anyhow::Result<Result<Folder, Vec<String>>> {
        self.load_some(workspace, is_migration)
    }

    /// Without the files that only undo.
    pub fn load_up(&self, workspace: &Workspace) -> anyhow::Result<Result<Folder, Vec<String>>> {
        self.load_some(workspace, |file| is_migration(file) && !only_undoes(file))
    }

    fn load_some(&self, workspace: &Workspace, wanted: impl Fn(&str) -> bool) -> anyhow::Result<Result<Folder, Vec<String>>> {
        let files = workspace.read_folder(&self.dir, wanted).context("reading migrate.dir")?;
        Ok(parse(&files, &Vars(self.vars.clone())))
    }
}

#[async_trait]
impl Stage for Migrate {
    fn describe(&self) -> Vec<String> {
        let mut lines = vec![format!("lint the pending migrations of {}", self.dir)];
        if self.round_trip {
            lines.push("try them on a scratch database: up, down, up".into());
        }
        lines.push("apply them".into());
        lines
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let folder = match self.load(&env.workspace)? {
            Ok(folder) if folder.is_empty() => anyhow::bail!("{}: there is no migration in this folder", self.dir),
            Ok(folder) => folder,
            Err(mistakes) => {
                let failed = |m: String| Outcome::new(&*self.dir, "files", Status::Failed, format!("{}/{m}", self.dir));
                return Ok(Done::new(mistakes.into_iter().map(failed).collect(), "the files are wrong; nothing was applied"));
            }
        };
        let (server, options) = (env.database()?, self.options(env.ci.run_url.clone()));
        let gate = Gate { section: self, folder: &folder, options: &options, workspace: &env.workspace, around: &env.around };
        let (mut found, table) = gate.examine(server).await?;
        if matches!(StageReport::worst(&found), Status::Failed | Status::Broken) {
            return Ok(Done { table, ..Done::new(found, "the new migrations do not pass; nothing was applied") });
        }
        let run = migrate(server, Source::App, &folder, &Goal::Up, &options).await;
        env.learn(|facts| facts.schema_revision.clone_from(&run.head));
        let applied = run.done.len() as u64;
        let applied_now = outcomes(&run, &self.dir, &env.workspace);
        let summary = match (run.troubles.is_empty(), applied) {
            (false, 0) => "stopped; nothing was applied".into(),
            (false, n) => format!("stopped after {}", counted(n, "migration")),
            (true, 0) => format!("up to date: {} applied before, nothing to do", counted(run.before as u64, "migration")),
            (true, n) => format!("{} applied", counted(n, "migration")),
        };
        if applied_now.is_empty() {
            found.push(Outcome::new(&*self.dir, "apply", Status::Passed, summary.clone()));
        }
        found.extend(applied_now);
        Ok(Done { table, ..Done::new(found, summary) })
    }
}
