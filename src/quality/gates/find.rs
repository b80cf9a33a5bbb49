//! Slices of one or two columns in which the model is worse than elsewhere, beyond chance.

use crate::quality::float;
use crate::quality::metrics::{Chosen, Term};
use crate::quality::table::{Data, Labels, Table};
use crate::quality::view::View;
use crate::stats::{Sample, benjamini_hochberg, welch_greater};

/// A slice by its columns' values, and its rows.
#[derive(Debug, Clone)]
pub struct Slice {
    pub name: String,
    pub rows: Vec<u32>,
}

/// A slice, and what is known of its rows.
pub struct Cut<'a> {
    pub name: &'a str,
    pub view: View<'a>,
}

/// One slice for each value that occurs.
pub fn slices(labels: &Labels) -> Vec<Slice> {
    let rows = labels.rows().into_iter().zip(&labels.values);
    rows.filter(|(rows, _)| !rows.is_empty()).map(|(rows, value)| Slice { name: format!("{}={value}", labels.name), rows }).collect()
}

pub fn cuts<'a>(table: &'a Table, slices: &'a [Slice]) -> Vec<Cut<'a>> {
    slices.iter().map(|slice| Cut { name: &slice.name, view: View::of(table, &slice.rows) }).collect()
}

/// One slice for each pair of values that occurs.
pub fn pairs(a: &Labels, b: &Labels) -> Vec<Slice> {
    let mut rows = std::collections::BTreeMap::<(u32, u32), Vec<u32>>::new();
    for (row, codes) in (0_u32..).zip(a.codes.iter().copied().zip(b.codes.iter().copied())) {
        rows.entry(codes).or_default().push(row);
    }
    let name = |x: u32, y: u32| format!("{}={}, {}={}", a.name, a.values[x as usize], b.name, b.values[y as usize]);
    rows.into_iter().map(|((x, y), rows)| Slice { name: name(x, y), rows }).collect()
}

/// What a row costs: the metric's own term, or without one whether the decision is wrong.
fn costs<'a>(metric: &Chosen, table: &'a Table) -> Option<Term<'a>> {
    let sign = if metric.higher_is_better { -1.0 } else { 1.0 };
    if let Some(term) = metric.metric.terms(table) {
        return Some(Box::new(move |row| sign * term(row)));
    }
    match &table.data {
        Data::Binary(b) => Some(Box::new(|row| f64::from(u8::from((b.p[row] >= b.threshold) != b.y[row])))),
        Data::Classes(c) => Some(Box::new(|row| f64::from(u8::from(c.decided[row] != c.y[row])))),
        Data::Numbers(n) => Some(Box::new(|row| (n.y[row] - n.p[row]).abs())),
        Data::Queries(_) => None,
    }
}

/// For each slice how likely its rows cost so much more than the others by chance, adjusted after Benjamini and Hochberg.
pub fn adjusted(metric: &Chosen, table: &Table, slices: &[Slice]) -> Option<Vec<f64>> {
    let cost = costs(metric, table)?;
    let costs: Vec<f64> = (0..table.len()).map(cost).collect();
    let moments = |sum: f64, square: f64, n: f64| Sample { n, mean: sum / n, variance: ((square - sum * sum / n) / (n - 1.0)).max(0.0) };
    let (sum, square): (f64, f64) = costs.iter().fold((0.0, 0.0), |(s, q), c| (s + c, q + c * c));
    let p = slices.iter().map(|slice| {
        let (s, q) = slice.rows.iter().map(|row| costs[*row as usize]).fold((0.0, 0.0), |(s, q), c| (s + c, q + c * c));
        let (inside, outside) = (float(slice.rows.len()), float(costs.len() - slice.rows.len()));
        if inside < 2.0 || outside < 2.0 {
            return 1.0;
        }
        let p = welch_greater(moments(s, q, inside), moments(sum - s, square - q, outside));
        if p.is_nan() { 1.0 } else { p }
    });
    Some(benjamini_hochberg(&p.collect::<Vec<_>>()))
}
