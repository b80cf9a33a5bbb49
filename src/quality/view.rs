//! Some rows of a table, each with its weight: what a metric is computed of.

use std::sync::OnceLock;

use super::confusion::Confusion;
use super::curve::{Blocks, Curve, Ranked};
use super::sum::Sum;
use super::table::{Binary, Data, Table};

pub struct View<'a> {
    pub table: &'a Table,
    rows: Option<&'a [u32]>,
    drawn: Option<Draw<'a>>,
    confusion: OnceLock<Confusion>,
    curve: OnceLock<Curve>,
}

/// How often each row of a resample was drawn.
#[derive(Clone, Copy)]
pub struct Draw<'a> {
    /// By the number that a row has in both tables that are compared.
    pub times: &'a [u16],
    /// That number of each row of this table.
    pub at: &'a [u32],
}

impl<'a> View<'a> {
    fn new(table: &'a Table, rows: Option<&'a [u32]>, drawn: Option<Draw<'a>>) -> Self {
        Self { table, rows, drawn, confusion: OnceLock::new(), curve: OnceLock::new() }
    }

    pub fn all(table: &'a Table) -> Self {
        Self::new(table, None, None)
    }

    /// Those rows, ascending.
    pub fn of(table: &'a Table, rows: &'a [u32]) -> Self {
        Self::new(table, Some(rows), None)
    }

    pub fn drawn(table: &'a Table, draw: Draw<'a>) -> Self {
        Self::new(table, None, Some(draw))
    }

    pub fn len(&self) -> usize {
        self.rows.map_or(self.table.len(), <[u32]>::len)
    }

    /// Calls `visit` with every row and its weight, in the table's order.
    #[inline]
    pub fn each(&self, mut visit: impl FnMut(usize, f64)) {
        match (self.rows, self.drawn, &self.table.weights) {
            (None, None, None) => (0..self.table.len()).for_each(|row| visit(row, 1.0)),
            (None, None, Some(weights)) => weights.iter().enumerate().for_each(|(row, weight)| visit(row, *weight)),
            (Some(rows), _, None) => rows.iter().for_each(|row| visit(*row as usize, 1.0)),
            (Some(rows), _, Some(weights)) => rows.iter().for_each(|row| visit(*row as usize, weights[*row as usize])),
            (None, Some(draw), weights) => {
                for (row, at) in draw.at.iter().enumerate() {
                    let times = draw.times[*at as usize];
                    if times > 0 {
                        visit(row, f64::from(times) * weights.as_ref().map_or(1.0, |w| w[row]));
                    }
                }
            }
        }
    }

    /// The weighted mean of a term of each row.
    #[inline]
    pub fn mean(&self, term: impl Fn(usize) -> f64) -> f64 {
        let (mut sum, mut all) = (Sum::default(), Sum::default());
        self.each(|row, weight| {
            sum.add(weight * term(row));
            all.add(weight);
        });
        sum.value() / all.value()
    }

    pub fn confusion(&self) -> &Confusion {
        self.confusion.get_or_init(|| match &self.table.data {
            Data::Binary(b) => self.binary_confusion(b),
            Data::Classes(c) => {
                let mut confusion = Confusion::new(c.names.len(), c.positive);
                self.each(|row, weight| confusion.add(c.y[row] as usize, c.decided[row] as usize, weight));
                confusion
            }
            Data::Numbers(_) | Data::Queries(_) => Confusion::new(0, None),
        })
    }

    fn binary_confusion(&self, b: &Binary) -> Confusion {
        let mut cells = [[Sum::default(); 2]; 2];
        self.each(|row, weight| cells[usize::from(b.y[row])][usize::from(b.p[row] >= b.threshold)].add(weight));
        let [[tn, fp], [fn_, tp]] = cells.map(|row| row.map(Sum::value));
        Confusion::binary(tn, fp, fn_, tp)
    }

    /// Of the scores of two classes; nothing for any other table.
    pub fn curve(&self) -> &Curve {
        self.curve.get_or_init(|| {
            let mut curve = Curve::EMPTY;
            self.blocks(|_, positives, negatives| curve.step(positives, negatives));
            curve
        })
    }

    /// Calls `visit` with each distinct score, the highest first, and the positives and negatives there.
    #[inline]
    pub fn blocks(&self, mut visit: impl FnMut(f64, f64, f64)) {
        let Data::Binary(b) = &self.table.data else { return };
        let mut blocks = Blocks::default();
        self.each(|row, weight| blocks.add(Ranked { score: b.p[row], truth: b.y[row], weight }, &mut visit));
        blocks.end(&mut visit);
    }
}
