//! COPY: columns out of the binary stream.

use bytes::{Buf, Bytes};
use futures_util::{TryStreamExt, pin_mut};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use crate::column::{Column, Values};

#[derive(Debug, thiserror::Error)]
pub enum CopyOutError {
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    #[error("the server's COPY stream could not be read: {0}")]
    Stream(String),
}

/// A query's rows as columns, and the columns that had to become text.
pub struct Export {
    pub columns: Vec<Column>,
    pub as_text: Vec<String>,
}

/// Runs a query through `COPY (…) TO STDOUT (FORMAT binary)`. Types without a column of their own (numeric, json,
/// uuid, arrays …) are cast to text by the server, which loses nothing.
pub async fn copy_out(client: &Transaction<'_>, query: &str) -> Result<Export, CopyOutError> {
    let statement = client.prepare(&format!("select * from (\n{query}\n) q limit 0")).await?;
    let mut builders: Vec<Builder> = statement.columns().iter().map(|c| Builder::new(c.name(), c.type_())).collect();
    let list: Vec<String> = builders.iter().map(Builder::select).collect();
    let copy = format!("copy (select {} from (\n{query}\n) q) to stdout (format binary)", list.join(", "));
    let stream = client.copy_out(&copy).await?;
    pin_mut!(stream);
    let mut pending = Bytes::new();
    let mut header_seen = false;
    while let Some(chunk) = stream.try_next().await? {
        pending = if pending.is_empty() { chunk } else { [pending, chunk].concat().into() };
        if !header_seen {
            header_seen = read_header(&mut pending)?;
        }
        // tokio-postgres hands over whole messages, and the server sends a row a message.
        while header_seen && read_row(&mut pending, &mut builders)? {}
    }
    let as_text = builders.iter().filter(|b| b.cast).map(|b| b.column.name.clone()).collect();
    Ok(Export { columns: builders.into_iter().map(|b| b.column).collect(), as_text })
}

fn short(what: &str) -> CopyOutError {
    CopyOutError::Stream(format!("it ends in the middle of {what}"))
}

fn read_header(bytes: &mut Bytes) -> Result<bool, CopyOutError> {
    const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
    if bytes.len() < SIGNATURE.len() + 8 {
        return Ok(false);
    }
    if !bytes.starts_with(SIGNATURE) {
        return Err(CopyOutError::Stream("it does not start with the signature of the binary format".into()));
    }
    bytes.advance(SIGNATURE.len() + 4);
    let extension = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
    if bytes.len() < extension {
        return Err(short("its header"));
    }
    bytes.advance(extension);
    Ok(true)
}

/// One row; false at the end of the stream or when no whole row is here yet.
fn read_row(bytes: &mut Bytes, builders: &mut [Builder]) -> Result<bool, CopyOutError> {
    if bytes.len() < 2 {
        return Ok(false);
    }
    let fields = i16::from_be_bytes([bytes[0], bytes[1]]);
    if fields == -1 {
        bytes.clear();
        return Ok(false);
    }
    if usize::try_from(fields).ok() != Some(builders.len()) {
        return Err(CopyOutError::Stream(format!("a row has {fields} fields instead of {}", builders.len())));
    }
    bytes.advance(2);
    for builder in builders {
        if bytes.len() < 4 {
            return Err(short("a row"));
        }
        let length = bytes.get_i32();
        let value = match usize::try_from(length) {
            Err(_) => None,
            Ok(length) if length <= bytes.len() => Some(bytes.split_to(length)),
            Ok(_) => return Err(short("a value")),
        };
        builder.push(value.as_deref())?;
    }
    Ok(true)
}

struct Builder {
    column: Column,
    cast: bool,
}

/// Microseconds and days between 1970-01-01 and Postgres' epoch, 2000-01-01.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i32 = 10_957;

impl Builder {
    fn new(name: &str, kind: &Type) -> Self {
        let values = match *kind {
            Type::BOOL => Values::Bool(vec![]),
            Type::INT2 => Values::I16(vec![]),
            Type::INT4 => Values::I32(vec![]),
            Type::INT8 => Values::I64(vec![]),
            Type::FLOAT4 => Values::F32(vec![]),
            Type::FLOAT8 => Values::F64(vec![]),
            Type::DATE => Values::Date(vec![]),
            Type::TIMESTAMP => Values::Timestamp(vec![]),
            Type::TIMESTAMPTZ => Values::TimestampTz(vec![]),
            _ => Values::Text(vec![]),
        };
        let text_already = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME].contains(kind);
        let cast = matches!(values, Values::Text(_)) && !text_already;
        Self { column: Column { name: name.into(), values }, cast }
    }

    fn select(&self) -> String {
        let name = crate::names::ident(&self.column.name);
        if self.cast { format!("{name}::text") } else { name }
    }

    fn push(&mut self, bytes: Option<&[u8]>) -> Result<(), CopyOutError> {
        let name = &self.column.name;
        match &mut self.column.values {
            Values::Bool(v) => v.push(fixed::<1>(bytes, name)?.map(|b| b[0] != 0)),
            Values::I16(v) => v.push(fixed(bytes, name)?.map(i16::from_be_bytes)),
            Values::I32(v) => v.push(fixed(bytes, name)?.map(i32::from_be_bytes)),
            Values::I64(v) => v.push(fixed(bytes, name)?.map(i64::from_be_bytes)),
            Values::F32(v) => v.push(fixed(bytes, name)?.map(f32::from_be_bytes)),
            Values::F64(v) => v.push(fixed(bytes, name)?.map(f64::from_be_bytes)),
            Values::Date(v) => {
                let days = fixed(bytes, name)?.map(i32::from_be_bytes);
                v.push(days.map(|d| d.checked_add(EPOCH_DAYS).filter(|_| d != i32::MIN).ok_or_else(|| infinite(name))).transpose()?);
            }
            Values::Timestamp(v) | Values::TimestampTz(v) => {
                let micros = fixed(bytes, name)?.map(i64::from_be_bytes);
                v.push(micros.map(|m| m.checked_add(EPOCH_MICROS).filter(|_| m != i64::MIN).ok_or_else(|| infinite(name))).transpose()?);
            }
            Values::Text(v) => v.push(match bytes {
                None => None,
                Some(bytes) => Some(
                    std::str::from_utf8(bytes).map_err(|_| CopyOutError::Stream(format!("column `{name}` holds text that is not UTF-8")))?.to_owned(),
                ),
            }),
        }
        Ok(())
    }
}

fn infinite(name: &str) -> CopyOutError {
    CopyOutError::Stream(format!("column `{name}` holds an infinite date, which Parquet cannot; cast it to text or null in the query"))
}

fn fixed<const N: usize>(bytes: Option<&[u8]>, name: &str) -> Result<Option<[u8; N]>, CopyOutError> {
    bytes
        .map(|b| b.try_into().map_err(|_| CopyOutError::Stream(format!("column `{name}` has a value of {} bytes instead of {N}", b.len()))))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_stream_is_an_error_not_a_short_table() {
        let mut builders = [Builder::new("n", &Type::INT4)];
        let mut torn = Bytes::from_static(&[0, 1, 0, 0, 0, 4, 0, 0]);
        assert!(read_row(&mut torn, &mut builders).is_err());
        let mut wrong_width = Bytes::from_static(&[0, 1, 0, 0, 0, 2, 0, 0]);
        assert!(read_row(&mut wrong_width, &mut builders).is_err());
    }
}
