use schemars::JsonSchema;
use serde::Deserialize;

use super::against::Against;
use super::categories::Does;
use super::known::Known;
use super::{Check, CheckType, Cost, Judgement, On, Question, Target};
use crate::catalogue::Named;
use crate::outcome::Status;
use crate::units::counted;

/// The table's columns are what they should be: none forbidden, none extra, in order, as in the baseline.
///
/// The catalog answers it. `extra` is about columns that are not listed under `columns`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What the columns are compared with, if with anything.
    pub against: Option<Against>,
    /// A column that the baseline does not have: `fail`, `warn` (the default) or `ignore`.
    #[serde(default = "warn")]
    pub added: Does,
    /// A column that only the baseline has: `fail` (the default), `warn` or `ignore`.
    #[serde(default = "fail")]
    pub removed: Does,
    /// A column of another type than in the baseline: `fail` (the default), `warn` or `ignore`.
    #[serde(default = "fail")]
    pub retyped: Does,
    /// Columns that must not be there.
    #[serde(default)]
    pub forbidden: Vec<String>,
    /// A column that is not listed under `columns`: `fail`, `warn` or `ignore` (the default).
    #[serde(default = "ignore")]
    pub extra: Does,
    /// Columns that stand in this order; others may stand between them.
    #[serde(default)]
    pub order: Vec<String>,
}

fn fail() -> Does {
    Does::Fail
}

fn warn() -> Does {
    Does::Warn
}

fn ignore() -> Does {
    Does::Ignore
}

impl Named for Schema {
    const NAME: &'static str = "schema";
}

impl CheckType for Schema {
    const ON: On = On::Table;
    const COST: Cost = Cost::Catalog;
}

impl Check for Schema {
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String> {
        let facts = target.facts(&known.catalog)?;
        let mut found: Vec<(Does, String)> = Vec::new();
        let has = |name: &str| facts.column(name).is_some();
        found.extend(self.forbidden.iter().filter(|name| has(name)).map(|name| (Does::Fail, format!("forbidden: {name}"))));
        if self.extra != Does::Ignore {
            let listed = known.listed(&target.table);
            let extra = facts.columns.iter().filter(|c| !listed.contains(&c.name));
            found.extend(extra.map(|c| (self.extra, format!("extra: {}", c.name))));
        }
        let place = |name: &String| facts.columns.iter().position(|c| c.name == *name);
        found.extend(self.order.iter().filter(|name| !has(name)).map(|name| (Does::Fail, format!("missing: {name}"))));
        let places: Vec<(usize, &String)> = self.order.iter().filter_map(|name| Some((place(name)?, name))).collect();
        let swapped = places.windows(2).filter(|pair| pair[0].0 > pair[1].0);
        found.extend(swapped.map(|pair| (Does::Fail, format!("out of order: {} stands before {}", pair[1].1, pair[0].1))));
        if let Some(against) = &self.against {
            let before = against.profile(target, known)?;
            for column in &facts.columns {
                match before.column(&column.name) {
                    None => found.push((self.added, format!("added: {} {}", column.name, column.type_name))),
                    Some(old) if old.type_name != column.type_name => {
                        found.push((self.retyped, format!("retyped: {} from {} to {}", column.name, old.type_name, column.type_name)));
                    }
                    Some(_) => {}
                }
            }
            let gone = before.columns.iter().filter(|old| !has(&old.name));
            found.extend(gone.map(|old| (self.removed, format!("removed: {} {}", old.name, old.type_name))));
        }
        let status = found.iter().map(|(does, _)| does.status()).max().unwrap_or(Status::Passed);
        let differences: Vec<String> = found.into_iter().map(|(_, what)| what).collect();
        let message = match differences.as_slice() {
            [] => format!("{} as they should be", counted(facts.columns.len() as u64, "column")),
            [one] => one.clone(),
            many => format!("{} differences: {}", many.len(), many.join("; ")),
        };
        let evidence = if differences.len() > 1 { differences } else { vec![] };
        Ok(Question::answered(Judgement::new(status, message).with_evidence(evidence)))
    }

    fn against(&self) -> Option<&Against> {
        self.against.as_ref()
    }

    fn mistake(&self) -> Option<String> {
        let nothing = self.against.is_none() && self.forbidden.is_empty() && self.extra == Does::Ignore && self.order.is_empty();
        if nothing {
            return Some("it asks for nothing: write `against`, `forbidden`, `extra` or `order`".into());
        }
        self.against.as_ref().and_then(Against::mistake)
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{known, settings, target};
    use super::*;
    use crate::profile::{ColumnProfile, Shape, TableProfile};

    fn judged(json: &str, columns: &[(&str, &str)]) -> Judgement {
        let mut known = known(columns);
        let column =
            |name: &str| ColumnProfile { name: name.into(), type_name: "text".into(), nulls: 0, numbers: None, shape: Shape::Unknown(String::new()) };
        let before = TableProfile { rows: 1, columns: ["a", "b"].map(column).to_vec() };
        known.references.insert(Against::default().key(&target(None)), Ok(before));
        known.listed.insert(target(None).table, vec!["a".into()]);
        settings::<Schema>(json).ask(&target(None), &known).expect("question").answered.expect("verdict")
    }

    #[test]
    fn the_baseline_knows_what_was_added_removed_and_retyped() {
        let against = r#"{"against": "baseline"}"#;
        assert_eq!(judged(against, &[("a", "text"), ("b", "text")]).status, Status::Passed);
        assert_eq!(judged(against, &[("a", "text"), ("b", "text"), ("c", "text")]).status, Status::Warned);
        assert_eq!(judged(against, &[("a", "text")]).message, "removed: b text");
        assert_eq!(judged(against, &[("a", "text"), ("b", "integer")]).message, "retyped: b from text to integer");
    }

    #[test]
    fn forbidden_extra_and_swapped_columns_fail() {
        let columns = [("a", "text"), ("ssn", "text")];
        assert_eq!(judged(r#"{"forbidden": ["ssn"]}"#, &columns).status, Status::Failed);
        assert_eq!(judged(r#"{"extra": "fail"}"#, &columns).message, "extra: ssn");
        assert_eq!(judged(r#"{"order": ["ssn", "a"]}"#, &columns).message, "out of order: a stands before ssn");
        assert!(settings::<Schema>("{}").mistake().is_some());
    }
}
