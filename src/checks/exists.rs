use schemars::JsonSchema;
use serde::Deserialize;

use super::known::Known;
use super::{Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;

/// The table exists.
///
/// Asked for every table that is named under `gates.data`, as a result of its own: a typo in a table's name is a
/// failure, never a pass. What else is asked of a missing table is skipped, with this as the reason.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exists {}

impl Named for Exists {
    const NAME: &'static str = "exists";
}

impl CheckType for Exists {
    const ON: On = On::Table;
    const COST: Cost = Cost::Catalog;
}

impl Check for Exists {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        Ok(Question::answered(match target.facts(&known.catalog) {
            Ok(_) => Judgement::new(Status::Passed, format!("table {} exists", target.table)),
            Err(why) => Judgement::new(Status::Failed, why),
        }))
    }
}
