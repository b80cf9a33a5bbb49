//! Every connection that is open, so that an interrupted run leaves no statement behind on its server.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio_postgres::CancelToken;

use super::tls::Connector;

/// Of the whole process, as a signal is.
static RUNNING: Mutex<BTreeMap<u64, (CancelToken, Connector)>> = Mutex::new(BTreeMap::new());

/// How long a server that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection's place among them, until it is dropped.
pub(super) struct Running(u64);

impl Running {
    pub(super) fn new(token: CancelToken, tls: Connector) -> Self {
        let Ok(mut running) = RUNNING.lock() else { return Self(0) };
        let id = running.last_key_value().map_or(1, |(last, _)| last + 1);
        running.insert(id, (token, tls));
        Self(id)
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
    let asked = all.into_iter().map(|(token, tls)| async move { token.cancel_query(tls).await });
    // Whoever does not answer now would not later.
    let _ = tokio::time::timeout(PATIENCE, futures_util::future::join_all(asked)).await;
}
