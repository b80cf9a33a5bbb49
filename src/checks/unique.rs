use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::known::Known;
use super::question::{Ask, Keyed, find_column};
use super::{Answer, Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::ident;
use crate::units::{Amount, count, counted, share};

/// No two rows have the same key.
///
/// On a column: `unique: true`. On a table a list, each item a column or a list of columns. What is gated is
/// `duplicate_rows`, the rows beyond the first of each key; the message also says how many keys are affected and how
/// many rows have them. As in SQL, a key with a NULL in it equals no other; with `nulls: equal` NULL equals NULL. A
/// valid unique index over the key, or over a part of it, proves it at no cost.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The key's columns; on a column the column itself.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    pub columns: Option<Vec<String>>,
    /// Whether NULL equals NULL: `distinct` (the default) or `equal`.
    #[serde(default)]
    pub nulls: Nulls,
    /// More duplicate rows than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More duplicate rows than this warn.
    pub warn: Option<Amount>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Nulls {
    #[default]
    Distinct,
    Equal,
}

pub(super) fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMore {
        One(String),
        More(Vec<String>),
    }
    Ok(Some(match OneOrMore::deserialize(deserializer).map_err(|_| serde::de::Error::custom("expected a column or a list of columns"))? {
        OneOrMore::One(column) => vec![column],
        OneOrMore::More(columns) => columns,
    }))
}

pub(super) fn one_or_more_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})
}

impl Named for Unique {
    const NAME: &'static str = "unique";
    const SHORT: Option<&'static str> = Some("columns");
}

impl CheckType for Unique {
    const ON: On = On::Both;
    const COST: Cost = Cost::Keys;
    const REPEATS: bool = true;
}

impl Unique {
    fn key(&self, target: &Target) -> Vec<String> {
        self.columns.clone().unwrap_or_else(|| target.column.iter().cloned().collect())
    }

    fn nulls_equal(&self) -> bool {
        self.nulls == Nulls::Equal
    }

    /// What makes a key count at all.
    fn whole(&self, target: &Target) -> Option<String> {
        let parts = || self.key(target).into_iter().map(|c| format!("t.{} is not null", ident(&c))).collect::<Vec<_>>().join(" and ");
        (!self.nulls_equal()).then(parts)
    }

    /// Every key that occurs more than once. `group by` takes NULLs for equal.
    fn groups(&self, target: &Target, list: &str) -> String {
        let by = self.key(target).iter().map(|c| format!("t.{}", ident(c))).collect::<Vec<_>>().join(", ");
        let selection = target.selection(self.whole(target).as_deref());
        format!("select {list}count(*) as \"mlops.rows\" {selection} group by {by} having count(*) > 1")
    }
}

impl Check for Unique {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let columns = self.key(target);
        if columns.is_empty() {
            return Err("it names no column".into());
        }
        for column in &columns {
            find_column(&known.catalog, &target.table, column)?;
        }
        if let Some(index) = known.unique_by(&target.table, &columns, self.nulls_equal()) {
            return Ok(Question::proven(index));
        }
        let (key, portable) = known.key(&target.table, &columns, self.nulls_equal())?;
        let exact = format!("select count(*) || ' ' || coalesce(sum(\"mlops.rows\"), 0) from ({}) d", self.groups(target, ""));
        let hash = Known::row_hash(&columns.iter().map(|c| format!("t.{}", ident(c))).collect::<Vec<_>>());
        let quick = known.can.record_hash.then(|| {
            let selection = target.selection(self.whole(target).as_deref());
            format!("select (count(*) - count(distinct {hash}))::text {selection}")
        });
        let ask = Ask::Duplicates { nulls_equal: self.nulls_equal() };
        Ok(Question::keyed(Keyed { ask, key, portable, filter: target.filter.clone(), exact, quick }))
    }

    fn judge(&self, target: &Target, answer: &Answer) -> Judgement {
        let Some([keys, rows]) = answer.keyed else { return Judgement::broken("the server gave no count") };
        let limit = Limit { max: self.max, warn: self.warn };
        let duplicates = rows - keys;
        let key = self.key(target).join(", ");
        let mut message = limit.sentence(duplicates, answer.rows, &format!("are duplicates by ({key})"));
        if keys > 0 {
            message.push_str(&format!(" ({} in all, {} with the same key)", counted(keys, "key"), count(rows)));
        }
        Judgement::new(limit.judge(duplicates, answer.rows), message).measured(share(duplicates, answer.rows), limit.expected())
    }

    fn mistake(&self) -> Option<String> {
        let columns = self.columns.clone().unwrap_or_default();
        let twice = columns.iter().enumerate().find(|(i, column)| columns[..*i].contains(column)).map(|(_, c)| format!("it names {c} twice"));
        let none = self.columns.as_ref().is_some_and(Vec::is_empty).then(|| "it names no column".into());
        none.or(twice).or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }

    fn sample(&self, target: &Target, known: &Known) -> Option<String> {
        let columns = self.key(target);
        let list = columns.iter().map(|c| format!("t.{}, ", ident(c))).collect::<String>();
        let shown = Target { table_filter: None, filter: None, ..target.clone() }.shown(known, &columns);
        Some(format!("select {shown}, t.\"mlops.rows\" as rows from ({}) t", self.groups(target, &list)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, keyed, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn rows_beyond_the_first_are_gated_and_keys_are_told() {
        let unique: Unique = settings(r#"{"columns": ["a", "b"]}"#);
        let judged = unique.judge(&target(None), &keyed(10, [2, 5]));
        assert_eq!(judged.status, Status::Failed);
        assert_eq!(judged.message, "3 of 10 rows (30%) are duplicates by (a, b); allowed: 0 (2 keys in all, 5 with the same key)");
        assert_eq!(unique.judge(&target(None), &keyed(10, [0, 0])).status, Status::Passed);
        assert_eq!(unique.judge(&target(None), &answer(10, &[], &[])).status, Status::Broken);
    }

    #[test]
    fn every_key_column_must_exist() {
        let unique: Unique = settings(r#"{"columns": "flihgt"}"#);
        let why = unique.ask(&target(None), &known(&[("flight", "text")])).expect_err("missing");
        assert!(why.contains("did you mean `flight`?"), "{why}");
    }

    #[test]
    fn an_index_over_a_part_of_the_key_proves_it_unless_nulls_slip_through() {
        let mut known = known(&[("a", "integer"), ("b", "integer")]);
        let index = crate::ports::postgres::evidence::UniqueKey { index: "t_a".into(), columns: vec!["a".into()], nulls_equal: false };
        known.evidence.entry(target(None).table).or_default().unique.push(index);
        let proof = |json: &str, known: &Known| settings::<Unique>(json).ask(&target(None), known).expect("question").proof;
        assert_eq!(proof(r#"{"columns": ["a", "b"]}"#, &known).as_deref(), Some("t_a"));
        assert_eq!(proof(r#"{"columns": ["b"]}"#, &known), None);
        assert_eq!(proof(r#"{"columns": ["a"], "nulls": "equal"}"#, &known), None, "two NULLs would pass the index");
        known.evidence.entry(target(None).table).or_default().not_null.insert("a".into());
        assert_eq!(proof(r#"{"columns": ["a"], "nulls": "equal"}"#, &known).as_deref(), Some("t_a"));
    }

    #[test]
    fn keys_whose_bytes_lie_are_hashed_by_the_server() {
        let mut known = known(&[("n", "numeric")]);
        known.can.record_hash = true;
        let question = settings::<Unique>(r#"{"columns": "n"}"#).ask(&target(None), &known).expect("question").keyed.expect("keyed");
        assert_eq!(question.key, ["case when t.\"n\" is not null then hash_record_extended(row(t.\"n\"), 0) end"]);
    }
}
