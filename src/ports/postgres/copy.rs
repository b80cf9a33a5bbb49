//! COPY: rows and columns out of the binary stream.

use bytes::{Buf, Bytes};
use futures_util::{Stream, TryStreamExt, pin_mut};

#[derive(Debug, thiserror::Error)]
pub enum CopyOutError {
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    #[error("the server's COPY stream could not be read: {0}")]
    Stream(String),
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
            let place = |field: usize, at: usize, length: i32| spans[field] = usize::try_from(length).ok().map(|length| (at, at + length));
            match read_row(rest, fields, place)? {
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

/// Takes the head off the first message of a COPY.
pub fn read_header(bytes: &mut Bytes) -> Result<(), CopyOutError> {
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

/// Says of each value of the row at the front where it lies and how long it is, a negative length for NULL; gives the
/// length of the row, or nothing for the mark at the end of the stream.
pub fn read_row(bytes: &[u8], fields: usize, mut place: impl FnMut(usize, usize, i32)) -> Result<Option<usize>, CopyOutError> {
    let Some((head, _)) = bytes.split_first_chunk::<2>() else { return Err(short("a row")) };
    let found = i16::from_be_bytes(*head);
    if found == -1 {
        return Ok(None);
    }
    if usize::try_from(found).ok() != Some(fields) {
        return Err(CopyOutError::Stream(format!("a row has {found} fields instead of {fields}")));
    }
    let mut at = 2;
    for field in 0..fields {
        let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) else { return Err(short("a row")) };
        let length = i32::from_be_bytes(*head);
        at += 4;
        place(field, at, length);
        at += usize::try_from(length).unwrap_or(0);
        if at > bytes.len() {
            return Err(short("a value"));
        }
    }
    Ok(Some(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_stream_is_an_error_not_a_short_table() {
        let read = |bytes: &[u8], fields| {
            let mut spans = Vec::new();
            read_row(bytes, fields, |_, at, length| spans.push((at, length))).map(|length| (length, spans))
        };
        assert!(read(&[0, 1, 0, 0, 0, 4, 0, 0], 1).is_err());
        assert!(read(&[0, 1, 0], 1).is_err());
        assert!(read(&[0, 1, 0, 0, 0, 2, 0, 0], 2).is_err());
        assert_eq!(read(&[0, 1, 0, 0, 0, 2, 7, 7, 9], 1).expect("row"), (Some(8), vec![(6, 2)]));
    }
}
