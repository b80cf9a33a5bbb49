use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::checks::{self, Gates, Looked, Selection, Setting, history};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status, Table};
use crate::units::counted;

/// Runs the data gates in one read-only snapshot, merged into as few statements as possible.
#[derive(JsonSchema)]
pub(super) struct Check {
    #[schemars(skip)]
    gates: Gates,
    /// Checks in the file, selected or not.
    #[schemars(skip)]
    all: usize,
}

impl StageType for Check {
    const NAME: &'static str = "check";
    const SECTION: &'static str = "gates.data";
    const NEEDS: &'static [&'static str] = &["connect", "migrate", "seed"];

    fn build(node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let gates = checks::parse(node, file, mistakes);
        Some(Self { all: gates.count(), gates })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        checks::schema(generator)
    }
}

#[async_trait]
impl Stage for Check {
    fn describe(&self) -> Vec<String> {
        let line = |table: &checks::TableGates| {
            let mut kinds: Vec<&str> = table.checks.iter().map(|c| c.kind).collect();
            kinds.dedup();
            format!("{}: {} ({})", table.table, counted(table.checks.len() as u64, "check"), kinds.join(", "))
        };
        self.gates.tables.iter().map(line).collect()
    }

    fn select(&mut self, selection: &Selection) -> Result<(), String> {
        self.gates.select(selection)
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        if self.gates.tables.is_empty() {
            let because = "no table falls into this shard";
            return Ok(Done::new(vec![Outcome::new("data", "shard", Status::Skipped, because)], because));
        }
        let remembered = self.gates.with_history();
        let store = if remembered.is_empty() { None } else { Some(env.registry_with_own_tables().await?) };
        let history = match &store {
            Some(server) => history::load(server, &env.project, &remembered).await?,
            None => BTreeMap::new(),
        };
        let read = |path: &str| env.workspace.read_text(path).map_err(|e| e.to_string());
        let Looked { outcomes, cost, measures, pictures } =
            checks::run(env.database()?, &self.gates, &Setting { pool: env.pool, read: &read, history }).await?;
        if let Some(server) = &store {
            history::record(server, &env.project, &measures, env.ci.run_url.as_deref(), env.ci.commit.as_deref()).await?;
        }
        let selected = self.gates.count();
        let of = if selected < self.all { format!(" of {}", self.all) } else { String::new() };
        let proven = if cost.proven > 0 { format!(", {} proven by the catalog", cost.proven) } else { String::new() };
        let summary = format!(
            "{}{of} on {} in {}, one snapshot{proven}",
            counted(selected as u64, "check"),
            counted(self.gates.tables.len() as u64, "table"),
            counted(cost.statements as u64, "statement")
        );
        let table = Some(self.by_table(&outcomes));
        Ok(Done { table, pictures, ..Done::new(outcomes, summary) })
    }
}

impl Check {
    fn by_table(&self, outcomes: &[Outcome]) -> Table {
        let row = |gates: &checks::TableGates| {
            let name = gates.table.to_string();
            let own = |o: &&Outcome| o.subject.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            let all: Vec<&Outcome> = outcomes.iter().filter(own).collect();
            let count = |status| all.iter().filter(|o| o.status == status).count().to_string();
            let counts = [Status::Passed, Status::Warned, Status::Failed, Status::Broken].map(count);
            let worst = all.iter().filter(|o| o.status != Status::Passed).max_by_key(|o| o.status).map(|o| format!("{} {}", o.subject, o.name));
            std::iter::once(name).chain(counts).chain([worst.unwrap_or_default()]).collect()
        };
        let columns = ["table", "passed", "warned", "failed", "broken", "look at"].map(str::to_owned).to_vec();
        Table { title: "Data".into(), columns, rows: self.gates.tables.iter().map(row).collect() }
    }
}
