//! Rows of the database as batches of columns, without a file between.

use std::sync::mpsc::{Receiver, sync_channel};

use arrow_array::RecordBatch;
use tokio_postgres::IsolationLevel;

use super::export::gather;
use super::read;
use super::rows::{Gathering, Piece};
use super::source::{SETTINGS, Source, describe};
use super::{Dataset, DatasetError};
use crate::names::{RelPath, TableName, ident};
use crate::ports::files::Workspace;
use crate::ports::postgres::Postgres;

/// Batches that wait.
const WAITING: usize = 2;

/// A table, or the query in a file, and of it the columns that are asked for. Where one is not there all of them come:
/// whoever misses it can say what there is.
pub async fn stream(
    server: &Postgres,
    workspace: &Workspace,
    from: Result<&TableName, &RelPath>,
    columns: &[&str],
) -> Result<Receiver<Result<RecordBatch, DatasetError>>, DatasetError> {
    let dataset = Dataset::unwritten(from)?;
    let mut source = Source::of(&dataset, workspace)?;
    let mut client = server.dedicated().await?;
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let session = begin.await.map_err(|e| DatasetError::from(server.error("opening a snapshot", &e)))?;
    session.batch_execute(SETTINGS).await.map_err(|e| DatasetError::from(server.error("opening a snapshot", &e)))?;
    let mut reading = describe(server, &session, &source, &dataset, false, false).await?;
    if columns.iter().all(|column| reading.names.iter().any(|name| name == column)) && columns.len() < reading.names.len() {
        let list: Vec<String> = columns.iter().map(|column| ident(column)).collect();
        source.query = format!("select {} from (\n{}\n) q", list.join(", "), source.query);
        reading = describe(server, &session, &source, &dataset, false, false).await?;
    }
    drop(session);
    let parts = read::start(server, std::mem::take(&mut reading.copies), None, 1, &source.name);
    let (sender, batches) = sync_channel(WAITING);
    std::thread::spawn(move || {
        let gathering = Gathering::new(&reading.fields, 0, vec![]);
        let read = gather(gathering, parts, |piece| match piece {
            Piece::Batch(batch, _) => sender.send(Ok(batch)).is_ok(),
            Piece::Partition(_) => true,
        });
        if let Err(error) = read {
            let _ = sender.send(Err(error));
        }
    });
    Ok(batches)
}
