//! Two versions side by side: schema, rows, keys, and how far each column has moved.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array as _, ArrayRef, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_row::{RowConverter, SortField};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::export::NULL_FOLDER;
use crate::ports::parquet::batch_rows;
use crate::stats::{deciles, kolmogorov_smirnov, mean_and_deviation, pairs, psi};

/// Rows that are read at a time.
const BATCH: usize = 8 * 1024;
/// Keys that are shown of each kind.
const SHOWN: usize = 5;
/// A text column of more different values is no category.
const CATEGORIES: usize = 1000;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diff {
    pub rows: [u64; 2],
    pub columns: Vec<ColumnDiff>,
    /// Nothing where no key was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDiff {
    pub name: String,
    /// The type on each side; nothing where the column is not there.
    pub types: [Option<String>; 2],
    pub nulls: [u64; 2],
    /// Of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<[Option<f64>; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ks: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub psi: Option<f64>,
    /// In so many of the rows whose key is on both sides the value is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Keys {
    pub columns: Vec<String>,
    pub added: Rows,
    pub removed: Rows,
    pub changed: Rows,
    /// Rows whose key another row of the same side has too: they are compared in order.
    pub repeated: [u64; 2],
}

/// How many, and the keys of the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rows {
    pub count: u64,
    pub examples: Vec<String>,
}

/// The files of a version.
pub struct Side {
    pub files: Vec<Part>,
}

/// A file, and what its place in the folder says: the columns of the partition.
pub struct Part {
    file: PathBuf,
    constants: Vec<(String, Option<String>)>,
}

impl Part {
    /// `path`: inside the folder of the version.
    pub fn new(file: PathBuf, path: &str) -> Self {
        Self { file, constants: partition(path) }
    }

    fn builder(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, String> {
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", self.file.display());
        let opened = File::open(&self.file).map_err(|e| wrong(&e))?;
        ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|e| wrong(&format!("only Parquet can be compared: {e}")))
    }

    fn reader(&self, columns: &[String]) -> Result<ParquetRecordBatchReader, String> {
        let builder = self.builder()?;
        let rows = batch_rows(builder.metadata(), BATCH);
        let builder = builder.with_batch_size(rows);
        let roots = builder.schema().fields().iter().enumerate().filter(|(_, field)| columns.contains(field.name())).map(|(i, _)| i);
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots.collect::<Vec<_>>());
        builder.with_projection(mask).build().map_err(|e| format!("{}: {e}", self.file.display()))
    }

    /// The columns, by name.
    fn each(&self, columns: &[String], see: &mut impl FnMut(&Columns) -> Result<bool, String>) -> Result<bool, String> {
        for batch in self.reader(columns)? {
            let batch = batch.map_err(|e| e.to_string())?;
            let constant = |value: &Option<String>| -> ArrayRef { Arc::new(StringArray::from(vec![value.as_deref(); batch.num_rows()])) };
            let of = |name: &String| {
                let known = self.constants.iter().find(|(key, _)| key == name).map(|(_, value)| constant(value));
                batch.column_by_name(name).cloned().or(known).ok_or_else(|| format!("{}: there is no column `{name}`", self.file.display()))
            };
            let columns = columns.iter().map(of).collect::<Result<_, _>>()?;
            if !see(&Columns { columns, rows: batch.num_rows() })? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// In the order in which they were asked for.
struct Columns {
    columns: Vec<ArrayRef>,
    rows: usize,
}

/// `column=value/` of a path, as Hive writes it.
fn partition(path: &str) -> Vec<(String, Option<String>)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pair = |part: &str| part.split_once('=').map(|(key, value)| (decoded(key), (value != NULL_FOLDER).then(|| decoded(value))));
    path.rsplit_once('/').map_or_else(Vec::new, |(folders, _)| folders.split('/').filter_map(pair).collect())
}

impl Side {
    pub fn file(file: PathBuf) -> Self {
        Self { files: vec![Part::new(file, "")] }
    }

    fn schema(&self) -> Result<SchemaRef, String> {
        let first = self.files.first().ok_or("it has no file")?;
        let schema = first.builder()?.schema().clone();
        let constants = first.constants.iter().map(|(name, _)| Arc::new(Field::new(name, DataType::Utf8, true)));
        Ok(Arc::new(Schema::new(constants.chain(schema.fields().iter().cloned()).collect::<Vec<_>>())))
    }

    /// Until somebody has seen enough.
    fn each(&self, columns: &[String], mut see: impl FnMut(&Columns) -> Result<bool, String>) -> Result<(), String> {
        for part in &self.files {
            if !part.each(columns, &mut see)? {
                break;
            }
        }
        Ok(())
    }
}

/// `key`: the columns that tell rows apart; without any, keys are not compared.
pub fn diff(before: &Side, after: &Side, key: &[String]) -> Result<Diff, String> {
    let sides = [before, after];
    let schemas = [before.schema()?, after.schema()?];
    for name in key {
        if schemas.iter().any(|schema| schema.field_with_name(name).is_err()) {
            return Err(format!("`{name}`, of the key, is not a column of both versions"));
        }
    }
    let names: BTreeSet<&str> = schemas.iter().flat_map(|s| s.fields().iter().map(|f| f.name().as_str())).collect();
    let first = schemas[1].fields().iter().map(|f| f.name().as_str());
    let ordered: Vec<&str> = first.chain(names.iter().copied().filter(|name| schemas[1].field_with_name(name).is_err())).collect();
    let mut columns = Vec::new();
    for name in ordered {
        columns.push(column(&sides, &schemas, name)?);
    }
    let mut rows = [0; 2];
    for (count, side) in rows.iter_mut().zip(sides) {
        for file in &side.files {
            *count += u64::try_from(file.builder()?.metadata().file_metadata().num_rows()).unwrap_or(0);
        }
    }
    let keys = if key.is_empty() { None } else { Some(keys(&sides, &schemas, key, &mut columns)?) };
    Ok(Diff { rows, columns, keys })
}

fn column(sides: &[&Side; 2], schemas: &[SchemaRef; 2], name: &str) -> Result<ColumnDiff, String> {
    let kinds = [0, 1].map(|i| schemas[i].field_with_name(name).ok().map(|f| f.data_type().clone()));
    let mut columns = ColumnDiff {
        name: name.into(),
        types: kinds.clone().map(|k| k.map(|k| word(&k))),
        nulls: [0; 2],
        mean: None,
        ks: None,
        psi: None,
        changed: None,
    };
    let wanted = [name.to_owned()];
    let numeric = kinds.iter().flatten().all(|kind| kind.is_numeric() || matches!(kind, DataType::Date32 | DataType::Timestamp(..)));
    let text = kinds.iter().flatten().all(|kind| matches!(kind, DataType::Utf8 | DataType::Boolean));
    let (mut numbers, mut categories): ([Vec<f64>; 2], [BTreeMap<String, u64>; 2]) = Default::default();
    for i in [0, 1] {
        if kinds[i].is_none() {
            continue;
        }
        sides[i].each(&wanted, |batch| {
            let array = &batch.columns[0];
            columns.nulls[i] += array.logical_null_count() as u64;
            if numeric {
                let cast = to_number(array)?;
                numbers[i].extend(cast.as_primitive::<Float64Type>().iter().flatten().filter(|n| !n.is_nan()));
            } else if text && categories[i].len() <= CATEGORIES {
                let cast = arrow_cast::cast(array, &DataType::Utf8).map_err(|e| e.to_string())?;
                cast.as_string::<i32>().iter().flatten().for_each(|value| *categories[i].entry(value.to_owned()).or_default() += 1);
            }
            Ok(true)
        })?;
    }
    if kinds.iter().any(Option::is_none) {
        return Ok(columns);
    }
    if numeric {
        let [before, after] = numbers.map(counted);
        let both = pairs(&before, &after);
        // The mean of points in time is no number that says anything.
        let is_number = kinds.iter().flatten().all(DataType::is_numeric);
        columns.mean = is_number.then(|| [&before, &after].map(|side| mean_and_deviation(side).map(|(mean, _)| mean)));
        columns.ks = kolmogorov_smirnov(&both);
        let edges = deciles(&before);
        columns.psi = psi(&binned(&before, &edges), &binned(&after, &edges));
    } else if text && categories.iter().all(|side| side.len() <= CATEGORIES) {
        let all: BTreeSet<&String> = categories.iter().flat_map(BTreeMap::keys).collect();
        let side = |i: usize| all.iter().map(|value| categories[i].get(*value).copied().unwrap_or(0)).collect::<Vec<u64>>();
        columns.psi = psi(&side(0), &side(1));
    }
    Ok(columns)
}

fn to_number(array: &ArrayRef) -> Result<ArrayRef, String> {
    let cast = |array: &ArrayRef, to: &DataType| arrow_cast::cast(array, to).map_err(|e| e.to_string());
    match array.data_type() {
        DataType::Date32 => cast(&cast(array, &DataType::Int32)?, &DataType::Float64),
        DataType::Timestamp(..) => cast(&cast(array, &DataType::Int64)?, &DataType::Float64),
        _ => cast(array, &DataType::Float64),
    }
}

fn counted(mut values: Vec<f64>) -> Vec<(f64, u64)> {
    values.sort_unstable_by(f64::total_cmp);
    let mut counts: Vec<(f64, u64)> = Vec::new();
    for value in values {
        match counts.last_mut() {
            Some((last, count)) if *last == value => *count += 1,
            _ => counts.push((value, 1)),
        }
    }
    counts
}

fn binned(counts: &[(f64, u64)], edges: &[f64]) -> Vec<u64> {
    let mut bins = vec![0; edges.len() + 1];
    counts.iter().for_each(|(value, count)| bins[edges.partition_point(|edge| edge < value)] += count);
    bins
}

fn word(kind: &DataType) -> String {
    kind.to_string().to_lowercase()
}

/// What a row is: its key, and what stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: u128,
    values: u64,
}

fn keys(sides: &[&Side; 2], schemas: &[SchemaRef; 2], key: &[String], columns: &mut [ColumnDiff]) -> Result<Keys, String> {
    // Only what both sides have can differ from row to row.
    let shared: Vec<String> = columns.iter().filter(|c| c.types[0].is_some() && c.types[0] == c.types[1]).map(|c| c.name.clone()).collect();
    let values: Vec<String> = shared.iter().filter(|name| !key.contains(name)).cloned().collect();
    let [before, after] = sides.map(|side| hashes(side, schemas, key, &values));
    let (before, after) = (before?, after?);
    let repeated = [&before, &after].map(|rows| rows.windows(2).filter(|pair| pair[0].key == pair[1].key).count() as u64);
    let (mut added, mut removed, mut changed) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut a, mut b) = (before.iter().peekable(), after.iter().peekable());
    while a.peek().is_some() || b.peek().is_some() {
        match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x.key == y.key => {
                if x.values != y.values {
                    changed.insert(x.key);
                }
                a.next();
                b.next();
            }
            (Some(x), y) if y.is_none_or(|y| x.key < y.key) => removed.extend(a.next().map(|row| row.key)),
            _ => added.extend(b.next().map(|row| row.key)),
        }
    }
    let counts = [added.len() as u64, removed.len() as u64, changed.len() as u64];
    per_column(sides, schemas, key, &values, &changed, columns)?;
    let changed: Vec<u128> = changed.into_iter().collect();
    Ok(Keys {
        columns: key.to_vec(),
        added: Rows { count: counts[0], examples: examples(sides[1], schemas, key, &added)? },
        removed: Rows { count: counts[1], examples: examples(sides[0], schemas, key, &removed)? },
        changed: Rows { count: counts[2], examples: examples(sides[1], schemas, key, &changed)? },
        repeated,
    })
}

/// Columns as bytes, row by row, the same for the same values.
struct Hashing {
    converter: RowConverter,
    /// What the columns are made before they are compared.
    kinds: Vec<DataType>,
}

impl Hashing {
    fn new(kinds: Vec<DataType>) -> Result<Self, String> {
        let converter = RowConverter::new(kinds.iter().cloned().map(SortField::new).collect()).map_err(|e| e.to_string())?;
        Ok(Self { converter, kinds })
    }

    fn rows(&mut self, columns: &[ArrayRef]) -> Result<arrow_row::Rows, String> {
        let same = |(array, kind): (&ArrayRef, &DataType)| {
            if array.data_type() == kind { Ok(array.clone()) } else { arrow_cast::cast(array, kind).map_err(|e| e.to_string()) }
        };
        let columns: Vec<ArrayRef> = columns.iter().zip(&self.kinds).map(same).collect::<Result<_, _>>()?;
        self.converter.convert_columns(&columns).map_err(|e| e.to_string())
    }
}

/// The type of a column on both sides; where they differ, both are compared as text.
fn kinds(schemas: &[SchemaRef; 2], names: &[String]) -> Vec<DataType> {
    let of = |i: usize, name: &String| schemas[i].field_with_name(name).map_or(DataType::Utf8, |f| f.data_type().clone());
    names.iter().map(|name| if of(0, name) == of(1, name) { of(0, name) } else { DataType::Utf8 }).collect()
}

fn hashes(side: &Side, schemas: &[SchemaRef; 2], key: &[String], values: &[String]) -> Result<Vec<Row>, String> {
    let (mut by_key, mut by_value) = (Hashing::new(kinds(schemas, key))?, Hashing::new(kinds(schemas, values))?);
    let all: Vec<String> = key.iter().chain(values).cloned().collect();
    let mut rows = Vec::new();
    side.each(&all, |batch| {
        let (of_key, beside) = batch.columns.split_at(key.len());
        let keys = by_key.rows(of_key)?;
        let beside = if values.is_empty() { None } else { Some(by_value.rows(beside)?) };
        for i in 0..batch.rows {
            let values = beside.as_ref().map_or(0, |rows| xxh3_64(rows.row(i).data()));
            rows.push(Row { key: xxh3_128(keys.row(i).data()), values });
        }
        Ok(true)
    })?;
    rows.sort_unstable();
    Ok(rows)
}

/// In how many of the changed rows each column is another.
fn per_column(
    sides: &[&Side; 2],
    schemas: &[SchemaRef; 2],
    key: &[String],
    values: &[String],
    changed: &BTreeSet<u128>,
    columns: &mut [ColumnDiff],
) -> Result<(), String> {
    let all: Vec<String> = key.iter().chain(values).cloned().collect();
    let mut seen: [BTreeMap<u128, Vec<u64>>; 2] = Default::default();
    let of_values = kinds(schemas, values);
    for i in [0, 1] {
        let mut by_key = Hashing::new(kinds(schemas, key))?;
        let mut each = of_values.iter().map(|kind| Hashing::new(vec![kind.clone()])).collect::<Result<Vec<_>, _>>()?;
        sides[i].each(&all, |batch| {
            let (of_key, beside) = batch.columns.split_at(key.len());
            let keys = by_key.rows(of_key)?;
            let wanted: Vec<usize> = (0..batch.rows).filter(|row| changed.contains(&xxh3_128(keys.row(*row).data()))).collect();
            if wanted.is_empty() {
                return Ok(true);
            }
            let columns = each.iter_mut().zip(beside).map(|(hashing, column)| hashing.rows(std::slice::from_ref(column)));
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            for row in wanted {
                let hashes = columns.iter().map(|rows| xxh3_64(rows.row(row).data())).collect();
                seen[i].insert(xxh3_128(keys.row(row).data()), hashes);
            }
            Ok(true)
        })?;
    }
    for (at, name) in values.iter().enumerate() {
        let differs = |key: &u128| seen[0].get(key).map(|v| v[at]) != seen[1].get(key).map(|v| v[at]);
        let count = changed.iter().filter(|key| differs(key)).count() as u64;
        columns.iter_mut().filter(|c| c.name == *name).for_each(|c| c.changed = Some(count));
    }
    Ok(())
}

/// The keys of the first few, as text.
fn examples(side: &Side, schemas: &[SchemaRef; 2], key: &[String], wanted: &[u128]) -> Result<Vec<String>, String> {
    let wanted: BTreeSet<u128> = wanted.iter().copied().collect();
    let mut found = Vec::new();
    if wanted.is_empty() {
        return Ok(found);
    }
    let mut by_key = Hashing::new(kinds(schemas, key))?;
    let options = FormatOptions::default().with_null("NULL");
    side.each(key, |batch| {
        let keys = by_key.rows(&batch.columns)?;
        let shown = batch.columns.iter().map(|c| ArrayFormatter::try_new(c, &options)).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        for row in (0..batch.rows).filter(|row| wanted.contains(&xxh3_128(keys.row(*row).data()))) {
            found.push(shown.iter().map(|f| f.value(row).to_string()).collect::<Vec<_>>().join(", "));
            if found.len() == SHOWN {
                return Ok(false);
            }
        }
        Ok(true)
    })?;
    Ok(found)
}
