use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::{Ask, Keyed, find_column};
use super::unique::{one_or_more, one_or_more_schema};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target, Within};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::{ident, literal};
use crate::units::{Amount, share};

/// No entity (a customer, a patient, a device) is in more than one part of the split.
///
/// Rows of one entity resemble each other: a model that has seen it in training is not tested by it. The share is of the
/// entities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitOverlap {
    /// The column that says which part a row belongs to.
    pub column: String,
    /// The column, or the columns, that name the entity.
    #[serde(deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    pub entity: Option<Vec<String>>,
    /// The parts that may share no entity. Default: train and test.
    #[serde(default = "train_and_test")]
    pub parts: Vec<String>,
    /// More shared entities fail. Default: 0.
    pub max: Option<Amount>,
    /// More shared entities warn.
    pub warn: Option<Amount>,
}

pub(super) fn train_and_test() -> Vec<String> {
    vec!["train".into(), "test".into()]
}

impl Named for SplitOverlap {
    const NAME: &'static str = "split_overlap";
    const SHORT: Option<&'static str> = Some("max");
}

impl CheckType for SplitOverlap {
    const ON: On = On::Table;
    const COST: Cost = Cost::Keys;
    const WITHIN: Option<Within> = Some(Within { group: "split", key: "overlap", shared: &["column", "entity", "parts"], whole: false });
}

/// Keys that are in more than one part, and how many keys there are.
pub(super) fn shared(target: &Target, column: &str, parts: &[String], key: Vec<String>, portable: bool) -> Keyed {
    let group = format!("t.{}::text", ident(column));
    let list = parts.iter().map(|part| literal(part)).collect::<Vec<_>>().join(", ");
    let whole = key.iter().map(|part| format!("({part}) is not null")).collect::<Vec<_>>().join(" and ");
    let from = target.selection(Some(&format!("{group} in ({list}) and {whole}")));
    let exact = format!(
        "select count(*) filter (where a <> b) || ' ' || count(*) from (select min({group}) as a, max({group}) as b {from} group by {}) g",
        key.join(", ")
    );
    Keyed { ask: Ask::Shared { group, names: parts.to_vec() }, key, portable, filter: target.filter.clone(), exact, quick: None }
}

/// A few of them.
pub(super) fn shared_rows(target: &Target, column: &str, parts: &[String], key: &[String], shown: &str) -> String {
    let group = format!("t.{}::text", ident(column));
    let list = parts.iter().map(|part| literal(part)).collect::<Vec<_>>().join(", ");
    let whole = key.iter().map(|part| format!("({part}) is not null")).collect::<Vec<_>>().join(" and ");
    let from = target.selection(Some(&format!("{group} in ({list}) and {whole}")));
    format!("select {shown}, count(*) as rows {from} group by {} having min({group}) <> max({group})", key.join(", "))
}

pub(super) fn mistake(parts: &[String]) -> Option<String> {
    let mut once = parts.to_vec();
    once.sort();
    once.dedup();
    (once.len() < 2 || once.len() < parts.len()).then(|| "`parts` names two parts or more, each once".into())
}

impl Check for SplitOverlap {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        find_column(&known.catalog, &target.table, &self.column)?;
        let (key, portable) = known.key(&target.table, &self.entity.clone().unwrap_or_default(), false)?;
        Ok(Question::keyed(shared(target, &self.column, &self.parts, key, portable)))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let Some([both, entities]) = answer.keyed else { return Judgement::broken("the server gave no count") };
        if entities == 0 && answer.rows > 0 {
            return Judgement::broken(format!("no row is in any of {}, so nothing was compared", self.parts.join(", ")));
        }
        let limit = Limit { max: self.max, warn: self.warn };
        let of = self.entity.as_ref().map(|e| e.join(", ")).unwrap_or_default();
        let message = limit.sentence(both, entities, &format!("of ({of}) are in more than one of {}", self.parts.join(", ")));
        let message = message.replacen(" rows", " entities", 1).replacen(" row ", " entity ", 1);
        Judgement::new(limit.judge(both, entities), message).measured(share(both, entities), limit.expected())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let columns = self.entity.clone().unwrap_or_default();
        if columns.iter().any(|c| known.is_redacted(&target.table, c)) {
            return None;
        }
        let key: Vec<String> = columns.iter().map(|c| format!("t.{}", ident(c))).collect();
        Some(shared_rows(target, &self.column, &self.parts, &key, &key.join(", ")))
    }

    fn mistake(&self) -> Option<String> {
        let none = self.entity.as_ref().is_none_or(Vec::is_empty).then(|| "`entity` names no column".into());
        none.or_else(|| mistake(&self.parts)).or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{keyed, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_the_entities_and_none_is_no_verdict() {
        let overlap: SplitOverlap = settings(r#"{"column": "split", "entity": "tail", "max": "5%", "warn": 0}"#);
        let status = |n: [u64; 2]| overlap.judge(&target(None), &keyed(1000, n)).status;
        assert_eq!(
            [status([0, 100]), status([5, 100]), status([6, 100]), status([0, 0])],
            [Status::Passed, Status::Warned, Status::Failed, Status::Broken]
        );
    }
}
