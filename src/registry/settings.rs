//! The section `registry`: where versions are recorded and kept, and who may ship them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::mistakes::{Mistakes, suggestion};
use crate::names::Slug;
use crate::node::Node;
use crate::secret::Secret;
use crate::units::Span;

/// Where model versions are recorded, and who may ship them.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "settings such as `{url: ${REGISTRY_URL}, promote: {to: staging}}`")]
pub struct Settings {
    /// The registry's own database. Empty: `database.url`, with which it may be gone.
    #[schemars(with = "String")]
    pub url: Secret,
    /// Where artifacts are kept: a remote of `.dvc/config`, a URL (`s3://bucket/models`, a folder), or `mlflow` for the
    /// artifact proxy of `registry.mlflow`.
    pub artifacts: Option<String>,
    /// An MLflow server that is told everything.
    pub mlflow: Option<Mlflow>,
    /// The stages and what each asks for. Without any, every name is a stage and asks for passed gates.
    pub stages: BTreeMap<Slug, Policy>,
    /// What a run does with the version that it has registered.
    pub promote: Option<Promote>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { url: Secret::new(""), artifacts: None, mlflow: None, stages: BTreeMap::new(), promote: None }
    }
}

/// An MLflow server. `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`, or `MLFLOW_TRACKING_TOKEN`, are used when set.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mlflow {
    /// Its address. Empty: nobody is told.
    #[schemars(with = "String")]
    pub uri: Secret,
    /// The experiment that the runs belong to. Default: the project's name.
    pub experiment: Option<String>,
    /// A file with the certificates to trust.
    pub ca: Option<PathBuf>,
    /// How long an answer may take. Default: 30s.
    pub timeout: Option<Span>,
}

/// What a stage asks for before a version may stand in it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "settings such as `{after: staging, approvals: 1}`")]
pub struct Policy {
    /// What the gates must have said. Default: `passed`.
    pub gates: Gates,
    /// The stage in which it must have stood before.
    pub after: Option<Slug>,
    /// For how long it must have stood there.
    pub soak: Option<Span>,
    /// How many people must approve of it; whoever registered it does not count.
    pub approvals: usize,
    /// Whose approval counts. Default: everybody's.
    pub approvers: Vec<String>,
    /// The branches whose runs may promote. Default: all.
    pub branches: Vec<String>,
    /// Whether `--allow` may pass what stands in the way. Default: true.
    pub overrides: Option<bool>,
}

/// What gates must have said of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Gates {
    /// All of them ran and none failed.
    #[default]
    Passed,
    /// All of them ran and none failed or warned.
    Clean,
    /// Whatever they said.
    Any,
}

/// What a run does with the version that it has registered. A run for a pull or merge request only says what it would do.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// The stage.
    pub to: Slug,
    /// Promotes when the gates `passed`, or only when they were `clean` (no warning). Default: `passed`.
    #[serde(default)]
    pub when: Gates,
}

impl Settings {
    /// What each stage asks for; a stage that is not listed is an error where some are.
    pub fn policy(&self, stage: &str) -> Result<Policy, String> {
        let known = self.stages.keys().map(Slug::as_str);
        if self.mlflow().is_some() && is_reserved(stage) {
            return Err(format!("MLflow keeps the alias `{stage}` for itself: give the stage another name"));
        }
        match self.stages.iter().find(|(name, _)| name.as_str() == stage) {
            Some((_, policy)) => Ok(policy.clone()),
            None if self.stages.is_empty() => Slug::parse(stage).map(|_| Policy::default()),
            None => Err(format!("there is no stage `{stage}` in `registry.stages`; {}", suggestion(stage, known, "stages"))),
        }
    }

    /// The MLflow server, where there is one.
    pub fn mlflow(&self) -> Option<&Mlflow> {
        self.mlflow.as_ref().filter(|mlflow| !mlflow.uri.is_empty())
    }

    /// What is wrong in a way that a type cannot say.
    pub fn check(&self, node: &Node, mistakes: &mut Mistakes) {
        if let Some(why) = crate::names::postgres_url_mistake(self.url.expose()) {
            mistakes.add(node.get("url").map_or(node.place, |n| n.place), format!("`registry.url` {why}"));
        }
        let stages = node.get("stages");
        let place = |stage: &str| stages.and_then(|n| n.get(stage)).map_or(node.place, |n| n.place);
        for (name, policy) in &self.stages {
            if let Some(after) = &policy.after {
                if after == name {
                    mistakes.add(place(name.as_str()), format!("the stage `{name}` would come after itself"));
                } else if !self.stages.contains_key(after) {
                    let help = suggestion(after.as_str(), self.stages.keys().map(Slug::as_str), "stages");
                    mistakes.add_with_help(place(name.as_str()), format!("`after: {after}` is no stage of `registry.stages`"), help);
                } else if self.circles(name) {
                    mistakes.add(place(name.as_str()), format!("the stage `{name}` would come after itself, by way of `{after}`"));
                }
            } else if policy.soak.is_some() {
                mistakes.add(place(name.as_str()), "`soak` is the time in the stage before: name it in `after`");
            }
            if !policy.approvers.is_empty() && policy.approvals == 0 {
                mistakes.add(place(name.as_str()), "`approvers` are named, but no `approvals` are asked for");
            }
            if policy.approvals > policy.approvers.len() && !policy.approvers.is_empty() {
                mistakes.add(place(name.as_str()), format!("{} approvals are asked for, of {} approvers", policy.approvals, policy.approvers.len()));
            }
        }
        if self.artifacts.as_deref().and_then(|text| url::Url::parse(text).ok()).is_some_and(|url| url.password().is_some()) {
            let what = "`artifacts` holds a password, which would stand in the registry: credentials come from the environment or from .dvc/config";
            mistakes.add(node.get("artifacts").map_or(node.place, |n| n.place), what);
        }
        if let Some(promote) = &self.promote
            && let Err(why) = self.policy(promote.to.as_str())
        {
            mistakes.add(node.get("promote").map_or(node.place, |n| n.place), why);
        }
        if let Some(mlflow) = self.mlflow() {
            let at = node.get("mlflow").map_or(node.place, |n| n.place);
            let uri = mlflow.uri.expose();
            if (!uri.starts_with("http://") && !uri.starts_with("https://")) || uri.contains(['#', '?']) {
                mistakes.add(at, "`mlflow.uri` is the address of a server, http://… or https://…, without `#` and `?`");
            }
            let mut aliases: BTreeMap<String, &Slug> = BTreeMap::new();
            for stage in self.stages.keys() {
                if is_reserved(stage.as_str()) {
                    mistakes.add(at, format!("MLflow keeps the alias `{stage}` for itself: give the stage another name"));
                }
                if let Some(other) = aliases.insert(alias(stage.as_str()), stage) {
                    mistakes.add(at, format!("the stages `{other}` and `{stage}` would be the same alias to MLflow"));
                }
            }
        } else if self.artifacts.as_deref() == Some("mlflow") && self.mlflow.is_none() {
            mistakes.add(node.get("artifacts").map_or(node.place, |n| n.place), "`artifacts: mlflow` needs `registry.mlflow`");
        }
    }

    fn circles(&self, from: &Slug) -> bool {
        let mut at = from;
        for _ in 0..=self.stages.len() {
            match self.stages.get(at).and_then(|policy| policy.after.as_ref()) {
                Some(after) if after == from => return true,
                Some(after) => at = after,
                None => return false,
            }
        }
        false
    }
}

/// A stage's name as an alias of MLflow's: letters, digits, `-` and `_`.
pub(super) fn alias(stage: &str) -> String {
    stage.replace('.', "-")
}

/// `latest`, `v1`, `v2`, …
fn is_reserved(alias: &str) -> bool {
    let alias = alias.to_lowercase();
    alias == "latest" || alias.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.chars().all(|c| c.is_ascii_digit()))
}
