//! Which checks of a run: by name, by tag, by shard.

use super::gates::{Gates, Planned};
use crate::mistakes::suggestion;
use crate::outcome::Shard;

/// `--only`, `--tags` and `--shard`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// `data.flights`, `data.flights.tailnum`, `data.flights.tailnum.references`; `*` stands for any one part.
    pub only: Vec<String>,
    /// Checks with one of these.
    pub tags: Vec<String>,
    pub shard: Option<Shard>,
}

impl Selection {
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// `2/5`
    pub fn shard(text: &str) -> Result<Shard, String> {
        Shard::parse(text).ok_or_else(|| format!("`{text}` is no shard: write the part and how many there are, such as `2/5`"))
    }
}

impl Gates {
    /// Keeps what is selected. A word that selects nothing is a mistake: a gate that is not there would be green.
    pub fn select(&mut self, selection: &Selection) -> Result<(), String> {
        let all = || self.tables.iter().flat_map(|table| &table.checks);
        for wanted in &selection.only {
            if !all().any(|planned| is_selected(planned, wanted)) {
                let mut paths: Vec<String> = all().flat_map(prefixes).collect();
                paths.sort();
                paths.dedup();
                return Err(format!("--only: nothing is called `{wanted}`; {}", suggestion(wanted, paths.iter().map(String::as_str), "checks")));
            }
        }
        for wanted in &selection.tags {
            if !all().any(|planned| planned.tags.contains(wanted)) {
                let mut tags: Vec<&str> = all().flat_map(|planned| &planned.tags).map(String::as_str).collect();
                tags.sort_unstable();
                tags.dedup();
                return Err(format!("--tags: no check has the tag `{wanted}`; {}", suggestion(wanted, tags, "tags")));
            }
        }
        let keep = |planned: &Planned| {
            (selection.only.is_empty() || selection.only.iter().any(|wanted| is_selected(planned, wanted)))
                && (selection.tags.is_empty() || selection.tags.iter().any(|tag| planned.tags.contains(tag)))
        };
        for table in &mut self.tables {
            // Whether the table and its columns are there belongs to every question about them.
            let any = table.checks.iter().any(|planned| !is_implied(planned) && keep(planned));
            table.checks.retain(|planned| keep(planned) || (any && is_implied(planned)));
        }
        if let Some(Shard { part, of }) = selection.shard {
            // One table's checks stay in one scan.
            self.tables.retain(|table| xxhash_rust::xxh3::xxh3_64(table.table.to_string().as_bytes()) % u64::from(of) == u64::from(part - 1));
        }
        self.tables.retain(|table| !table.checks.is_empty());
        Ok(())
    }
}

fn is_implied(planned: &Planned) -> bool {
    ["exists", "columns"].contains(&planned.kind)
}

/// Every selector that selects this check.
fn prefixes(planned: &Planned) -> Vec<String> {
    let path = planned.path();
    let ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]);
    ends.map(|end| path[..end].to_owned()).filter(|prefix| prefix != "data").collect()
}

/// By whole parts from the left, `*` for any one; the leading `data.` may be left out.
fn is_selected(planned: &Planned, wanted: &str) -> bool {
    let path = planned.path();
    let fits = |wanted: &str| {
        let (mut parts, mut words) = (path.split('.'), wanted.split('.'));
        words.all(|word| parts.next().is_some_and(|part| word == "*" || word == part))
    };
    fits(wanted) || fits(&format!("data.{wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mistakes::Mistakes;
    use crate::node::Node;

    fn selected(only: &[&str], tags: &[&str], shard: Option<Shard>) -> Result<Vec<String>, String> {
        let yaml = "flights:\n  tags: [core]\n  rows: 1\n  columns:\n    id: {unique: true, not_null: {tags: [slow]}}\n    carrier: {in: [UA]}\n\
                    planes:\n  rows: 1\n  columns: {seats: {range: [1, 500], redact: true}}\n";
        let node: Node = serde_saphyr::from_str(yaml).expect("yaml");
        let mut gates = super::super::parse(&node, "mlops.yml", &mut Mistakes::default());
        let texts = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
        gates.select(&Selection { only: texts(only), tags: texts(tags), shard })?;
        Ok(gates.tables.iter().flat_map(|t| &t.checks).filter(|c| !is_implied(c)).map(Planned::path).collect())
    }

    #[test]
    fn by_name_by_part_and_by_tag() {
        assert_eq!(selected(&["data.flights.id"], &[], None).expect("id"), ["data.flights.id.unique", "data.flights.id.not_null"]);
        assert_eq!(selected(&["flights.carrier"], &[], None).expect("carrier"), ["data.flights.carrier.in"]);
        assert_eq!(selected(&["data.*.seats"], &[], None).expect("seats"), ["data.planes.seats.range"]);
        assert_eq!(selected(&[], &["slow"], None).expect("slow"), ["data.flights.id.not_null"]);
        assert_eq!(selected(&[], &["core"], None).expect("core").len(), 4);
    }

    #[test]
    fn a_word_that_selects_nothing_is_a_mistake() {
        assert!(selected(&["data.flihgts"], &[], None).expect_err("typo").contains("did you mean `data.flights`?"));
        assert!(selected(&[], &["slwo"], None).expect_err("typo").contains("did you mean `slow`?"));
        for wrong in ["0/5", "6/5", "2", "a/b"] {
            assert!(Selection::shard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_table_falls_into_one_shard() {
        let all: Vec<String> = (1..=3).flat_map(|part| selected(&[], &[], Some(Shard { part, of: 3 })).expect("shard")).collect();
        assert_eq!(all.len(), selected(&[], &[], None).expect("all").len());
    }
}
