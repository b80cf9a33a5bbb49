//! What the stages share: the clients, the workspace, and what earlier stages found out.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use anyhow::Context;
use tokio::sync::OnceCell;

use super::migrate::Around;
use crate::migrate::{self, Goal, MigrateError, Source};
use crate::outcome::StageReport;
use crate::ports::ci::{Ci, Place};
use crate::ports::files::Workspace;
use crate::ports::postgres::scratch::Binaries;
use crate::ports::postgres::throwaway::Throwaway;
use crate::ports::postgres::{Address, Postgres};
use crate::registry::{Data, Settings, Version};
use crate::render::Templates;
use crate::secret::Mask;

/// Which server a run works on.
#[derive(Debug, Clone)]
pub enum Target {
    Server(Address),
    /// A private server, gone with the run. The address has no URL yet.
    Throwaway(Binaries),
}

/// Hears what is being read, about how many rows it has, and where their number is counted.
pub type RowWatch = Box<dyn Fn(&str, Option<u64>, Arc<AtomicU64>) + Send + Sync>;

/// Facts that one stage leaves for another.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    /// The last migration.
    pub schema_revision: Option<String>,
    /// The exact rows of each.
    pub datasets: BTreeMap<String, Data>,
    /// What the server calls itself.
    pub database: Option<String>,
    /// Name → the file or folder with it.
    pub outs: BTreeMap<String, String>,
    /// The version that this run has registered.
    pub registered: Option<Version>,
}

pub struct Env {
    pub project: String,
    pub target: Target,
    /// The registry's own database, where it has one.
    pub registry: Option<Address>,
    /// The name of the section `model`.
    pub model: Option<String>,
    /// The section `registry`.
    pub registry_settings: Settings,
    /// What an earlier job's report says of the gates.
    pub judged: Option<Vec<StageReport>>,
    /// Why this run evaluates only a part of the gates.
    pub partial: Option<String>,
    pub workspace: Workspace,
    /// The folder of reports, relative to the workspace.
    pub out: String,
    pub ci: Ci,
    pub place: Place,
    pub mask: Mask,
    /// The process' environment: where a cloud's credentials are.
    pub vars: BTreeMap<String, String>,
    /// RFC 3339.
    pub now: String,
    pub watch: RowWatch,
    /// Connections that a stage may use at once.
    pub pool: usize,
    /// Bad rows that every seed may leave out.
    pub max_bad_rows: u64,
    /// What migrations are seen against.
    pub around: Around,
    pub templates: Templates,
    pub facts: Mutex<Facts>,
    database: OnceCell<Postgres>,
    own_tables: OnceCell<()>,
    // Declared last: the server goes after the connections.
    throwaway: Mutex<Option<Throwaway>>,
}

impl Env {
    pub fn new(project: String, target: Target, registry: Option<Address>, workspace: Workspace, out: String, ci: Ci, mask: Mask) -> Self {
        Self {
            project,
            target,
            registry,
            model: None,
            registry_settings: Settings::default(),
            judged: None,
            partial: None,
            workspace,
            out,
            ci,
            place: Place::Machine,
            mask,
            vars: BTreeMap::new(),
            now: String::new(),
            watch: Box::new(|_, _, _| {}),
            pool: 1,
            max_bad_rows: 0,
            around: Around::default(),
            templates: Templates::default(),
            facts: Mutex::default(),
            database: OnceCell::new(),
            own_tables: OnceCell::new(),
            throwaway: Mutex::new(None),
        }
    }

    /// The server that `connect` has reached.
    pub fn database(&self) -> anyhow::Result<&Postgres> {
        self.database.get().context("there is no connection to the database")
    }

    pub(super) fn set_database(&self, server: Postgres, throwaway: Option<Throwaway>) {
        let _ = self.database.set(server);
        if let Ok(mut slot) = self.throwaway.lock() {
            *slot = throwaway;
        }
    }

    /// The database with the tool's own tables in it.
    pub async fn database_with_own_tables(&self) -> anyhow::Result<&Postgres> {
        let server = self.database()?;
        self.own_tables.get_or_try_init(|| own_tables(server)).await?;
        Ok(server)
    }

    /// The registry's database, or without one the database itself, with the tool's own tables in it.
    pub async fn registry_with_own_tables(&self) -> anyhow::Result<Postgres> {
        let Some(address) = &self.registry else { return Ok(self.database_with_own_tables().await?.clone()) };
        let registry = Postgres::connect(address, |why| tracing::info!("waiting for the registry: {why}")).await?;
        own_tables(&registry).await?;
        Ok(registry)
    }

    pub fn facts(&self) -> Facts {
        self.facts.lock().map(|facts| facts.clone()).unwrap_or_default()
    }

    pub fn learn(&self, what: impl FnOnce(&mut Facts)) {
        if let Ok(mut facts) = self.facts.lock() {
            what(&mut facts);
        }
    }
}

/// The tool's own migrations, applied by the same engine as the user's.
pub async fn own_tables(server: &Postgres) -> Result<(), MigrateError> {
    let run = migrate::migrate(server, Source::Own, &migrate::own_migrations(), &Goal::Up, &migrate::Options::default()).await;
    run.troubles.into_iter().next().map_or(Ok(()), Err)
}
