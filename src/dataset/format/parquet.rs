//! Parquet, with settings that are fixed: the same rows in the same order give the same bytes.

use std::collections::BTreeSet;
use std::io::Write;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrowPrimitiveType, RecordBatch};
use arrow_schema::extension::{ExtensionType as _, Json};
use arrow_schema::{DataType, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::Writing;

/// Rows of a group: enough to compress well, few enough to be held.
const GROUP: usize = 128 * 1024;
/// Rows of a page, unless they have a megabyte before: the compressor is made anew for each.
const PAGE: usize = 64 * 1024;
/// Of the server's bytes, where rows are wide.
const GROUP_BYTES: usize = 64 << 20;
/// A value that comes less often than this is not worth a place in a dictionary.
const REPEATS: usize = 4;
/// What does not fit after all is written out: a dictionary this large saves nothing any more.
const DICTIONARY: usize = 128 * 1024;

pub(super) struct Parquet {
    schema: SchemaRef,
    /// Until the first rows have shown which columns repeat.
    out: Option<Box<dyn Write + Send>>,
    writer: Option<ArrowWriter<Box<dyn Write + Send>>>,
    rows: usize,
    bytes: usize,
}

impl Parquet {
    pub(super) fn new(schema: SchemaRef, out: Box<dyn Write + Send>) -> Self {
        Self { schema, out: Some(out), writer: None, rows: 0, bytes: 0 }
    }

    fn begin(&mut self, first: Option<&RecordBatch>) -> Result<(), String> {
        let Some(out) = self.out.take() else { return Ok(()) };
        let mut settings = WriterProperties::builder()
            .set_created_by("mlops-action".into())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(|e| e.to_string())?))
            .set_max_row_group_row_count(Some(GROUP))
            .set_data_page_row_count_limit(PAGE)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_page_size_limit(DICTIONARY)
            .set_dictionary_enabled(false);
        for (field, column) in self.schema.fields().iter().zip(first.iter().flat_map(|batch| batch.columns())) {
            // The first and the last of documents say nothing.
            if field.extension_type_name() == Some(Json::NAME) {
                settings = settings.set_column_statistics_enabled(ColumnPath::from(field.name().as_str()), EnabledStatistics::None);
            }
            let path = ColumnPath::from(field.name().as_str());
            let repeated = repeats(column);
            settings = settings.set_column_dictionary_enabled(path.clone(), repeated);
            // Keys and times mostly go up by little: their differences are a fraction of them, and sooner compressed.
            if !repeated && is_whole(field.data_type()) {
                settings = settings.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
        }
        self.writer = Some(ArrowWriter::try_new(out, self.schema.clone(), Some(settings.build())).map_err(|e| e.to_string())?);
        Ok(())
    }
}

impl Writing for Parquet {
    fn batch(&mut self, batch: &RecordBatch, bytes: usize) -> Result<(), String> {
        self.begin(Some(batch))?;
        let Some(writer) = &mut self.writer else { return Ok(()) };
        writer.write(batch).map_err(|e| e.to_string())?;
        self.rows += batch.num_rows();
        self.bytes += bytes;
        if self.rows >= GROUP || self.bytes >= GROUP_BYTES {
            (self.rows, self.bytes) = (0, 0);
            writer.flush().map_err(|e| e.to_string())?;
        }
        Ok(())
    }

    fn end(mut self: Box<Self>) -> Result<(), String> {
        self.begin(None)?;
        self.writer.map_or(Ok(()), |writer| writer.close().map(|_| ()).map_err(|e| e.to_string()))
    }
}

/// What Parquet stores as a whole number.
fn is_whole(kind: &DataType) -> bool {
    match kind {
        DataType::Decimal128(precision, _) => *precision <= 18,
        kind => kind.is_integer() || kind.is_temporal(),
    }
}

/// Whether the values of the first rows come often enough.
fn repeats(column: &dyn Array) -> bool {
    let most = (column.len() - column.null_count()) / REPEATS;
    match column.data_type() {
        DataType::Int16 => few::<Int16Type>(column, most),
        DataType::Int32 => few::<Int32Type>(column, most),
        DataType::Int64 => few::<Int64Type>(column, most),
        DataType::Date32 => few::<Date32Type>(column, most),
        DataType::Timestamp(..) => few::<TimestampMicrosecondType>(column, most),
        DataType::Decimal128(..) => few::<Decimal128Type>(column, most),
        DataType::Float32 => few_of(column.as_primitive::<Float32Type>().iter().flatten().map(f32::to_bits), most),
        DataType::Float64 => few_of(column.as_primitive::<Float64Type>().iter().flatten().map(f64::to_bits), most),
        DataType::Utf8 => few_of(column.as_string::<i32>().iter().flatten(), most),
        DataType::Binary => few_of(column.as_binary::<i32>().iter().flatten(), most),
        _ => false,
    }
}

fn few<T: ArrowPrimitiveType<Native: Ord>>(column: &dyn Array, most: usize) -> bool {
    few_of(column.as_primitive::<T>().iter().flatten(), most)
}

fn few_of<T: Ord>(values: impl Iterator<Item = T>, most: usize) -> bool {
    let mut seen = BTreeSet::new();
    values.into_iter().all(|value| {
        seen.insert(value);
        seen.len() <= most
    })
}
