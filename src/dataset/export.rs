//! From a query to files: reading, decoding and compressing at the same time, each on a thread of its own.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use arrow_schema::SchemaRef;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::DatasetError;
use super::digest::Sums;
use super::field::{Field, schema};
use super::format::{Format, Sum, Summed, Writing};
use super::read::Part;
use super::rows::{Gathering, Piece};
use super::source::Reading;
use crate::ports::files::StagedFolder;

/// Batches that wait between two threads.
const WAITING: usize = 2;

/// Where the rows go.
pub(super) enum Into {
    File(File),
    Folder(StagedFolder),
}

/// What has been written.
pub(super) struct Exported {
    /// Of a file: one, without a name. Of a folder: each with its path inside.
    pub(super) files: Vec<(String, Sum)>,
    pub(super) sums: Sums,
    /// Pairs of neighbours that `order_by` cannot tell apart.
    pub(super) ties: u64,
    /// Handed back.
    pub(super) folder: Option<StagedFolder>,
}

/// Blocks until everything is written or something has gone wrong.
pub(super) fn export(reading: &Reading, parts: Receiver<Part>, format: Format, into: Into, rows: &Arc<AtomicU64>) -> Result<Exported, DatasetError> {
    let (pieces, gathered) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        let gathering = Gathering::new(&reading.fields, reading.partition, reading.order.clone());
        let reader = scope.spawn(move || gather_counted(gathering, parts, &pieces, rows));
        let written = write(&reading.fields, reading.partition, format, into, &gathered);
        // Lets the reader find out that nobody listens.
        drop(gathered);
        let read = reader.join().unwrap_or_else(|_| Err(DatasetError::Stream("reading the rows panicked".into())));
        // A reader that stopped early looks like the end to the writer: its error comes first. One that only found nobody
        // listening has none.
        match (read, written) {
            (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            (Ok(None), Ok(_)) => Err(DatasetError::Stream("writing stopped early".into())),
            (Ok(Some((sums, ties))), Ok((files, folder))) => Ok(Exported { files, sums, ties, folder }),
        }
    })
}

fn gather_counted(
    gathering: Gathering,
    parts: Receiver<Part>,
    pieces: &SyncSender<Piece>,
    rows: &AtomicU64,
) -> Result<Option<(Sums, u64)>, DatasetError> {
    gather(gathering, parts, |piece| {
        if let Piece::Batch(batch, _) = &piece {
            rows.fetch_add(batch.num_rows() as u64, Ordering::Relaxed);
        }
        pieces.send(piece).is_ok()
    })
}

/// Nothing when `out` does not want any more.
pub(super) fn gather(
    mut gathering: Gathering,
    parts: Receiver<Part>,
    mut out: impl FnMut(Piece) -> bool,
) -> Result<Option<(Sums, u64)>, DatasetError> {
    for part in parts {
        gathering.begin();
        for block in part {
            if !gathering.block(&block?, &mut out)? {
                return Ok(None);
            }
        }
        gathering.over()?;
    }
    Ok(Some(gathering.end(&mut out)?))
}

type Files = (Vec<(String, Sum)>, Option<StagedFolder>);

fn write(fields: &[Field], partition: usize, format: Format, into: Into, pieces: &Receiver<Piece>) -> Result<Files, DatasetError> {
    let schema = schema(&fields[partition..]);
    let mut files = Vec::new();
    let mut output: Option<(String, Output)> = None;
    let folder = match into {
        Into::File(file) => {
            output = Some((String::new(), Output::begin(format, schema.clone(), file)?));
            None
        }
        Into::Folder(folder) => Some(folder),
    };
    for piece in pieces {
        match (piece, &folder) {
            (Piece::Batch(batch, bytes), _) => {
                let Some((_, output)) = &mut output else { continue };
                output.writing.batch(&batch, bytes).map_err(DatasetError::Write)?;
            }
            (Piece::Partition(values), Some(folder)) => {
                files.extend(output.take().map(Output::end).transpose()?);
                let path = path(&fields[..partition], &values, format);
                output = Some((path.clone(), Output::begin(format, schema.clone(), folder.file(&path)?)?));
            }
            (Piece::Partition(_), None) => {}
        }
    }
    files.extend(output.take().map(Output::end).transpose()?);
    Ok((files, folder))
}

/// What may stand in a name of a folder, as Hive has it.
const PLAIN: &AsciiSet = &CONTROLS
    .add(b'/')
    .add(b'=')
    .add(b':')
    .add(b'%')
    .add(b'"')
    .add(b'#')
    .add(b'\'')
    .add(b'*')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'[')
    .add(b']')
    .add(b'^');

/// As Hive says NULL.
pub(super) const NULL_FOLDER: &str = "__HIVE_DEFAULT_PARTITION__";

fn path(fields: &[Field], values: &[Option<String>], format: Format) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
    let folders = fields.iter().zip(values).map(|(field, value)| {
        let value = match value.as_deref() {
            // An empty text is one of its own.
            None => NULL_FOLDER.into(),
            // DuckDB would read NULL.
            Some(value) if value.eq_ignore_ascii_case("null") => format!("%{:02X}{}", value.as_bytes()[0], &value[1..]),
            Some(NULL_FOLDER) => NULL_FOLDER.replacen('_', "%5F", 1),
            Some(value) => encoded(value),
        };
        format!("{}={value}/", encoded(&field.name))
    });
    format!("{}part-0.{}", folders.collect::<String>(), format.ending())
}

struct Output {
    writing: Box<dyn Writing>,
    through: Arc<Mutex<Summed>>,
}

impl Output {
    fn begin(format: Format, schema: SchemaRef, file: File) -> Result<Self, DatasetError> {
        let through = Arc::new(Mutex::new(Summed::new(file)));
        let out = io::BufWriter::with_capacity(256 * 1024, Shared(through.clone()));
        Ok(Self { writing: format.begin(schema, Box::new(out)).map_err(DatasetError::Write)?, through })
    }

    /// Whole and on the disk.
    fn end((path, output): (String, Self)) -> Result<(String, Sum), DatasetError> {
        output.writing.end().map_err(DatasetError::Write)?;
        let summed = output.through.lock().map_err(|_| DatasetError::Write("the writer panicked".into()))?;
        summed.sync().map_err(|e| DatasetError::Write(e.to_string()))?;
        Ok((path, summed.sum()))
    }
}

struct Shared(Arc<Mutex<Summed>>);

impl Write for Shared {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.lock().map_err(|_| io::Error::other("the writer panicked"))?.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
