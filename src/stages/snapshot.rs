use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::{Done, Env, Stage, StageType};
use crate::dataset::{Datasets, Written, write_all};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::units::counted;

/// Writes each dataset's rows to a Parquet file, with its sha256 beside it.
///
/// With `order_by` the same rows give the same bytes.
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

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let (mut outcomes, mut artifacts, mut changed) = (Vec::new(), Vec::new(), 0);
        for (name, result) in write_all(env.database()?, &env.workspace, &self.datasets).await? {
            let ordered = self.datasets.get(&name).is_some_and(|d| d.order_by.is_some());
            outcomes.push(match result {
                Ok(written) => {
                    changed += u64::from(written.changed);
                    artifacts.push(written.out.clone());
                    env.learn(|facts| drop(facts.datasets.insert(name.clone(), written.sha256.clone())));
                    outcome(&name, &written, ordered)
                }
                Err(error) => {
                    let status = if error.is_verdict() { Status::Failed } else { Status::Broken };
                    Outcome::new(&name, "export", status, error.to_string())
                }
            });
        }
        let all = counted(self.datasets.len() as u64, "dataset");
        let summary = if changed == 0 { format!("{all}, unchanged") } else { format!("{all}, {changed} written anew") };
        Ok(Done { artifacts, ..Done::new(outcomes, summary) })
    }
}

fn outcome(name: &str, written: &Written, ordered: bool) -> Outcome {
    let change = if written.changed { "" } else { ", unchanged" };
    let size = indicatif::HumanBytes(written.bytes as u64);
    let message = format!(
        "{} × {} in {} ({size}, sha256 {}…{change})",
        counted(written.rows as u64, "row"),
        counted(written.columns as u64, "column"),
        written.out,
        &written.sha256[..12]
    );
    let mut notes = vec![format!("sha256 {}", written.sha256)];
    if !ordered {
        notes.push("without `order_by` the order of rows, and so the digest, may change from run to run".into());
    }
    if !written.as_text.is_empty() {
        notes.push(format!("kept as text: {}", written.as_text.join(", ")));
    }
    Outcome::new(name, "export", Status::Passed, message).with_evidence(notes)
}
