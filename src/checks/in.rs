use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answer, Check, CheckType, Judgement, On, Question, Target};
use crate::bounds::Limit;
use crate::catalogue::Named;
use crate::names::literal;
use crate::ports::postgres::catalog::Catalog;
use crate::scalar::Scalar;
use crate::units::Amount;

/// Every value is one of these.
///
/// NULL passes: see `not_null` for it. Values are compared as the column's own type.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct In {
    /// The accepted values.
    pub values: Vec<Scalar>,
    /// More rows with another value than this fail. Default: 0.
    pub max: Option<Amount>,
    /// More rows with another value than this warn.
    pub warn: Option<Amount>,
}

impl Named for In {
    const NAME: &'static str = "in";
    const SHORT: Option<&'static str> = Some("values");
}

impl CheckType for In {
    const ON: On = On::Column;
}

impl In {
    fn other(&self, target: &Target) -> String {
        let values: Vec<String> = self.values.iter().map(|value| literal(&value.to_string())).collect();
        format!("{} not in ({})", target.column(), values.join(", "))
    }
}

impl Check for In {
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String> {
        target.column_facts(catalog)?;
        Ok(Question::scan([target.count(&self.other(target)), target.count(&format!("{} is null", target.column()))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let limit = Limit { max: self.max, warn: self.warn };
        let (others, nulls) = (answer.count(0), answer.count(1));
        let ignored = if nulls > 0 { format!(" (nulls ignored: {})", crate::units::count(nulls)) } else { String::new() };
        let message = limit.sentence(others, answer.rows, "have another value");
        Judgement::new(limit.judge(others, answer.rows), format!("{message}{ignored}"))
    }

    fn sample(&self, target: &Target, catalog: &Catalog) -> Option<String> {
        Some(target.rows_where(catalog, &self.other(target)))
    }

    fn mistake(&self) -> Option<String> {
        let none = self.values.is_empty().then(|| "the list of values is empty, so nothing could pass".into());
        none.or_else(|| Limit { max: self.max, warn: self.warn }.mistake())
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, catalog, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn values_are_literals_and_nulls_are_told() {
        let within: In = settings(r#"{"values": ["O'Hare", 3, true]}"#);
        let question = within.ask(&target(Some("c")), &catalog(&[("c", "text")])).expect("question");
        assert_eq!(question.scan[0], "count(*) filter (where (\"c\" not in ('O''Hare', '3', 'true')))");
        let judged = within.judge(&target(Some("c")), &answer(10, &["1", "2"], &[]));
        assert_eq!(judged.status, Status::Failed);
        assert!(judged.message.ends_with("(nulls ignored: 2)"), "{}", judged.message);
    }
}
