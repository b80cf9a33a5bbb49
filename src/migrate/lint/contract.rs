//! Columns that a dataset, and so the models made from it, read.

use std::collections::{BTreeMap, BTreeSet};

use squawk_syntax::SourceFile;
use squawk_syntax::ast::{self, AstNode};

use super::rules::{names, plain};
use super::{Class, Raw};
use crate::migrate::script::Script;

/// Who reads what.
#[derive(Debug, Clone, Default)]
pub struct Uses {
    datasets: Vec<Dataset>,
}

#[derive(Debug, Clone)]
struct Dataset {
    name: String,
    /// Every name in its query.
    words: BTreeSet<String>,
    /// `name version` of registered models that saw it.
    models: Vec<String>,
    /// It reads every column of its tables.
    whole: bool,
}

impl Uses {
    /// `datasets`: name → the query, or the table's name; `models`: dataset → registered models.
    pub fn new(datasets: &BTreeMap<String, String>, models: &BTreeMap<String, Vec<String>>) -> Self {
        let dataset = |(name, query): (&String, &String)| {
            let words: BTreeSet<String> = names(query).iter().flat_map(|n| n.split('.').map(str::to_owned).collect::<Vec<_>>()).collect();
            Dataset {
                name: name.clone(),
                whole: words.len() <= 2 || query.contains('*'),
                words,
                models: models.get(name).cloned().unwrap_or_default(),
            }
        };
        Self { datasets: datasets.iter().map(dataset).collect() }
    }

    fn readers(&self, table: &str, column: Option<&str>) -> Vec<String> {
        let table = table.rsplit('.').next().unwrap_or(table);
        let reads = |d: &&Dataset| d.words.contains(table) && column.is_none_or(|column| d.whole || d.words.contains(column));
        let shown = |d: &Dataset| {
            if d.models.is_empty() { format!("dataset {}", d.name) } else { format!("dataset {} (models {})", d.name, d.models.join(", ")) }
        };
        self.datasets.iter().filter(reads).map(shown).collect()
    }
}

/// Changes to what somebody reads.
pub(super) fn broken(script: &Script, uses: &Uses) -> Vec<Raw> {
    if uses.datasets.is_empty() {
        return Vec::new();
    }
    let parsed = SourceFile::parse(&script.text);
    let mut found = Vec::new();
    for stmt in parsed.tree().stmts() {
        let at = |node: &dyn Fn() -> squawk_syntax::SyntaxNode| u32::from(node().text_range().start()) as usize;
        let mut say = |at: usize, what: String, readers: Vec<String>| {
            if !readers.is_empty() {
                let remedy = Some("change the dataset first (and retrain), or keep the old column until nothing reads it".into());
                found.push(Raw {
                    rule: "used-column".into(),
                    class: Class::Contract,
                    at,
                    message: format!("{what}, which {} reads", readers.join(" and ")),
                    remedy,
                });
            }
        };
        match &stmt {
            ast::Stmt::AlterTable(alter) => {
                let table = alter.table_relation_name().map(|t| t.syntax().text().to_string()).unwrap_or_default();
                let table = table.split_whitespace().last().unwrap_or_default().split('.').map(plain).collect::<Vec<_>>().join(".");
                for action in alter.actions() {
                    let (word, column) = match &action {
                        ast::AlterTableAction::DropColumn(drop) => ("drops", drop.column_name_ref()),
                        ast::AlterTableAction::RenameColumn(rename) => ("renames", rename.column_name_ref()),
                        ast::AlterTableAction::AlterColumn(change) if matches!(change.option(), Some(ast::AlterColumnOption::SetType(_))) => {
                            ("retypes", change.column_name_ref())
                        }
                        ast::AlterTableAction::TableRenameTo(_) => ("renames", None),
                        _ => continue,
                    };
                    let column = column.map(|c| plain(&c.syntax().text().to_string()));
                    let what = format!("it {word} {table}{}", column.as_ref().map(|c| format!(".{c}")).unwrap_or_default());
                    say(at(&|| action.syntax().clone()), what, uses.readers(&table, column.as_deref()));
                }
            }
            ast::Stmt::DropTable(drop) => {
                for table in drop.table_name_refs() {
                    let name = table.syntax().text().to_string().split('.').map(plain).collect::<Vec<_>>().join(".");
                    say(at(&|| table.syntax().clone()), format!("it drops {name}"), uses.readers(&name, None));
                }
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_that_a_dataset_reads_is_told_with_its_models() {
        let datasets = [("training".to_owned(), "select f.distance, late from flights f".to_owned()), ("all".to_owned(), "planes".to_owned())].into();
        let models = [("training".to_owned(), vec!["delay 3".to_owned()])].into();
        let uses = Uses::new(&datasets, &models);
        let said = |text: &str| broken(&Script::new("x.sql", 0, text), &uses).into_iter().map(|r| r.message).collect::<Vec<_>>();
        assert_eq!(said("alter table flights drop column distance"), ["it drops flights.distance, which dataset training (models delay 3) reads"]);
        assert_eq!(
            said("alter table public.flights rename late to later"),
            ["it renames public.flights.late, which dataset training (models delay 3) reads"]
        );
        assert_eq!(said("alter table planes alter seats type bigint").len(), 1);
        assert_eq!(said("drop table if exists planes, others").len(), 1);
        for harmless in ["alter table flights drop column carrier", "alter table flights add distance int", "alter table other drop column distance"]
        {
            assert!(said(harmless).is_empty(), "{harmless}");
        }
    }
}
