//! Tables that somebody else has filled: `models`, `model_versions` and `deployments`, as tutorials draw them up. Every row is
//! taken over; where rows contradict each other it is said which.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use tokio_postgres::types::Type;

use super::model::Framework;
use super::policy::Request;
use super::promote::promote;
use super::refusal::Reason;
use super::register::{NewVersion, register};
use super::session::{Actor, Registry, RegistryError};
use super::settings::{Gates, Policy, Settings};
use super::version::Which;
use crate::names::{Slug, TableName};
use crate::ports::files::{Contents, Workspace};
use crate::ports::postgres::Postgres;

/// What was found, and what came of it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Adopted {
    pub models: u64,
    pub versions: u64,
    pub deployments: u64,
    /// Versions that were adopted before.
    pub known: u64,
    /// Rows that could not be taken over.
    pub left_out: u64,
    pub contradictions: Vec<String>,
}

type Row = Map<String, Json>;

/// One of their versions.
struct Theirs {
    model: String,
    label: String,
    /// `public.model_versions id 7`
    from: String,
    id: Option<String>,
    current: Option<bool>,
    row: Row,
}

struct Tables {
    schema: String,
    models: Vec<Row>,
    versions: Option<Vec<Row>>,
    deployments: Option<Vec<Row>>,
}

fn text(row: &Row, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match row.get(*name)? {
        Json::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

const ID: [&str; 1] = ["id"];

/// `public.models id 7`: where a row was found.
fn place(schema: &str, table: &str, row: &Row, at: usize) -> String {
    text(row, &ID).map_or_else(|| format!("{schema}.{table} row {}", at + 1), |id| format!("{schema}.{table} id {id}"))
}

const PATHS: [&str; 7] = ["artifact_path", "model_path", "file_path", "path", "artifact_uri", "storage_path", "location"];
const STAGES: [&str; 4] = ["stage", "environment", "target_environment", "env"];

async fn read(source: &Postgres, schema: &str, table: &str) -> Result<Option<Vec<Row>>, RegistryError> {
    let name = TableName::parse(&format!("{schema}.{table}")).map_err(RegistryError::Unknown)?;
    let client = source.client().await?;
    let failed = |e: tokio_postgres::Error| RegistryError::Server(source.error(&format!("reading {name}"), &e));
    let there = client.query_typed("select to_regclass($1) is not null", &[(&name.quoted(), Type::TEXT)]).await.map_err(failed)?;
    if !there.first().is_some_and(|row| row.get(0)) {
        return Ok(None);
    }
    let rows = client.query_typed(&format!("select to_jsonb(t) from {} t", name.quoted()), &[]).await.map_err(failed)?;
    let unreadable = |e: tokio_postgres::Error| RegistryError::Other(format!("{name} holds a value that JSON cannot: {e}"));
    let mut read = Vec::new();
    for row in rows {
        read.extend(row.try_get::<_, Json>(0).map_err(unreadable)?.as_object().cloned());
    }
    let key = |row: &Row| (text(row, &["created_at", "trained_at", "deployed_at"]).unwrap_or_default(), row.get("id").and_then(Json::as_i64));
    read.sort_by_key(key);
    Ok(Some(read))
}

/// `settings`: the stages that there are. What this registry has promoted itself stays where it is.
pub async fn adopt(
    registry: &Registry<'_>,
    source: &Postgres,
    schema: &str,
    settings: &Settings,
    workspace: &Workspace,
    actor: &Actor,
    dry: bool,
) -> Result<Adopted, RegistryError> {
    let Some(models) = read(source, schema, "models").await? else {
        return Err(RegistryError::Unknown(format!("there is no table {schema}.models in {}", source.endpoint())));
    };
    let tables = Tables {
        schema: schema.to_owned(),
        models,
        versions: read(source, schema, "model_versions").await?,
        deployments: read(source, schema, "deployments").await?,
    };
    let mut adopted = Adopted::default();
    let theirs = tables.theirs(&mut adopted);
    let mut names: Vec<&str> = theirs.iter().map(|t| t.model.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    adopted.models = names.len() as u64;
    contradict(&theirs, &mut adopted.contradictions);
    let mut ours: BTreeMap<usize, i32> = BTreeMap::new();
    for (at, version) in theirs.iter().enumerate() {
        let new = made_from(version, workspace);
        let known = match known(registry, &new).await {
            Ok(None) if dry => false,
            Ok(Some(number)) => {
                ours.insert(at, number);
                true
            }
            Ok(None) => {
                let named = |e: RegistryError| {
                    RegistryError::Other(format!("{}: {e}; what was adopted before it stays: adopt again once it is mended", version.from))
                };
                let author = Actor {
                    name: text(&version.row, &["created_by", "author", "trained_by"]).unwrap_or_else(|| actor.name.clone()),
                    ..Actor::default()
                };
                ours.insert(at, register(registry, &new, &author, false).await.map_err(named)?.version);
                false
            }
            Err(error) => return Err(error),
        };
        if known { adopted.known += 1 } else { adopted.versions += 1 }
    }
    for (at, stage, from) in tables.deployed(&theirs, &mut adopted) {
        let model = &theirs[at].model;
        if let Err(why) = settings.policy(&stage) {
            adopted.leave_out(format!("{from}: {why}"));
            continue;
        }
        if own_promotions(registry, model, &stage).await? {
            adopted.leave_out(format!("{from}: what stands in {stage} of {model} was promoted by this registry, and stays"));
            continue;
        }
        match ours.get(&at) {
            Some(version) if !dry => match replay(registry, model, *version, &stage, &from, actor).await {
                Ok(new) => adopted.deployments += u64::from(new),
                Err(RegistryError::Refused(refusals)) => adopted.leave_out(format!("{from}: {refusals}")),
                Err(error) => return Err(error),
            },
            Some(_) if replayed(registry, model, &from).await? => {}
            _ => adopted.deployments += 1,
        }
    }
    Ok(adopted)
}

impl Adopted {
    fn leave_out(&mut self, what: String) {
        self.contradictions.push(format!("{what}; it was left out"));
        self.left_out += 1;
    }
}

/// The version that was adopted from the same row before.
async fn known(registry: &Registry<'_>, new: &NewVersion) -> Result<Option<i32>, RegistryError> {
    let sql = "select v.version from mlops.model_version v join mlops.model m on m.id = v.model_id where m.name = $1 and v.adopted_from = $2";
    let rows = registry.rows("looking for what was adopted", sql, &[(&new.model, Type::TEXT), (&new.adopted_from, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| row.get(0)))
}

async fn own_promotions(registry: &Registry<'_>, model: &str, stage: &str) -> Result<bool, RegistryError> {
    let sql = "select exists (select from mlops.deployment p join mlops.model m on m.id = p.model_id where m.name = $1 and p.stage = $2 \
               and (p.reason is null or not starts_with(p.reason, 'adopted from ')))";
    let rows = registry.rows("looking for what this registry has promoted", sql, &[(&model, Type::TEXT), (&stage, Type::TEXT)]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

async fn replayed(registry: &Registry<'_>, model: &str, from: &str) -> Result<bool, RegistryError> {
    let reason = format!("adopted from {from}");
    let sql = "select exists (select from mlops.deployment p join mlops.model m on m.id = p.model_id where m.name = $1 and p.reason = $2)";
    let rows = registry.rows("looking for what was adopted", sql, &[(&model, Type::TEXT), (&reason, Type::TEXT)]).await?;
    Ok(rows.first().is_some_and(|row| row.get(0)))
}

/// Their deployment as one of ours, once.
async fn replay(registry: &Registry<'_>, model: &str, version: i32, stage: &str, from: &str, actor: &Actor) -> Result<bool, RegistryError> {
    if replayed(registry, model, from).await? {
        return Ok(false);
    }
    let reason = format!("adopted from {from}");
    let version = Which::Number(version).find(registry, model).await?;
    let policy = Policy { gates: Gates::Any, ..Policy::default() };
    let allow = vec![Reason::OlderThanActive];
    let request = Request { stage: stage.to_owned(), allow, reason: Some(reason), ..Request::default() };
    Ok(promote(registry, &version, &policy, &request, vec![], actor, false, false).await?.new)
}

impl Tables {
    /// Every version they know: rows of `model_versions`, and of `models` those that have none there.
    fn theirs(&self, adopted: &mut Adopted) -> Vec<Theirs> {
        let schema = &self.schema;
        let name_of = |row: &Row| text(row, &["name", "model_name"]);
        let mut theirs: Vec<Theirs> = Vec::new();
        for (at, row) in self.versions.iter().flatten().enumerate() {
            let from = place(schema, "model_versions", row, at);
            let parent = text(row, &["model_id"]).and_then(|wanted| self.models.iter().find(|m| text(m, &ID).as_ref() == Some(&wanted)));
            let Some(name) = parent.and_then(name_of).or_else(|| name_of(row)) else {
                adopted.leave_out(format!("{from} belongs to no model: {schema}.models has no such row"));
                continue;
            };
            match (slug(&name), text(row, &["version", "version_number", "version_name"])) {
                (Some(model), Some(label)) => {
                    let current = row.get("is_current").and_then(Json::as_bool);
                    theirs.push(Theirs { model, label, from, id: text(row, &ID), current, row: row.clone() });
                }
                (None, _) => adopted.leave_out(format!("{from}: `{name}` can be no name of a model here")),
                (_, None) => adopted.leave_out(format!("{from} has no version")),
            }
        }
        let mut spelled: BTreeMap<String, String> = BTreeMap::new();
        for (at, row) in self.models.iter().enumerate() {
            let from = place(schema, "models", row, at);
            let Some(name) = name_of(row) else {
                adopted.leave_out(format!("{from} has no name"));
                continue;
            };
            let Some(model) = slug(&name) else {
                adopted.leave_out(format!("{from}: `{name}` can be no name of a model here"));
                continue;
            };
            let before = spelled.entry(model.clone()).or_insert_with(|| name.clone());
            if *before != name {
                adopted.contradictions.push(format!("`{before}` and `{name}` are both called {model} here: their versions are in one model"));
            }
            let has_children = theirs.iter().any(|t| t.model == model);
            let Some(label) = text(row, &["version"]) else {
                if !has_children {
                    adopted.leave_out(format!("{from} has no version"));
                }
                continue;
            };
            // The same version in both tables is one.
            if theirs.iter().any(|t| t.from.contains(".model_versions ") && t.model == model && t.label == label && *before == name) {
                continue;
            }
            if self.versions.as_ref().is_some_and(|versions| !versions.is_empty()) {
                adopted
                    .contradictions
                    .push(format!("{from} says that {model} has a version {label}, of which {schema}.model_versions knows nothing"));
            }
            theirs.push(Theirs { model, label, from, id: None, current: row.get("is_current").and_then(Json::as_bool), row: row.clone() });
        }
        theirs
    }

    /// What stands in their stages, in order: which version, in which stage, from which row.
    fn deployed(&self, theirs: &[Theirs], adopted: &mut Adopted) -> Vec<(usize, String, String)> {
        let schema = &self.schema;
        let rows = self.deployments.as_deref().unwrap_or_default();
        let stage_of = |row: &Row| text(row, &STAGES).and_then(|stage| slug(&stage));
        let (mut all, mut without_stage, mut over) = (Vec::new(), 0, 0);
        let mut active_in: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            let from = place(schema, "deployments", row, at);
            let Some(version) = self.deployed_version(row, theirs) else {
                adopted.leave_out(format!("{from} deploys a version that is nowhere"));
                continue;
            };
            let status = text(row, &["status"]);
            let standing = ["active", "deployed", "current", "live", "success", "succeeded", "running"];
            if status.as_ref().is_some_and(|status| !standing.contains(&status.to_lowercase().as_str())) {
                over += 1;
                continue;
            }
            without_stage += u64::from(stage_of(row).is_none());
            let stage = stage_of(row).unwrap_or_else(|| "production".into());
            if status.is_some() {
                *active_in.entry((theirs[version].model.clone(), stage.clone())).or_default() += 1;
            }
            all.push((version, stage, from));
        }
        if over > 0 {
            adopted.contradictions.push(format!(
                "{over} rows of {schema}.deployments are over (failed, retired, rolled back …): they stand nowhere, and were left out"
            ));
        }
        if without_stage > 0 {
            adopted.contradictions.push(format!("{without_stage} rows of {schema}.deployments name no stage: taken as production"));
        }
        for ((model, stage), n) in active_in.into_iter().filter(|(_, n)| *n > 1) {
            adopted.contradictions.push(format!("{n} deployments of {model} are active in {stage} at once; the last one stands"));
        }
        for (at, version) in theirs.iter().enumerate().filter(|(_, v)| v.current == Some(true)) {
            let last = all.iter().rfind(|(other, ..)| theirs[*other].model == version.model);
            if let Some((last, _, from)) = last.filter(|(last, ..)| *last != at) {
                adopted.contradictions.push(format!(
                    "version {} of {} is current ({}), and version {} was deployed last ({from})",
                    version.label, version.model, version.from, theirs[*last].label
                ));
            }
        }
        all
    }

    fn deployed_version(&self, row: &Row, theirs: &[Theirs]) -> Option<usize> {
        if let Some(id) = text(row, &["model_version_id", "version_id"]) {
            return theirs.iter().position(|t| t.id.as_ref() == Some(&id));
        }
        let label = text(row, &["version", "model_version"]);
        let wanted = text(row, &["model_id"]);
        let named = text(row, &["model_name", "name"]).and_then(|n| slug(&n));
        let parent = wanted.and_then(|id| self.models.iter().find(|m| text(m, &ID).as_ref() == Some(&id)));
        let model = named.or_else(|| parent.and_then(|m| text(m, &["name"])).and_then(|n| slug(&n)))?;
        // A row of `models` is a version too.
        let label = label.or_else(|| parent.and_then(|m| text(m, &["version"])))?;
        theirs.iter().rposition(|t| t.model == model && t.label == label)
    }
}

fn contradict(theirs: &[Theirs], contradictions: &mut Vec<String>) {
    let mut by_model: BTreeMap<&str, Vec<&Theirs>> = BTreeMap::new();
    for version in theirs {
        by_model.entry(&version.model).or_default().push(version);
    }
    for (model, versions) in by_model {
        let mut labels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        versions.iter().for_each(|v| labels.entry(&v.label).or_default().push(&v.from));
        for (label, rows) in labels.iter().filter(|(_, rows)| rows.len() > 1) {
            contradictions.push(format!("version {label} of {model} is there {} times: {}", rows.len(), rows.join(", ")));
        }
        if versions.iter().all(|v| v.current.is_none()) {
            continue;
        }
        let current: Vec<&&Theirs> = versions.iter().filter(|v| v.current == Some(true)).collect();
        match current.as_slice() {
            [] => contradictions.push(format!("no version of {model} is current")),
            [one] if versions.last().is_some_and(|last| last.from != one.from) => {
                contradictions.push(format!("version {} of {model} is current, and a newer one is not ({})", one.label, one.from));
            }
            [_] => {}
            several => {
                let rows: Vec<String> = several.iter().map(|v| format!("{} ({})", v.label, v.from)).collect();
                contradictions.push(format!("{} versions of {model} are current at once: {}", rows.len(), rows.join(", ")));
            }
        }
    }
}

fn made_from(version: &Theirs, workspace: &Workspace) -> NewVersion {
    let path = text(&version.row, &PATHS);
    let contents = path.as_ref().and_then(|path| workspace.contents(path).ok());
    let metrics: Map<String, Json> = version.row.get("metrics").and_then(Json::as_object).cloned().unwrap_or_else(|| {
        let known = ["accuracy", "f1", "f1_score", "precision", "recall", "roc_auc", "auc", "rmse", "mae", "loss"];
        version.row.iter().filter(|(name, value)| known.contains(&name.as_str()) && value.is_number()).map(|(n, v)| (n.clone(), v.clone())).collect()
    });
    NewVersion {
        model: version.model.clone(),
        label: version.label.clone(),
        description: text(&version.row, &["description"]),
        artifact_sha256: contents.as_ref().map(Contents::sha256),
        artifact_bytes: contents.as_ref().map(Contents::bytes),
        artifact_files: match &contents {
            Some(Contents::Folder(files)) => Some(files.clone()),
            _ => None,
        },
        framework: path.as_ref().filter(|_| contents.is_some()).map_or(Framework::Other, |path| Framework::of(&[path])).word().to_owned(),
        artifact_path: path,
        artifact_uri: None,
        signature: None,
        params: version.row.get("parameters").or_else(|| version.row.get("params")).filter(|p| p.is_object()).cloned().unwrap_or_else(|| json!({})),
        datasets: vec![],
        schema_revision: None,
        schema_digest: None,
        database: None,
        git_sha: text(&version.row, &["git_sha", "git_commit", "commit_sha"]),
        git_dirty: None,
        metrics: Json::Object(metrics.into_iter().filter(|(_, v)| v.is_number()).collect()),
        gates: json!([]),
        gates_passed: None,
        adopted_from: Some(version.from.clone()),
    }
}

/// What a name may not hold becomes `-`.
fn slug(text: &str) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let slug: String = text.trim().chars().map(|c| if fits(c) { c } else { '-' }).collect();
    let slug = slug.trim_start_matches(['.', '_', '-']).to_owned();
    Slug::parse(&slug).ok().map(|slug| slug.to_string())
}
