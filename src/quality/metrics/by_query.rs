//! Metrics of ranking: one value a query, and their mean.

use super::prelude::*;
use crate::quality::float;
use crate::quality::table::Queries;

/// The mean over the queries. `value` gets relevance and score of a query's rows, the highest score first.
pub(super) fn mean(view: &View, value: impl Fn(&[f64], &[f64]) -> f64) -> Score {
    let Data::Queries(q) = &view.table.data else { return not_for_it() };
    let mut rows = Vec::with_capacity(view.len());
    view.each(|row, _| rows.push(row));
    let of = |rows: &[usize]| {
        let column = |values: &[f64]| rows.iter().map(|row| values[*row]).collect::<Vec<_>>();
        value(&column(&q.relevance), &column(&q.score))
    };
    let values: Vec<f64> = rows.chunk_by(|a, b| same(q, *a, *b)).map(of).collect();
    (values.iter().sum::<f64>() / float(values.len())).into()
}

fn same(q: &Queries, a: usize, b: usize) -> bool {
    q.query[a] == q.query[b]
}
