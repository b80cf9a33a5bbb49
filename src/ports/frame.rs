//! Data frames from CSV, through polars.

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

/// A whole CSV file with a header; every row is looked at before a column's type is settled.
pub fn read_csv(path: &Path, shown: &str) -> Result<DataFrame, FrameError> {
    if path.extension().is_none_or(|e| e != "csv") {
        let ending = path.extension().unwrap_or_default().display();
        return Err(fail(shown, format!("files end in .parquet or .csv, not in .{ending}")));
    }
    CsvReadOptions::default()
        .with_has_header(true)
        .with_infer_schema_length(None)
        .try_into_reader_with_file_path(Some(path.to_owned()))
        .and_then(SerReader::finish)
        .map_err(|e| fail(shown, format!("it cannot be read as CSV: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_csv_is_named() {
        let error = read_csv(Path::new("x.xlsx"), "data/x.xlsx").expect_err("error").to_string();
        assert_eq!(error, "data/x.xlsx: files end in .parquet or .csv, not in .xlsx");
    }
}
