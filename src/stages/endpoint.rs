use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::{Done, Env, Stage, StageType};
use crate::endpoint::{Endpoints, evaluate};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::StageReport;
use crate::units::counted;

/// Asks models that answer over HTTP: whether they are well, keep their contract, say what the offline model says, and how
/// long they take under a steady load.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Endpoint {
    endpoints: Endpoints,
}

impl StageType for Endpoint {
    const NAME: &'static str = "endpoint";
    const SECTION: &'static str = "gates.endpoint";
    const NEEDS: &'static [&'static str] = &[];
    const DATABASE: bool = false;

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let endpoints: Endpoints = node.decode(mistakes)?;
        for (key, node) in node.entries() {
            if let Some(why) = endpoints.get(&key.name).and_then(|e| e.mistake()) {
                mistakes.add(node.place, format!("endpoint `{}`: {why}", key.name));
            }
        }
        Some(Self { endpoints })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Endpoints::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Endpoint {
    fn describe(&self) -> Vec<String> {
        let line = |(name, e): (&String, &crate::endpoint::Endpoint)| {
            let parts = [e.health.as_ref().map(|h| &h.path), e.predict.as_ref().map(|p| &p.path)];
            format!("{name}: {}", parts.into_iter().flatten().cloned().collect::<Vec<_>>().join(", "))
        };
        self.endpoints.iter().map(line).collect()
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let mut outcomes = Vec::new();
        for (name, endpoint) in &self.endpoints {
            outcomes.extend(evaluate(name, endpoint, &env.workspace).await);
        }
        let summary = format!("{} of {}", counted(outcomes.len() as u64, "result"), counted(self.endpoints.len() as u64, "endpoint"));
        Ok(Done::new(outcomes, summary))
    }
}
