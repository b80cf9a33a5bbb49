use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::StageReport;
use crate::quality::{self, Gates, ModelGate};
use crate::units::counted;

/// Measures each model's predictions, and judges every metric and the gap between training and test.
#[derive(JsonSchema)]
pub(super) struct Evaluate {
    #[schemars(skip)]
    gates: Gates,
}

impl StageType for Evaluate {
    const NAME: &'static str = "evaluate";
    const SECTION: &'static str = "gates.model";
    const NEEDS: &'static [&'static str] = &[];
    const DATABASE: bool = false;

    fn build(node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<Self> {
        Some(Self { gates: quality::parse(node, file, mistakes) })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        quality::schema(generator)
    }
}

#[async_trait]
impl Stage for Evaluate {
    fn describe(&self) -> Vec<String> {
        self.gates.models.iter().map(ModelGate::describe).collect()
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let outcomes: Vec<_> = self.gates.models.iter().flat_map(|model| model.evaluate(&env.workspace)).collect();
        let summary = format!("{} of {}", counted(outcomes.len() as u64, "result"), counted(self.gates.models.len() as u64, "model"));
        Ok(Done::new(outcomes, summary))
    }
}
