//! Arrow's file format, also called Feather 2.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::Schema;

use super::Writing;

pub(super) struct Arrow(FileWriter<Box<dyn Write + Send>>);

impl Arrow {
    pub(super) fn new(schema: &Schema, out: Box<dyn Write + Send>) -> Result<Self, String> {
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD));
        let writer = options.and_then(|options| FileWriter::try_new_with_options(out, schema, options));
        writer.map(Self).map_err(|e| e.to_string())
    }
}

impl Writing for Arrow {
    fn batch(&mut self, batch: &RecordBatch, _: usize) -> Result<(), String> {
        self.0.write(batch).map_err(|e| e.to_string())
    }

    fn end(mut self: Box<Self>) -> Result<(), String> {
        self.0.finish().map_err(|e| e.to_string())
    }
}
