//! `mlops model register`: the model as it lies there, with the gates of a report that an earlier job has written.

use std::path::Path;

use super::super::run::{self, Files};
use super::{Failure, Outcome, Shell};
use crate::cli::{RunArgs, StagesArg};
use crate::commands::silent;
use crate::dataset::{Datasets, Store};
use crate::mistakes::Mistakes;
use crate::outcome::RunReport;
use crate::stages::{Env, dataset_of};

pub(super) async fn register(shell: &Shell, name: Option<&str>, report: Option<&Path>) -> Outcome {
    let only = StagesArg { stages: vec!["register".into()] };
    let args = RunArgs { only, report: silent(), ..RunArgs::default() };
    // The reports of the job that has run the gates stay as they are.
    run::run_with(shell, &args, Files::Kept, |loaded, env| {
        let model = loaded.model().ok_or_else(|| Failure::usage("mlops.yml has no section `model`: there is nothing to register"))?;
        if let Some(other) = name.filter(|name| *name != model.name.as_str()) {
            return Err(Failure::usage(format!("mlops.yml says how to register `{}`, not `{other}`", model.name)));
        }
        if let Some(path) = report {
            let report = read(&shell.beside_config(path))?;
            let contents = env.workspace.contents(&model.artifact).map_err(Failure::broken)?;
            fits(env, &report, &contents.sha256())?;
            env.partial = missing(loaded, &report);
            env.judged = Some(report.stages);
        }
        let node = loaded.config.section("datasets");
        let datasets: Datasets = node.and_then(|node| node.decode(&mut Mistakes::default())).unwrap_or_default();
        let store = Store::open(&env.workspace, shell.env.get("HOME").map(String::as_str)).map_err(Failure::broken)?;
        for (name, dataset) in &datasets {
            let version = store.version(dataset).map_err(Failure::broken)?;
            let version =
                version.ok_or_else(|| Failure::usage(format!("the dataset `{name}` has no version yet: `mlops data export` writes one")))?;
            let data = dataset_of(name, &version, dataset);
            env.learn(|facts| {
                facts.database = version.meta.as_ref().map(|meta| meta.database.clone());
                facts.schema_revision = facts.schema_revision.clone().or_else(|| data.schema_revision.clone());
                facts.datasets.insert(name.clone(), data);
            });
        }
        Ok(())
    })
    .await
}

fn read(path: &Path) -> Result<RunReport, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
    serde_json::from_str(&text).map_err(|e| Failure::usage(format!("{}: it is no report of a run: {e}", path.display())))
}

/// Gates of another commit, or of another artifact, say nothing about this one.
fn fits(env: &Env, report: &RunReport, sha256: &str) -> Result<(), Failure> {
    if report.project != env.project {
        return Err(Failure::usage(format!("the report is of the project `{}`, not of `{}`", report.project, env.project)));
    }
    if report.commit != env.ci.commit {
        let word = |commit: &Option<String>| commit.clone().unwrap_or_else(|| "none".into());
        return Err(Failure::usage(format!("the report is of the commit {}, and this is {}", word(&report.commit), word(&env.ci.commit))));
    }
    match &report.artifact {
        Some(theirs) if theirs == sha256 => Ok(()),
        Some(theirs) => Err(Failure::usage(format!("when the gates ran, the artifact was another one: its sha256 was {theirs}, and is {sha256}"))),
        None => Err(Failure::usage("the report does not say which artifact lay there when the gates ran")),
    }
}

/// Gates that the file asks for and the report does not have, or has not all of.
fn missing(loaded: &super::Loaded, report: &RunReport) -> Option<String> {
    let missing: Vec<&str> = loaded.gates().into_iter().filter(|name| !report.stages.iter().any(|s| s.name == *name)).collect();
    match (missing.is_empty(), report.narrowed || report.shard.is_some()) {
        (true, false) => None,
        (true, true) => Some("only some of the data gates ran for the report".into()),
        (false, _) => Some(format!("the report has no {}", missing.join(", "))),
    }
}
