use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::question::find_column;
use super::{Answer, Check, CheckType, Judgement, On, Question, Target, Within, aggregate};
use crate::bounds::ShareBounds;
use crate::catalogue::Named;
use crate::names::{ident, literal};
use crate::scalar::Scalar;
use crate::units::{Amount, share};

/// The share of positive labels lies in these bounds, of the rows that have a label.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelPositive {
    /// The label's column.
    pub column: String,
    /// The value that counts as positive. Default: true, or 1.
    pub value: Option<Scalar>,
    /// The smallest share that passes.
    pub min: Option<Amount>,
    /// The largest share that passes.
    pub max: Option<Amount>,
    /// The smallest and the largest share that pass.
    pub between: Option<[Amount; 2]>,
    /// The earlier bounds: a share, or a pair with `between`.
    pub warn: Option<crate::bounds::WarnShare>,
}

impl Named for LabelPositive {
    const NAME: &'static str = "label_positive";
    const SHORT: Option<&'static str> = Some("min");
}

impl CheckType for LabelPositive {
    const ON: On = On::Table;
    const WITHIN: Option<Within> = Some(Within { group: "label", key: "positive", shared: &["column", "value"], whole: false });
}

impl LabelPositive {
    fn bounds(&self) -> ShareBounds {
        ShareBounds { min: self.min, max: self.max, between: self.between, warn: self.warn }
    }
}

impl Check for LabelPositive {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let facts = find_column(&known.catalog, &target.table, &self.column)?;
        let column = format!("t.{}", ident(&self.column));
        let positive = match &self.value {
            Some(value) => format!("{column} = {}", literal(&value.to_string())),
            None if facts.base_type == "boolean" => column.clone(),
            None if super::known::is_number(facts) => format!("{column} = 1"),
            None => return Err(format!("{} is {}: say with `value` which label is positive", self.column, facts.base_type)),
        };
        Ok(Question::scan([target.count(positive), target.count(format!("{column} is not null"))]))
    }

    fn judge(&self, _: &Target, answer: &Answer) -> Judgement {
        let (positive, labelled) = (answer.count(0), answer.count(1));
        let value = (labelled > 0).then(|| share(positive, labelled));
        aggregate::judge(&self.bounds().plain(), "the share of positive labels", value, answer)
    }

    fn mistake(&self) -> Option<String> {
        self.bounds().mistake()
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{answer, known, settings, target};
    use super::*;
    use crate::outcome::Status;

    #[test]
    fn the_share_is_of_rows_with_a_label() {
        let positive: LabelPositive = settings(r#"{"column": "late", "between": ["10%", "40%"], "warn": ["20%", "30%"]}"#);
        let status = |values: &[&str]| positive.judge(&target(None), &answer(1000, values, &[])).status;
        assert_eq!([status(&["25", "100"]), status(&["35", "100"]), status(&["41", "100"])], [Status::Passed, Status::Warned, Status::Failed]);
        assert_eq!(status(&["0", "0"]), Status::Broken);
        assert!(positive.ask(&target(None), &known(&[("late", "text")])).expect_err("text").contains("`value`"));
    }
}
