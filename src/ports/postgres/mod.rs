//! `PostgreSQL`: connections that wait for a starting server, one pool, one description of every error.

pub mod catalog;
pub mod copy;
mod door;
mod error;
pub mod evidence;
pub mod kind;
pub mod rows;
pub mod running;
pub mod scratch;
pub mod throwaway;
mod tls;
mod wire;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
pub use deadpool_postgres::Object as Connection;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
pub use tokio_postgres::Client;
use tokio_postgres::tls::MakeTlsConnect;

use self::door::{Door, Stream};
pub use self::error::{PgError, Trouble, describe, sql_state};
pub use self::wire::{HEAD, Switch, message};
use self::wire::{Tapped, TappedTls};
use crate::secret::Secret;
use crate::tls::TlsMode;

/// How to reach a server.
#[derive(Debug, Clone)]
pub struct Address {
    pub url: Secret,
    pub tls: TlsMode,
    pub ca: Option<PathBuf>,
    pub connect_timeout: Duration,
    pub statement_timeout: Duration,
    pub pool: usize,
}

/// A server that has answered.
#[derive(Clone)]
pub struct Postgres {
    pool: Pool,
    config: tokio_postgres::Config,
    tls: tls::Connector,
    endpoint: String,
    /// The connection that found the server, until somebody wants one.
    first: Arc<Mutex<Option<Client>>>,
}

impl Postgres {
    /// Connects, waiting for a server that is still starting for as long as the address allows.
    /// `waiting` hears once why the first attempt did not succeed.
    pub async fn connect(address: &Address, waiting: impl Fn(&str)) -> Result<Self, PgError> {
        let (mut config, mode, ca) = parse(address)?;
        let endpoint = endpoint_of(&config);
        let mode = tls::resolve(mode, &config);
        config.ssl_mode(tls::ssl_mode(mode));
        config.application_name(concat!("mlops-action/", env!("CARGO_PKG_VERSION")));
        config.connect_timeout(address.connect_timeout.min(Duration::from_secs(10)));
        if config.get_options().is_none() {
            config.options(format!("-c statement_timeout={}", address.statement_timeout.as_millis()));
        }
        let tls = tls::connector(mode, ca.as_deref()).map_err(|e| PgError::new(&endpoint, "setting up TLS", Trouble::Usage(e)))?;
        let retry = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(20))
            .with_max_delay(Duration::from_secs(2))
            .with_total_delay(Some(address.connect_timeout))
            .without_max_times();
        let mut told = false;
        let first = (|| dedicated(&config, &tls, &endpoint))
            .retry(retry)
            .when(PgError::may_pass)
            .notify(|error, _| {
                if !std::mem::replace(&mut told, true) {
                    waiting(&error.to_string());
                }
            })
            .await?;
        let server = Self::over(config, tls, address.pool.max(1))?;
        if let Ok(mut slot) = server.first.lock() {
            *slot = Some(first);
        }
        Ok(server)
    }

    fn over(config: tokio_postgres::Config, tls: tls::Connector, size: usize) -> Result<Self, PgError> {
        let endpoint = endpoint_of(&config);
        let manager = Manager::from_config(config.clone(), tls.clone(), ManagerConfig { recycling_method: RecyclingMethod::Verified });
        let built = Pool::builder(manager).max_size(size).build();
        let pool = built.map_err(|e| PgError::new(&endpoint, "building the pool", Trouble::Usage(e.to_string())))?;
        Ok(Self { pool, config, tls, endpoint, first: Arc::default() })
    }

    /// Another database of the same server.
    fn sibling(&self, database: &str) -> Result<Self, PgError> {
        let mut config = self.config.clone();
        config.dbname(database);
        Self::over(config, self.tls.clone(), self.pool.status().max_size)
    }

    /// `user@host:port/database`, without the password.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub async fn client(&self) -> Result<Object, PgError> {
        self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(source) => self.error("connecting", &source),
            other => PgError::new(&self.endpoint, "connecting", Trouble::Lost(other.to_string())),
        })
    }

    /// A connection outside the pool, for work that changes the session's state.
    pub async fn dedicated(&self) -> Result<Client, PgError> {
        let first = self.first.lock().ok().and_then(|mut slot| slot.take()).filter(|client| !client.is_closed());
        match first {
            Some(client) => Ok(client),
            None => self.another().await,
        }
    }

    /// A connection for long COPYs, on a runtime that has nothing else to do; what they send can be diverted, where the
    /// choice of a host is not the driver's. See `wire`.
    pub async fn bulk(&self) -> Result<(Client, Option<Arc<Switch>>), PgError> {
        let Some(door) = Door::of(&self.config) else { return Ok((self.another().await?, None)) };
        let lost = |e: &dyn std::fmt::Display| PgError::new(&self.endpoint, "connecting", Trouble::Lost(e.to_string()));
        let stream = door.open().await.map_err(|e| lost(&e))?;
        let switch = Arc::<Switch>::default();
        let stream = Tapped::new(stream, switch.clone());
        let tls = MakeTlsConnect::<Tapped<Stream>>::make_tls_connect(&mut self.tls.clone(), &door.host).map_err(|e| lost(&e))?;
        let tls = TappedTls { inner: tls, switch: switch.clone() };
        let (client, connection) = self.config.connect_raw(stream, tls).await.map_err(|e| self.error("connecting", &e))?;
        switch.begin();
        let running = running::Running::new(client.cancel_token(), self.tls.clone(), Some(door));
        tokio::spawn(async move {
            let _running = running;
            let _ = connection.await;
        });
        Ok((client, Some(switch)))
    }

    async fn another(&self) -> Result<Client, PgError> {
        dedicated(&self.config, &self.tls, &self.endpoint).await
    }

    /// An error of this server, while doing something.
    pub fn error(&self, doing: &str, source: &tokio_postgres::Error) -> PgError {
        PgError::from_source(&self.endpoint, doing, source)
    }
}

/// The password in a URL or in `host=… password=…`, for hiding it.
pub fn password_of(text: &str) -> Option<String> {
    let config = tokio_postgres::Config::from_str(text).ok()?;
    config.get_password().map(|password| String::from_utf8_lossy(password).into_owned())
}

/// Somebody's script as one statement that cannot end the transaction around it: the server refuses `commit` and
/// `rollback` inside, and rolls everything back. The positions of its errors are those of the script.
pub fn guarded(script: &str) -> String {
    let mut tag = "mlops".to_owned();
    while script.contains(&tag) {
        tag.push('_');
    }
    format!("do ${tag}do$ begin execute ${tag}${script}${tag}$; end ${tag}do$")
}

async fn dedicated(config: &tokio_postgres::Config, tls: &tls::Connector, endpoint: &str) -> Result<Client, PgError> {
    let (client, connection) = config.connect(tls.clone()).await.map_err(|e| PgError::from_source(endpoint, "connecting", &e))?;
    let running = running::Running::new(client.cancel_token(), tls.clone(), None);
    tokio::spawn(async move {
        let _running = running;
        // A lost connection reaches the caller as the error of its next statement.
        let _ = connection.await;
    });
    Ok(client)
}

/// libpq's `sslmode=verify-full` and `sslrootcert=` are understood too; the driver knows neither.
fn parse(address: &Address) -> Result<(tokio_postgres::Config, TlsMode, Option<PathBuf>), PgError> {
    let wrong = |why: String| PgError::new("database.url", "reading the URL", Trouble::Usage(why));
    let text = address.url.expose();
    let (mut mode, mut ca) = (address.tls, address.ca.clone());
    let mut plain = text.to_owned();
    if let Ok(mut url) = url::Url::parse(text) {
        let mut kept = Vec::new();
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "sslmode" => mode = sslmode(&value).ok_or_else(|| wrong(format!("unknown sslmode `{value}`")))?,
                "sslrootcert" => ca = Some(PathBuf::from(value.into_owned())),
                _ => kept.push((key.into_owned(), value.into_owned())),
            }
        }
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        plain = url.to_string();
    }
    let config = tokio_postgres::Config::from_str(&plain)
        .map_err(|e| wrong(format!("{}: expected postgres://user:password@host:port/database", describe(&e))))?;
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host: expected postgres://user:password@host:port/database".into()));
    }
    Ok((config, mode, ca))
}

fn sslmode(word: &str) -> Option<TlsMode> {
    Some(match word {
        "disable" => TlsMode::Disable,
        "allow" | "prefer" => TlsMode::Prefer,
        "require" => TlsMode::Require,
        "verify-ca" | "verify-full" => TlsMode::VerifyFull,
        _ => return None,
    })
}

fn endpoint_of(config: &tokio_postgres::Config) -> String {
    use tokio_postgres::config::Host;
    let host = match config.get_hosts().first() {
        Some(Host::Tcp(name)) => name.clone(),
        Some(Host::Unix(path)) => path.display().to_string(),
        None => "?".into(),
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let user = config.get_user().unwrap_or("?");
    format!("{user}@{host}:{port}/{}", config.get_dbname().unwrap_or(user))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address { url: Secret::new(url), tls: TlsMode::Auto, ca: None, connect_timeout: Duration::ZERO, statement_timeout: Duration::ZERO, pool: 1 }
    }

    #[test]
    fn libpq_parameters_are_understood() {
        let (config, mode, ca) = parse(&address("postgres://u:p@db/x?sslmode=verify-full&sslrootcert=/ca.pem&application_name=a")).expect("url");
        assert_eq!((mode, ca), (TlsMode::VerifyFull, Some(PathBuf::from("/ca.pem"))));
        assert_eq!(endpoint_of(&config), "u@db:5432/x");
    }

    #[test]
    fn a_wrong_url_says_what_is_expected_and_never_the_password() {
        for url in ["postgres://u:hunter22@db:notaport/x", "nonsense hunter22", "postgres://u:hunter22@/x?sslmode=maybe"] {
            let text = parse(&address(url)).expect_err(url).to_string();
            assert!(!text.contains("hunter22"), "{text}");
        }
    }
}
