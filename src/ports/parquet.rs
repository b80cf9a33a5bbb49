//! Parquet: how much of a file is read at a time.

use parquet::file::metadata::ParquetMetaData;

/// Of what the values are in memory.
const BYTES: i64 = 16 << 20;

/// Rows of a batch: no more than `most`, and fewer where rows are wide.
pub fn batch_rows(metadata: &ParquetMetaData, most: usize) -> usize {
    let widest = metadata.row_groups().iter().map(|group| group.total_byte_size() / group.num_rows().max(1)).max().unwrap_or(0);
    usize::try_from(BYTES / widest.max(1)).unwrap_or(1).clamp(1, most)
}
