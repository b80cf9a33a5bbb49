//! The values that a reference may have.

#![expect(clippy::disallowed_types, reason = "it is asked what it holds, and never walked")]

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use xxhash_rust::xxh3::xxh3_64;

/// A set of them, made for being asked millions of times: keys that were numbered lie close together and are one bit each,
/// which the processor's cache holds; other values are known by their hashes.
pub enum Parents {
    Bits { length: usize, low: i64, bits: Vec<u64> },
    Hashes(HashSet<u64, BuildHasherDefault<Hashed>>),
}

/// The keys of this set are hashes already.
#[derive(Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64(bytes);
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// Bits that a value may cost: no more than its hash would.
const BITS: u64 = 64;

/// Two, four or eight bytes as a number, the first byte the highest.
fn number(value: &[u8]) -> Option<i64> {
    Some(match value.len() {
        2 => i16::from_be_bytes(value.try_into().ok()?).into(),
        4 => i32::from_be_bytes(value.try_into().ok()?).into(),
        8 => i64::from_be_bytes(value.try_into().ok()?),
        _ => return None,
    })
}

impl Parents {
    pub fn contains(&self, value: &[u8]) -> bool {
        match self {
            Self::Hashes(hashes) => hashes.contains(&xxh3_64(value)),
            Self::Bits { length, low, bits } => {
                let place = number(value).filter(|_| value.len() == *length).and_then(|n| usize::try_from(i128::from(n) - i128::from(*low)).ok());
                place.is_some_and(|at| bits.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1))
            }
        }
    }
}

/// Values on their way into the set.
#[derive(Default)]
pub struct Gathering {
    numbers: Vec<i64>,
    hashes: HashSet<u64, BuildHasherDefault<Hashed>>,
    length: Option<usize>,
}

impl Gathering {
    pub fn add(&mut self, value: &[u8]) {
        match number(value).filter(|_| self.hashes.is_empty() && self.length.is_none_or(|length| length == value.len())) {
            Some(n) => {
                self.length = Some(value.len());
                self.numbers.push(n);
            }
            None => {
                self.become_hashes();
                self.hashes.insert(xxh3_64(value));
            }
        }
    }

    fn become_hashes(&mut self) {
        for n in std::mem::take(&mut self.numbers) {
            let bytes = n.to_be_bytes();
            self.hashes.insert(xxh3_64(&bytes[bytes.len() - self.length.unwrap_or(bytes.len())..]));
        }
    }

    pub fn finish(mut self) -> Parents {
        if let (Some(length), Some(low), Some(high)) = (self.length, self.numbers.iter().min(), self.numbers.iter().max()) {
            let range = high.abs_diff(*low);
            if range / BITS <= self.numbers.len() as u64 {
                let mut bits = vec![0; usize::try_from(range / 64).unwrap_or(0) + 1];
                for n in &self.numbers {
                    let at = usize::try_from(n.abs_diff(*low)).unwrap_or(0);
                    bits[at / 64] |= 1 << (at % 64);
                }
                return Parents::Bits { length, low: *low, bits };
            }
            self.become_hashes();
        }
        Parents::Hashes(self.hashes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parents(values: &[&[u8]]) -> Parents {
        let mut gathering = Gathering::default();
        values.iter().for_each(|value| gathering.add(value));
        gathering.finish()
    }

    #[test]
    fn close_numbers_are_bits_and_everything_else_is_hashed() {
        let close = parents(&[&(-3i32).to_be_bytes(), &7i32.to_be_bytes()]);
        assert!(matches!(close, Parents::Bits { .. }));
        for (n, there) in [(-3, true), (7, true), (-4, false), (0, false), (8, false), (i32::MAX, false)] {
            assert_eq!(close.contains(&n.to_be_bytes()), there, "{n}");
        }
        assert!(!close.contains(&7i64.to_be_bytes()), "another type");
        let far = parents(&[&i64::MIN.to_be_bytes(), &i64::MAX.to_be_bytes(), &1i64.to_be_bytes()]);
        assert!(matches!(far, Parents::Hashes(_)) && far.contains(&i64::MIN.to_be_bytes()) && !far.contains(&2i64.to_be_bytes()));
    }

    #[test]
    fn texts_of_any_length_keep_what_was_there_before_them() {
        let texts = parents(&[b"ab", b"abcd", b"x", b""]);
        for (text, there) in [(&b"ab"[..], true), (b"abcd", true), (b"x", true), (b"", true), (b"abc", false), (b"ba", false)] {
            assert_eq!(texts.contains(text), there);
        }
        assert!(!parents(&[]).contains(b""));
    }
}
