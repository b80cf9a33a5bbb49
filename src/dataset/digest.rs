//! What a version holds, in whatever order: a number that changes when a row or the schema does, and with nothing else.
//!
//! Every row is what `array_send` makes of its values' binary forms, with its SHA-256; the rows' digests are added, so
//! that their order does not matter and one that is there twice counts twice. The server can do the same sum over its own rows: "did the data
//! change" needs no export. It tells changes, not forgeries: sums of digests can be steered by whoever tries.

use sha2::block_api::compress256;
use sha2::{Digest as _, Sha256};

use tokio_postgres::types::Type;

use super::field::{Field, described};
use crate::ports::files::hex;

/// The sums of the rows so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Sums {
    rows: u64,
    halves: [u64; 2],
}

/// Adds rows as they pass.
pub(super) struct Summing {
    sums: Sums,
    /// A row as an array: its head, and room for what a COPY has of it.
    row: Vec<u8>,
}

/// `array_send`: one dimension, whether there is a NULL, the type of the elements; how many, from 1 on.
const HEAD: usize = 20;

impl Summing {
    pub(super) fn new(fields: usize) -> Self {
        let count = u32::try_from(fields).unwrap_or(0);
        let head = [1, 0, Type::BYTEA.oid(), count, 1];
        Self { sums: Sums::default(), row: head.iter().flat_map(|n| n.to_be_bytes()).collect() }
    }

    /// A row of a COPY without the number of its fields: sizes and values, as in an array.
    pub(super) fn add(&mut self, values: &[u8], nulls: bool) {
        self.row.truncate(HEAD);
        self.row[7] = u8::from(nulls);
        self.row.extend_from_slice(values);
        let [a, b, c, d, ..] = state(&mut self.row);
        for (half, [high, low]) in self.sums.halves.iter_mut().zip([[a, b], [c, d]]) {
            *half = half.wrapping_add(u64::from(high) << 32 | u64::from(low));
        }
        self.sums.rows += 1;
    }

    pub(super) fn done(self) -> Sums {
        self.sums
    }
}

/// SHA-256 of a short message that is in memory anyway: padded where it lies, the digest costs a third less.
fn state(message: &mut Vec<u8>) -> [u32; 8] {
    let bits = (message.len() as u64 * 8).to_be_bytes();
    message.push(0x80);
    message.resize((message.len() + 8).next_multiple_of(64) - 8, 0);
    message.extend_from_slice(&bits);
    let mut state = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
    compress256(&mut state, message.as_chunks().0);
    state
}

impl Sums {
    /// As the server says them: signed, of any size.
    pub(super) fn said(rows: i64, halves: [&str; 2]) -> Option<Self> {
        let number = |text: &str| text.parse::<i128>().ok().map(|n| u64::try_from(n.rem_euclid(1 << 64)).unwrap_or(0));
        Some(Self { rows: u64::try_from(rows).ok()?, halves: [number(halves[0])?, number(halves[1])?] })
    }

    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// With names and types: the digest of a version's content.
    pub(super) fn digest(&self, fields: &[Field]) -> String {
        let [high, low] = self.halves;
        hex(&Sha256::digest(format!("{}{} rows, {high:016x}{low:016x}\n", described(fields), self.rows)))
    }
}

/// The same sums by the server: rows, and both halves as text.
pub(super) fn sql(query: &str, fields: &[Field]) -> String {
    let list: Vec<String> = fields.iter().map(Field::sent).collect();
    let half = |from: u8| format!("coalesce(sum(('x' || substr(h, {from}, 16))::bit(64)::bigint), 0)::text");
    let row = format!("select encode(sha256(array_send(array[{}]::bytea[])), 'hex') h from (\n{query}\n) q", list.join(", "));
    format!("select count(*), {}, {} from ({row}) d", half(1), half(17))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_message_has_the_digest_that_everyone_gives_it() {
        for length in [0, 1, 54, 55, 56, 63, 64, 65, 119, 120, 1000] {
            let message = vec![7; length];
            let words = state(&mut message.clone());
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(bytes, Sha256::digest(&message).to_vec(), "{length} bytes");
        }
    }

    #[test]
    fn the_order_of_rows_does_not_matter_and_their_number_does() {
        let sums = |rows: &[&[u8]]| {
            let mut summing = Summing::new(1);
            rows.iter().for_each(|row| summing.add(row, false));
            summing.done()
        };
        assert_eq!(sums(&[b"a", b"bc"]), sums(&[b"bc", b"a"]));
        assert_ne!(sums(&[b"a", b"a"]), sums(&[b"a"]));
        assert_ne!(sums(&[b"a", b"bc"]), sums(&[b"ab", b"c"]));
    }
}
