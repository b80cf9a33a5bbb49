use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::units::{Amount, share};

/// A condition that holds for every row, over any of its columns: `arr_time > dep_time`.
///
/// As in a `check` constraint, a row for which it is NULL passes. A `check` constraint that says as much proves it at no
/// cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expression {
    /// The condition, in SQL.
    pub sql: String,
    /// More rows that break it fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows that break it warn.
    pub warn: Option<Amount>,
}

impl Named for Expression {
    const NAME: &'static str = "expression";
    const SHORT: Option<&'static str> = Some("sql");
}

impl CheckType for Expression {
    const ON: On = On::Table;
    const REPEATS: bool = true;
}

impl Expression {
    /// On lines of its own, so that a comment at its end cannot swallow what follows.
    fn breach(&self) -> String {
        format!("not (\n{}\n)", self.sql)
    }

    fn limit(&self) -> Limit {
        Limit { max: self.max, warn: self.warn }
    }
}

impl Check for Expression {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog)?;
        Ok(Question { refute: Some(self.breach()), ..Question::scan([target.count(self.breach())]) })
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let broken = answer.count(0);
        let message = self.limit().sentence(broken, answer.rows, &format!("break {}", self.sql.trim()));
        Judgement::new(self.limit().judge(broken, answer.rows), message).measured(share(broken, answer.rows), self.limit().expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let facts = target.facts(&known.catalog).ok()?;
        // Of a wide table the columns that are spoken of.
        let mut columns = known.key_of(&target.table);
        let spoken = facts.columns.iter().map(|c| c.name.clone()).filter(|c| self.sql.contains(c.as_str()) && !columns.contains(c));
        let spoken: Vec<String> = spoken.collect();
        columns.extend(spoken);
        Some(target.rows_with(known, &columns, &self.breach()))
    }

    fn mistake(&self) -> Option<String> {
        let none = self.sql.trim().is_empty().then(|| "the condition is empty".into());
        none.or_else(|| self.limit().mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn a_row_that_breaks_it_fails_and_is_shown_with_what_is_spoken_of() {
        let later: Expression = settings(r#"{"sql": "b > a -- always"}"#);
        let known = known(&[("id", "integer"), ("a", "integer"), ("b", "integer"), ("c", "integer")]);
        assert_eq!(later.ask(&target(None), &known).expect("question").scan[0].when.as_deref(), Some("not (\nb > a -- always\n)"));
        assert_eq!(later.judge(&target(None), &answer(10, &["1"], &[])).status, Status::Failed);
        assert!(later.sample(&target(None), &known).expect("sample").starts_with("select t.\"id\", t.\"a\", t.\"b\" from"));
    }
}
