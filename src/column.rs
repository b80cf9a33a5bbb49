//! Columns in memory: what the database and Parquet hand to each other.

/// One column, its values by row; `None` is NULL.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    pub name: String,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    Bool(Vec<Option<bool>>),
    I16(Vec<Option<i16>>),
    I32(Vec<Option<i32>>),
    I64(Vec<Option<i64>>),
    F32(Vec<Option<f32>>),
    F64(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    /// Days since 1970-01-01.
    Date(Vec<Option<i32>>),
    /// Microseconds since 1970-01-01, of no zone.
    Timestamp(Vec<Option<i64>>),
    /// Microseconds since 1970-01-01 UTC.
    TimestampTz(Vec<Option<i64>>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(v) => v.len(),
            Self::I16(v) => v.len(),
            Self::I32(v) | Self::Date(v) => v.len(),
            Self::I64(v) | Self::Timestamp(v) | Self::TimestampTz(v) => v.len(),
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }
}
