//! Checks of one number over a column: what they share.

use super::known::{Known, is_instant, is_number};
use super::question::{Fold, Term};
use super::{Answer, Judgement, Target};
use crate::bounds::Bounds;
use crate::ports::postgres::catalog::ColumnFacts;

/// The column's facts, if one can calculate with it.
pub fn number<'a>(target: &Target, known: &'a Known) -> Result<&'a ColumnFacts, String> {
    let facts = target.column_facts(&known.catalog)?;
    if is_number(facts) { Ok(facts) } else { Err(format!("it needs numbers, and {} is {}", target.subject(), facts.base_type)) }
}

/// The same for what has an order but need not be a number: of a date the seconds since 1970 are compared.
pub fn ordered(target: &Target, known: &Known, fold: Fold, call: &str) -> Result<Term, String> {
    let facts = target.column_facts(&known.catalog)?;
    if !is_number(facts) && !is_instant(facts) {
        return Err(format!("it needs numbers or dates, and {} is {}", target.subject(), facts.base_type));
    }
    let term = target.aggregate(fold, format!("{call}({})", target.column()));
    let seconds = ["extract(epoch from ".to_owned(), ")".to_owned()];
    Ok(if is_instant(facts) { Term { finish: Some(seconds), ..term } } else { term })
}

/// The verdict on a number; no value and NaN could not be evaluated.
pub fn judge(bounds: &Bounds, what: &str, value: Option<f64>, answer: &Answer) -> Judgement {
    let expected = bounds.sentence();
    match value {
        Some(value) if value.is_finite() => Judgement::new(bounds.judge(value), format!("{what} is {value}; {expected}")).measured(value, expected),
        Some(value) => Judgement::broken(format!("{what} is {value}, which is no number; {expected}")),
        None if answer.rows == 0 => Judgement::new(crate::outcome::Status::Passed, "there is no row, and that is allowed"),
        None => Judgement::broken(format!("{what} of no value is not known; {expected}")),
    }
}
