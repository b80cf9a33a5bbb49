use schemars::JsonSchema;
use serde::Deserialize;

use super::known::{Known, is_instant, is_number};
use super::question::{Fold, Term, find_column};
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, Within};
use crate::catalogue::Named;
use crate::names::{ident, literal};
use crate::outcome::Status;

/// Training ends before testing begins: no leakage from the future.
///
/// `time` is the column with the instant of each row. The parts stand in the order of time; the last instant of each
/// must lie before the first of the next.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitTime {
    /// The column that says which part a row belongs to.
    pub column: String,
    /// The column with the instant.
    pub time: String,
    /// The parts in the order of time. Default: train and test.
    #[serde(default = "super::split_overlap::train_and_test")]
    pub parts: Vec<String>,
}

impl Named for SplitTime {
    const NAME: &'static str = "split_time";
}

impl CheckType for SplitTime {
    const ON: On = On::Table;
    const WITHIN: Option<Within> = Some(Within { group: "split", key: "time", shared: &["column", "parts"], whole: true });
}

impl Check for SplitTime {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        let facts = find_column(&known.catalog, &target.table, &self.time)?;
        if !is_instant(facts) && !is_number(facts) {
            return Err(format!("`time` needs dates or numbers, and {} is {}", self.time, facts.base_type));
        }
        let mut terms = Vec::new();
        for part in &self.parts {
            for (fold, call) in [(Fold::Min, "min"), (Fold::Max, "max")] {
                let when = format!("t.{}::text = {}", ident(&self.column), literal(part));
                let term = Term { when: Some(when), ..target.aggregate(fold, format!("{call}(t.{})", ident(&self.time))) };
                let seconds = is_instant(facts).then(|| ["extract(epoch from ".to_owned(), ")".to_owned()]);
                terms.extend([Term { finish: seconds, ..term.clone() }, term]);
            }
        }
        Ok(Question::scan(terms))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        // Of each part: its first as a number and in words, its last as a number and in words.
        let word = |part: usize, at: usize| answer.scan.get(part * 4 + at).and_then(Option::as_deref).unwrap_or("nothing");
        if let Some(empty) = (0..self.parts.len()).find(|part| answer.number(part * 4).is_none()) {
            let message = format!("{} has no row with a time, so nothing was compared", self.parts[empty]);
            return if answer.rows == 0 {
                Judgement::new(Status::Passed, "there is no row, and that is allowed")
            } else {
                Judgement::broken(message)
            };
        }
        let said: Vec<String> = self.parts.iter().enumerate().map(|(i, part)| format!("{part} is from {} to {}", word(i, 1), word(i, 3))).collect();
        let ordered = (1..self.parts.len()).all(|i| answer.number((i - 1) * 4 + 2) < answer.number(i * 4));
        let status = if ordered { Status::Passed } else { Status::Failed };
        Judgement::new(status, format!("{}; each must end before the next begins", said.join(", ")))
    }

    fn mistake(&self) -> Option<String> {
        super::split_overlap::mistake(&self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, settings, target};
    use super::*;

    #[test]
    fn training_ends_before_testing_begins() {
        let time: SplitTime = settings(r#"{"column": "split", "time": "at"}"#);
        let status = |values: [&str; 4]| {
            let [a, b, c, d] = values;
            time.judge(&target(None), &answer(9, &[a, a, b, b, c, c, d, d], &[])).status
        };
        assert_eq!(status(["1", "5", "6", "9"]), Status::Passed);
        assert_eq!(status(["1", "6", "6", "9"]), Status::Failed, "the same instant is on both sides");
        assert_eq!(status(["1", "5", "null", "null"]), Status::Broken);
    }
}
