//! Data frames: Parquet and CSV in and out, through polars.

use std::fs::File;
use std::path::Path;

use polars::prelude::*;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_parquet_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x.parquet");
        std::fs::write(&path, b"not parquet").expect("write");
        let error = read(&path, "data/x.parquet").expect_err("error").to_string();
        assert!(error.starts_with("data/x.parquet: it cannot be read as Parquet"), "{error}");
    }
}
