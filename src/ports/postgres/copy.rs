//! COPY: rows and columns out of the binary stream.

use bytes::{Buf, Bytes};
use futures_util::{Stream, TryStreamExt, pin_mut};
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
    each_row(stream, builders.len(), |row| builders.iter_mut().enumerate().try_for_each(|(i, builder)| builder.push(row.get(i)))).await?;
    let as_text = builders.iter().filter(|b| b.cast).map(|b| b.column.name.clone()).collect();
    Ok(Export { columns: builders.into_iter().map(|b| b.column).collect(), as_text })
}

/// One row of a binary COPY.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    bytes: &'a [u8],
    /// Where each value lies; NULL lies nowhere.
    spans: &'a [Option<(usize, usize)>],
}

impl<'a> Row<'a> {
    pub fn new(bytes: &'a [u8], spans: &'a [Option<(usize, usize)>]) -> Self {
        Self { bytes, spans }
    }

    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        self.spans[at].map(|(from, to)| &self.bytes[from..to])
    }
}

/// Hands over a binary COPY row by row, without keeping any. A stream that ends early is an error, not a short table.
pub async fn each_row(
    stream: impl Stream<Item = Result<Bytes, tokio_postgres::Error>>,
    fields: usize,
    mut row: impl FnMut(Row<'_>) -> Result<(), CopyOutError>,
) -> Result<(), CopyOutError> {
    pin_mut!(stream);
    let mut spans = vec![None; fields];
    let (mut header_seen, mut ended) = (false, false);
    // tokio-postgres hands over whole messages; the server sends a row a message, and the header with the first.
    while let Some(mut chunk) = stream.try_next().await? {
        if !header_seen {
            read_header(&mut chunk)?;
            header_seen = true;
        }
        let mut rest = &chunk[..];
        while !rest.is_empty() && !ended {
            match read_row(rest, &mut spans)? {
                Some(length) => {
                    row(Row::new(rest, &spans))?;
                    rest = &rest[length..];
                }
                None => ended = true,
            }
        }
    }
    if ended { Ok(()) } else { Err(short("the table")) }
}

fn short(what: &str) -> CopyOutError {
    CopyOutError::Stream(format!("it ends in the middle of {what}"))
}

fn read_header(bytes: &mut Bytes) -> Result<(), CopyOutError> {
    const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
    if !bytes.starts_with(SIGNATURE) || bytes.len() < SIGNATURE.len() + 8 {
        return Err(CopyOutError::Stream("it does not start with the signature of the binary format".into()));
    }
    bytes.advance(SIGNATURE.len() + 4);
    let extension = usize::try_from(bytes.get_u32()).unwrap_or(usize::MAX);
    if bytes.len() < extension {
        return Err(short("its header"));
    }
    bytes.advance(extension);
    Ok(())
}

/// Where the values of the row at the front lie, and its length; nothing for the mark at the end of the stream.
fn read_row(bytes: &[u8], spans: &mut [Option<(usize, usize)>]) -> Result<Option<usize>, CopyOutError> {
    let Some((head, _)) = bytes.split_first_chunk::<2>() else { return Err(short("a row")) };
    let fields = i16::from_be_bytes(*head);
    if fields == -1 {
        return Ok(None);
    }
    if usize::try_from(fields).ok() != Some(spans.len()) {
        return Err(CopyOutError::Stream(format!("a row has {fields} fields instead of {}", spans.len())));
    }
    let mut at = 2;
    for span in spans {
        let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Err(short("a row")) };
        at += 4;
        *span = match usize::try_from(i32::from_be_bytes(*head)) {
            Err(_) => None,
            Ok(length) if at + length <= bytes.len() => Some((at, at + length)),
            Ok(_) => return Err(short("a value")),
        };
        at = span.map_or(at, |(_, to)| to);
    }
    Ok(Some(at))
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
        let mut spans = [None];
        assert!(read_row(&[0, 1, 0, 0, 0, 4, 0, 0], &mut spans).is_err());
        assert!(read_row(&[0, 1, 0], &mut spans).is_err());
        assert!(read_row(&[0, 1, 0, 0, 0, 2, 0, 0], &mut [None, None]).is_err());
        assert_eq!(read_row(&[0, 1, 0, 0, 0, 2, 7, 7, 9], &mut spans).expect("row"), Some(8));
        assert_eq!(spans, [Some((6, 8))]);
    }
}
