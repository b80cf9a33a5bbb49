//! Checks that count the rows which break them: what they share.

use super::known::Known;
use super::{Answer, Check, Judgement, Question, Target};
use crate::bounds::Limit;
use crate::ports::postgres::catalog::ColumnFacts;
use crate::units::{count, share};

/// A condition on one column's values.
pub trait Rule: Send + Sync {
    /// What holds for a row that breaks it, reading the target's column and nothing else. `Err` says why the
    /// column's type cannot be asked.
    fn breach(&self, target: &Target, facts: &ColumnFacts) -> Result<String, String>;

    fn limit(&self) -> Limit;

    /// What is said of the rows: `are NULL`.
    fn words(&self) -> String;

    /// A list or a pattern is dear to judge for every row.
    fn is_costly(&self) -> bool {
        false
    }

    /// NULL passes, and how many did is told.
    fn ignores_nulls(&self) -> bool {
        true
    }

    /// What makes a breach impossible.
    fn proof(&self, _: &Target, _: &ColumnFacts, _: &Known) -> Option<String> {
        None
    }

    fn contradiction(&self) -> Option<String> {
        None
    }
}

impl<T: Rule> Check for T {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let facts = target.column_facts(&known.catalog)?;
        let breach = self.breach(target, facts)?;
        if let Some(proof) = self.proof(target, facts, known) {
            return Ok(Question::proven(proof));
        }
        let counted = if self.is_costly() { target.count_matches(&breach) } else { target.count_values(&breach) };
        let nulls = self.ignores_nulls().then(|| target.count_values(format!("{} is null", target.column())));
        let refute = Some(breach).filter(|_| self.ignores_nulls());
        Ok(Question { refute, ..Question::scan([Some(counted), nulls].into_iter().flatten()) })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let (limit, broken, nulls) = (self.limit(), answer.count(0), answer.count(1));
        let ignored = if nulls > 0 { format!(" (nulls ignored: {})", count(nulls)) } else { String::new() };
        let message = format!("{}{ignored}", limit.sentence(broken, answer.rows, &self.words()));
        Judgement::new(limit.judge(broken, answer.rows), message).measured(share(broken, answer.rows), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let facts = target.column_facts(&known.catalog).ok()?;
        Some(target.rows_where(known, &self.breach(target, facts).ok()?))
    }

    fn mistake(&self) -> Option<String> {
        self.contradiction().or_else(|| self.limit().mistake())
    }
}
