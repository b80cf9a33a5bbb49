use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;

/// The column has this type.
///
/// Names are Postgres' own, with the usual short ones (`int`, `float8`, `timestamptz`). A type without a modifier
/// accepts any: `numeric` accepts `numeric(12,4)`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Type {
    /// The type's name.
    pub is: String,
}

impl Named for Type {
    const NAME: &'static str = "type";
    const SHORT: Option<&'static str> = Some("is");
}

impl CheckType for Type {
    const ON: On = On::Column;
    const COST: Cost = Cost::Catalog;
}

/// Short names and what `format_type` prints.
const ALIASES: [(&str, &str); 15] = [
    ("int", "integer"),
    ("int4", "integer"),
    ("int2", "smallint"),
    ("int8", "bigint"),
    ("float", "double precision"),
    ("float8", "double precision"),
    ("double", "double precision"),
    ("float4", "real"),
    ("bool", "boolean"),
    ("decimal", "numeric"),
    ("varchar", "character varying"),
    ("char", "character"),
    ("timestamptz", "timestamp with time zone"),
    ("timestamp", "timestamp without time zone"),
    ("timetz", "time with time zone"),
];

/// The full name, and the modifier without its blanks.
fn normal(name: &str) -> (String, Option<String>) {
    let name = name.trim().to_lowercase();
    let (base, modifier) = match (name.find('('), name.find(')')) {
        (Some(open), Some(close)) if open < close => {
            // `timestamp(3) with time zone` keeps its words behind the modifier.
            (format!("{}{}", &name[..open], &name[close + 1..]), Some(name[open..=close].replace(' ', "")))
        }
        _ => (name, None),
    };
    let base = base.split_whitespace().collect::<Vec<_>>().join(" ");
    let (stem, array) = base.strip_suffix("[]").map_or((base.as_str(), ""), |stem| (stem, "[]"));
    let full = ALIASES.iter().find(|(short, _)| *short == stem).map_or(stem, |(_, full)| full);
    (format!("{full}{array}"), modifier)
}

impl Check for Type {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let found = &target.column_facts(&known.catalog)?.type_name;
        let ((wanted, modifier), (base, actual)) = (normal(&self.is), normal(found));
        let fits = wanted == base && (modifier.is_none() || modifier == actual);
        let verdict = if fits {
            (Status::Passed, format!("the type is {}", self.is))
        } else {
            (Status::Failed, format!("the type is {found}, not {}", self.is))
        };
        Ok(Question::answered(Judgement::new(verdict.0, verdict.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{known, target};
    use super::*;

    #[test]
    fn short_names_and_open_modifiers_are_understood() {
        let fits = |wanted: &str, found: &str| {
            let question = Type { is: wanted.into() }.ask(&target(Some("c")), &known(&[("c", found)])).expect("question");
            question.answered.expect("verdict").status == Status::Passed
        };
        assert!(fits("int", "integer") && fits("timestamptz", "timestamp with time zone") && fits("float8", "double precision"));
        assert!(fits("numeric", "numeric(12,4)") && fits("numeric(12, 4)", "numeric(12,4)") && fits("text[]", "text[]"));
        assert!(fits("timestamptz", "timestamp(3) with time zone"));
        assert!(!fits("numeric(10,2)", "numeric(12,4)") && !fits("integer", "bigint") && !fits("text", "text[]"));
    }
}
