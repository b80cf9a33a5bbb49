//! The stages of a run: thin, one file each, in front of the domains.

mod check;
mod connect;
mod endpoint;
mod env;
mod evaluate;
mod lineage;
mod manifests;
mod migrate;
mod promote;
mod register;
pub mod registry;
mod seed;
pub mod snapshot;
mod vitals;

pub use self::env::{Env, Target, own_tables};
pub use self::lineage::FILES as LINEAGE_FILES;
pub use self::migrate::{Around, Gate, Migrate, failure as migration_failure, outcomes as migration_outcomes};
pub use self::seed::tasks as seed_tasks;
pub use self::snapshot::dataset_of;

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::checks::Selection;
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Table};
use crate::picture::Picture;

/// What a stage did.
#[derive(Debug, Default)]
pub struct Done {
    pub outcomes: Vec<Outcome>,
    /// What a reader wants to know when all went well.
    pub summary: String,
    /// Files written.
    pub artifacts: Vec<String>,
    /// What a reviewer wants to see side by side.
    pub table: Option<Table>,
    pub pictures: Vec<Picture>,
    /// What the next step of the job reads.
    pub outputs: BTreeMap<String, String>,
}

impl Done {
    pub fn new(outcomes: Vec<Outcome>, summary: impl Into<String>) -> Self {
        Self { outcomes, summary: summary.into(), artifacts: Vec::new(), table: None, pictures: Vec::new(), outputs: BTreeMap::new() }
    }
}

/// One stage, with its settings.
#[async_trait]
pub trait Stage: Send + Sync {
    /// What it would do, a line each; no I/O.
    fn describe(&self) -> Vec<String>;

    /// Narrows it down to some of its checks, where it has some.
    fn select(&mut self, _: &Selection) -> Result<(), String> {
        Ok(())
    }

    /// Whether its settings ask for rows of the database, where its kind does not need one.
    fn reads_database(&self) -> bool {
        false
    }

    /// Does it. A failed gate is an outcome; `Err` is what could not be evaluated.
    async fn run(&self, env: &Env, earlier: &[StageReport]) -> anyhow::Result<Done>;
}

/// A stage in the catalogue.
pub struct Kind {
    pub name: &'static str,
    /// The part of `mlops.yml` that makes it run, dotted.
    pub section: &'static str,
    /// Stages that must have passed, where they run at all.
    pub needs: &'static [&'static str],
    /// Whether it needs a database.
    pub database: bool,
    doc: fn(&mut SchemaGenerator) -> Schema,
    schema: fn(&mut SchemaGenerator) -> Schema,
    pub build: fn(&Node, &str, &mut Mistakes) -> Option<Box<dyn Stage>>,
}

/// What a stage type says of itself. Its doc comment is its documentation.
pub trait StageType: Stage + JsonSchema + Sized + 'static {
    const NAME: &'static str;
    const SECTION: &'static str;
    const NEEDS: &'static [&'static str];
    const DATABASE: bool = true;

    /// From its section; `file` is where locations point to.
    fn build(node: &Node, file: &str, mistakes: &mut Mistakes) -> Option<Self>;

    /// The schema of its section.
    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Self::json_schema(generator)
    }
}

fn kind<T: StageType>() -> Kind {
    Kind {
        name: T::NAME,
        section: T::SECTION,
        needs: T::NEEDS,
        database: T::DATABASE,
        doc: T::json_schema,
        schema: T::schema,
        build: |node, file, mistakes| T::build(node, file, mistakes).map(|stage| Box::new(stage) as Box<dyn Stage>),
    }
}

impl Kind {
    pub fn schema(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    pub fn doc(&self) -> String {
        let schema = (self.doc)(&mut SchemaGenerator::default());
        schema.get("description").and_then(|d| d.as_str()).unwrap_or_default().to_owned()
    }
}

/// Every stage, in the order in which they run.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<connect::Connect>(),
        kind::<Migrate>(),
        kind::<seed::Seed>(),
        kind::<check::Check>(),
        kind::<vitals::Vitals>(),
        kind::<snapshot::Snapshot>(),
        kind::<evaluate::Evaluate>(),
        kind::<endpoint::Endpoint>(),
        kind::<register::Register>(),
        kind::<promote::Promotion>(),
        kind::<manifests::Manifests>(),
    ]
}
