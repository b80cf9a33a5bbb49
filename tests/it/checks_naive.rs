use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::project;
use crate::support::server::Db;

/// A random check, the statement that anyone would write for it, and what it counts rows of.
fn check(random: &mut ChaCha8Rng) -> (String, String, String) {
    let columns = ["i", "f", "s", "n", "b"];
    let column = columns[random.random_range(0..columns.len())];
    let filter = ["", "i > 3", "s is not null", "b"][random.random_range(0..4)];
    let here = if filter.is_empty() { "true".to_owned() } else { format!("({filter})") };
    let clause = if filter.is_empty() { String::new() } else { format!(", where: \"{filter}\"") };
    let max = "max: 100000000";
    let rows = format!("select count(*) from r where {here}");
    let on = |kind: &str, settings: &str, breach: &str| {
        (format!("{column}: {{{kind}: {{{settings}{max}{clause}}}}}"), format!("select count(*) from r where {here} and ({breach})"), rows.clone())
    };
    let k = random.random_range(1..8);
    match random.random_range(0..10) {
        1 if column != "b" => on("in", "values: [1, 2, '3'], ", &format!("{column} not in ('1', '2', '3')")),
        2 if column != "b" => on("not_in", "values: [1, '2'], ", &format!("{column} in ('1', '2')")),
        3 => on("matches", "regex: '[12t]', ", &format!("{column}::text !~ '[12t]'")),
        4 => on("length", &format!("is: [1, {k}], "), &format!("length({column}::text) not between 1 and {k}")),
        5 if ["i", "f", "n"].contains(&column) => on("range", &format!("between: [1, {k}], "), &format!("{column} < 1 or {column} > {k}")),
        6 => {
            let other = columns[random.random_range(0..columns.len())];
            let equal = random.random_bool(0.5);
            let (nulls, whole) =
                if equal { (", nulls: equal", "true".to_owned()) } else { ("", format!("{column} is not null and {other} is not null")) };
            let key = if other == column { column.to_owned() } else { format!("{column}, {other}") };
            let sql = format!("select coalesce(sum(n - 1), 0) from (select count(*) as n from r where {here} and {whole} group by {key}) g");
            (format!("unique: {{columns: [{key}]{nulls}, {max}{clause}}}"), sql, rows)
        }
        7 if column == "i" || column == "s" => {
            let breach = format!("{column} is not null and {column} not in (select {column} from parent where {column} is not null)");
            let (check, sql, _) = on("references", &format!("to: parent.{column}, "), &breach);
            (check, sql, format!("select count({column}) from r where {here}"))
        }
        8 => {
            let sql = format!("select count(*) from r where {here} and not (i < n or s is null)");
            (format!("expression: {{sql: i < n or s is null, {max}{clause}}}"), sql, rows)
        }
        9 if column == "f" || column == "n" => on("nan", "", &format!("{column} = 'NaN'")),
        _ => on("nulls", "", &format!("{column} is null")),
    }
}

/// Random tables and checks: what the merged statements count is what one naive statement a check counts.
#[test]
fn merged_questions_count_what_naive_ones_do() {
    let mut compared = 0;
    for seed in 0..6u64 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let rows = [1, 7, 200, 5_000][random.random_range(0..4)];
        let few = random.random_range(2..9);
        let db = Db::new();
        db.sql(&format!(
            "select setseed(0.{seed}); create table parent (i int, s text);
             insert into parent select nullif(g, 3), g::text from generate_series(1, 4) g;
             create table r (i int, f float8, s text, n numeric(6, 2), b boolean);
             insert into r select nullif((random() * {few})::int, 0), case when random() < 0.1 then 'NaN'::float8 when random() < 0.1 then '-0' else round(random() * {few}) end,
               nullif((random() * {few})::int::text, '1'), case when random() < 0.05 then 'NaN'::numeric else (random() * {few})::int end, case when random() < 0.8 then random() < 0.5 end
             from generate_series(1, {rows})"
        ));
        // With statistics scans are grouped, without them they are not.
        if seed % 2 == 0 {
            db.sql("analyze");
        }
        let checks: Vec<_> = (0..60).map(|_| check(&mut random)).collect();
        for chunk in checks.chunks(20) {
            let mut gates = String::from("\n    r:\n      allow_empty: true\n");
            let (on_table, on_column): (Vec<_>, Vec<_>) =
                (0..chunk.len()).partition(|i| chunk[*i].0.starts_with("unique") || chunk[*i].0.starts_with("expression"));
            let named = |i: usize, text: &str| text.replacen(": {", &format!(": {{name: k{i}, "), 1);
            for kind in ["unique", "expression"] {
                let list: Vec<String> = on_table.iter().filter(|i| chunk[**i].0.starts_with(kind)).map(|i| named(*i, &chunk[*i].0)).collect();
                if !list.is_empty() {
                    let items = list.iter().map(|text| text.strip_prefix(&format!("{kind}: ")).expect("kind")).collect::<Vec<_>>().join(", ");
                    gates.push_str(&format!("      {kind}: [{items}]\n"));
                }
            }
            gates.push_str("      columns:\n");
            for column in ["i", "f", "s", "n", "b"] {
                let mut kinds: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
                for i in on_column.iter().filter(|i| chunk[**i].0.starts_with(&format!("{column}: "))) {
                    let inner = chunk[*i].0.strip_prefix(&format!("{column}: {{")).and_then(|t| t.strip_suffix('}')).expect("check");
                    let (kind, settings) = inner.split_once(": {").expect("settings");
                    kinds.entry(kind.to_owned()).or_default().push(format!("{{name: k{i}, {settings}"));
                }
                let kinds: Vec<String> = kinds.iter().map(|(kind, list)| format!("{kind}: [{}]", list.join(", "))).collect();
                gates.push_str(&format!("        {column}: {{{}}}\n", kinds.join(", ")));
            }
            let project =
                project::with(&[("mlops.yml", &format!("version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:{gates}"))]);
            let ended = Mlops::new(project.path()).args(["check"]).env("DATABASE_URL", &db.url()).run();
            assert_eq!(ended.code, 0, "seed {seed}\n{gates}\n{}\n{}", ended.out, ended.err);
            let report = project.report();
            let outcomes: Vec<&Json> =
                report["stages"].as_array().expect("stages").iter().flat_map(|s| s["outcomes"].as_array().expect("outcomes")).collect();
            for (i, (check, sql, rows)) in chunk.iter().enumerate() {
                let end = format!("(k{i})");
                let outcome =
                    outcomes.iter().find(|o| o["name"].as_str().is_some_and(|name| name.ends_with(&end))).unwrap_or_else(|| panic!("{check}"));
                let (wanted, rows): (f64, f64) = (db.sql(sql).parse().expect("count"), db.sql(rows).parse().expect("rows"));
                let Some(value) = outcome["measure"]["value"].as_f64() else {
                    assert!(rows == 0.0, "{check}: {outcome}");
                    continue;
                };
                let share = if rows == 0.0 { 0.0 } else { wanted / rows };
                assert!((value - share).abs() < 1e-12, "seed {seed}: {check}\n{sql}\nwanted {wanted} of {rows}\n{outcome:#}");
                compared += 1;
            }
        }
    }
    assert!(compared > 200, "only {compared} counts were compared");
}
