//! Parquet, a few thousand rows at a time whatever the size of its row groups.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::ArrowNativeType as _;
use arrow_cast::CastOptions;
use arrow_schema::extension::{ExtensionType as _, Uuid};
use arrow_schema::{DataType, Field, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::{Fault, Naming, Source};
use crate::ports::files::hex;
use crate::ports::parquet::batch_rows;
use crate::ports::postgres::kind::{Odd, date_text, instant_text, time_text};
use crate::ports::postgres::rows::{Rows, float_text, quoted_item};

const BATCH: usize = 4096;

pub(super) struct Parquet {
    reader: ParquetRecordBatchReader,
    columns: Vec<String>,
    cells: Vec<Cells>,
    height: usize,
    at: usize,
    place: u64,
}

impl Parquet {
    pub(super) fn open(path: &Path, naming: &Naming) -> Result<Self, String> {
        let wrong = |e: parquet::errors::ParquetError| format!("it cannot be read as Parquet: {e}");
        let file = File::open(path).map_err(|e| e.to_string())?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(wrong)?;
        let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let (columns, keep) = naming.apply(&names)?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), (0..keep.len()).filter(|i| keep[*i]));
        let rows = batch_rows(builder.metadata(), BATCH);
        let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(wrong)?;
        Ok(Self { reader, columns, cells: vec![], height: 0, at: 0, place: 0 })
    }

    /// The next rows; false at the end.
    fn refill(&mut self) -> Result<bool, Fault> {
        loop {
            let Some(batch) = self.reader.next() else { return Ok(false) };
            let batch: RecordBatch = batch.map_err(|e| Fault::File(e.to_string()))?;
            if batch.num_rows() == 0 {
                continue;
            }
            (self.at, self.height) = (0, batch.num_rows());
            let column = |(array, field): (&ArrayRef, &Arc<Field>)| {
                Cells::of(array, field).map_err(|why| Fault::File(format!("column `{}`: {why}", field.name())))
            };
            self.cells = batch.columns().iter().zip(batch.schema().fields()).map(column).collect::<Result<_, _>>()?;
            return Ok(true);
        }
    }
}

impl Source for Parquet {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn place(&self) -> u64 {
        self.place
    }

    fn next(&mut self, rows: &mut Rows) -> Result<bool, Fault> {
        if self.at == self.height && !self.refill()? {
            return Ok(false);
        }
        let at = self.at;
        self.at += 1;
        self.place += 1;
        rows.begin();
        for cells in &self.cells {
            if cells.put(at, rows).is_err() {
                rows.undo();
                return Err(Fault::Odd);
            }
        }
        rows.end();
        Ok(true)
    }
}

/// A column of a batch, in one of few forms.
struct Cells {
    array: ArrayRef,
    form: Form,
    /// Without any, no cell is asked.
    nulls: bool,
}

enum Form {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Text,
    Bytes,
    Uuid,
    Date,
    /// Microseconds of the day.
    Time,
    /// In microseconds; `true`: a point in time.
    Instant(bool),
    /// Where each list begins and ends, and what lies in all of them.
    List(Vec<(usize, usize)>, Box<Cells>),
}

impl Cells {
    fn of(array: &ArrayRef, field: &Field) -> Result<Self, String> {
        // What does not fit is an error: by default it would become NULL.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let cast = |to: &DataType| arrow_cast::cast_with_options(array, to, &options).map_err(|e| e.to_string());
        let same = || Ok::<_, String>(array.clone());
        let (array, form) = match array.data_type() {
            DataType::Boolean => (same()?, Form::Bool),
            DataType::Int8 => (same()?, Form::Int8),
            DataType::Int16 => (same()?, Form::Int16),
            DataType::Int32 => (same()?, Form::Int32),
            DataType::Int64 => (same()?, Form::Int64),
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => (cast(&DataType::Int64)?, Form::Int64),
            DataType::Float16 => (cast(&DataType::Float32)?, Form::Float32),
            DataType::Float32 => (same()?, Form::Float32),
            DataType::Float64 => (same()?, Form::Float64),
            DataType::Utf8 => (same()?, Form::Text),
            DataType::Binary => (same()?, Form::Bytes),
            DataType::FixedSizeBinary(16) if field.extension_type_name() == Some(Uuid::NAME) => (cast(&DataType::Binary)?, Form::Uuid),
            DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => (cast(&DataType::Binary)?, Form::Bytes),
            DataType::Date32 => (same()?, Form::Date),
            DataType::Date64 => return Self::of(&cast(&DataType::Timestamp(TimeUnit::Millisecond, None))?, field),
            DataType::Time32(_) | DataType::Time64(_) => (cast(&DataType::Time64(TimeUnit::Microsecond))?, Form::Time),
            DataType::Dictionary(_, values) => return Self::of(&cast(values)?, field),
            DataType::Timestamp(_, zone) => (cast(&DataType::Timestamp(TimeUnit::Microsecond, None))?, Form::Instant(zone.is_some())),
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => return Self::of(&cast(&DataType::List(item.clone()))?, field),
            DataType::List(item) => {
                let list = array.as_list::<i32>();
                let ends = list.offsets().windows(2).map(|w| (w[0].as_usize(), w[1].as_usize())).collect();
                (same()?, Form::List(ends, Box::new(Self::of(list.values(), item)?)))
            }
            nested if nested.is_nested() => {
                return Err(format!("{nested} cannot be loaded; write it as text, number, date, timestamp or list"));
            }
            // Exact decimals, categories: the server reads their text.
            _ => (cast(&DataType::Utf8)?, Form::Text),
        };
        Ok(Self { nulls: array.null_count() > 0, array, form })
    }

    fn put(&self, row: usize, rows: &mut Rows) -> Result<(), Odd> {
        let array = &*self.array;
        if self.nulls && array.is_null(row) {
            rows.null();
            return Ok(());
        }
        match &self.form {
            Form::Bool => rows.boolean(array.as_boolean().value(row)),
            Form::Int8 => rows.int(array.as_primitive::<Int8Type>().value(row).into()),
            Form::Int16 => rows.int(array.as_primitive::<Int16Type>().value(row).into()),
            Form::Int32 => rows.int(array.as_primitive::<Int32Type>().value(row).into()),
            Form::Int64 => rows.int(array.as_primitive::<Int64Type>().value(row)),
            Form::Float32 => rows.single(array.as_primitive::<Float32Type>().value(row)),
            Form::Float64 => rows.float(array.as_primitive::<Float64Type>().value(row)),
            Form::Text => rows.cell(array.as_string::<i32>().value(row).as_bytes()),
            Form::Bytes => rows.bytes(array.as_binary::<i32>().value(row)),
            Form::Date => rows.date(array.as_primitive::<Date32Type>().value(row).into()),
            Form::Time => rows.time(array.as_primitive::<Time64MicrosecondType>().value(row)),
            Form::Instant(utc) => rows.instant(array.as_primitive::<TimestampMicrosecondType>().value(row), *utc),
            Form::Uuid => rows.cell(hex(array.as_binary::<i32>().value(row)).as_bytes()),
            Form::List(..) if rows.takes_list() => rows.cell(self.text(row).as_bytes()),
            Form::List(..) => Err(Odd),
        }
    }

    /// As the server reads it: what an item of an array is written as.
    fn text(&self, row: usize) -> String {
        let array = &*self.array;
        match &self.form {
            Form::Bool => array.as_boolean().value(row).to_string(),
            Form::Int8 => array.as_primitive::<Int8Type>().value(row).to_string(),
            Form::Int16 => array.as_primitive::<Int16Type>().value(row).to_string(),
            Form::Int32 => array.as_primitive::<Int32Type>().value(row).to_string(),
            Form::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
            Form::Float32 => match array.as_primitive::<Float32Type>().value(row) {
                value if value.is_infinite() => float_text(value.into()),
                value => value.to_string(),
            },
            Form::Float64 => float_text(array.as_primitive::<Float64Type>().value(row)),
            Form::Text => array.as_string::<i32>().value(row).to_owned(),
            Form::Bytes => format!("\\x{}", hex(array.as_binary::<i32>().value(row))),
            Form::Uuid => hex(array.as_binary::<i32>().value(row)),
            Form::Date => date_text(array.as_primitive::<Date32Type>().value(row).into()),
            Form::Time => time_text(array.as_primitive::<Time64MicrosecondType>().value(row)),
            Form::Instant(utc) => instant_text(array.as_primitive::<TimestampMicrosecondType>().value(row), *utc),
            Form::List(ends, inner) => {
                let (from, to) = ends[row];
                format!("{{{}}}", (from..to).map(|i| inner.item(i)).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// <https://www.postgresql.org/docs/current/arrays.html>: an inner array stands without quotes.
    fn item(&self, row: usize) -> String {
        if self.nulls && self.array.is_null(row) {
            return quoted_item(None);
        }
        let text = self.text(row);
        if matches!(self.form, Form::List(..)) { text } else { quoted_item(Some(&text)) }
    }
}
