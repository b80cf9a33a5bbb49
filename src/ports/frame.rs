//! Data frames: Parquet and CSV in and out, through polars.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;

use crate::column::{Column as OurColumn, Values};

#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct FrameError {
    pub path: String,
    pub why: String,
}

fn fail(path: &str, why: impl ToString) -> FrameError {
    // polars appends hints about its own Python interface behind the first line.
    let why = why.to_string();
    FrameError { path: path.into(), why: why.lines().next().unwrap_or_default().to_owned() }
}

/// A whole Parquet or CSV file, told apart by its ending.
pub fn read(path: &Path, shown: &str) -> Result<DataFrame, FrameError> {
    // polars panics on types that it was built without.
    let attempt = std::panic::catch_unwind(|| read_file(path, shown));
    attempt.unwrap_or_else(|_| Err(fail(shown, "it holds a type that cannot be read; write it as text, number, date or timestamp")))
}

fn read_file(path: &Path, shown: &str) -> Result<DataFrame, FrameError> {
    if !path.is_file() {
        return Err(fail(shown, "no such file"));
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("parquet") => {
            let file = File::open(path).map_err(|e| fail(shown, e))?;
            ParquetReader::new(file).finish().map_err(|e| fail(shown, format!("it cannot be read as Parquet: {e}")))
        }
        Some("csv") => CsvReadOptions::default()
            .with_has_header(true)
            .with_infer_schema_length(None)
            .try_into_reader_with_file_path(Some(path.to_owned()))
            .and_then(SerReader::finish)
            .map_err(|e| fail(shown, format!("it cannot be read as CSV: {e}"))),
        other => Err(fail(shown, format!("files end in .parquet or .csv, not in .{}", other.unwrap_or_default()))),
    }
}

fn to_series(column: OurColumn) -> PolarsResult<Column> {
    let name = PlSmallStr::from_string(column.name);
    let series = match column.values {
        Values::Bool(v) => Series::new(name, v),
        Values::I16(v) => Series::new(name, v.into_iter().map(|x| x.map(i32::from)).collect::<Vec<_>>()),
        Values::I32(v) => Series::new(name, v),
        Values::I64(v) => Series::new(name, v),
        Values::F32(v) => Series::new(name, v),
        Values::F64(v) => Series::new(name, v),
        Values::Text(v) => Series::new(name, v),
        Values::Date(v) => Series::new(name, v).cast(&DataType::Date)?,
        Values::Timestamp(v) => Series::new(name, v).cast(&DataType::Datetime(TimeUnit::Microseconds, None))?,
        Values::TimestampTz(v) => Series::new(name, v).cast(&DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)))?,
    };
    Ok(series.into())
}

/// Columns as the bytes of a Parquet file: the same rows give the same bytes.
pub fn to_parquet(columns: Vec<OurColumn>) -> Result<Vec<u8>, FrameError> {
    let steps = || -> PolarsResult<Vec<u8>> {
        let series = columns.into_iter().map(to_series).collect::<PolarsResult<Vec<_>>>()?;
        let mut frame = DataFrame::new_infer_height(series)?;
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes)
            .with_compression(ParquetCompression::Zstd(None))
            .with_statistics(StatisticsOptions::full())
            .with_row_group_size(Some(131_072))
            .finish(&mut frame)?;
        Ok(bytes)
    };
    steps().map_err(|e| fail("the Parquet file", e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_keeps_every_type_and_every_null_and_the_same_rows_give_the_same_bytes() {
        let columns = vec![
            OurColumn { name: "b".into(), values: Values::Bool(vec![Some(true), None]) },
            OurColumn { name: "i".into(), values: Values::I64(vec![None, Some(-1)]) },
            OurColumn { name: "f".into(), values: Values::F64(vec![Some(0.1), None]) },
            OurColumn { name: "t".into(), values: Values::Text(vec![Some(String::new()), None]) },
            OurColumn { name: "d".into(), values: Values::Date(vec![Some(0), None]) },
            OurColumn { name: "z".into(), values: Values::TimestampTz(vec![Some(1), None]) },
        ];
        let bytes = to_parquet(columns.clone()).expect("bytes");
        assert_eq!(bytes, to_parquet(columns.clone()).expect("again"));
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, &bytes).expect("write");
        let series = columns.into_iter().map(to_series).collect::<PolarsResult<Vec<_>>>().expect("series");
        let written = DataFrame::new_infer_height(series).expect("frame");
        assert!(read(&path, "x.parquet").expect("read").equals_missing(&written));
    }

    #[test]
    fn a_file_that_is_no_parquet_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, b"not parquet").expect("write");
        let error = read(&path, "data/x.parquet").expect_err("error").to_string();
        assert!(error.starts_with("data/x.parquet: it cannot be read as Parquet"), "{error}");
    }
}
