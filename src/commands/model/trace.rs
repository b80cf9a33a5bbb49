//! `mlops model trace`: the chain from data to deployment.

use serde_json::{Value as Json, json};

use super::show::when;
use super::{Failure, Opened, Outcome, failure, say};
use crate::outcome::exit;
use crate::registry::Story;
use crate::units::counted;

/// Of what.
pub(super) enum Of {
    Version(String),
    Deployment(i64),
    Dataset(String),
    Commit(String),
}

pub(super) async fn trace(opened: &Opened<'_>, of: &Of, mermaid: bool) -> Outcome {
    let registry = opened.registry();
    let (stories, nothing) = match of {
        Of::Version(version) => (vec![Story::of(&registry, opened.version(version).await?).await.map_err(failure)?], String::new()),
        Of::Deployment(id) => (vec![Story::of_deployment(&registry, *id).await.map_err(failure)?], String::new()),
        Of::Dataset(dataset) => {
            (Story::of_dataset(&registry, dataset).await.map_err(failure)?, format!("no version was made from a dataset `{dataset}`"))
        }
        Of::Commit(commit) => (Story::of_commit(&registry, commit).await.map_err(failure)?, format!("no version is of a commit `{commit}`")),
    };
    if stories.is_empty() {
        return Err(Failure::failed(nothing));
    }
    if opened.shell.json() {
        say(&format!("{:#}\n", serde_json::to_value(json!({"stories": stories})).map_err(Failure::broken)?));
    } else if mermaid {
        say("graph LR\n");
        stories.iter().enumerate().for_each(|(at, story)| say(&story.mermaid(at)));
    } else {
        say(&stories.iter().map(words).collect::<Vec<_>>().join("\n"));
    }
    Ok(exit::PASSED)
}

fn words(story: &Story) -> String {
    let v = &story.version;
    let mut lines = vec![v.title()];
    let mut add = |name: &str, text: String| lines.push(format!("  {name:<10} {text}"));
    for data in &v.datasets {
        let rows = data.rows.and_then(|n| u64::try_from(n).ok()).map(|n| format!("{} ", counted(n, "row"))).unwrap_or_default();
        let source = data.source.as_ref().map(|s| format!("of {s} ")).unwrap_or_default();
        let schema = data.schema_revision.as_ref().map(|s| format!("under schema revision {s} ")).unwrap_or_default();
        add("data", format!("{}: {rows}{source}{schema}(md5 {})", data.name, data.md5.as_deref().unwrap_or("unknown")));
    }
    if let Some(database) = &v.database {
        add(
            "database",
            format!("{database}{}", v.schema_digest.as_ref().map(|d| format!(", schema digest {}…", d.get(..12).unwrap_or(d))).unwrap_or_default()),
        );
    }
    if let Some(sha) = &v.git_sha {
        add("code", format!("commit {sha}{}", if v.git_dirty == Some(true) { ", with changes that were not committed" } else { "" }));
    }
    add("gates", format!("{}: {}", v.gates_word(), story.gates()));
    for gate in
        v.gates.as_ref().and_then(Json::as_array).into_iter().flatten().filter(|g| ["warned", "failed", "broken"].iter().any(|w| g["status"] == *w))
    {
        let text = |name: &str| gate[name].as_str().unwrap_or_default();
        add("", format!("{} {} {}: {}", text("status"), text("subject"), text("name"), text("message")));
    }
    if let Some(sha) = &v.artifact_sha256 {
        let kept = v.artifact_uri.as_ref().map_or_else(|| "kept nowhere".to_owned(), |uri| format!("kept as {uri}"));
        add("artifact", format!("{}, sha256 {sha}, {kept}", v.artifact_path.as_deref().unwrap_or("unknown")));
    }
    let run = v.ci_run_url.as_ref().map(|url| format!(" in {url}")).unwrap_or_default();
    add("registered", format!("{} by {}{run}", when(v.created_at), v.actor.as_deref().unwrap_or(&v.created_by)));
    for said in &story.said {
        let verb = if said.approved { "approved" } else { "rejected" };
        let why = said.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        add(verb, format!("for {} by {} on {}{why}", said.stage, said.actor, when(said.given_at)));
    }
    for d in &story.deployments {
        let how = if d.kind == "rollback" { ", by a rollback" } else { "" };
        let why = d.reason.as_ref().map(|r| format!(": {r}")).unwrap_or_default();
        let until = match (d.ended_at, d.status.as_str()) {
            (Some(end), "rolled_back") => format!(" until {}, when it was rolled back", when(end)),
            (Some(end), _) => format!(" until {}", when(end)),
            (None, _) => ", and stands there".to_owned(),
        };
        add("deployed", format!("to {} on {} by {}{how}{until} (deployment {}){why}", d.stage, when(d.started_at), d.actor, d.id));
    }
    for mark in &v.marks {
        add(&mark.kind, format!("on {} by {}: {}", when(mark.set_at), mark.actor, mark.reason));
    }
    if let Some(mlflow) = &v.mlflow {
        add("MLflow", format!("version {} of {}, run {}", mlflow.version, mlflow.name, mlflow.run_id));
    }
    lines.join("\n") + "\n"
}
