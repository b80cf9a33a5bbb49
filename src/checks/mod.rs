//! Data checks: each asks a question and judges the answer; the scan merges all questions into few statements.

mod against;
mod aggregate;
mod anomaly;
mod avg;
mod categories;
mod columns;
mod distance;
mod distinct;
mod drift;
mod exists;
mod expression;
mod format;
mod fresh;
mod gates;
pub mod history;
#[path = "in.rs"]
mod in_;
mod infinite;
mod known;
mod label_balance;
mod label_conflicts;
mod label_leakage;
mod label_positive;
mod length;
mod matches;
mod max;
mod metric;
mod min;
mod nan;
mod no_rows;
mod not_in;
mod not_null;
mod nulls;
mod outliers;
mod profile;
mod quantile;
mod question;
mod range;
mod reconcile;
mod references;
mod rows;
mod rule;
mod scan;
mod schema;
mod select;
mod split_duplicates;
mod split_overlap;
mod split_ratios;
mod split_time;
mod stddev;
mod sum;
#[path = "type.rs"]
mod type_;
mod unique;
mod volume;

pub use self::gates::{Gates, TableGates, parse, schema};
pub use self::profile::profile;
pub use self::question::{Answer, Judgement, On, Question, Target};
pub use self::scan::{Looked, Setting, explain, run};
pub use self::select::Selection;

use serde::de::DeserializeOwned;

use self::against::Against;
use self::known::Known;
use crate::catalogue::{Catalogue, Entry, Named};
use crate::names::TableName;

/// One data check. The type is the settings, the name and the work.
pub trait Check: Send + Sync {
    /// What to ask the database; pure. `Err` says why the question cannot be asked.
    fn ask(&self, target: &Target, known: &Known) -> Result<Question, String>;

    /// What the answer means; pure. What the catalog has answered gets no further.
    fn judge(&self, _: &Target, _: &Answer) -> Judgement {
        Judgement::broken("nothing was asked")
    }

    /// A query for offending rows, asked only when there are some.
    fn sample(&self, _: &Target, _: &Known) -> Option<String> {
        None
    }

    /// Other tables that the question names.
    fn tables(&self) -> Vec<TableName> {
        Vec::new()
    }

    /// What it compares with.
    fn against(&self) -> Option<&Against> {
        None
    }

    /// Its measure is remembered from run to run.
    fn has_history(&self) -> bool {
        false
    }

    /// A check of a table without rows would be a vacuous pass; few may judge one.
    fn judges_empty(&self) -> bool {
        false
    }

    /// Settings that contradict each other.
    fn mistake(&self) -> Option<String> {
        None
    }
}

/// What a check type says of itself, beyond its name.
pub trait CheckType: Check + Named + DeserializeOwned + 'static {
    const ON: On;
    /// A list always means several checks of this kind.
    const REPEATS: bool = false;
    /// The part of a group that it is.
    const WITHIN: Option<Within> = None;
    /// Where its answer comes from.
    const COST: Cost = Cost::Scan;
}

/// Where an answer comes from, and so what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    Catalog,
    Scan,
    Keys,
    Counts,
    Statement,
}

impl Cost {
    /// As the documentation says it.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Catalog => "none: the catalog answers",
            Self::Scan => "the table's one scan, shared",
            Self::Keys => "one stream of keys a table, shared",
            Self::Counts => "a count by value or bin, small ones shared",
            Self::Statement => "a statement of its own",
        }
    }
}

/// A place in a group of checks that share settings: `split: {column: …, overlap: …}`.
#[derive(Debug, Clone, Copy)]
pub struct Within {
    pub group: &'static str,
    pub key: &'static str,
    /// Settings that stand beside the key and belong to several parts.
    pub shared: &'static [&'static str],
    /// The value of the key is one setting, and not a map of them.
    pub whole: bool,
}

/// A check in the catalogue.
pub struct Kind {
    pub entry: Entry<dyn Check>,
    pub on: On,
    pub repeats: bool,
    pub within: Option<Within>,
    pub cost: Cost,
}

fn kind<T: CheckType>() -> Kind {
    let entry: Entry<dyn Check> = Entry::new::<T>(|node, mistakes| {
        let check: T = node.decode(mistakes)?;
        if let Some(why) = check.mistake() {
            mistakes.add(node.place, format!("{}: {why}", T::NAME));
            return None;
        }
        Some(Box::new(check) as Box<dyn Check>)
    });
    Kind { entry, on: T::ON, repeats: T::REPEATS, within: T::WITHIN, cost: T::COST }
}

impl Kind {
    /// How it is written.
    pub fn form(&self) -> String {
        let name = self.entry.name;
        match (self.within, self.on) {
            (Some(within), _) => format!("table: {}: {{{}: …}}", within.group, within.key),
            _ if ["exists", "columns"].contains(&name) => "by itself, for every table".into(),
            (None, On::Table) => format!("table: {name}"),
            (None, On::Column) => format!("column: {name}"),
            (None, On::Both) => format!("table or column: {name}"),
        }
    }
}

/// Every check, in the order in which a reader should meet them.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<exists::Exists>(),
        kind::<columns::Columns>(),
        kind::<schema::Schema>(),
        kind::<type_::Type>(),
        kind::<rows::Rows>(),
        kind::<volume::Volume>(),
        kind::<anomaly::Anomaly>(),
        kind::<not_null::NotNull>(),
        kind::<nulls::Nulls>(),
        kind::<nan::Nan>(),
        kind::<infinite::Infinite>(),
        kind::<unique::Unique>(),
        kind::<in_::In>(),
        kind::<not_in::NotIn>(),
        kind::<range::Range>(),
        kind::<matches::Matches>(),
        kind::<format::Format>(),
        kind::<length::Length>(),
        kind::<expression::Expression>(),
        kind::<min::Min>(),
        kind::<max::Max>(),
        kind::<avg::Avg>(),
        kind::<sum::Sum>(),
        kind::<stddev::Stddev>(),
        kind::<quantile::Quantile>(),
        kind::<distinct::Distinct>(),
        kind::<outliers::Outliers>(),
        kind::<references::References>(),
        kind::<fresh::Fresh>(),
        kind::<no_rows::NoRows>(),
        kind::<metric::Metric>(),
        kind::<reconcile::Reconcile>(),
        kind::<split_ratios::SplitRatios>(),
        kind::<split_overlap::SplitOverlap>(),
        kind::<split_duplicates::SplitDuplicates>(),
        kind::<split_time::SplitTime>(),
        kind::<label_positive::LabelPositive>(),
        kind::<label_balance::LabelBalance>(),
        kind::<label_conflicts::LabelConflicts>(),
        kind::<label_leakage::LabelLeakage>(),
        kind::<categories::Categories>(),
        kind::<drift::Drift>(),
    ]
}

pub fn catalogue() -> Catalogue<dyn Check> {
    Catalogue { family: "check", entries: kinds().into_iter().map(|kind| kind.entry).collect() }
}

#[cfg(test)]
mod test_support {
    use super::question::Counts;
    use super::*;
    use crate::ports::postgres::catalog::{ColumnFacts, Table};

    pub(super) fn target(column: Option<&str>) -> Target {
        let table = TableName::parse("flights").expect("name");
        Target { table, column: column.map(str::to_owned), table_filter: None, filter: None }
    }

    pub(super) fn known(columns: &[(&str, &str)]) -> Known {
        let column = |(name, kind): &(&str, &str)| ColumnFacts {
            name: (*name).into(),
            type_name: (*kind).into(),
            base_type: (*kind).into(),
            is_enum: false,
            deterministic: true,
        };
        let mut known = Known::default();
        let table = Table { columns: columns.iter().map(column).collect(), oid: 1 };
        known.catalog.tables.insert(target(None).table, table);
        known
    }

    pub(super) fn settings<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).expect("settings")
    }

    pub(super) fn answer(rows: u64, scan: &[&str], singles: &[&str]) -> Answer {
        let texts = |values: &[&str]| values.iter().map(|v| (*v != "null").then(|| (*v).to_owned())).collect();
        Answer { rows, scan: texts(scan), singles: texts(singles), ..Answer::default() }
    }

    pub(super) fn keyed(rows: u64, numbers: [u64; 2]) -> Answer {
        Answer { rows, keyed: Some(numbers), ..Answer::default() }
    }

    pub(super) fn tallied(counts: &[(&str, u64)]) -> Answer {
        let counts: Counts = counts.iter().map(|(value, n)| (vec![Some((*value).to_owned())], *n)).collect();
        Answer { rows: counts.iter().map(|(_, n)| n).sum(), tallies: vec![counts], ..Answer::default() }
    }
}
