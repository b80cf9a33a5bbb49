//! Files of one format each, written batch by batch.

mod arrow;
mod csv;
mod parquet;

use std::fs::File;
use std::io::{self, Write};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use md5::{Digest as _, Md5};

use crate::ports::files::hex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
    Arrow,
}

impl Format {
    /// By a file's ending.
    pub(super) const ENDINGS: [(&'static str, Self); 4] =
        [("parquet", Self::Parquet), ("csv", Self::Csv), ("arrow", Self::Arrow), ("feather", Self::Arrow)];

    pub(super) fn of(path: &str) -> Option<Self> {
        let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
        Self::ENDINGS.iter().find(|(known, _)| *known == ending).map(|(_, format)| *format)
    }

    pub(super) fn ending(self) -> &'static str {
        Self::ENDINGS.iter().find(|(_, format)| *format == self).map_or("", |(ending, _)| *ending)
    }

    /// The server writes the text of every value: CSV has no types.
    pub(super) fn is_text(self) -> bool {
        self == Self::Csv
    }

    pub(super) fn begin(self, schema: SchemaRef, out: Box<dyn Write + Send>) -> Result<Box<dyn Writing>, String> {
        Ok(match self {
            Self::Parquet => Box::new(parquet::Parquet::new(schema, out)),
            Self::Csv => Box::new(csv::Csv::new(&schema, out).map_err(|e| e.to_string())?),
            Self::Arrow => Box::new(arrow::Arrow::new(&schema, out)?),
        })
    }
}

pub(super) trait Writing {
    /// `bytes`: how much the rows were on their way, which their order alone decides.
    fn batch(&mut self, batch: &RecordBatch, bytes: usize) -> Result<(), String>;
    fn end(self: Box<Self>) -> Result<(), String>;
}

/// Size and digests of what is written through it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) bytes: u64,
    pub(super) md5: String,
}

/// Counts and digests on the way to a file.
pub(super) struct Summed {
    file: File,
    bytes: u64,
    md5: Md5,
    unsynced: usize,
}

/// So much goes to the disk at a time: while the rest is still being read, not when everybody waits for the end.
const SYNC: usize = 16 << 20;

impl Summed {
    pub(super) fn new(file: File) -> Self {
        Self { file, bytes: 0, md5: Md5::new(), unsynced: 0 }
    }

    pub(super) fn sum(&self) -> Sum {
        Sum { bytes: self.bytes, md5: hex(&self.md5.clone().finalize()) }
    }

    /// On the disk: a full one says so here at the latest.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl Write for Summed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buffer)?;
        self.md5.update(&buffer[..n]);
        self.bytes += n as u64;
        self.unsynced += n;
        if self.unsynced >= SYNC {
            self.unsynced = 0;
            self.file.sync_data()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
