use std::collections::BTreeMap;
use std::num::NonZero;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::lineage::Lineage;
use super::{Done, Env, Stage, StageType};
use crate::dataset::{Context, Dataset, DatasetError, Datasets, Meta, Pointed, Store, Version, Written, write_all};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status, Table};
use crate::ports::objects::Objects;
use crate::registry::Data;
use crate::units::{count, counted};

/// Writes each dataset's rows as a version: the file, and beside it the pointer that DVC reads.
///
/// With `order_by` the same rows give the same bytes; the digest of the content in the pointer does not depend on an
/// order. Where there is a repository of DVC, the version is in its cache too, and with `remote` it is pushed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Snapshot {
    datasets: Datasets,
}

impl StageType for Snapshot {
    const NAME: &'static str = "snapshot";
    const SECTION: &'static str = "datasets";
    const NEEDS: &'static [&'static str] = &["connect", "migrate", "seed", "check"];

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let datasets: Datasets = node.decode(mistakes)?;
        for (key, _) in node.entries() {
            if let Some(why) = datasets.get(&key.name).and_then(|d| d.mistake()) {
                mistakes.add(key.place, format!("dataset `{}`: {why}", key.name));
            }
        }
        let mut outs: Vec<&str> = datasets.values().map(|d| &*d.out).collect();
        outs.sort_unstable();
        for pair in outs.windows(2).filter(|pair| pair[0] == pair[1]) {
            mistakes.add(node.place, format!("two datasets write {}", pair[0]));
        }
        Some(Self { datasets })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Datasets::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Snapshot {
    fn describe(&self) -> Vec<String> {
        self.datasets.iter().map(|(name, d)| format!("{name}: {} to {}", d.source(), d.out)).collect()
    }

    async fn run(&self, env: &Env, earlier: &[StageReport]) -> anyhow::Result<Done> {
        let store = Store::open(&env.workspace, env.vars.get("HOME").map(String::as_str))?;
        let context = Context {
            store: &store,
            connections: connections(env.pool),
            schema_revision: env.facts().schema_revision,
            now: env.now.clone(),
            watch: &*env.watch,
        };
        let mut lineage = Lineage::begin(env, &self.datasets).await?;
        let before = self.versions(&store);
        let (mut outcomes, mut artifacts, mut changed, mut rows) = (Vec::new(), Vec::new(), 0, Vec::new());
        for (name, result) in write_all(env.database()?, &self.datasets, &context).await? {
            let written = match result {
                Ok(written) => written,
                Err(error) => {
                    outcomes.push(failed(&name, "export", &error));
                    lineage.failed(&name, &error).await;
                    continue;
                }
            };
            changed += u64::from(written.changed);
            artifacts.extend([written.out.clone(), written.pointer.clone()]);
            env.learn(|facts| {
                facts.database = Some(written.meta.database.clone());
                facts.datasets.insert(name.clone(), data(&name, &written, self.datasets.get(&name)));
                facts.outs.insert(name.clone(), written.out.clone());
            });
            rows.push(difference(&name, before.get(&name), &written));
            outcomes.push(told(&name, &written));
            lineage.written(&name, &written, earlier).await;
            if let Some(remote) = self.datasets.get(&name).and_then(|d| d.remote.as_deref()).filter(|_| !env.workspace.is_dry()) {
                outcomes.push(push(&store, &name, &written.version, Some(remote), &env.vars).await);
            }
        }
        let (files, said) = lineage.end()?;
        artifacts.extend(files);
        outcomes.extend(said);
        let all = counted(self.datasets.len() as u64, "dataset");
        let summary = if changed == 0 { format!("{all}, unchanged") } else { format!("{all}, {changed} written anew") };
        let columns = ["dataset", "rows before", "rows now", "content", "columns"].map(str::to_owned).to_vec();
        let table = (!rows.is_empty()).then(|| Table { title: "Datasets".into(), columns, rows });
        Ok(Done { artifacts, table, ..Done::new(outcomes, summary) })
    }
}

impl Snapshot {
    /// What the pointers say before they are written anew. One that cannot be read is told of by the one who writes it.
    fn versions(&self, store: &Store<'_>) -> BTreeMap<String, Meta> {
        let meta = |dataset| store.version(dataset).ok().flatten().and_then(|version| version.meta);
        self.datasets.iter().filter_map(|(name, dataset)| Some((name.clone(), meta(dataset)?))).collect()
    }
}

/// For whoever reviews the change: `mlops data diff` says more.
fn difference(name: &str, before: Option<&Meta>, written: &Written) -> Vec<String> {
    let now = &written.meta;
    let names = |meta: &Meta| meta.columns.iter().map(|c| format!("{} {}", c.name, c.kind)).collect::<Vec<_>>();
    let (content, columns) = match before {
        None => ("first version".to_owned(), counted(now.columns.len() as u64, "column")),
        Some(before) => {
            let (old, new) = (names(before), names(now));
            let changes = new
                .iter()
                .filter(|c| !old.contains(c))
                .map(|c| format!("+{c}"))
                .chain(old.iter().filter(|c| !new.contains(c)).map(|c| format!("-{c}")));
            let changes = changes.collect::<Vec<_>>().join(", ");
            (
                if before.content == now.content { "the same" } else { "changed" }.to_owned(),
                if changes.is_empty() { "the same".into() } else { changes },
            )
        }
    };
    let rows = before.map(|b| count(b.rows)).unwrap_or_default();
    vec![name.to_owned(), rows, count(now.rows), content, columns]
}

/// What the registry keeps of it.
fn data(name: &str, written: &Written, dataset: Option<&Dataset>) -> Data {
    let meta = &written.meta;
    Data {
        name: name.to_owned(),
        content: meta.content.clone(),
        md5: Some(written.md5.clone()),
        rows: i64::try_from(meta.rows).ok(),
        columns: serde_json::to_value(&meta.columns).ok(),
        source: Some(meta.source.clone()),
        remote: dataset.and_then(|d| d.remote.clone()),
        schema_revision: meta.schema_revision.clone(),
    }
}

/// The same of a version by its pointer.
pub fn dataset_of(name: &str, version: &Version, dataset: &Dataset) -> Data {
    let meta = version.meta.as_ref();
    Data {
        name: name.to_owned(),
        content: meta.map_or_else(|| version.pointed.md5().to_owned(), |m| m.content.clone()),
        md5: Some(version.pointed.md5().to_owned()),
        rows: meta.and_then(|m| i64::try_from(m.rows).ok()),
        columns: meta.and_then(|m| serde_json::to_value(&m.columns).ok()),
        source: meta.map(|m| m.source.clone()),
        remote: dataset.remote.clone(),
        schema_revision: meta.and_then(|m| m.schema_revision.clone()),
    }
}

/// More readers than processors would only take turns.
pub fn connections(pool: usize) -> usize {
    pool.min(std::thread::available_parallelism().map_or(1, NonZero::get))
}

/// Sends a version where it is kept.
pub async fn push(store: &Store<'_>, name: &str, version: &Pointed, remote: Option<&str>, vars: &BTreeMap<String, String>) -> Outcome {
    match sent(store, version, remote, vars).await {
        Ok(message) => Outcome::new(name, "push", Status::Passed, message),
        Err(error) => failed(name, "push", &error),
    }
}

async fn sent(store: &Store<'_>, version: &Pointed, remote: Option<&str>, vars: &BTreeMap<String, String>) -> Result<String, DatasetError> {
    if !version.may_be_pushed() {
        return Ok("its pointer says `push: false`: it stays here".into());
    }
    let objects = Objects::open(&store.remote(remote)?, vars)?;
    Ok(match store.send(version, &objects).await? {
        0 => format!("{} has it already", objects.url()),
        n => format!("{} sent to {}", counted(n as u64, "object"), objects.url()),
    })
}

pub fn failed(name: &str, what: &str, error: &DatasetError) -> Outcome {
    let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
    Outcome::new(name, what, status, error.to_string())
}

pub fn told(name: &str, written: &Written) -> Outcome {
    let change = if written.changed { "" } else { ", unchanged" };
    let size = indicatif::HumanBytes(written.bytes);
    let message = format!(
        "{} × {} in {} ({size}, md5 {}…{change})",
        counted(written.meta.rows, "row"),
        counted(written.meta.columns.len() as u64, "column"),
        written.out,
        &written.md5[..12]
    );
    let digests = format!("md5 {}, content {}", written.md5, written.meta.content);
    Outcome::new(name, "export", Status::Passed, message).with_evidence(std::iter::once(digests).chain(written.notes.iter().cloned()))
}
