//! Data checks: each asks a question and judges the answer; the scan merges all questions into few statements.

mod columns;
mod exists;
mod fresh;
mod gates;
#[path = "in.rs"]
mod in_;
mod metric;
mod no_rows;
mod not_null;
mod nulls;
mod question;
mod range;
mod references;
mod rows;
mod scan;
#[path = "type.rs"]
mod type_;
mod unique;

pub use self::gates::{Gates, TableGates, parse, schema};
pub use self::question::{Answer, Judgement, On, Question, Target};
pub use self::scan::run;

use serde::de::DeserializeOwned;

use crate::catalogue::{Catalogue, Entry, Named};
use crate::names::TableName;
use crate::ports::postgres::catalog::Catalog;

/// One data check. The type is the settings, the name and the work.
pub trait Check: Send + Sync {
    /// What to ask the database; pure. `Err` says why the question cannot be asked.
    fn ask(&self, target: &Target, catalog: &Catalog) -> Result<Question, String>;

    /// What the answer means; pure.
    fn judge(&self, target: &Target, answer: &Answer) -> Judgement;

    /// A query for offending rows, asked only when there are some.
    fn sample(&self, _: &Target, _: &Catalog) -> Option<String> {
        None
    }

    /// Other tables that the question names.
    fn tables(&self) -> Vec<TableName> {
        Vec::new()
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
}

/// A check in the catalogue.
pub struct Kind {
    pub entry: Entry<dyn Check>,
    pub on: On,
    pub repeats: bool,
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
    Kind { entry, on: T::ON, repeats: T::REPEATS }
}

/// Every check, in the order in which a reader should meet them.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<exists::Exists>(),
        kind::<columns::Columns>(),
        kind::<type_::Type>(),
        kind::<rows::Rows>(),
        kind::<not_null::NotNull>(),
        kind::<nulls::Nulls>(),
        kind::<unique::Unique>(),
        kind::<in_::In>(),
        kind::<range::Range>(),
        kind::<references::References>(),
        kind::<fresh::Fresh>(),
        kind::<no_rows::NoRows>(),
        kind::<metric::Metric>(),
    ]
}

pub fn catalogue() -> Catalogue<dyn Check> {
    Catalogue { family: "check", entries: kinds().into_iter().map(|kind| kind.entry).collect() }
}

#[cfg(test)]
mod test_support {
    use super::*;
    use crate::ports::postgres::catalog::{ColumnFacts, Table};

    pub(super) fn target(column: Option<&str>) -> Target {
        let table = TableName::parse("flights").expect("name");
        Target { table, column: column.map(str::to_owned), table_filter: None, filter: None }
    }

    pub(super) fn catalog(columns: &[(&str, &str)]) -> Catalog {
        let columns = columns
            .iter()
            .map(|(name, kind)| ColumnFacts { name: (*name).into(), type_name: (*kind).into(), base_type: (*kind).into(), is_enum: false })
            .collect();
        let mut catalog = Catalog::default();
        catalog.tables.insert(TableName::parse("flights").expect("name"), Table { columns });
        catalog
    }

    pub(super) fn settings<T: DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).expect("settings")
    }

    pub(super) fn answer(rows: u64, scan: &[&str], scalars: &[&str]) -> Answer {
        let texts = |values: &[&str]| values.iter().map(|v| (*v != "null").then(|| (*v).to_owned())).collect();
        Answer { rows, scan: texts(scan), scalars: texts(scalars) }
    }
}
