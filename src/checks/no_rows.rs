use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::statement;
use crate::units::Amount;

/// A query of your own finds no rows.
///
/// `{table}` stands for the table's quoted name. The rows found are shown in the report.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoRows {
    /// The query for rows that must not be there.
    pub sql: String,
    /// More rows than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows than this warn.
    pub warn: Option<Amount>,
}

impl Named for NoRows {
    const NAME: &'static str = "no_rows";
    const SHORT: Option<&'static str> = Some("sql");
}

impl CheckType for NoRows {
    const ON: On = On::Table;
    const COST: Cost = Cost::Statement;
    const REPEATS: bool = true;
}

/// The user's query with the table in it, as a subquery that a trailing comment cannot swallow.
pub(super) fn subquery(sql: &str, target: &Target) -> String {
    format!("(\n{}\n)", statement(sql).replace("{table}", &target.table.quoted()))
}

impl Check for NoRows {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        target.facts(&known.catalog)?;
        Ok(Question::single(format!("select count(*)::text from {} q", subquery(&self.sql, target))))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let limit = Limit { max: self.max, warn: self.warn };
        match answer.single(0).and_then(|n| n.parse().ok()) {
            Some(found) => Judgement::new(limit.judge(found, answer.rows), limit.sentence(found, answer.rows, "found")),
            None => Judgement::broken("the server gave no count"),
        }
    }

    fn sample(&self, target: &Target, _: &Known) -> Option<String> {
        Some(format!("select * from {} q", subquery(&self.sql, target)))
    }

    fn mistake(&self) -> Option<String> {
        let none = statement(&self.sql).is_empty().then(|| "the query is empty".into());
        none.or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{known, settings, target};
    use super::*;

    #[test]
    fn the_table_is_put_in_and_a_comment_cannot_swallow_the_rest() {
        let check: NoRows = settings(r#"{"sql": "select 1 from {table} -- all;"}"#);
        let question = check.ask(&target(None), &known(&[])).expect("question");
        assert_eq!(
            question.singles.iter().map(|s| s.exact.as_str()).collect::<Vec<_>>(),
            ["select count(*)::text from (\nselect 1 from \"flights\" -- all\n) q"]
        );
    }
}
