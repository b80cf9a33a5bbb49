//! Batches of the columns that are asked for, from a file.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use polars::prelude::{DataFrame, DataType as Kind, Series};

use super::super::QualityError;
use super::Batches;
use crate::ports::frame;
use crate::ports::parquet::batch_rows;

const ROWS: usize = 1 << 16;

/// `labels` are columns of few values: of Parquet their dictionaries are kept.
pub fn batches(path: &Path, shown: &str, columns: &[&str], labels: &[String]) -> Result<Batches, QualityError> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("parquet") => parquet(path, columns, labels),
        _ if !path.is_file() => Err(QualityError::NotThere("no such file".into())),
        _ => {
            let frame = frame::read_csv(path, shown)?;
            Ok(Box::new(std::iter::once(batch(&frame, columns))))
        }
    }
}

/// The columns that are there of those that are asked for, and what they hold.
pub fn kinds(path: &Path, shown: &str, columns: &[&str]) -> Result<Vec<(String, &'static str)>, QualityError> {
    match batches(path, shown, columns, &[])?.next() {
        Some(batch) => Ok(super::batch::kinds(&batch?)),
        None => Err(QualityError::Wrong("it holds no row".into())),
    }
}

fn wrong(why: impl ToString) -> QualityError {
    let why = why.to_string();
    QualityError::Wrong(format!("it cannot be read as Parquet: {}", why.lines().next().unwrap_or_default()))
}

fn parquet(path: &Path, columns: &[&str], labels: &[String]) -> Result<Batches, QualityError> {
    let file = File::open(path).map_err(|e| {
        let there = e.kind() != std::io::ErrorKind::NotFound;
        if there { QualityError::Wrong(e.to_string()) } else { QualityError::NotThere("no such file".into()) }
    })?;
    let plain = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(wrong)?;
    let kept = |field: &Arc<Field>| {
        let text = matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        if text && labels.contains(field.name()) {
            let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            return Arc::new(Field::new(field.name(), kind, field.is_nullable()));
        }
        field.clone()
    };
    let schema = Schema::new(plain.schema().fields().iter().map(kept).collect::<Vec<_>>());
    let options = ArrowReaderOptions::new().with_schema(Arc::new(schema));
    // What cannot be had with dictionaries is had without.
    let metadata = ArrowReaderMetadata::load(&file, options).unwrap_or(plain);
    let names = metadata.schema().fields().iter().enumerate().filter(|(_, f)| columns.contains(&f.name().as_str()));
    let roots: Vec<usize> = names.map(|(i, _)| i).collect();
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
    let mask = if roots.len() < columns.len() { ProjectionMask::all() } else { ProjectionMask::roots(builder.parquet_schema(), roots) };
    let rows = batch_rows(builder.metadata(), ROWS);
    let reader = builder.with_projection(mask).with_batch_size(rows).build().map_err(wrong)?;
    Ok(Box::new(reader.map(|batch| batch.map_err(wrong))))
}

/// Of a frame; a column that is not there is missed later, beside the names of those that are.
fn batch(frame: &DataFrame, columns: &[&str]) -> Result<RecordBatch, QualityError> {
    let all = frame.get_column_names().iter().all(|name| columns.contains(&name.as_str()));
    let wanted = |name: &str| all || columns.contains(&name) || columns.iter().any(|c| frame.column(c).is_err());
    let series = frame.columns().iter().filter(|c| wanted(c.name())).map(|c| c.as_materialized_series());
    let arrays = series.map(|s| Ok((s.name().to_string(), array(s)?, true))).collect::<Result<Vec<_>, QualityError>>()?;
    RecordBatch::try_from_iter_with_nullable(arrays).map_err(|e| QualityError::Wrong(e.to_string()))
}

fn array(series: &Series) -> Result<ArrayRef, QualityError> {
    let wrong = |e: polars::error::PolarsError| QualityError::Wrong(format!("column `{}`: {e}", series.name()));
    Ok(match series.dtype() {
        // A column without any value has no type.
        _ if series.null_count() == series.len() => Arc::new(Float64Array::new_null(series.len())),
        Kind::Boolean => Arc::new(series.bool().map_err(wrong)?.iter().collect::<BooleanArray>()),
        kind if kind.is_integer() => Arc::new(series.cast(&Kind::Int64).map_err(wrong)?.i64().map_err(wrong)?.iter().collect::<Int64Array>()),
        kind if kind.is_primitive_numeric() => {
            Arc::new(series.cast(&Kind::Float64).map_err(wrong)?.f64().map_err(wrong)?.iter().collect::<Float64Array>())
        }
        _ => Arc::new(series.cast(&Kind::String).map_err(wrong)?.str().map_err(wrong)?.iter().collect::<StringArray>()),
    })
}
