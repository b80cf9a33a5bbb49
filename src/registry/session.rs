//! A connection to the registry, and one writer a model at a time.

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::refusal::Refusals;
use crate::ports::files::FileError;
use crate::ports::objects::ObjectError;
use crate::ports::postgres::{PgError, Postgres};

/// A value and its type: with both told, a statement takes one round trip.
pub(super) type Param<'a> = (&'a (dyn ToSql + Sync), Type);

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Server(#[from] PgError),
    #[error("{0}")]
    Refused(Refusals),
    /// What was asked for is not there.
    #[error("{0}")]
    Unknown(String),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Objects(#[from] ObjectError),
    #[error("{0}")]
    Other(String),
}

/// Who acts, in the words of CI, and from where.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    pub name: String,
    pub run_url: Option<String>,
    pub git_sha: Option<String>,
    pub attempt: Option<i32>,
    pub branch: Option<String>,
}

pub struct Registry<'a> {
    pub(super) server: &'a Postgres,
    pub(super) client: &'a Client,
}

/// A transaction that holds a model's row: nobody else writes about this model until it ends.
pub(super) struct Writing<'a> {
    registry: &'a Registry<'a>,
    pub(super) model_id: i64,
    pub(super) next_version: i32,
}

impl<'a> Registry<'a> {
    pub fn new(server: &'a Postgres, client: &'a Client) -> Self {
        Self { server, client }
    }

    pub(super) fn error(&self, doing: &str, source: &tokio_postgres::Error) -> RegistryError {
        RegistryError::Server(self.server.error(doing, source))
    }

    pub(super) async fn rows(&self, doing: &str, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>, RegistryError> {
        self.client.query_typed(sql, params).await.map_err(|e| self.error(doing, &e))
    }

    /// Rows as the server tells them in JSON.
    pub(super) async fn read<T: DeserializeOwned>(&self, doing: &str, sql: &str, params: &[Param<'_>]) -> Result<Vec<T>, RegistryError> {
        let rows = self.rows(doing, &format!("select to_jsonb(x) from ({sql}) x"), params).await?;
        let wrong = |e: &dyn std::fmt::Display| RegistryError::Other(format!("{doing}: the registry's tables hold something unexpected: {e}"));
        let value = |row: Row| row.try_get::<_, Json>(0).map_err(|e| wrong(&e)).and_then(|json| serde_json::from_value(json).map_err(|e| wrong(&e)));
        rows.into_iter().map(value).collect()
    }

    /// Begins to write about a model. `create`: it may be new.
    pub(super) async fn write(&'a self, model: &str, create: bool) -> Result<Writing<'a>, RegistryError> {
        let doing = "waiting for others who write about the model";
        let begin = self.client.batch_execute("begin; set local lock_timeout = '15s'; set local timezone = 'UTC'");
        let lock = if create {
            "insert into mlops.model (name) values ($1) on conflict (name) do update set name = excluded.name returning id, next_version"
        } else {
            "select id, next_version from mlops.model where name = $1 for update"
        };
        // Sent together: one round trip.
        let params: [Param<'_>; 1] = [(&model, Type::TEXT)];
        let (begun, locked) = futures_util::join!(begin, self.client.query_typed(lock, &params));
        let locked = begun.and(locked);
        match locked {
            Ok(rows) => match rows.first() {
                Some(row) => Ok(Writing { registry: self, model_id: row.get(0), next_version: row.get(1) }),
                None => {
                    self.give_up().await;
                    Err(RegistryError::Unknown(format!("the registry has no model `{model}`")))
                }
            },
            Err(error) => {
                self.give_up().await;
                Err(self.error(doing, &error))
            }
        }
    }

    pub(super) async fn give_up(&self) {
        let _ = self.client.batch_execute("rollback").await;
    }
}

impl Writing<'_> {
    /// Statements and the commit in one round trip; all of it or nothing.
    pub(super) async fn finish(self, doing: &str, statements: &[(String, Vec<Param<'_>>)]) -> Result<Vec<Vec<Row>>, RegistryError> {
        let client = self.registry.client;
        let sent = statements.iter().map(|(sql, params)| client.query_typed(sql, params));
        let (results, committed) = futures_util::join!(futures_util::future::join_all(sent), client.simple_query("commit"));
        let results: Result<Vec<_>, _> = results.into_iter().collect();
        match results.and_then(|rows| committed.map(|_| rows)) {
            Ok(rows) => Ok(rows),
            Err(error) => {
                self.registry.give_up().await;
                Err(self.registry.error(doing, &error))
            }
        }
    }

    /// Goes on with what went well; what did not ends the transaction without a change.
    pub(super) async fn after<T>(self, step: Result<T, RegistryError>) -> Result<(Self, T), RegistryError> {
        match step {
            Ok(found) => Ok((self, found)),
            Err(error) => {
                self.leave().await;
                Err(error)
            }
        }
    }

    /// Ends without a change.
    pub(super) async fn leave(self) {
        self.registry.give_up().await;
    }
}

/// An event of this model; its digest is the server's to compute.
pub(super) const EVENT: &str = "insert into mlops.event (model_id, actor, kind, payload) values ($1, $2, $3, $4)";
