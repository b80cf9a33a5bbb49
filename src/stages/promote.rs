use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::registry::Around;
use super::{Done, Env, Stage, StageType};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status, Table};
use crate::registry::{Gates, Policy, Promote, Refusals, Registry, RegistryError, Request, Settings, Version, Which, compared, promote};

/// Puts the registered version into a stage, if the stage's policy allows it.
///
/// A run for a pull or merge request changes nothing: it says what a promotion would change. What only time or people can
/// change (approvals, soak time, a newer version that stands there already) is a warning; everything else is a failure.
#[derive(Debug, JsonSchema)]
pub(super) struct Promotion {
    #[schemars(skip)]
    promote: Promote,
    #[schemars(skip)]
    policy: Policy,
}

impl StageType for Promotion {
    const NAME: &'static str = "promote";
    const SECTION: &'static str = "registry";
    const NEEDS: &'static [&'static str] = &["register"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let settings: Settings = node.decode(mistakes)?;
        settings.check(node, mistakes);
        let promote = settings.promote.clone()?;
        let policy = settings.policy(promote.to.as_str()).ok()?;
        Some(Self { promote, policy })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Settings::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Promotion {
    fn describe(&self) -> Vec<String> {
        vec![format!("promote the version to {}", self.promote.to)]
    }

    async fn run(&self, env: &Env, earlier: &[StageReport]) -> anyhow::Result<Done> {
        let stage = self.promote.to.to_string();
        let Some(version) = env.facts().registered else {
            let why = "this run has registered no version: there is no section `model`, or its stage did not run";
            return Ok(Done::new(vec![Outcome::new(stage, "promote", Status::Broken, why)], why));
        };
        if self.promote.when == Gates::Clean && earlier.iter().flat_map(|s| &s.outcomes).any(|o| o.status == Status::Warned) {
            let why = "there are warnings, and `promote.when: clean` asks for none";
            return Ok(Done::new(vec![Outcome::new(version.model, "promote", Status::Skipped, why)], why));
        }
        let around = Around::new(&env.project, &env.registry_settings, &env.workspace, &env.vars, &env.ci)?;
        let server = env.registry_with_own_tables().await?;
        let client = server.client().await?;
        let registry = Registry::new(&server, &client);
        let request = Request { stage: stage.clone(), branch: around.actor.branch.clone(), ..Request::default() };
        let preview = env.ci.is_proposal();
        let (_, evidence) = around.evidence(&version).await?;
        let promoted = promote(&registry, &version, &self.policy, &request, evidence, &around.actor, around.has_follower(), preview).await;
        let mut done = match promoted {
            Ok(promoted) => {
                let before = match &promoted.previous {
                    Some(previous) if promoted.new => Some(Which::Number(previous.version).find(&registry, &version.model).await?),
                    _ => None,
                };
                told(&version, &stage, before.as_ref(), promoted.new, preview)
            }
            Err(RegistryError::Refused(refusals)) => refused(&version, &refusals, preview),
            Err(error) => return Err(error.into()),
        };
        if !preview {
            done.outcomes.extend(around.deliver(&registry, &version.model).await?);
        }
        Ok(done)
    }
}

fn told(version: &Version, stage: &str, before: Option<&Version>, new: bool, preview: bool) -> Done {
    let instead = before.map(|b| format!(", instead of version {}", b.version)).unwrap_or_default();
    let message = match (new, preview) {
        (false, _) => format!("version {} stands in {stage} already, nothing to do", version.version),
        (true, true) => format!("version {} would be promoted to {stage}{instead}; a pull or merge request promotes nothing", version.version),
        (true, false) => format!("version {} stands in {stage} now{instead}", version.version),
    };
    let mut done = Done::new(vec![Outcome::new(version.model.clone(), "promote", Status::Passed, message.clone())], message);
    done.table = before.map(|before| {
        let columns = ["", &format!("challenger: version {}", version.version), &format!("in {stage}: version {}", before.version), "change"];
        Table { title: "Challenger and champion".into(), columns: columns.map(str::to_owned).to_vec(), rows: compared(version, before) }
    });
    let previous = before.map(|b| b.version.to_string()).unwrap_or_default();
    if !preview {
        done.outputs = BTreeMap::from([("stage".to_owned(), stage.to_owned()), ("previous-version".to_owned(), previous)]);
    }
    done
}

fn refused(version: &Version, refusals: &Refusals, preview: bool) -> Done {
    let outcome = |refusal: &crate::registry::Refusal| {
        let status = if refusal.reason.may_pass() || preview { Status::Warned } else { Status::Failed };
        Outcome::new(version.model.clone(), format!("promote ({})", refusal.reason.word()), status, refusal.message.clone())
            .with_remedy(refusal.remedy.clone())
    };
    let outcomes: Vec<Outcome> = refusals.0.iter().map(outcome).collect();
    let message = format!("version {} was not promoted: {}", version.version, refusals.0.first().map(|r| r.message.clone()).unwrap_or_default());
    Done::new(outcomes, message)
}
