//! Which seeds have to be loaded, given what the history remembers.

use super::{Mode, Task};

/// What is known of one seed before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) digest: String,
    /// The table's identity now; `None` for a script.
    pub(super) relation: Option<u32>,
    pub(super) has_rows: bool,
    pub(super) last: Option<Last>,
}

/// The last load, as the history remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) digest: String,
    pub(super) relation: Option<u32>,
    pub(super) rows: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Load,
    Unchanged,
    NotEmpty,
}

/// A table that was emptied or made anew since the last load is loaded again. When one replaced table changes, all of
/// them are: they refer to each other, and only together can they be emptied.
pub(super) fn decide(tasks: &[(Task, Known)]) -> Vec<Action> {
    let single = |(task, known): &(Task, Known)| match task {
        Task::Table { mode: Mode::IfEmpty, .. } if known.has_rows => Action::NotEmpty,
        Task::Table { mode: Mode::IfEmpty, .. } => Action::Load,
        _ => match &known.last {
            Some(last) if last.digest != known.digest || last.relation != known.relation => Action::Load,
            // Emptied since; a file without rows leaves an empty table, and that is as it should be.
            Some(last) if !known.has_rows && last.rows > 0 => Action::Load,
            Some(_) => Action::Unchanged,
            None => Action::Load,
        },
    };
    let mut actions: Vec<Action> = tasks.iter().map(single).collect();
    let replaced = |task: &Task| matches!(task, Task::Table { mode: Mode::Replace, .. });
    let any = tasks.iter().zip(&actions).any(|((task, _), action)| replaced(task) && *action == Action::Load);
    if any {
        for ((task, _), action) in tasks.iter().zip(&mut actions) {
            // What was appended to a table that is emptied now must come back, and scripts build on the tables.
            if *action == Action::Unchanged && !matches!(task, Task::Table { mode: Mode::IfEmpty, .. }) {
                *action = Action::Load;
            }
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{RelPath, TableName};

    fn table(name: &str, mode: Mode, digest: &str, last: Option<&str>) -> (Task, Known) {
        let task = Task::Table { table: TableName::parse(name).expect("name"), file: RelPath::parse("f.csv").expect("path"), mode };
        let last = last.map(|digest| Last { digest: digest.into(), relation: Some(1), rows: 2 });
        (task, Known { digest: digest.into(), relation: Some(1), has_rows: true, last })
    }

    #[test]
    fn the_second_run_loads_nothing() {
        let tasks = [table("a", Mode::Replace, "1", Some("1")), table("b", Mode::Append, "1", Some("1")), table("c", Mode::IfEmpty, "1", None)];
        assert_eq!(decide(&tasks), [Action::Unchanged, Action::Unchanged, Action::NotEmpty]);
    }

    #[test]
    fn one_changed_file_reloads_every_replaced_table() {
        let tasks = [table("a", Mode::Replace, "1", Some("1")), table("b", Mode::Replace, "2", Some("1"))];
        assert_eq!(decide(&tasks), [Action::Load, Action::Load]);
    }

    #[test]
    fn an_emptied_or_recreated_table_is_loaded_again() {
        let mut emptied = table("a", Mode::Replace, "1", Some("1"));
        emptied.1.has_rows = false;
        let mut recreated = table("b", Mode::Append, "1", Some("1"));
        recreated.1.relation = Some(2);
        let mut without_rows = emptied.clone();
        without_rows.1.last = Some(Last { digest: "1".into(), relation: Some(1), rows: 0 });
        assert_eq!(decide(&[without_rows]), [Action::Unchanged]);
        assert_eq!(decide(&[emptied]), [Action::Load]);
        assert_eq!(decide(&[recreated]), [Action::Load]);
    }
}
