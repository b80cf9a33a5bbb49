use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::StageReport;
use crate::units::counted;
use crate::vitals;

/// Looks at the database server itself: how fast it answers, how many connections are taken, and which statements are slow.
#[derive(JsonSchema)]
pub(super) struct Vitals {
    #[schemars(skip)]
    vitals: vitals::Vitals,
}

impl StageType for Vitals {
    const NAME: &'static str = "vitals";
    const SECTION: &'static str = "gates.database";
    const NEEDS: &'static [&'static str] = &["connect"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let vitals: vitals::Vitals = node.decode(mistakes)?;
        if let Some(why) = vitals.mistake() {
            mistakes.add(node.place, format!("gates.database: {why}"));
        }
        Some(Self { vitals })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        vitals::Vitals::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Vitals {
    fn describe(&self) -> Vec<String> {
        self.vitals.describe()
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let outcomes = self.vitals.evaluate(env.database()?).await?;
        let summary = counted(outcomes.len() as u64, "result");
        Ok(Done::new(outcomes, summary))
    }
}
