//! The rows that two tables share, by their key.

use super::super::QualityError;
use super::super::table::{Data, Key, Table};

/// Both tables with the same rows, each in its own order.
pub struct Pair {
    pub one: Table,
    pub other: Table,
    /// The number of a row of `one` in the order of the join.
    pub at_one: Vec<u32>,
    pub at_other: Vec<u32>,
    /// Rows of each that the other has not.
    pub alone: [usize; 2],
}

fn wrong<T>(why: impl Into<String>) -> Result<T, QualityError> {
    Err(QualityError::Wrong(why.into()))
}

/// Rows in the order of their keys. The same key twice says nothing about which row is meant.
fn by_key<'a, K: Ord + std::fmt::Debug>(keys: &'a [K], whose: &str) -> Result<Vec<(&'a K, u32)>, QualityError> {
    let mut rows: Vec<(&K, u32)> = keys.iter().zip(0..).collect();
    rows.sort_unstable();
    match rows.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => wrong(format!("the key {:?} occurs twice among {whose} predictions", twice[0].0)),
        None => Ok(rows),
    }
}

fn shared<K: Ord + std::fmt::Debug>(one: &[K], other: &[K]) -> Result<(Vec<u32>, Vec<u32>), QualityError> {
    let (one, other) = (by_key(one, "the")?, by_key(other, "the champion's")?);
    let mut theirs = other.into_iter().peekable();
    let mut both = (Vec::new(), Vec::new());
    for (key, row) in one {
        while theirs.next_if(|(other, _)| *other < key).is_some() {}
        if let Some((_, other)) = theirs.next_if(|(other, _)| *other == key) {
            both.0.push(row);
            both.1.push(other);
        }
    }
    Ok(both)
}

/// The inverse of a selection of ascending rows: the number of each row of the taken table.
fn ordered(table: &Table, rows: &[u32]) -> (Table, Vec<u32>) {
    // Rows in the table's own order keep it sorted.
    let mut order: Vec<u32> = (0..).take(rows.len()).collect();
    order.sort_unstable_by_key(|i| rows[*i as usize]);
    let taken: Vec<u32> = order.iter().map(|i| rows[*i as usize]).collect();
    (table.taken(&taken), order)
}

pub fn join(one: &Table, other: &Table) -> Result<Pair, QualityError> {
    let (ours, theirs) = match (&one.key, &other.key) {
        (Some(Key::Numbers(a)), Some(Key::Numbers(b))) => shared(a, b)?,
        (Some(Key::Texts(a)), Some(Key::Texts(b))) => shared(a, b)?,
        (Some(_), Some(_)) => return wrong("the keys of both are of different types"),
        _ => return wrong("name the column that says which row is which in `key`"),
    };
    if ours.is_empty() {
        return wrong("no key is in both: these are not predictions of the same rows");
    }
    let alone = [one.len() - ours.len(), other.len() - theirs.len()];
    let (one, at_one) = ordered(one, &ours);
    let (other, at_other) = ordered(other, &theirs);
    if let Some(row) = differing(&one, &at_one, &other, &at_other) {
        return wrong(format!("{row} rows have another label among the champion's predictions: it was judged on other data"));
    }
    Ok(Pair { one, other, at_one, at_other, alone })
}

/// A value of each row of a table, in the order of the join.
pub fn aligned<T: Clone + Default>(at: &[u32], of: impl Fn(usize) -> T) -> Vec<T> {
    let mut all = vec![T::default(); at.len()];
    for (row, at) in at.iter().enumerate() {
        all[*at as usize] = of(row);
    }
    all
}

/// How many rows have another truth.
fn differing(one: &Table, at_one: &[u32], other: &Table, at_other: &[u32]) -> Option<usize> {
    let (a, b) = (truths(one, at_one), truths(other, at_other));
    let n = a.iter().zip(&b).filter(|(a, b)| a != b).count();
    (n > 0).then_some(n)
}

/// In the order of the join.
fn truths(table: &Table, at: &[u32]) -> Vec<String> {
    aligned(at, |row| match &table.data {
        Data::Binary(b) => b.y[row].to_string(),
        Data::Classes(c) => c.names[c.y[row] as usize].clone(),
        Data::Numbers(n) => n.y[row].to_string(),
        Data::Queries(q) => q.relevance[row].to_string(),
    })
}
