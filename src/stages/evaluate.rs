use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::registry::Around;
use super::{Done, Env, Stage, StageType};
use crate::dataset;
use crate::mistakes::Mistakes;
use crate::names::RelPath;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Table};
use crate::quality::{self, Artifact, Batches, Gates, ModelGate, Place, QualityError, Server, digits};
use crate::registry::{self, Registry, RegistryError, Which};
use crate::units::counted;

/// Measures each model's predictions, and judges every metric and the gap between training and test.
#[derive(JsonSchema)]
pub(super) struct Evaluate {
    #[schemars(skip)]
    gates: Gates,
}

impl StageType for Evaluate {
    const NAME: &'static str = "evaluate";
    const SECTION: &'static str = "gates.model";
    const NEEDS: &'static [&'static str] = &[];
    const DATABASE: bool = false;

    fn build(node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<Self> {
        Some(Self { gates: quality::parse(node, file, mistakes) })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        quality::schema(generator)
    }
}

#[async_trait]
impl Stage for Evaluate {
    fn describe(&self) -> Vec<String> {
        self.gates.models.iter().map(ModelGate::describe).collect()
    }

    fn reads_database(&self) -> bool {
        self.gates.models.iter().any(ModelGate::needs_database)
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let (mut outcomes, mut pictures) = (Vec::new(), Vec::new());
        for model in &self.gates.models {
            let found = model.evaluate(&env.workspace, &Rows(env)).await;
            outcomes.extend(found.outcomes);
            pictures.extend(found.pictures);
        }
        let table = Some(measures(&outcomes)).filter(|table| !table.rows.is_empty());
        let summary = format!("{} of {}", counted(outcomes.len() as u64, "result"), counted(self.gates.models.len() as u64, "model"));
        Ok(Done { table, pictures, ..Done::new(outcomes, summary) })
    }
}

/// Every number that a gate has looked at, beside what it must be.
fn measures(outcomes: &[Outcome]) -> Table {
    let row = |o: &Outcome| {
        let measure = o.measure.as_ref()?;
        let value = measure.value.map_or_else(|| "not defined".to_owned(), |v| if v.fract() == 0.0 { v.to_string() } else { digits(v) });
        Some(vec![o.subject.clone(), o.name.clone(), value, measure.expected.clone(), o.status.word().to_owned()])
    };
    let columns = ["model", "gate", "value", "bound", "result"].map(str::to_owned).to_vec();
    Table { title: "Models".into(), columns, rows: outcomes.iter().filter_map(row).collect() }
}

/// Rows of the database, by the way of datasets.
struct Rows<'a>(&'a Env);

#[async_trait]
impl Server for Rows<'_> {
    async fn batches(&self, place: &Place<'_>, columns: &[&str]) -> Result<Batches, QualityError> {
        let wrong = |why: String| QualityError::Wrong(why);
        let server = self.0.database().map_err(|e| wrong(e.to_string()))?;
        let from = match place {
            Place::Table(table) => {
                let client = server.client().await.map_err(|e| wrong(e.to_string()))?;
                let found = client.query_one("select to_regclass($1) is not null", &[&table.quoted()]).await;
                if !found.map_err(|e| wrong(server.error("looking for the table", &e).to_string()))?.get::<_, bool>(0) {
                    return Err(QualityError::NotThere("no such table".into()));
                }
                Ok(*table)
            }
            Place::Query(path) | Place::File(path) => Err(*path),
            Place::Dataset(_) => return Err(wrong("a dataset is a file".into())),
        };
        let batches = dataset::stream(server, &self.0.workspace, from, columns).await.map_err(|e| wrong(e.to_string()))?;
        Ok(Box::new(batches.into_iter().map(|batch| batch.map_err(|e| QualityError::Wrong(e.to_string())))))
    }

    async fn champion(&self, stage: &str) -> Result<Artifact, QualityError> {
        let wrong = |why: String| QualityError::Wrong(why);
        let env = self.0;
        let Some(model) = &env.model else { return Err(wrong("mlops.yml has no section `model`, whose champion it would be".into())) };
        let server = env.registry_with_own_tables().await.map_err(|e| wrong(format!("{e:#}")))?;
        let client = server.client().await.map_err(|e| wrong(e.to_string()))?;
        let version = match Which::Stage(stage.to_owned()).find(&Registry::new(&server, &client), model).await {
            Err(RegistryError::Unknown(why)) => return Err(QualityError::NotThere(why)),
            found => found.map_err(|e| wrong(e.to_string()))?,
        };
        let around = Around::new(&env.project, &env.registry_settings, &env.workspace, &env.vars, &env.ci).map_err(|e| wrong(format!("{e:#}")))?;
        let local = registry::local(&version, &around.homes, &env.workspace, &env.vars).await.map_err(|e| wrong(e.to_string()))?;
        let inside = version.artifact_files.iter().flatten().map(|f| f.path.as_str()).find(|path| path.ends_with(".onnx"));
        let path = inside.map_or_else(|| local.path().to_owned(), |inside| local.path().join(inside));
        if version.framework.as_deref() != Some("onnx") {
            return Err(wrong(format!("{} is no ONNX model, which alone is evaluated here", version.title())));
        }
        Ok(Artifact::new(path, local))
    }

    fn dataset(&self, name: &str) -> Option<RelPath> {
        self.0.facts().outs.get(name).and_then(|out| RelPath::parse(out).ok())
    }
}
