//! What the stages and the verbs that work with the registry share: who acts, where artifacts are, whom `MLflow` hears from.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;

use crate::dataset::Store;
use crate::outcome::{Outcome, Status};
use crate::ports::ci::Ci;
use crate::ports::files::Workspace;
use crate::ports::git::Git;
use crate::ports::mlflow::Mlflow;
use crate::ports::objects::{Objects, Place};
use crate::registry::{Actor, Delivery, Follower, Home, Homes, Kept, Reason, Refusal, Registry, RegistryError, Settings, Version, deliver, look};
use crate::units::counted;

/// Everything around a registry but its database.
pub struct Around<'a> {
    pub project: &'a str,
    pub settings: &'a Settings,
    pub workspace: &'a Workspace,
    pub vars: &'a BTreeMap<String, String>,
    pub actor: Actor,
    pub mlflow: Option<Mlflow>,
    pub homes: Homes,
}

impl<'a> Around<'a> {
    pub fn new(
        project: &'a str,
        settings: &'a Settings,
        workspace: &'a Workspace,
        vars: &'a BTreeMap<String, String>,
        ci: &Ci,
    ) -> anyhow::Result<Self> {
        let mlflow = mlflow(settings, workspace, vars)?;
        let keeper = home(settings, workspace, vars)?;
        let before = self::mlflow(settings, workspace, vars)?.map(Home::Mlflow);
        Ok(Self { project, settings, workspace, vars, actor: actor(ci, workspace), mlflow, homes: Homes { keeper, before } })
    }

    /// Where new artifacts are kept.
    pub fn home(&self) -> Option<&Home> {
        self.homes.keeper.as_ref()
    }

    /// Whether `MLflow` has to be told.
    pub fn has_follower(&self) -> bool {
        self.mlflow.is_some()
    }

    /// Whoever is told, and by which means.
    pub fn follower(&self) -> Option<Follower<'_>> {
        let experiment = self.settings.mlflow().and_then(|m| m.experiment.as_deref()).filter(|name| !name.trim().is_empty());
        self.mlflow.as_ref().map(|mlflow| Follower {
            mlflow,
            experiment: experiment.unwrap_or(self.project),
            project: self.project,
            homes: &self.homes,
            workspace: self.workspace,
            env: self.vars,
        })
    }

    /// What stands in the way as far as the artifact goes; `Err` where it could not be looked at.
    pub async fn evidence(&self, version: &Version) -> Result<(Kept, Vec<Refusal>), RegistryError> {
        let kept = look(version, &self.homes, self.workspace, self.vars).await?;
        let refusals = kept.refusal(version).into_iter().collect();
        Ok((kept, refusals))
    }

    /// Data of a version that its remote has no more, and what could not be looked for.
    pub async fn data_of(&self, version: &Version) -> anyhow::Result<(Vec<Refusal>, Vec<String>)> {
        let (mut refusals, mut notes) = (Vec::new(), Vec::new());
        for data in &version.datasets {
            let (Some(md5), Some(remote)) = (&data.md5, &data.remote) else {
                notes.push(format!("the data `{}` of {} was not looked for: it is in no remote", data.name, version.title()));
                continue;
            };
            let store = Store::open(self.workspace, self.vars.get("HOME").map(String::as_str))?;
            let objects = Objects::open(&store.remote(Some(remote))?, self.vars)?;
            let object = format!("files/md5/{}/{}", md5.get(..2).unwrap_or_default(), md5.get(2..).unwrap_or_default());
            if objects.size(&object).await?.is_none() {
                let what = format!("the data `{}` of {} is gone: {remote} has no {object}", data.name, version.title());
                refusals.push(Refusal::new(Reason::DataMissing, what));
            }
        }
        Ok((refusals, notes))
    }

    /// Tells `MLflow` what waits; what it cannot be told now waits on, and fails nothing.
    pub async fn deliver(&self, registry: &Registry<'_>, model: &str) -> Result<Option<Outcome>, RegistryError> {
        let Some(follower) = self.follower() else { return Ok(None) };
        let delivery = deliver(registry, model, &follower).await?;
        Ok(Some(told(&delivery, follower.mlflow)))
    }
}

fn told(delivery: &Delivery, mlflow: &Mlflow) -> Outcome {
    let outcome = |status, message| Outcome::new("mlflow", "deliver", status, message);
    let told = format!("{} told to {}", counted(delivery.done, "change"), mlflow.url());
    let later = Some("the next run, or `mlops model sync`, delivers what waits".to_owned());
    match (&delivery.why, delivery.refused.as_slice(), delivery.done) {
        (Some(why), _, _) => {
            let waiting = if delivery.waiting == 1 { "1 waits".to_owned() } else { format!("{} wait", delivery.waiting) };
            outcome(Status::Warned, format!("{}, {waiting} in the outbox: {why}", told_so_far(delivery.done))).with_remedy(later)
        }
        (None, [], 0) => outcome(Status::Passed, format!("{} knows everything already", mlflow.url())),
        (None, [], _) => outcome(Status::Passed, told),
        (None, refused, _) => {
            let message = format!("{told}, {} not: {}", refused.len(), refused.join("; "));
            outcome(Status::Warned, message).with_remedy(Some("once that is mended, `mlops model sync` tries again".into()))
        }
    }
}

fn told_so_far(n: u64) -> String {
    if n == 1 { "1 change told".into() } else { format!("{n} changes told") }
}

pub fn mlflow(settings: &Settings, workspace: &Workspace, vars: &BTreeMap<String, String>) -> anyhow::Result<Option<Mlflow>> {
    let Some(mlflow) = settings.mlflow() else { return Ok(None) };
    let timeout = mlflow.timeout.map_or(Duration::from_secs(30), |span| span.0);
    let ca = mlflow.ca.as_ref().map(|ca| workspace.path_of_folder().join(ca));
    Mlflow::new(mlflow.uri.expose(), ca.as_deref(), timeout, vars).map(Some).map_err(|why| anyhow!("registry.mlflow: {why}"))
}

fn home(settings: &Settings, workspace: &Workspace, vars: &BTreeMap<String, String>) -> anyhow::Result<Option<Home>> {
    // A dry run keeps nothing.
    let Some(name) = settings.artifacts.as_deref().filter(|name| !name.is_empty() && !workspace.is_dry()) else { return Ok(None) };
    if name == "mlflow" {
        return Ok(mlflow(settings, workspace, vars)?.map(Home::Mlflow));
    }
    let place = if name.contains('/') {
        Place { url: name.to_owned(), settings: BTreeMap::new() }
    } else {
        Store::open(workspace, vars.get("HOME").map(String::as_str))?
            .remote(Some(name))
            .map_err(|e| anyhow!("registry.artifacts: {e}; for a folder write `./{name}`"))?
    };
    Ok(Some(Home::at(place, workspace, vars)?))
}

/// Who acts: what CI says, and at a machine what git says.
fn actor(ci: &Ci, workspace: &Workspace) -> Actor {
    let git = Git::at(&workspace.path_of_folder());
    Actor {
        name: ci.actor.clone().or_else(user).unwrap_or_else(|| "unknown".into()),
        run_url: ci.run_url.clone(),
        git_sha: ci.commit.clone().or_else(|| git.commit("HEAD").ok()),
        attempt: ci.attempt,
        branch: ci.branch.clone().or_else(|| git.branch()),
    }
}

/// Whoever the process belongs to.
fn user() -> Option<String> {
    nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok().flatten().map(|user| user.name)
}

/// Whether what git keeps differs from the commit, what the run itself has written aside.
pub fn dirty(workspace: &Workspace, written: &[String]) -> Option<bool> {
    Git::at(&workspace.path_of_folder()).is_dirty(written)
}
