//! Every connection that is open, so that an interrupted run leaves no statement behind on its server.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio_postgres::CancelToken;
use tokio_postgres::tls::MakeTlsConnect;

use super::door::{Door, Stream};
use super::tls::Connector;

/// Of the whole process, as a signal is.
static RUNNING: Mutex<BTreeMap<u64, Open>> = Mutex::new(BTreeMap::new());

/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone)]
struct Open {
    token: CancelToken,
    tls: Connector,
    /// Where the driver does not know the way.
    door: Option<Door>,
}

/// A connection's place among them, until it is dropped.
pub(super) struct Running(u64);

impl Running {
    pub(super) fn new(token: CancelToken, tls: Connector, door: Option<Door>) -> Self {
        let Ok(mut running) = RUNNING.lock() else { return Self(0) };
        let id = running.last_key_value().map_or(1, |(last, _)| last + 1);
        running.insert(id, Open { token, tls, door });
        Self(id)
    }
}

impl Open {
    /// Whoever does not answer now would not later: there is nobody left to tell.
    async fn cancel(mut self) {
        let Some(door) = &self.door else {
            let _ = self.token.cancel_query(self.tls).await;
            return;
        };
        let connect = <Connector as MakeTlsConnect<Stream>>::make_tls_connect(&mut self.tls, &door.host);
        if let (Ok(stream), Ok(tls)) = (door.open().await, connect) {
            let _ = self.token.cancel_query_raw(stream, tls).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(mut running) = RUNNING.lock() {
            running.remove(&self.0);
        }
    }
}

/// Asks the server to stop what each connection is doing.
pub async fn cancel() {
    let all: Vec<_> = RUNNING.lock().map(|running| running.values().cloned().collect()).unwrap_or_default();
    let asked = all.into_iter().map(Open::cancel);
    let _ = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked)).await;
}
