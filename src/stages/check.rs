use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::checks::{self, Gates};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::StageReport;
use crate::units::counted;

/// Runs the data gates in one read-only snapshot, merged into as few statements as possible.
#[derive(JsonSchema)]
pub(super) struct Check {
    #[schemars(skip)]
    gates: Gates,
}

impl StageType for Check {
    const NAME: &'static str = "check";
    const SECTION: &'static str = "gates.data";
    const NEEDS: &'static [&'static str] = &["connect", "migrate", "seed"];

    fn build(node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<Self> {
        Some(Self { gates: checks::parse(node, file, mistakes) })
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

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let (outcomes, cost) = checks::run(env.database()?, &self.gates).await?;
        let summary = format!(
            "{} on {} in {}, one snapshot",
            counted(outcomes.len() as u64, "check"),
            counted(self.gates.tables.len() as u64, "table"),
            counted(cost.statements as u64, "statement")
        );
        Ok(Done::new(outcomes, summary))
    }
}
