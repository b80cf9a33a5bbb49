//! Which seeds have to be loaded, given what the history remembers.

use super::{Mode, Task};

/// What is known of one seed before anything is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Of the content and the settings; `None`: not needed to know that it has to be loaded.
    pub(super) digest: Option<String>,
    /// The table's identity now; `None` for a script.
    pub(super) relation: Option<u32>,
    pub(super) has_rows: bool,
    /// Its rows are in its partitions.
    pub(super) partitioned: bool,
    pub(super) last: Option<Last>,
}

/// The last load, as the history remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) digest: String,
    pub(super) relation: Option<u32>,
    /// That the file had, whatever became of them.
    pub(super) rows: i64,
    /// That were left out.
    pub(super) bad_rows: i64,
}

/// In place of a digest while several connections load a table: what they left is not whole.
pub(super) const LOADING: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Load,
    Unchanged,
    NotEmpty,
}

/// `references`: from one table to another. A table that was emptied or made anew since the last load is loaded again,
/// and so is what refers to a table that is going to be emptied, what is appended to it, and every script behind it.
pub(super) fn decide(tasks: &[Task], known: &[Known], references: &[(u32, u32)]) -> Vec<Action> {
    let mut actions: Vec<Action> = tasks.iter().zip(known).map(|(task, known)| alone(task, known)).collect();
    let mode = |i: usize| tasks[i].as_load().map(|load| load.mode);
    loop {
        let emptied: Vec<u32> = (0..tasks.len())
            .filter(|i| actions[*i] == Action::Load && mode(*i) == Some(Mode::Replace) && known[*i].has_rows)
            .filter_map(|i| known[i].relation)
            .collect();
        let again: Vec<usize> = (0..tasks.len())
            .filter(|i| actions[*i] == Action::Unchanged)
            .filter(|i| match (mode(*i), known[*i].relation) {
                (None, _) => actions[..*i].iter().zip(tasks).any(|(action, task)| *action == Action::Load && task.as_load().is_some()),
                (Some(Mode::Append | Mode::Upsert), Some(table)) => emptied.contains(&table),
                (Some(Mode::Replace), Some(table)) => references.iter().any(|(from, to)| *from == table && *to != table && emptied.contains(to)),
                _ => false,
            })
            .collect();
        if again.is_empty() {
            return actions;
        }
        again.into_iter().for_each(|i| actions[i] = Action::Load);
    }
}

fn alone(task: &Task, known: &Known) -> Action {
    let same = |last: &Last| known.digest.as_ref() == Some(&last.digest) && last.relation == known.relation;
    let unfinished = known.last.as_ref().is_some_and(|last| last.digest == LOADING && last.relation == known.relation);
    match task.as_load().map(|load| load.mode) {
        Some(Mode::IfEmpty) if known.has_rows && !unfinished => Action::NotEmpty,
        Some(Mode::IfEmpty) => Action::Load,
        _ => match &known.last {
            // Rows that were left out are looked at again, where that adds none twice.
            Some(last) if same(last) && last.bad_rows > 0 && task.as_load().is_some_and(|load| load.mode == Mode::Replace) => Action::Load,
            // Emptied since; a file without rows leaves an empty table, and that is as it should be.
            Some(last) if same(last) && (known.has_rows || last.rows == 0) => Action::Unchanged,
            _ => Action::Load,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Entry;

    fn seed(table: &str, mode: &str, digest: &str, last: Option<&str>) -> (Task, Known) {
        let entry: Entry = serde_json::from_value(serde_json::json!({"table": table, "file": "f.csv", "mode": mode})).expect("entry");
        let relation = Some(u32::from(table.as_bytes()[0]));
        let last = last.map(|digest| Last { digest: digest.into(), relation, rows: 2, bad_rows: 0 });
        (entry.task().expect("task"), Known { digest: Some(digest.into()), relation, has_rows: true, partitioned: false, last })
    }

    fn decided(seeds: Vec<(Task, Known)>, references: &[(&str, &str)]) -> Vec<Action> {
        let (tasks, known): (Vec<_>, Vec<_>) = seeds.into_iter().unzip();
        let id = |name: &str| u32::from(name.as_bytes()[0]);
        decide(&tasks, &known, &references.iter().map(|(a, b)| (id(a), id(b))).collect::<Vec<_>>())
    }

    #[test]
    fn the_second_run_loads_nothing() {
        let seeds = vec![
            seed("a", "replace", "1", Some("1")),
            seed("b", "append", "1", Some("1")),
            seed("c", "if-empty", "1", None),
            seed("d", "upsert", "1", Some("1")),
        ];
        assert_eq!(decided(seeds, &[]), [Action::Unchanged, Action::Unchanged, Action::NotEmpty, Action::Unchanged]);
    }

    #[test]
    fn a_changed_file_reloads_what_refers_to_its_table_and_nothing_else() {
        let seeds = || {
            vec![
                seed("a", "replace", "2", Some("1")),
                seed("b", "replace", "1", Some("1")),
                seed("c", "replace", "1", Some("1")),
                seed("d", "replace", "1", Some("1")),
                seed("a", "append", "1", Some("1")),
            ]
        };
        use Action::{Load, Unchanged};
        assert_eq!(decided(seeds(), &[("b", "a"), ("c", "b")]), [Load, Load, Load, Unchanged, Load]);
        assert_eq!(decided(seeds(), &[("a", "d")]), [Load, Unchanged, Unchanged, Unchanged, Load]);
    }

    #[test]
    fn an_emptied_or_recreated_or_half_loaded_table_is_loaded_again() {
        let mut emptied = seed("a", "replace", "1", Some("1"));
        emptied.1.has_rows = false;
        let mut recreated = seed("b", "append", "1", Some("1"));
        recreated.1.relation = Some(2);
        let mut without_rows = emptied.clone();
        without_rows.1.last = Some(Last { digest: "1".into(), relation: without_rows.1.relation, rows: 0, bad_rows: 0 });
        let half = seed("c", "if-empty", "1", Some(LOADING));
        assert_eq!(decided(vec![without_rows], &[]), [Action::Unchanged]);
        assert_eq!(decided(vec![emptied, recreated, half], &[]), [Action::Load; 3]);
    }

    #[test]
    fn a_script_runs_again_when_a_table_before_it_was_loaded() {
        let script: Entry = serde_json::from_value(serde_json::json!({"sql": "s.sql"})).expect("entry");
        let ran = Known {
            digest: Some("s".into()),
            relation: None,
            has_rows: true,
            partitioned: false,
            last: Some(Last { digest: "s".into(), relation: None, rows: 0, bad_rows: 0 }),
        };
        let script = || (script.task().expect("task"), ran.clone());
        let seeds = vec![script(), seed("a", "replace", "2", Some("1")), script()];
        assert_eq!(decided(seeds, &[]), [Action::Unchanged, Action::Load, Action::Load]);
    }
}
