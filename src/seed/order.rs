//! What is loaded together, and what before what: parents first, as the foreign keys say.

use std::collections::BTreeSet;

/// Tasks that share a transaction, in their order, and the groups that have to be done before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) tasks: Vec<usize>,
    pub(super) after: Vec<usize>,
}

/// One task as far as order is concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    /// `None`: a script, which everything before it comes before.
    pub(super) table: Option<u32>,
    pub(super) loads: bool,
    /// Its table holds rows that have to go first.
    pub(super) empties: bool,
}

/// Groups of what is loaded. Tables that refer to each other share one where rows have to go first, so that nobody ever
/// sees one without the other. The error is a circle of tables.
pub(super) fn groups(items: &[Item], references: &[(u32, u32)]) -> Result<Vec<Group>, Vec<u32>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut barrier: Vec<usize> = Vec::new();
    let mut from = 0;
    for at in 0..=items.len() {
        if items.get(at).is_some_and(|item| item.table.is_some()) {
            continue;
        }
        let segment = from..at;
        from = at + 1;
        let first = groups.len();
        tables(items, segment, references, &barrier, &mut groups)?;
        if items.get(at).is_some_and(|item| item.loads) {
            let after: Vec<usize> = (first..groups.len()).chain(barrier).collect();
            barrier = vec![groups.len()];
            groups.push(Group { tasks: vec![at], after });
        } else if groups.len() > first {
            barrier.extend(first..groups.len());
        }
    }
    Ok(groups)
}

fn tables(
    items: &[Item],
    segment: std::ops::Range<usize>,
    references: &[(u32, u32)],
    barrier: &[usize],
    groups: &mut Vec<Group>,
) -> Result<(), Vec<u32>> {
    let seeded: BTreeSet<u32> = segment.clone().filter_map(|i| items[i].table).collect();
    let edges: Vec<(u32, u32)> = references.iter().copied().filter(|(from, to)| from != to && seeded.contains(from) && seeded.contains(to)).collect();
    let ordered = parents_first(&seeded, &edges, |table| segment.clone().position(|i| items[i].table == Some(table)).unwrap_or(usize::MAX))?;
    let tasks = |table: u32| segment.clone().filter(move |i| items[*i].table == Some(table) && items[*i].loads);
    let loaded: Vec<u32> = ordered.into_iter().filter(|table| tasks(*table).next().is_some()).collect();
    let mut placed: BTreeSet<u32> = BTreeSet::new();
    let first = groups.len();
    let mut members: Vec<BTreeSet<u32>> = Vec::new();
    for table in &loaded {
        if placed.contains(table) {
            continue;
        }
        let circle = connected(*table, &edges, &loaded);
        let together = circle.iter().any(|t| tasks(*t).any(|i| items[i].empties));
        let group: BTreeSet<u32> = if together { circle } else { [*table].into() };
        placed.extend(&group);
        members.push(group);
    }
    for group in &members {
        let order = loaded.iter().filter(|table| group.contains(table));
        let parents = edges.iter().filter(|(from, _)| group.contains(from)).map(|(_, to)| to);
        let after: BTreeSet<usize> =
            parents.filter(|to| !group.contains(to)).filter_map(|to| members.iter().position(|g| g.contains(to))).map(|at| first + at).collect();
        groups.push(Group {
            tasks: order.flat_map(|table| tasks(*table)).collect(),
            after: after.into_iter().chain(barrier.iter().copied()).collect(),
        });
    }
    Ok(())
}

/// Everything that is reached over references in either direction.
fn connected(start: u32, edges: &[(u32, u32)], among: &[u32]) -> BTreeSet<u32> {
    let (mut found, mut open) = (BTreeSet::from([start]), vec![start]);
    while let Some(table) = open.pop() {
        let next = edges.iter().filter_map(|(from, to)| if *from == table { Some(*to) } else { (*to == table).then_some(*from) });
        for other in next.filter(|other| among.contains(other)) {
            if found.insert(other) {
                open.push(other);
            }
        }
    }
    found
}

/// Among equals the order of the file. The error is a circle.
fn parents_first(tables: &BTreeSet<u32>, edges: &[(u32, u32)], rank: impl Fn(u32) -> usize) -> Result<Vec<u32>, Vec<u32>> {
    let mut left: Vec<u32> = tables.iter().copied().collect();
    left.sort_by_key(|table| rank(*table));
    let mut done: Vec<u32> = Vec::new();
    while !left.is_empty() {
        let waits = |table: u32, done: &[u32]| edges.iter().find(|(from, to)| *from == table && !done.contains(to)).map(|(_, to)| *to);
        if let Some(at) = left.iter().position(|table| waits(*table, &done).is_none()) {
            done.push(left.remove(at));
            continue;
        }
        // Everyone waits: going from parent to parent comes back to where it has been.
        let mut path = vec![left[0]];
        while let Some(parent) = path.last().and_then(|table| waits(*table, &done)) {
            if let Some(at) = path.iter().position(|seen| *seen == parent) {
                path.push(parent);
                return Err(path.split_off(at));
            }
            path.push(parent);
        }
        return Err(path);
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(table: u32) -> Item {
        Item { table: Some(table), loads: true, empties: false }
    }

    const SCRIPT: Item = Item { table: None, loads: true, empties: false };

    fn tasks(groups: &[Group]) -> Vec<(Vec<usize>, Vec<usize>)> {
        groups.iter().map(|g| (g.tasks.clone(), g.after.clone())).collect()
    }

    #[test]
    fn empty_tables_are_loaded_by_themselves_parents_first() {
        // 0: flights of 1: airlines and 2: planes; another file is appended to airlines.
        let items = [item(10), item(11), item(12), item(11)];
        let found = groups(&items, &[(10, 11), (10, 12), (10, 10), (99, 11)]).expect("groups");
        assert_eq!(tasks(&found), [(vec![1, 3], vec![]), (vec![2], vec![]), (vec![0], vec![0, 1])]);
    }

    #[test]
    fn tables_with_rows_are_replaced_together_with_what_refers_to_them() {
        let items = [item(10), Item { empties: true, ..item(11) }, item(12), item(13)];
        let found = groups(&items, &[(10, 11), (12, 10)]).expect("groups");
        assert_eq!(tasks(&found), [(vec![1, 0, 2], vec![]), (vec![3], vec![])]);
        let unchanged = [Item { loads: false, ..item(10) }, Item { empties: true, ..item(11) }];
        assert_eq!(tasks(&groups(&unchanged, &[(10, 11)]).expect("groups")), [(vec![1], vec![])]);
    }

    #[test]
    fn a_script_waits_for_what_stands_before_it() {
        let items = [item(1), SCRIPT, item(2), item(3), Item { loads: false, ..SCRIPT }, SCRIPT];
        let found = groups(&items, &[(2, 3)]).expect("groups");
        assert_eq!(tasks(&found), [(vec![0], vec![]), (vec![1], vec![0]), (vec![3], vec![1]), (vec![2], vec![2, 1]), (vec![5], vec![1, 2, 3])]);
    }

    #[test]
    fn a_circle_is_named() {
        assert_eq!(groups(&[item(1), item(2), item(3)], &[(1, 2), (2, 3), (3, 2)]), Err(vec![2, 3, 2]));
    }
}
