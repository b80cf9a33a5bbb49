//! Columns of a batch as plain values.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::super::QualityError;
use super::super::table::Names;
use crate::mistakes::suggestion;

fn wrong(why: impl Into<String>) -> QualityError {
    QualityError::Wrong(why.into())
}

pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, QualityError> {
    let missing = || {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        wrong(format!("there is no column `{name}`; {}", suggestion(name, names.iter().copied(), "columns")))
    };
    batch.column_by_name(name).ok_or_else(missing)
}

/// Without NULL.
pub fn whole<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, QualityError> {
    let column = column(batch, name)?;
    match column.null_count() {
        0 => Ok(column),
        n => Err(wrong(format!("column `{name}` has {}", crate::units::counted(n as u64, "NULL")))),
    }
}

/// NULL is not a number.
pub fn numbers(column: &ArrayRef, name: &str) -> Result<Vec<f64>, QualityError> {
    let fits = column.data_type().is_numeric() || matches!(column.data_type(), DataType::Null);
    if !fits {
        return Err(wrong(format!("column `{name}` holds {}, not numbers", shown(column.data_type()))));
    }
    let floats = cast(column, &DataType::Float64).map_err(|e| wrong(format!("column `{name}`: {e}")))?;
    let floats = floats.as_primitive::<Float64Type>();
    Ok(match floats.null_count() {
        0 => floats.values().to_vec(),
        _ => floats.iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
    })
}

/// True is 1, false is 0.
pub fn flags_or_numbers(column: &ArrayRef, name: &str) -> Result<Vec<f64>, QualityError> {
    if *column.data_type() == DataType::Boolean {
        let flags = cast(column, &DataType::UInt8).map_err(|e| wrong(format!("column `{name}`: {e}")))?;
        return numbers(&flags, name);
    }
    numbers(column, name)
}

/// Calls `visit` with each value as text; NULL is nothing.
pub fn texts(column: &ArrayRef, name: &str, mut visit: impl FnMut(Option<&str>)) -> Result<(), QualityError> {
    if column.data_type().is_floating() {
        // 1.0 is the class 1.
        numbers(column, name)?.iter().for_each(|v| if v.is_nan() { visit(None) } else { visit(Some(&v.to_string())) });
        return Ok(());
    }
    let texts =
        cast(column, &DataType::Utf8).map_err(|_| wrong(format!("column `{name}` holds {}, which has no text", shown(column.data_type()))))?;
    texts.as_string::<i32>().iter().for_each(&mut visit);
    Ok(())
}

/// Each value's number among `names`. NULL is a value of its own.
pub fn codes(column: &ArrayRef, name: &str, names: &mut Names) -> Result<Vec<u32>, QualityError> {
    const NULL: &str = "NULL";
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>() {
        let mut of = Vec::with_capacity(dictionary.values().len());
        texts(dictionary.values(), name, |value| of.push(names.code(value.unwrap_or(NULL))))?;
        let null = if dictionary.null_count() > 0 { names.code(NULL) } else { 0 };
        return Ok(dictionary.keys().iter().map(|key| key.and_then(|k| of.get(usize::try_from(k).ok()?)).map_or(null, |code| *code)).collect());
    }
    let mut codes = Vec::with_capacity(column.len());
    texts(column, name, |value| codes.push(names.code(value.unwrap_or(NULL))))?;
    Ok(codes)
}

/// As whole numbers, where they are.
pub fn integers(column: &ArrayRef) -> Option<Vec<i64>> {
    let fits = column.data_type().is_integer() && *column.data_type() != DataType::UInt64;
    let integers = cast(column, &DataType::Int64).ok().filter(|_| fits)?;
    Some(integers.as_primitive::<Int64Type>().values().to_vec())
}

/// Each column, and what it holds.
pub fn kinds(batch: &RecordBatch) -> Vec<(String, &'static str)> {
    let kind = |kind: &DataType| match kind {
        DataType::Boolean => "true and false",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => "text",
        kind if kind.is_numeric() => "numbers",
        kind if kind.is_temporal() => "times",
        DataType::Null => "nothing",
        _ => "something else",
    };
    batch.schema().fields().iter().map(|f| (f.name().clone(), kind(f.data_type()))).collect()
}

/// As people who know SQL say it.
fn shown(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => "text".into(),
        DataType::Boolean => "true and false".into(),
        other => other.to_string(),
    }
}
