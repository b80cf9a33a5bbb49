use std::time::Instant;

use anyhow::Context;
use async_trait::async_trait;
use schemars::JsonSchema;

use super::{Done, Env, Stage, StageType, Target};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status};
use crate::ports::postgres::scratch::Binaries;
use crate::ports::postgres::throwaway::Throwaway;
use crate::ports::postgres::{Address, Postgres};

/// Reaches the database, or starts a throwaway server where `database.url` is empty.
///
/// A server that is still starting is waited for, as long as `database.connect_timeout` says.
#[derive(Debug, JsonSchema)]
pub(super) struct Connect {}

impl StageType for Connect {
    const NAME: &'static str = "connect";
    const SECTION: &'static str = "database";
    const NEEDS: &'static [&'static str] = &[];

    fn build(_: &Node, _: &str, _: &mut Mistakes) -> Option<Self> {
        Some(Self {})
    }
}

#[async_trait]
impl Stage for Connect {
    fn describe(&self) -> Vec<String> {
        vec!["connect to database.url, or start a throwaway Postgres server where it is empty".into()]
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let started = Instant::now();
        let (address, throwaway) = match &env.target {
            Target::Server(address) => (address.clone(), None),
            Target::Throwaway(binaries) => {
                let Binaries { settings, bin, path, base } = binaries.clone();
                let start = tokio::task::spawn_blocking(move || Throwaway::start(bin.as_deref(), &path, &base));
                let server = start.await.context("starting the throwaway server")??;
                (Address { url: server.url(), ..settings }, Some(server))
            }
        };
        let own = throwaway.is_some();
        let waiting = |why: &str| {
            if !own {
                tracing::info!("waiting for the database: {why}");
            }
        };
        let server = match Postgres::connect(&address, waiting).await {
            Ok(server) => server,
            Err(error) => {
                let hint = error.may_pass().then_some(()).and_then(|()| env.ci.loopback_hint(&error.endpoint, env.place));
                return Err(match hint {
                    Some(hint) => anyhow::anyhow!("{error}; {hint}"),
                    None => error.into(),
                });
            }
        };
        let message = match &throwaway {
            Some(server) => format!("a throwaway PostgreSQL {} server, gone when the run ends", server.version()),
            None => format!("connected to {}", server.endpoint()),
        };
        env.set_database(server, throwaway);
        let outcome = Outcome::new("database", "connection", Status::Passed, message.clone()).took(started.elapsed());
        Ok(Done::new(vec![outcome], message))
    }
}
