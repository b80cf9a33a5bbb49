//! Rows from a source into COPY: made on a thread of their own while the server takes what was made before.

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::{SinkExt as _, pin_mut};
use tokio_postgres::Transaction;

use super::source::{Fault, Source};
use crate::ports::postgres::rows::Rows;

/// Large enough that a message costs nothing, small enough that a few of them are no memory.
const CHUNK: usize = 256 * 1024;
const IN_FLIGHT: usize = 4;

/// Why rows did not arrive; the transaction has failed then.
pub(super) enum Stopped {
    /// A row of the source.
    Row(Fault, u64),
    Server(tokio_postgres::Error),
}

/// One COPY, or several that take turns at the rows; how many rows the server took.
pub(super) async fn copy(connections: &[&Transaction<'_>], statement: &str, source: Box<dyn Source>, rows: Rows) -> Result<u64, Stopped> {
    let (head, tail) = rows.frame();
    let (chunks, taken) = async_channel::bounded(IN_FLIGHT);
    let count = connections.len();
    let maker = tokio::task::spawn_blocking(move || make(source, rows, &chunks, count));
    let takers = connections.iter().map(|connection| take(connection, statement, head, tail, taken.clone()));
    let done = try_join_all(takers).await;
    drop(taken);
    let made = maker.await.unwrap_or_else(|_| Err((Fault::File("reading it panicked".into()), 0)));
    match (made, done) {
        (Err((fault, place)), _) => Err(Stopped::Row(fault, place)),
        (Ok(()), Ok(counts)) => Ok(counts.into_iter().flatten().sum()),
        (Ok(()), Err(error)) => Err(Stopped::Server(error)),
    }
}

/// The end is said to everyone: a channel that just closes is no end of the rows.
fn make(mut source: Box<dyn Source>, mut rows: Rows, chunks: &async_channel::Sender<Option<Bytes>>, takers: usize) -> Result<(), (Fault, u64)> {
    rows.reserve(CHUNK + CHUNK / 4);
    // Whoever takes has gone: the server's error says why.
    let send = |chunk| chunks.send_blocking(chunk).is_ok();
    while source.next(&mut rows).map_err(|fault| (fault, source.place()))? {
        if rows.len() >= CHUNK {
            if !send(Some(rows.take())) {
                return Ok(());
            }
            rows.reserve(CHUNK + CHUNK / 4);
        }
    }
    let _ = rows.len() == 0 || send(Some(rows.take()));
    for _ in 0..takers {
        send(None);
    }
    Ok(())
}

async fn take(
    connection: &Transaction<'_>,
    statement: &str,
    head: &'static [u8],
    tail: &'static [u8],
    chunks: async_channel::Receiver<Option<Bytes>>,
) -> Result<Option<u64>, tokio_postgres::Error> {
    let sink = connection.copy_in(statement).await?;
    pin_mut!(sink);
    if !head.is_empty() {
        sink.send(Bytes::from_static(head)).await?;
    }
    while let Ok(chunk) = chunks.recv().await {
        let Some(chunk) = chunk else {
            if !tail.is_empty() {
                sink.send(Bytes::from_static(tail)).await?;
            }
            return sink.finish().await.map(Some);
        };
        sink.send(chunk).await?;
    }
    // Dropped without its end: the server hears that this COPY has failed.
    Ok(None)
}

/// So many rows that are in memory already.
pub(super) async fn copy_rows(connection: &Transaction<'_>, statement: &str, rows: Bytes) -> Result<u64, tokio_postgres::Error> {
    let sink = connection.copy_in(statement).await?;
    pin_mut!(sink);
    sink.send(rows).await?;
    sink.finish().await
}
