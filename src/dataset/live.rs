//! What the database holds now, without reading it: the server sums the digests of its rows.

use tokio_postgres::IsolationLevel;

use super::digest::{Sums, sql};
use super::source::{SETTINGS, Source, describe};
use super::{Dataset, DatasetError};
use crate::ports::files::Workspace;
use crate::ports::postgres::Postgres;

/// The digest of the content, and the number of rows.
pub async fn live_content(server: &Postgres, workspace: &Workspace, dataset: &Dataset) -> Result<(String, u64), DatasetError> {
    let source = Source::of(dataset, workspace)?;
    let doing = format!("summing {}", source.name);
    let error = |e: tokio_postgres::Error| DatasetError::from(server.error(&doing, &e));
    let mut client = server.dedicated().await?;
    let begin = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    let session = begin.await.map_err(error)?;
    session.batch_execute(SETTINGS).await.map_err(error)?;
    let reading = describe(server, &session, &source, dataset, dataset.format().is_text(), false).await?;
    let row = session.query_one(&sql(&source.query, &reading.fields), &[]).await.map_err(error)?;
    let sums = Sums::said(row.get(0), [row.get(1), row.get(2)]).ok_or_else(|| DatasetError::Stream("the server's sums are no numbers".into()))?;
    Ok((sums.digest(&reading.fields), sums.rows()))
}
