//! `mlops explain`: the documentation of every registered thing, from the thing itself.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::load::nearest_name;
use super::{Failure, Outcome, Shell, say};
use crate::catalogue::Catalogue;
use crate::outcome::exit;
use crate::{checks, quality, report, stages};

struct Entry {
    family: &'static str,
    name: String,
    doc: String,
    /// Key and description.
    settings: Vec<(String, String)>,
    short: Option<&'static str>,
    /// Of a check: how it is written, and what it costs.
    form: Option<(String, &'static str)>,
}

fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    for kind in stages::kinds() {
        let section = kind.section;
        all.push(Entry {
            family: "stage",
            name: kind.name.into(),
            doc: format!("{}\n\nRuns when `{section}` is in mlops.yml.", kind.doc()),
            settings: vec![],
            short: None,
            form: None,
        });
    }
    let kinds = checks::kinds();
    all.extend(
        of_catalogue(&checks::catalogue())
            .into_iter()
            .zip(&kinds)
            .map(|(entry, kind)| Entry { form: Some((kind.form(), kind.cost.words())), ..entry }),
    );
    all.extend(of_catalogue(&quality::catalogue()));
    all.extend(of_catalogue(&quality::gates()));
    for kind in report::kinds() {
        all.push(Entry { family: "sink", name: kind.name.into(), doc: kind.doc, settings: vec![], short: None, form: None });
    }
    all
}

fn of_catalogue<B: ?Sized>(catalogue: &Catalogue<B>) -> Vec<Entry> {
    let entry = |e: &crate::catalogue::Entry<B>| Entry {
        family: catalogue.family,
        name: e.name.into(),
        doc: e.doc(),
        settings: e.settings(),
        short: e.short,
        form: None,
    };
    catalogue.entries.iter().map(entry).collect()
}

pub(super) fn explain(shell: &Shell, name: Option<&str>) -> Outcome {
    let all = entries();
    let chosen: Vec<&Entry> = all.iter().filter(|e| name.is_none_or(|name| e.name == name)).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = all.iter().map(|e| e.name.as_str()).collect();
        let wanted = name.unwrap_or_default();
        let help = nearest_name(wanted, &known).map_or_else(|| format!("known: {}", known.join(", ")), |n| format!("did you mean `{n}`?"));
        return Err(Failure::usage(format!("nothing is called `{wanted}`; {help}")));
    }
    if shell.json() {
        let row = |e: &&Entry| {
            let settings = e.settings.iter().map(|(k, d)| json!({"key": k, "doc": d})).collect::<Vec<_>>();
            let mut row = json!({"family": e.family, "name": e.name, "doc": e.doc, "settings": settings});
            if let Some((form, cost)) = &e.form {
                (row["form"], row["short"], row["cost"]) = (json!(form), json!(e.short), json!(cost));
            }
            row
        };
        say(&format!("{:#}\n", Json::Array(chosen.iter().map(row).collect())));
    } else if name.is_some() {
        chosen.iter().for_each(|e| say(&page(e)));
    } else {
        say(&list(&chosen));
    }
    Ok(exit::PASSED)
}

fn page(entry: &Entry) -> String {
    let mut text = format!("{} ({})\n\n{}\n", entry.name, entry.family, entry.doc);
    if !entry.settings.is_empty() {
        text.push_str("\nsettings:\n");
        let width = entry.settings.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        for (key, doc) in &entry.settings {
            let _ = writeln!(text, "  {key:width$}  {doc}");
        }
    }
    if let Some(short) = entry.short {
        let _ = writeln!(text, "\na bare value stands for `{short}`");
    }
    if let Some((form, cost)) = &entry.form {
        let _ = writeln!(text, "\nwritten: {form}\ncost: {cost}");
    }
    text.push('\n');
    text
}

fn list(entries: &[&Entry]) -> String {
    let mut text = String::new();
    let mut family = "";
    let width = entries.iter().map(|e| e.name.len()).max().unwrap_or(0);
    for entry in entries {
        if entry.family != family {
            family = entry.family;
            let _ = writeln!(text, "{}{family}s", if text.is_empty() { "" } else { "\n" });
        }
        let first = entry.doc.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let _ = writeln!(text, "  {:width$}  {first}", entry.name);
    }
    text
}
