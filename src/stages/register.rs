use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::{Done, Env, Stage, StageType, Target};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::registry::{Model, NewVersion, register};

/// Records the model as a version in the registry: its artifact, the exact data, the schema, the code and every gate.
///
/// Registering the same thing twice changes nothing.
#[derive(Debug, JsonSchema)]
pub(super) struct Register {
    #[schemars(skip)]
    model: Model,
}

impl StageType for Register {
    const NAME: &'static str = "register";
    const SECTION: &'static str = "model";
    const NEEDS: &'static [&'static str] = &["connect", "migrate", "seed", "check", "vitals", "snapshot", "evaluate", "endpoint"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let model: Model = node.decode(mistakes)?;
        if model.version.trim().is_empty() {
            mistakes.add(node.get("version").map_or(node.place, |n| n.place), "`model.version` is empty");
        }
        Some(Self { model })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Model::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Register {
    fn describe(&self) -> Vec<String> {
        vec![format!("register {} ({}) with {}", self.model.name, self.model.version, self.model.artifact)]
    }

    async fn run(&self, env: &Env, earlier: &[StageReport]) -> anyhow::Result<Done> {
        let started = Instant::now();
        let (artifact_sha256, artifact_bytes) = env.workspace.digest(&self.model.artifact).context("reading model.artifact")?;
        let facts = env.facts();
        let new = NewVersion {
            artifact_sha256,
            artifact_bytes,
            datasets: facts.datasets,
            schema_revision: facts.schema_revision,
            git_sha: env.ci.commit.clone(),
            ci_run_url: env.ci.run_url.clone(),
            metrics: metrics(earlier),
            gates: gates(earlier),
        };
        let server = env.registry_with_own_tables().await?;
        let mut client = server.client().await?;
        let doing = |e: tokio_postgres::Error| server.error("registering the model", &e);
        let transaction = client.transaction().await.map_err(doing)?;
        let registered = register(&transaction, &self.model, &new).await.map_err(doing)?;
        transaction.commit().await.map_err(doing)?;
        let model = &self.model;
        env.learn(|facts| facts.registered = Some((model.name.to_string(), registered.version.to_string())));
        let mut message = if registered.new {
            format!("registered {} as version {} ({})", model.name, registered.version, model.version)
        } else {
            format!("{} is registered already as version {} ({}), nothing to do", model.name, registered.version, model.version)
        };
        if env.registry.is_none() && matches!(env.target, Target::Throwaway(_)) {
            message.push_str("; the registry is gone with the throwaway server: set `registry.url` to keep it");
        }
        let size = indicatif::HumanBytes(new.artifact_bytes);
        let evidence = [format!("{} ({size}) sha256 {}", model.artifact, new.artifact_sha256)];
        let outcome = Outcome::new(model.name.to_string(), "register", Status::Passed, message.clone()).with_evidence(evidence);
        Ok(Done::new(vec![outcome.took(started.elapsed())], message))
    }
}

fn metrics(earlier: &[StageReport]) -> Json {
    let outcomes = earlier.iter().filter(|stage| stage.name == "evaluate").flat_map(|stage| &stage.outcomes);
    let numbers = outcomes.filter_map(|o| Some((format!("{}.{}", o.subject, o.name), json!(o.measure.as_ref()?.value))));
    Json::Object(numbers.collect::<Map<_, _>>())
}

fn gates(earlier: &[StageReport]) -> Json {
    let gated = earlier.iter().filter(|stage| ["check", "evaluate"].contains(&stage.name.as_str()));
    let outcomes = gated.flat_map(|stage| stage.outcomes.iter().map(|o| (&stage.name, o)));
    let row =
        |(stage, o): (&String, &Outcome)| json!({"stage": stage, "subject": o.subject, "name": o.name, "status": o.status, "message": o.message});
    outcomes.map(row).collect()
}
