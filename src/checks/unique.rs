use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::question::find_column;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::ident;
use crate::ports::postgres::catalog::Catalog;
use crate::units::{Amount, count};

/// No two rows have the same key.
///
/// On a column: `unique: true`. On a table a list, each item a column or a list of columns. What is gated is
/// `duplicate_rows`: the rows beyond the first of each key; the message also says how many keys are affected. As in
/// SQL, a key with a NULL in it equals no other.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    /// The key's columns; on a column the column itself.
    #[serde(default, deserialize_with = "one_or_more")]
    #[schemars(schema_with = "one_or_more_schema")]
    pub columns: Option<Vec<String>>,
    /// More duplicate rows than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More duplicate rows than this warn.
    pub warn: Option<Amount>,
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
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

fn one_or_more_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})
}

impl Named for Unique {
    const NAME: &'static str = "unique";
    const SHORT: Option<&'static str> = Some("columns");
}

impl CheckType for Unique {
    const ON: On = On::Both;
    const REPEATS: bool = true;
}

impl Unique {
    fn key<'a>(&'a self, target: &'a Target) -> Vec<&'a str> {
        self.columns.as_ref().map_or_else(|| target.column.as_deref().into_iter().collect(), |columns| columns.iter().map(String::as_str).collect())
    }

    fn groups(&self, target: &Target) -> String {
        let columns: Vec<String> = self.key(target).into_iter().map(ident).collect();
        let whole = columns.iter().map(|c| format!("{c} is not null")).collect::<Vec<_>>().join(" and ");
        let list = columns.join(", ");
        format!("select {list}, count(*) as \"mlops.rows\" {} group by {list} having count(*) > 1", target.selection(Some(&whole)))
    }
}

impl Check for Unique {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        let key = self.key(target);
        if key.is_empty() {
            return Err("it names no column".into());
        }
        for column in key {
            find_column(catalog, &target.table, column)?;
        }
        Ok(Question::scalar(format!("select count(*) || ' ' || coalesce(sum(\"mlops.rows\"), 0) from ({}) d", self.groups(target))))
    }

    fn judge(&self, target: &Target, answer: &Answer) -> Judgement {
        let numbers: Option<Vec<u64>> = answer.scalar(0).map(|text| text.split(' ').filter_map(|n| n.parse().ok()).collect());
        let Some([keys, rows]) = numbers.as_deref() else { return Judgement::broken("the server gave no count") };
        let limit = Limit { max: self.max, warn: self.warn };
        let duplicates = rows - keys;
        let key = self.key(target).join(", ");
        let mut message = limit.sentence(duplicates, answer.rows, &format!("are duplicates by ({key})"));
        if *keys > 0 {
            message.push_str(&format!(" ({} in all, {} with the same key)", crate::units::counted(*keys, "key"), count(*rows)));
        }
        Judgement::new(limit.judge(duplicates, answer.rows), message)
    }

    fn mistake(&self) -> Option<String> {
        let none = self.columns.as_ref().is_some_and(Vec::is_empty).then(|| "it names no column".into());
        none.or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }

    fn sample(&self, target: &Target, _: &Catalog) -> Option<String> {
        Some(format!("select d.* from ({}) d", self.groups(target)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, catalog, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn rows_beyond_the_first_are_gated_and_keys_are_told() {
        let unique: Unique = settings(r#"{"columns": ["a", "b"]}"#);
        let judged = unique.judge(&target(None), &answer(10, &[], &["2 5"]));
        assert_eq!(judged.status, Status::Failed);
        assert_eq!(judged.message, "3 of 10 rows (30%) are duplicates by (a, b); allowed: 0 (2 keys in all, 5 with the same key)");
        assert_eq!(unique.judge(&target(None), &answer(10, &[], &["0 0"])).status, Status::Passed);
        assert_eq!(unique.judge(&target(None), &answer(10, &[], &["null"])).status, Status::Broken);
    }

    #[test]
    fn every_key_column_must_exist() {
        let unique: Unique = settings(r#"{"columns": "flihgt"}"#);
        let why = unique.ask(&target(None), &catalog(&[("flight", "text")])).expect_err("missing");
        assert!(why.contains("did you mean `flight`?"), "{why}");
    }
}
