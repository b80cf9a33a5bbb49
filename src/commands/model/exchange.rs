//! Between this registry and the world: artifacts, other people's tables, `MLflow`.

use serde_json::json;

use super::{Failure, Opened, Outcome, failure, say, tell};
use crate::outcome::{Outcome as Found, Status, exit};
use crate::registry::{self, Local};
use crate::units::counted;

pub(super) async fn fetch(opened: &Opened<'_>, version: &str, to: &str) -> Outcome {
    let (version, around) = (opened.version(version).await?, opened.around()?);
    let path = opened.loaded.workspace.written(to).map_err(|e| Failure::usage(e.to_string()))?;
    if path.exists() {
        return Err(Failure::usage(format!("{to} is there already: name another path")));
    }
    opened.loaded.workspace.folder_of(to).map_err(Failure::broken)?;
    let local = registry::local(&version, &around.homes, &opened.loaded.workspace, &opened.shell.env).await.map_err(failure)?;
    let from = match &local {
        Local::Here(_) => "the workspace".to_owned(),
        Local::Fetched { .. } => version.artifact_uri.clone().unwrap_or_default(),
    };
    put(local.path(), &path).map_err(|e| Failure::broken(format!("{to}: {e}")))?;
    let sha256 = version.artifact_sha256.clone().unwrap_or_default();
    if opened.shell.json() {
        say(&format!("{:#}\n", json!({"version": version.version, "path": to, "from": from, "sha256": sha256})));
    } else {
        say(&format!("{to} is {} (sha256 {sha256}, verified), from {from}\n", version.title()));
    }
    Ok(exit::PASSED)
}

/// Whole or not at all: beside the target, then renamed.
fn put(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    let beside = tempfile::Builder::new().prefix(".mlops-").tempdir_in(to.parent().unwrap_or(to))?;
    let staged = beside.path().join("artifact");
    copy(from, &staged)?;
    std::fs::rename(&staged, to)
}

fn copy(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return std::fs::copy(from, to).map(drop);
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

pub(super) async fn adopt(opened: &Opened<'_>, schema: &str, dry: bool) -> Outcome {
    let around = opened.around()?;
    // The tables may lie in the service's database, and the registry elsewhere.
    let source = opened.loaded.server("adopt from").await?;
    let adopted = registry::adopt(&opened.registry(), &source, schema, &opened.loaded.registry, &opened.loaded.workspace, &around.actor, dry)
        .await
        .map_err(failure)?;
    if opened.shell.json() {
        say(&format!("{:#}\n", serde_json::to_value(&adopted).map_err(Failure::broken)?));
    } else {
        for contradiction in &adopted.contradictions {
            say(&format!("warning: {contradiction}\n"));
        }
        let would = if dry { "would be " } else { "" };
        let (versions, known) = (counted(adopted.versions, "version"), adopted.known);
        let stages = counted(adopted.deployments, "deployment");
        say(&format!("{versions} of {} and {stages} {would}adopted from {schema}; {known} known already\n", counted(adopted.models, "model")));
    }
    // What is not there cannot have been taken over.
    Ok(if adopted.left_out == 0 { exit::PASSED } else { exit::FAILED })
}

pub(super) async fn sync(opened: &Opened<'_>, check: bool, all: bool) -> Outcome {
    let (model, around, registry) = (opened.model()?, opened.around()?, opened.registry());
    let Some(follower) = around.follower() else {
        return Err(Failure::usage("there is no MLflow to tell: set `registry.mlflow.uri`"));
    };
    if check {
        let waiting = registry::waiting(&registry, model).await.map_err(failure)?;
        let differences = registry::check(&registry, model, &follower).await.map_err(failure)?;
        if opened.shell.json() {
            say(&format!("{:#}\n", json!({"waiting": waiting, "differences": differences})));
        } else {
            differences.iter().for_each(|d| say(&format!("failed {}: {}\n", d.what, d.message)));
            if waiting > 0 {
                say(&format!(
                    "{} in the outbox: `mlops model sync` delivers\n",
                    if waiting == 1 { "1 change waits".to_owned() } else { format!("{waiting} changes wait") }
                ));
            } else if differences.is_empty() {
                say(&format!("MLflow says of {model} what the registry says\n"));
            }
        }
        return Ok(if differences.is_empty() && waiting == 0 { exit::PASSED } else { exit::FAILED });
    }
    registry::enqueue(&registry, model, all).await.map_err(failure)?;
    let outcome = around.deliver(&registry, model).await.map_err(failure)?.unwrap_or_else(|| Found::new("mlflow", "deliver", Status::Passed, ""));
    // Here it is what was asked for, not something beside it.
    let code = if outcome.status == Status::Passed { exit::PASSED } else { exit::BROKEN };
    if opened.shell.json() {
        say(&format!("{:#}\n", json!({"outcomes": [outcome]})));
    } else {
        tell::line(&outcome);
    }
    Ok(code)
}
