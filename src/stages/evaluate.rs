use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::dataset;
use crate::mistakes::Mistakes;
use crate::names::RelPath;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Table};
use crate::quality::{self, Batches, Gates, ModelGate, Place, QualityError, Server, digits};
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

    fn dataset(&self, name: &str) -> Option<RelPath> {
        self.0.facts().outs.get(name).and_then(|out| RelPath::parse(out).ok())
    }
}
