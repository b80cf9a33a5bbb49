//! The binary form of the server's values into columns, a block of rows at a time: column by column, so that one kind of
//! value is read in one loop.

use std::sync::Arc;

use arrow_array::builder::BooleanBufferBuilder;
use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, FixedSizeBinaryArray, Float32Array, Float64Array, Int16Array, Int32Array,
    Int64Array, ListArray, StringArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow_buffer::{Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::field::Kind;
use crate::ports::postgres::kind::{EPOCH_DAYS, EPOCH_MICROS};

/// Where a value lies in its block; a negative length is NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) at: u32,
    pub(super) length: i32,
}

impl Span {
    pub(super) fn of(self, block: &[u8]) -> Option<&[u8]> {
        let at = self.at as usize;
        usize::try_from(self.length).ok().and_then(|length| block.get(at..at + length))
    }
}

/// A column that grows.
pub(super) struct Column {
    kind: Kind,
    values: Values,
    nulls: NullBufferBuilder,
}

enum Values {
    Bool(BooleanBufferBuilder),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    U32(Vec<u32>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    I128(Vec<i128>),
    Bytes {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    Sixteen(Vec<u8>),
    /// The ends of each depth's lists, and what lies in the innermost ones.
    List {
        ends: Vec<Vec<i32>>,
        inner: Box<Column>,
    },
}

/// What a value could not become.
pub(super) type Odd = String;

impl Column {
    pub(super) fn new(kind: &Kind) -> Self {
        let values = match kind {
            Kind::Bool => Values::Bool(BooleanBufferBuilder::new(0)),
            Kind::Int2 => Values::I16(vec![]),
            Kind::Int4 | Kind::Date => Values::I32(vec![]),
            Kind::Int8 | Kind::Time | Kind::Timestamp | Kind::TimestampTz => Values::I64(vec![]),
            Kind::Oid => Values::U32(vec![]),
            Kind::Float4 => Values::F32(vec![]),
            Kind::Float8 => Values::F64(vec![]),
            Kind::Decimal(..) => Values::I128(vec![]),
            Kind::Text | Kind::Json(_) | Kind::Bytea => Values::Bytes { ends: vec![0], bytes: vec![] },
            Kind::Uuid => Values::Sixteen(vec![]),
            Kind::List(depth, inner) => Values::List { ends: vec![vec![0]; *depth], inner: Box::new(Self::new(inner)) },
        };
        Self { kind: kind.clone(), values, nulls: NullBufferBuilder::new(1024) }
    }

    /// The values of one column of a block.
    pub(super) fn extend<'a>(&mut self, cells: impl Iterator<Item = Option<&'a [u8]>>) -> Result<(), Odd> {
        let nulls = &mut self.nulls;
        match (&mut self.values, &self.kind) {
            (Values::Bool(v), _) => each(cells, nulls, |cell| {
                v.append(cell.map(fixed::<1>).transpose()?.is_some_and(|b| b[0] != 0));
                Ok(())
            }),
            (Values::I16(v), _) => numbers(cells, nulls, v, |b| Ok(i16::from_be_bytes(b))),
            (Values::I32(v), Kind::Date) => numbers(cells, nulls, v, |b| date(i32::from_be_bytes(b))),
            (Values::I32(v), _) => numbers(cells, nulls, v, |b| Ok(i32::from_be_bytes(b))),
            (Values::I64(v), Kind::Timestamp | Kind::TimestampTz) => numbers(cells, nulls, v, |b| instant(i64::from_be_bytes(b))),
            (Values::I64(v), _) => numbers(cells, nulls, v, |b| Ok(i64::from_be_bytes(b))),
            (Values::U32(v), _) => numbers(cells, nulls, v, |b| Ok(u32::from_be_bytes(b))),
            (Values::F32(v), _) => numbers(cells, nulls, v, |b| Ok(f32::from_be_bytes(b))),
            (Values::F64(v), _) => numbers(cells, nulls, v, |b| Ok(f64::from_be_bytes(b))),
            (Values::I128(v), Kind::Decimal(_, scale)) => {
                let scale = i32::from(*scale);
                each(cells, nulls, |cell| {
                    v.push(cell.map_or(Ok(0), |bytes| decimal(bytes, scale))?);
                    Ok(())
                })
            }
            (Values::I128(_), _) => Err("no decimal".into()),
            (Values::Bytes { ends, bytes }, Kind::Json(true)) => each(cells, nulls, |cell| match cell {
                None => append(ends, bytes, &[]),
                Some([1, document @ ..]) => append(ends, bytes, document),
                Some(_) => Err("a jsonb of a version that is not known here".into()),
            }),
            (Values::Bytes { ends, bytes }, _) => each(cells, nulls, |cell| append(ends, bytes, cell.unwrap_or_default())),
            (Values::Sixteen(v), _) => each(cells, nulls, |cell| {
                v.extend_from_slice(&cell.map_or(Ok([0; 16]), fixed::<16>)?);
                Ok(())
            }),
            (Values::List { ends, inner }, _) => each(cells, nulls, |cell| match cell {
                None => {
                    let end = ends[0].last().copied().unwrap_or(0);
                    ends[0].push(end);
                    Ok(())
                }
                Some(bytes) => list(bytes, ends, inner),
            }),
        }
    }

    /// What has been gathered; the column is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef, Odd> {
        let nulls = self.nulls.finish();
        let fresh = Self::new(&self.kind);
        let values = std::mem::replace(&mut self.values, fresh.values);
        let wrong = |e: arrow_schema::ArrowError| e.to_string();
        Ok(match (values, &self.kind) {
            (Values::Bool(mut v), _) => Arc::new(BooleanArray::new(v.finish(), nulls)),
            (Values::I16(v), _) => Arc::new(Int16Array::new(v.into(), nulls)),
            (Values::I32(v), Kind::Date) => Arc::new(Date32Array::new(v.into(), nulls)),
            (Values::I32(v), _) => Arc::new(Int32Array::new(v.into(), nulls)),
            (Values::I64(v), Kind::Time) => Arc::new(Time64MicrosecondArray::new(v.into(), nulls)),
            (Values::I64(v), Kind::Timestamp) => Arc::new(TimestampMicrosecondArray::new(v.into(), nulls)),
            (Values::I64(v), Kind::TimestampTz) => Arc::new(TimestampMicrosecondArray::new(v.into(), nulls).with_timezone("UTC")),
            (Values::I64(v), _) => Arc::new(Int64Array::new(v.into(), nulls)),
            (Values::U32(v), _) => Arc::new(UInt32Array::new(v.into(), nulls)),
            (Values::F32(v), _) => Arc::new(Float32Array::new(v.into(), nulls)),
            (Values::F64(v), _) => Arc::new(Float64Array::new(v.into(), nulls)),
            (Values::I128(v), kind) => Arc::new(Decimal128Array::new(v.into(), nulls).with_data_type(kind.arrow())),
            (Values::Bytes { ends, bytes }, Kind::Bytea) => {
                Arc::new(BinaryArray::try_new(offsets(ends), Buffer::from_vec(bytes), nulls).map_err(wrong)?)
            }
            (Values::Bytes { ends, bytes }, _) => {
                let text = StringArray::try_new(offsets(ends), Buffer::from_vec(bytes), nulls);
                Arc::new(text.map_err(|_| "it holds text that is not UTF-8")?)
            }
            (Values::Sixteen(v), _) => Arc::new(FixedSizeBinaryArray::try_new(16, Buffer::from_vec(v), nulls).map_err(wrong)?),
            (Values::List { ends, mut inner }, _) => {
                let mut array = inner.finish()?;
                // From the innermost list to the outermost, which alone is a value that can be NULL.
                let mut kinds: Vec<DataType> = vec![self.kind.arrow()];
                while let Some(DataType::List(field)) = kinds.last().filter(|_| kinds.len() < ends.len()) {
                    kinds.push(field.data_type().clone());
                }
                for (depth, (ends, kind)) in ends.into_iter().zip(kinds).enumerate().rev() {
                    let DataType::List(field) = kind else { return Err("no list".into()) };
                    array = Arc::new(ListArray::try_new(field, offsets(ends), array, nulls.clone().filter(|_| depth == 0)).map_err(wrong)?);
                }
                array
            }
        })
    }
}

fn offsets(ends: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(ends))
}

fn each<'a>(
    cells: impl Iterator<Item = Option<&'a [u8]>>,
    nulls: &mut NullBufferBuilder,
    mut put: impl FnMut(Option<&'a [u8]>) -> Result<(), Odd>,
) -> Result<(), Odd> {
    for cell in cells {
        nulls.append(cell.is_some());
        put(cell)?;
    }
    Ok(())
}

fn numbers<'a, T: Default, const N: usize>(
    cells: impl Iterator<Item = Option<&'a [u8]>>,
    nulls: &mut NullBufferBuilder,
    values: &mut Vec<T>,
    read: impl Fn([u8; N]) -> Result<T, Odd>,
) -> Result<(), Odd> {
    each(cells, nulls, |cell| {
        values.push(match cell {
            Some(bytes) => read(fixed(bytes)?)?,
            None => T::default(),
        });
        Ok(())
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Odd> {
    bytes.try_into().map_err(|_| format!("a value has {} bytes instead of {N}", bytes.len()))
}

fn append(ends: &mut Vec<i32>, all: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Odd> {
    all.extend_from_slice(bytes);
    ends.push(i32::try_from(all.len()).map_err(|_| "its values in one batch exceed 2 GiB")?);
    Ok(())
}

/// Infinity as `DuckDB` has it: the two ends of the range, without the number that pandas reads as missing.
fn date(days: i32) -> Result<i32, Odd> {
    match days {
        i32::MAX => Ok(i32::MAX),
        i32::MIN => Ok(-i32::MAX),
        days => days.checked_add(EPOCH_DAYS).ok_or_else(|| "a date is too late for Parquet".into()),
    }
}

fn instant(micros: i64) -> Result<i64, Odd> {
    match micros {
        i64::MAX => Ok(i64::MAX),
        i64::MIN => Ok(-i64::MAX),
        micros => micros.checked_add(EPOCH_MICROS).ok_or_else(|| "a timestamp after the year 294246 is too late for Parquet".into()),
    }
}

/// Digits in groups of four: <https://github.com/postgres/postgres/blob/REL_15_STABLE/src/backend/utils/adt/numeric.c>.
fn decimal(bytes: &[u8], scale: i32) -> Result<i128, Odd> {
    let Some((head, digits)) = bytes.split_first_chunk::<8>() else { return Err("a numeric ends too early".into()) };
    let pair = |at: usize| i16::from_be_bytes([head[at], head[at + 1]]);
    let (weight, sign) = (i32::from(pair(2)), pair(4));
    let wide = || Odd::from("a numeric has more digits than its column");
    let mut value: i128 = 0;
    // The power of ten that the value so far stands for, once it is at its scale.
    let mut rest = (weight + 1) * 4 + scale;
    for digit in digits.chunks_exact(2) {
        let digit = i128::from(i16::from_be_bytes([digit[0], digit[1]]));
        rest -= 4;
        if rest >= 0 {
            value = value.checked_mul(10_000).and_then(|v| v.checked_add(digit)).ok_or_else(wide)?;
        } else if rest > -4 {
            // Its column's scale cuts this group; behind it stand zeros.
            let (keep, drop) = (10i128.pow((4 + rest).unsigned_abs()), 10i128.pow(rest.unsigned_abs()));
            value = value.checked_mul(keep).and_then(|v| v.checked_add(digit / drop)).ok_or_else(wide)?;
            rest = 0;
            break;
        }
    }
    if rest > 0 && value != 0 {
        value = 10i128.checked_pow(rest.unsigned_abs()).and_then(|power| value.checked_mul(power)).ok_or_else(wide)?;
    }
    match sign.cast_unsigned() {
        0 => Ok(value),
        0x4000 => Ok(-value),
        _ => Err("it holds NaN, which a decimal cannot: name the column under `as_text`".into()),
    }
}

/// `array_send`: dimensions, a flag, the elements' type; a size and a lower bound each; the elements.
fn list(bytes: &[u8], ends: &mut [Vec<i32>], inner: &mut Column) -> Result<(), Odd> {
    let mut rest = bytes;
    let mut int = || {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or("an array ends too early")?;
        rest = tail;
        Ok::<i32, Odd>(i32::from_be_bytes(*head))
    };
    let dimensions = usize::try_from(int()?).unwrap_or(0);
    let (_flags, _element) = (int()?, int()?);
    let depth = ends.len();
    if dimensions != depth && dimensions != 0 {
        return Err(format!("an array has {dimensions} dimensions where {depth} are declared: name the column under `as_text`"));
    }
    let mut sizes = Vec::with_capacity(dimensions);
    for _ in 0..dimensions {
        sizes.push(usize::try_from(int()?).unwrap_or(0));
        if int()? != 1 {
            return Err("an array does not begin at 1, which a list always does: name the column under `as_text`".into());
        }
    }
    let total = if dimensions == 0 { 0 } else { sizes.iter().product() };
    let mut cells = Vec::with_capacity(total);
    for _ in 0..total {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or("an array ends too early")?;
        rest = tail;
        cells.push(match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => None,
            Ok(length) => {
                let (value, tail) = rest.split_at_checked(length).ok_or("an array ends too early")?;
                rest = tail;
                Some(value)
            }
        });
    }
    inner.extend(cells.into_iter())?;
    // One list more at the outermost depth, and inside it as many as the sizes say.
    let mut lists = 1;
    for (ends, size) in ends.iter_mut().zip(sizes.iter().copied().chain(std::iter::repeat(0))) {
        let size = i32::try_from(size).map_err(|_| "an array is too long")?;
        for _ in 0..lists {
            let end = ends.last().copied().unwrap_or(0) + size;
            ends.push(end);
        }
        lists *= usize::try_from(size).unwrap_or(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(weight: i16, sign: u16, digits: &[i16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u16::try_from(digits.len()).expect("few").to_be_bytes());
        bytes.extend_from_slice(&weight.to_be_bytes());
        bytes.extend_from_slice(&sign.to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        digits.iter().for_each(|d| bytes.extend_from_slice(&d.to_be_bytes()));
        bytes
    }

    #[test]
    fn decimals_are_exact() {
        for (weight, digits, scale, expected) in [
            (0, &[12, 3400][..], 2, 1234), // 12.34
            (0, &[12, 3400], 4, 123_400),
            (0, &[12], 2, 1200),
            (-1, &[5], 4, 5),    // 0.0005
            (-2, &[5000], 5, 5), // 0.00005
            (1, &[1], 0, 10_000),
            (1, &[1, 2345, 6000], 1, 123_456), // 12345.6
            (0, &[], 2, 0),
        ] {
            assert_eq!(decimal(&numeric(weight, 0, digits), scale), Ok(expected), "{digits:?} at {scale}");
            assert_eq!(decimal(&numeric(weight, 0x4000, digits), scale), Ok(-expected));
        }
        // numeric(38,1): the last group is cut before it would be too wide.
        let nines = [9, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9000];
        assert_eq!(decimal(&numeric(9, 0, &nines), 1), Ok(10i128.pow(38) - 1));
        assert!(decimal(&numeric(0, 0xC000, &[]), 2).is_err(), "NaN");
    }

    #[test]
    fn the_ends_of_time_keep_their_place() {
        assert_eq!((date(i32::MAX), date(i32::MIN), date(0)), (Ok(i32::MAX), Ok(-i32::MAX), Ok(10_957)));
        assert_eq!((instant(i64::MAX), instant(i64::MIN)), (Ok(i64::MAX), Ok(-i64::MAX)));
        assert!(instant(9_223_371_331_199_999_999).is_err(), "the server's last microsecond");
    }

    #[test]
    fn an_array_of_another_shape_is_an_error() {
        let two_dimensions = [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        let mut column = Column::new(&Kind::List(1, Box::new(Kind::Int4)));
        assert!(column.extend([Some(&two_dimensions[..])].into_iter()).is_err_and(|why| why.contains("as_text")));
        let mut column = Column::new(&Kind::List(2, Box::new(Kind::Int4)));
        column.extend([None, Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23][..])].into_iter()).expect("NULL and empty");
        let array = column.finish().expect("array");
        assert_eq!((array.len(), array.null_count()), (2, 1));
    }
}
