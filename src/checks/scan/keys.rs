//! Questions about keys, answered from one stream of them: uniqueness, references and overlap without a second scan.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::parents::{Gathering, Parents};
use super::statement::KeyPlaces;
use crate::checks::question::Ask;
use crate::ports::postgres::copy::Row;

/// One question on its way through the stream.
pub struct Counter {
    places: KeyPlaces,
    state: State,
}

enum State {
    /// Eight bytes a key. Equal keys hash equal, so none is missed; what looks like a duplicate is asked of the server.
    Duplicates {
        nulls_equal: bool,
        hashes: Vec<u64>,
    },
    Orphans {
        parents: Parents,
        orphans: u64,
        rows: u64,
    },
    /// The group's number stands in the last bits.
    Shared {
        hashes: Vec<u128>,
        bits: u128,
    },
}

impl Counter {
    pub fn new(ask: &Ask, places: KeyPlaces, parents: Option<Parents>) -> Self {
        let state = match ask {
            Ask::Duplicates { nulls_equal } => State::Duplicates { nulls_equal: *nulls_equal, hashes: Vec::new() },
            Ask::Orphans { .. } => State::Orphans { parents: parents.unwrap_or_else(|| Gathering::default().finish()), orphans: 0, rows: 0 },
            Ask::Shared { names, .. } => State::Shared { hashes: Vec::new(), bits: (names.len() as u128 + 1).next_power_of_two() - 1 },
        };
        Self { places, state }
    }

    /// One row: its values in the stream's order.
    pub fn see(&mut self, row: Row<'_>, buffer: &mut Vec<u8>) {
        // A `where` that is NULL keeps nothing.
        if self.places.filter.is_some_and(|at| row.get(at) != Some(&[1])) {
            return;
        }
        let key = &self.places.key;
        let has_null = key.iter().any(|at| row.get(*at).is_none());
        match &mut self.state {
            State::Duplicates { nulls_equal, hashes } => {
                if *nulls_equal || !has_null {
                    hashes.push(xxh3_64(joined(row, key, buffer)));
                }
            }
            State::Orphans { parents, orphans, rows } => {
                if let Some(value) = row.get(key[0]) {
                    *rows += 1;
                    *orphans += u64::from(!parents.contains(value));
                }
            }
            State::Shared { hashes, bits } => {
                let group = self.places.group.and_then(|at| row.get(at)).and_then(|bytes| Some(i32::from_be_bytes(bytes.try_into().ok()?)));
                if let Some(group) = group.filter(|_| !has_null) {
                    hashes.push((xxh3_128(joined(row, key, buffer)) & !*bits) | u128::from(group.unsigned_abs()));
                }
            }
        }
    }

    /// The two numbers of the answer.
    pub fn finish(self) -> [u64; 2] {
        match self.state {
            State::Duplicates { mut hashes, .. } => {
                hashes.sort_unstable();
                runs(&hashes, |h| *h, |run| (run.len() > 1).then_some(run.len() as u64))
            }
            State::Orphans { orphans, rows, .. } => [orphans, rows],
            State::Shared { mut hashes, bits } => {
                hashes.sort_unstable();
                let mut keys = 0;
                let [shared, _] = runs(
                    &hashes,
                    |h| h & !bits,
                    |run| {
                        keys += 1;
                        (run.first() != run.last()).then_some(0)
                    },
                );
                [shared, keys]
            }
        }
    }
}

/// How many runs of equal keys count, and the sum of what they count for.
fn runs<T, K: PartialEq>(sorted: &[T], key: impl Fn(&T) -> K, mut counts: impl FnMut(&[T]) -> Option<u64>) -> [u64; 2] {
    let mut found = [0, 0];
    for run in sorted.chunk_by(|a, b| key(a) == key(b)) {
        if let Some(n) = counts(run) {
            found = [found[0] + 1, found[1] + n];
        }
    }
    found
}

/// The parts of a key with their lengths between them, so that ('a', 'bc') is not ('ab', 'c'). A part of fixed length
/// would not need it, but costs little.
fn joined<'b>(row: Row<'b>, key: &[usize], buffer: &'b mut Vec<u8>) -> &'b [u8] {
    if let [only] = key
        && let Some(value) = row.get(*only)
    {
        return value;
    }
    buffer.clear();
    for at in key {
        match row.get(*at) {
            Some(value) => {
                buffer.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
                buffer.extend_from_slice(value);
            }
            None => buffer.extend_from_slice(&u32::MAX.to_le_bytes()),
        }
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(ask: &Ask, places: KeyPlaces, parents: Option<Parents>, rows: &[&[Option<&[u8]>]]) -> [u64; 2] {
        let mut counter = Counter::new(ask, places, parents);
        for row in rows {
            let (mut bytes, mut spans) = (Vec::new(), Vec::new());
            for value in *row {
                let from = bytes.len();
                bytes.extend_from_slice(value.unwrap_or_default());
                spans.push(value.map(|_| (from, bytes.len())));
            }
            counter.see(Row::new(&bytes, &spans), &mut Vec::new());
        }
        counter.finish()
    }

    #[test]
    fn duplicates_know_keys_rows_and_nulls() {
        let rows: [&[Option<&[u8]>]; 6] = [
            &[Some(b"1"), None],
            &[Some(b"1"), None],
            &[Some(b"2"), Some(b"2")],
            &[Some(b"2"), Some(b"2")],
            &[Some(b"2"), Some(b"2")],
            &[Some(b"22"), Some(b"")],
        ];
        let places = KeyPlaces { key: vec![0, 1], ..KeyPlaces::default() };
        assert_eq!(seen(&Ask::Duplicates { nulls_equal: false }, places.clone(), None, &rows), [1, 3]);
        assert_eq!(seen(&Ask::Duplicates { nulls_equal: true }, places, None, &rows), [2, 5]);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let rows: [&[Option<&[u8]>]; 2] = [&[Some(b"a|b"), Some(b"c")], &[Some(b"a"), Some(b"b|c")]];
        let places = KeyPlaces { key: vec![0, 1], ..KeyPlaces::default() };
        assert_eq!(seen(&Ask::Duplicates { nulls_equal: false }, places, None, &rows), [0, 0]);
    }

    #[test]
    fn only_rows_that_the_filter_keeps_are_seen() {
        let rows: [&[Option<&[u8]>]; 3] = [&[Some(b"1"), Some(&[1])], &[Some(b"1"), Some(&[0])], &[Some(b"1"), None]];
        let places = KeyPlaces { key: vec![0], filter: Some(1), group: None };
        assert_eq!(seen(&Ask::Duplicates { nulls_equal: false }, places, None, &rows), [0, 0]);
    }

    #[test]
    fn orphans_have_no_parent_and_null_refers_to_nothing() {
        let ask = Ask::Orphans { table: crate::names::TableName::parse("p").expect("name"), column: "id".into() };
        let mut parents = Gathering::default();
        [b"1", b"2"].iter().for_each(|value| parents.add(*value));
        let rows: [&[Option<&[u8]>]; 4] = [&[Some(b"1")], &[Some(b"3")], &[Some(b"3")], &[None]];
        assert_eq!(seen(&ask, KeyPlaces { key: vec![0], ..KeyPlaces::default() }, Some(parents.finish()), &rows), [2, 3]);
    }

    #[test]
    fn a_key_is_shared_when_two_groups_have_it() {
        let ask = Ask::Shared { group: "split".into(), names: vec!["train".into(), "test".into()] };
        let group = |n: &'static [u8; 4]| Some(&n[..]);
        let (train, test) = (group(&[0, 0, 0, 1]), group(&[0, 0, 0, 2]));
        let rows: [&[Option<&[u8]>]; 5] =
            [&[Some(b"a"), train], &[Some(b"a"), train], &[Some(b"b"), train], &[Some(b"b"), test], &[Some(b"c"), None]];
        assert_eq!(seen(&ask, KeyPlaces { key: vec![0], filter: None, group: Some(1) }, None, &rows), [1, 2]);
    }
}
