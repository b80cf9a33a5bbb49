use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value as Json, json};

use super::registry::{Around, dirty};
use super::{Done, Env, Stage, StageType, Target};
use crate::migrate;
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::picture::{Line, Picture, Shape};
use crate::ports::ci::Host;
use crate::ports::files::Contents;
use crate::quality;
use crate::registry::{Framework, Model, NewVersion, Registered, Registry, Version, Which, list, register, signature};

/// Records the model as a version in the registry: its artifact, the exact data, the schema, the code and every gate.
///
/// The artifact is kept in `registry.artifacts`. Registering the same thing twice changes nothing.
#[derive(Debug, JsonSchema)]
pub(super) struct Register {
    #[schemars(skip)]
    model: Model,
}

/// The stages whose outcomes are a version's gates.
const GATES: [&str; 4] = ["check", "vitals", "evaluate", "endpoint"];

impl StageType for Register {
    const NAME: &'static str = "register";
    const SECTION: &'static str = "model";
    const NEEDS: &'static [&'static str] = &["connect", "migrate", "seed", "check", "vitals", "snapshot", "evaluate", "endpoint"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let model: Model = node.decode(mistakes)?;
        if let Some(why) = model.mistake() {
            mistakes.add(node.get("version").map_or(node.place, |n| n.place), why);
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
        let model = &self.model;
        let contents = env.workspace.contents(&model.artifact).context("reading model.artifact")?;
        let around = Around::new(&env.project, &env.registry_settings, &env.workspace, &env.vars, &env.ci)?;
        let mut new = match version(env, model, &contents).await? {
            Ok(new) => new,
            Err(why) => {
                let outcome = Outcome::new(model.name.to_string(), "signature", Status::Failed, why);
                return Ok(Done::new(vec![outcome], "what the model takes does not fit; nothing was registered"));
            }
        };
        new.git_sha.clone_from(&around.actor.git_sha);
        let judged = env.judged.as_deref().unwrap_or(earlier);
        (new.metrics, new.gates) = (metrics(judged), gates(judged));
        new.gates_passed = passed(&new.gates, env.partial.as_deref());
        if let Some(home) = around.home() {
            // Before the registry tells of it: an address in it leads somewhere.
            new.artifact_uri = Some(home.keep(&contents, &env.workspace.path(&model.artifact)?).await?);
        }
        let server = env.registry_with_own_tables().await?;
        let client = server.client().await?;
        let registry = Registry::new(&server, &client);
        let registered = register(&registry, &new, &around.actor, around.has_follower()).await?;
        let version = Which::Number(registered.version).find(&registry, model.name.as_str()).await?;
        let mut outcomes = vec![self.told(env, &new, registered).took(started.elapsed())];
        let message = outcomes[0].message.clone();
        outcomes.extend(around.deliver(&registry, model.name.as_str()).await?);
        let mut done = Done::new(outcomes, message);
        done.pictures = history(list(&registry, model.name.as_str(), VERSIONS).await?).into_iter().collect();
        done.outputs = BTreeMap::from([("model-version".to_owned(), registered.version.to_string())]);
        env.learn(|facts| facts.registered = Some(version));
        Ok(done)
    }
}

/// Versions in a picture, and metrics.
const VERSIONS: i64 = 20;
const METRICS: usize = 4;

/// The metrics of this version beside those of the versions before it; of one version there is no history.
fn history(mut versions: Vec<Version>) -> Option<Picture> {
    versions.sort_by_key(|version| version.version);
    let metrics = &versions.last()?.metrics;
    let names: Vec<String> = versions.iter().map(|v| v.version.to_string()).collect();
    let line = |name: &String| Line { name: name.clone(), values: versions.iter().map(|v| v.metrics.get(name).copied().flatten()).collect() };
    // What lies between 0 and 1 shares an axis.
    // Not how far it lies from a baseline or a champion.
    let known = quality::catalogue();
    let is_metric = |name: &str| name.split_once('.').is_some_and(|(_, own)| known.entries.iter().any(|metric| metric.name == own));
    let shares = metrics.iter().filter(|(name, value)| is_metric(name) && value.is_some_and(|v| (0.0..=1.0).contains(&v))).map(|(name, _)| name);
    let lines: Vec<Line> = shares.take(METRICS).map(line).collect();
    if names.len() < 2 || lines.is_empty() {
        return None;
    }
    let last = |line: &Line| {
        let values: Vec<String> = line.values.iter().flatten().rev().take(2).map(|v| format!("{v:.4}")).collect();
        format!("{} {}", line.name, values.join(" after "))
    };
    let about = format!("Metrics of the last {} versions: {}", names.len(), lines.iter().map(last).collect::<Vec<_>>().join(", "));
    Some(Picture { title: "History".into(), about, shape: Shape::Series { x: "version".into(), y: "value".into(), names, lines } })
}

impl Register {
    fn told(&self, env: &Env, new: &NewVersion, registered: Registered) -> Outcome {
        let model = &self.model;
        let mut message = if registered.new {
            format!("registered {} as version {} ({})", model.name, registered.version, model.version)
        } else {
            format!("{} is registered already as version {} ({}), nothing to do", model.name, registered.version, model.version)
        };
        let own = env.registry.is_some();
        match &env.target {
            Target::Throwaway(_) if !own => message.push_str("; the registry is gone with the throwaway server: set `registry.url` to keep it"),
            Target::Server(_) if !own && env.ci.host != Host::Local => {
                message.push_str("; the registry lives in the job's own database and ends with it: set `registry.url` to keep it");
            }
            _ => {}
        }
        if new.gates_passed.is_none() && registered.new {
            let why = env.partial.as_deref().unwrap_or("no gate ran");
            message.push_str(&format!("; its gates count as not evaluated: {why}"));
        }
        let size = indicatif::HumanBytes(new.artifact_bytes.unwrap_or_default());
        let kept = new.artifact_uri.as_ref().map_or_else(|| "kept nowhere: set `registry.artifacts`".to_owned(), |uri| format!("kept as {uri}"));
        let evidence = [format!("{} ({size}) sha256 {}, {kept}", model.artifact, new.artifact_sha256.as_deref().unwrap_or_default())];
        Outcome::new(model.name.to_string(), "register", Status::Passed, message).with_evidence(evidence)
    }
}

/// What is known before the gates; `Err` says what does not fit together.
async fn version(env: &Env, model: &Model, contents: &Contents) -> anyhow::Result<Result<NewVersion, String>> {
    let facts = env.facts();
    let paths: Vec<&str> = match contents {
        Contents::File(_) => vec![&model.artifact],
        Contents::Folder(files) => files.iter().map(|f| f.path.as_str()).collect(),
    };
    let framework = model.framework.unwrap_or_else(|| Framework::of(&paths));
    let pointers = facts.outs.values().map(|out| format!("{}.dvc", out.trim_end_matches('/')));
    let written: Vec<String> = facts.outs.values().cloned().chain(pointers).chain([env.out.clone()]).collect();
    let datasets: Vec<_> = facts.datasets.into_values().collect();
    let signature = match signature(model, framework, contents, &datasets, &env.workspace) {
        Ok(signature) => signature,
        Err(why) => return Ok(Err(why)),
    };
    let schema_digest = match env.database() {
        Ok(server) => migrate::recorded_digest(server).await?,
        Err(_) => None,
    };
    Ok(Ok(NewVersion {
        model: model.name.to_string(),
        label: model.version.clone(),
        description: model.description.clone(),
        artifact_path: Some(model.artifact.to_string()),
        artifact_sha256: Some(contents.sha256()),
        artifact_bytes: Some(contents.bytes()),
        artifact_uri: None,
        artifact_files: match contents {
            Contents::File(_) => None,
            Contents::Folder(files) => Some(files.clone()),
        },
        framework: framework.word().to_owned(),
        signature,
        params: serde_json::to_value(&model.params)?,
        datasets,
        schema_revision: facts.schema_revision,
        schema_digest,
        database: facts.database,
        git_sha: None,
        git_dirty: dirty(&env.workspace, &written),
        metrics: Json::Null,
        gates: Json::Null,
        gates_passed: None,
        adopted_from: None,
    }))
}

fn metrics(earlier: &[StageReport]) -> Json {
    let outcomes = earlier.iter().filter(|stage| stage.name == "evaluate").flat_map(|stage| &stage.outcomes);
    let numbers = outcomes.filter_map(|o| Some((format!("{}.{}", o.subject, o.name), json!(o.measure.as_ref()?.value))));
    Json::Object(numbers.collect::<Map<_, _>>())
}

fn gates(earlier: &[StageReport]) -> Json {
    let gated = earlier.iter().filter(|stage| GATES.contains(&stage.name.as_str()));
    let outcomes = gated.flat_map(|stage| stage.outcomes.iter().map(|o| (&stage.name, o)));
    let row = |(stage, o): (&String, &Outcome)| json!({"stage": stage, "subject": o.subject, "name": o.name, "status": o.status, "message": o.message, "measure": o.measure});
    outcomes.map(row).collect()
}

/// Nothing evaluated, or not everything, is not passed.
fn passed(gates: &Json, partial: Option<&str>) -> Option<bool> {
    let statuses: Vec<&str> = gates.as_array().into_iter().flatten().filter_map(|gate| gate["status"].as_str()).collect();
    let evaluated = statuses.iter().any(|status| ["passed", "warned"].contains(status));
    let failed = statuses.iter().any(|status| ["failed", "broken"].contains(status));
    if failed { Some(false) } else { Some(true).filter(|_| evaluated && partial.is_none()) }
}
