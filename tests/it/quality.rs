//! Model gates, each to each of its endings, on predictions that are made here.

use std::fmt::Write as _;

use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::project::{self, Project, outcome};
use crate::support::server::Db;

/// Numbers in [0, 1) that are the same everywhere.
struct Numbers(u64);

impl Numbers {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are kept")]
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Two classes: `p` is a sound model, `old` one that is a little worse, `guess` knows nothing, `sure` only says 0 and 1.
/// In carrier ZZ at JFK labels have nothing to do with `p`.
fn predictions() -> String {
    let mut random = Numbers(7);
    let mut csv = String::from("id,y,p,old,guess,sure,flat,split,carrier,origin,seconds,w\n");
    for id in 0..2400 {
        let (carrier, origin) = (["UA", "AA", "ZZ"][id % 3], ["JFK", "LGA"][id / 3 % 2]);
        let truth = random.next();
        let odd = carrier == "ZZ" && origin == "JFK";
        let label = random.next() < if odd { 0.5 } else { truth };
        let old = (truth + (random.next() - 0.5) * 0.6).clamp(0.001, 0.999);
        let split = if id % 4 == 0 { "train" } else { "test" };
        let (y, sure) = (u8::from(label), u8::from(truth > 0.5));
        let _ = writeln!(
            csv,
            "{id},{y},{truth:.4},{old:.4},{:.4},{sure},0.3,{split},{carrier},{origin},{:.4},1",
            random.next(),
            0.001 + random.next() / 100.0
        );
    }
    csv
}

fn with(model: &str, csv: &str) -> Project {
    let model: String = model.lines().map(|line| format!("      {line}\n")).collect();
    let yml = format!("version: 1\nproject: p\ngates:\n  model:\n    m:\n{model}");
    project::with(&[("mlops.yml", &yml), ("p.csv", csv)])
}

const SOURCE: &str = "predictions: {file: p.csv, label: y, score: p, split: split, key: id, seconds: seconds}";

fn evaluated(project: &Project) -> Json {
    Mlops::new(project.path()).args(["run", "--stages", "evaluate"]).run();
    project.report()
}

/// One gate, the outcome's name, how it ends, and words of its message.
fn ends(gate: &str, name: &str, status: &str, words: &str) {
    ends_of(SOURCE, gate, name, status, words);
}

#[track_caller]
fn ends_of(source: &str, gate: &str, name: &str, status: &str, words: &str) {
    let project = with(&format!("{source}\n{gate}"), &predictions());
    let report = evaluated(&project);
    let found = outcome(&report, "evaluate", "m", name);
    assert_eq!(found["status"], status, "{gate}: {found:#}");
    assert!(found["message"].as_str().expect("message").contains(words), "{gate}: {found:#}");
    assert!(found["location"]["line"].as_u64().is_some_and(|line| line >= 6), "{gate}: {found:#}");
}

#[test]
fn a_metric_passes_warns_fails_and_breaks() {
    ends("metrics: {roc_auc: 0.7}", "roc_auc", "passed", "must be at least 0.7");
    ends("metrics: {roc_auc: {min: 0.7, warn: 0.99}}", "roc_auc", "warned", "warning below 0.99");
    ends("metrics: {f1: 0.99}", "f1", "failed", "f1 is 0.");
    let one_class = SOURCE.replace("label: y", "label: y, positive: \"1\"");
    ends_of(&one_class, "metrics: {recall: {average: macro, min: 0.5}}", "recall", "passed", "recall is");
    let flat = "predictions: {file: p.csv, label: flat, task: regression, prediction: p}";
    ends_of(flat, "metrics: {rmse: {max: 9}, r2: -99}", "rmse", "passed", "rmse is");
    let project = with("predictions: {file: p.csv, label: y, score: p}\nmetrics: {roc_auc: 0.5}", "y,p\n1,0.5\n1,0.7\n");
    let found = evaluated(&project);
    assert_eq!(outcome(&found, "evaluate", "m", "roc_auc")["status"], "broken");
}

#[test]
fn overfit_and_beats_pass_warn_fail_and_break() {
    ends("overfit: {metric: roc_auc, max: 0.2}", "overfit", "passed", "a gap of");
    ends("overfit: {metric: roc_auc, max: 0.9, warn: 0.000001}", "overfit", "warned", "a gap of");
    ends("overfit: {metric: roc_auc, max: 0.000001}", "overfit", "failed", "in training and");
    let no_train = SOURCE.replace("split: split", "split: carrier");
    let project = with(&format!("{no_train}\noverfit: {{metric: roc_auc, max: 0.1}}"), &predictions().replace("UA", "test"));
    assert_eq!(outcome(&evaluated(&project), "evaluate", "m", "overfit")["status"], "broken");
    for baseline in ["majority", "prior", "stratified", "uniform"] {
        ends(&format!("beats: {{baseline: {baseline}, metric: brier}}"), "beats", "passed", "must be better at all");
    }
    // Trained here on what the truth was drawn from, and on noise.
    ends("beats: {baseline: logistic, features: [guess], metric: roc_auc, by: 0.1}", "beats", "passed", "that of the baseline `logistic`");
    ends("beats: {baseline: random_forest, features: [p, old], metric: roc_auc, by: 0.1}", "beats", "failed", "that of the baseline `random_forest`");
    let numbers = SOURCE.replace("label: y, score: p", "label: p, prediction: old, task: regression");
    ends_of(&numbers, "beats: {baseline: linear, features: [guess], metric: rmse}", "beats", "passed", "that of the baseline `linear`");
    ends_of(&numbers, "beats: {baseline: random_forest, features: [p], metric: rmse}", "beats", "failed", "that of the baseline `random_forest`");
    ends("beats: {baseline: stratified, metric: roc_auc, by: 0.1, warn: 0.49}", "beats", "warned", "that of the baseline `stratified` 0.5000");
    ends("beats: {baseline: prior, metric: log_loss, gain: 0.9}", "beats", "failed", "of the way to a perfect model");
    ends_of(&SOURCE.replace("score: p", "score: flat"), "beats: {baseline: prior, metric: roc_auc}", "beats", "failed", "0.0000 better");
}

#[test]
fn the_champion_is_compared_on_the_same_rows_and_doubt_is_said() {
    let gate = |column: &str, more: &str| format!("champion: {{predictions: {{file: p.csv, score: {column}}}, metric: {more}}}");
    ends(&gate("old", "roc_auc, not_worse_than: 0.005"), "champion", "passed", "it is better");
    ends(&gate("w", "accuracy"), "champion", "passed", "it is better");
    ends(&gate("guess", "log_loss, resamples: 200, seed: 3"), "champion", "passed", "200 resamples, seed 3");
    ends(&gate("old", "accuracy, resamples: 500"), "champion", "passed", "McNemar p = ");
    let worse = SOURCE.replace("score: p", "score: guess");
    ends_of(&worse, &gate("p", "roc_auc, not_worse_than: 0.01"), "champion", "failed", "it is worse");
    ends_of(&worse, &gate("p", "brier, not_worse_than: 1%, resamples: 300"), "champion", "failed", "it is worse");
    // A difference so small that the rows cannot tell.
    let close = predictions().lines().enumerate().fold(String::new(), |mut all, (i, line)| {
        let value = line.split(',').nth(2).expect("p");
        let (nudged, at) =
            (value.parse::<f64>().map_or("nudged".into(), |p| if i % 9 == 0 { (1.0 - p).to_string() } else { p.to_string() }), line.len());
        let _ = writeln!(all, "{},{nudged}", &line[..at]);
        all
    });
    let project = with(
        "predictions: {file: p.csv, label: y, score: nudged, key: id}\nchampion: {predictions: {file: p.csv, score: old}, metric: roc_auc, confidence: 99%}",
        &close,
    );
    let found = outcome(&evaluated(&project), "evaluate", "m", "champion").clone();
    assert!(found["message"].as_str().expect("message").contains(" worse"), "{found:#}");
    // What cannot be compared is broken, and a first model may say so.
    ends("champion: {predictions: {file: absent.csv}, metric: roc_auc}", "champion", "broken", "no such file");
    ends("champion: {predictions: {file: absent.csv}, metric: roc_auc, if_missing: skipped}", "champion", "skipped", "there is no champion yet");
    ends("champion: {predictions: {file: p.csv, score: nothing}, metric: roc_auc, if_missing: skipped}", "champion", "broken", "there is no column");
}

/// Few rows in common, misspelt splits and probabilities that are none are not judged.
#[test]
fn what_could_pass_by_accident_is_broken() {
    let broken = |model: &str, csv: &str, name: &str, words: &str| {
        let project = with(model, csv);
        project.write("few.csv", "id,y,p\n1,0,0.1\n");
        let found = outcome(&evaluated(&project), "evaluate", "m", name).clone();
        assert_eq!(found["status"], "broken", "{found:#}");
        assert!(found["message"].as_str().expect("message").contains(words), "{found:#}");
    };
    let rows = "id,y,p,split\n1,0,0.1,test\n2,1,0.8,test\n3,0,0.3,tset\n";
    let plain = "predictions: {file: p.csv, label: y, score: p, key: id}";
    broken(&format!("{plain}\nchampion: {{predictions: {{file: few.csv}}, metric: accuracy}}"), rows, "champion", "has predicted 1 of 3 rows");
    broken("predictions: {file: p.csv, label: y, score: p, split: split}\nmetrics: {f1: 0.5}", rows, "predictions", "did you mean `test`?");
    let sure = "y,a,b,c\na,1,1,1\nb,1,1,1\nc,1,1,1\n";
    broken("predictions: {file: p.csv, label: y, scores: {a: a, b: b, c: c}}\nmetrics: {log_loss: {max: 0.01}}", sure, "predictions", "add up to 3");
    let shares = "y,a,b\na,90,10\nb,5,95\n";
    broken(
        "predictions: {file: p.csv, label: y, scores: {a: a, b: b}}\nmetrics: {log_loss: {max: 0.01}}",
        shares,
        "predictions",
        "the score 90 is no probability",
    );
    let three = "y,said\na,b\nb,b\nc,a\n";
    broken(
        "predictions: {file: p.csv, label: y, prediction: said, task: multiclass}\nmetrics: {f1: {average: binary, min: 0.1}}",
        three,
        "f1",
        "is for two classes",
    );
}

#[test]
fn the_rows_have_the_columns_of_training() {
    let gate = |columns: &str| format!("{SOURCE}\nschema: {{train: train.csv, columns: [{columns}]}}");
    let of = |columns: &str, train: &str| {
        let project = with(&gate(columns), &predictions());
        project.write("train.csv", train);
        let found = outcome(&evaluated(&project), "evaluate", "m", "schema").clone();
        (found["status"].as_str().expect("status").to_owned(), found["message"].as_str().expect("message").to_owned())
    };
    let train = "old,carrier,flat,gone\n1,UA,x,2.5\n";
    assert_eq!(of("old, carrier", train).0, "passed");
    let (status, message) = of("old, carrier, flat", train);
    assert!(status == "failed" && message.contains("`flat` holds numbers, and text in training"), "{message}");
    let (status, message) = of("gone", train);
    assert!(status == "failed" && message.contains("`gone` is missing"), "{message}");
    let (status, message) = of("guess", train);
    assert!(status == "failed" && message.contains("`guess` is not among the training rows"), "{message}");
    ends("schema: {train: absent.csv, columns: [old]}", "schema", "broken", "no such file");
}

/// The first model of all is compared with nothing, and drift from nothing is none.
#[test]
fn a_first_model_has_no_champion_and_no_drift_from_one() {
    let model = format!(
        "{SOURCE}\nchampion: {{predictions: {{file: absent.csv}}, metric: roc_auc, if_missing: skipped}}\ndrift: {{against: champion, psi: 0.2}}"
    );
    let report = evaluated(&with(&model, &predictions()));
    assert_eq!((&report["exit_code"], &report["counts"]["skipped"]), (&0.into(), &2.into()), "{report:#}");
}

/// Rows are joined by their key: the champion's file has no split. The last digits of singles are no difference.
#[test]
fn the_champion_needs_no_split_and_rounding_is_no_difference() {
    let csv = predictions();
    let column = |line: &str, at: usize| line.split(',').nth(at).expect("column").to_owned();
    let rounded = csv.lines().skip(1).map(|line| {
        let p: f64 = column(line, 2).parse().expect("p");
        format!("{},{},{}\n", column(line, 0), column(line, 1), p + 1e-9)
    });
    let project = with(&format!("{SOURCE}\nchampion: {{predictions: {{file: c.csv}}, metric: log_loss, resamples: 200}}"), &csv);
    project.write("c.csv", &format!("id,y,p\n{}", rounded.collect::<String>()));
    let found = outcome(&evaluated(&project), "evaluate", "m", "champion").clone();
    assert_eq!(found["status"], "passed", "{found:#}");
    assert!(found["evidence"][0].as_str().is_some_and(|e| e.starts_with("600 rows of the champion")), "{found:#}");
}

#[test]
fn another_truth_or_a_doubled_key_is_no_comparison() {
    let gate = "champion: {predictions: {file: other.csv}, metric: roc_auc}";
    for (change, words) in
        [(("\n1,0,", "\n1,1,"), "have another label"), (("\n1,0,", "\n2,0,"), "occurs twice"), (("\n1,0,", "\n1,0,"), "0.0000 better")]
    {
        let csv = "id,y,p\n1,0,0.1\n2,1,0.8\n3,0,0.3\n4,1,0.9\n";
        let project = with(&format!("predictions: {{file: p.csv, label: y, score: p, key: id}}\n{gate}"), csv);
        project.write("other.csv", &csv.replacen(change.0, change.1, 1));
        let found = outcome(&evaluated(&project), "evaluate", "m", "champion").clone();
        assert!(found["message"].as_str().expect("message").contains(words), "{words}: {found:#}");
    }
}

#[test]
fn slices_are_judged_and_small_ones_are_named() {
    ends("slices: {by: [carrier], metric: roc_auc, min: 0.5}", "slices.carrier", "passed", "the worst is carrier=ZZ");
    ends("slices: {by: [carrier], metric: roc_auc, gap: {max: 0.5, warn: 0.05}}", "slices.carrier", "warned", "1 of 3 slices by carrier");
    ends("slices: {by: [carrier], metric: roc_auc, min: 0.8}", "slices.carrier", "failed", "1 of 3 slices by carrier");
    ends("slices: {by: [[carrier, origin]], metric: roc_auc, min: 0.7}", "slices.carrier+origin", "failed", "carrier=ZZ, origin=JFK");
    ends(
        "slices: {by: [carrier], metric: roc_auc, min: 0.5, min_rows: 5000}",
        "slices.carrier",
        "broken",
        "none of the slices by carrier has 5,000 rows",
    );
    ends(
        "slices: {by: [carrier, origin], depth: 2, metric: log_loss, max: 0.6}",
        "slices.pairs",
        "failed",
        "1 of 6 pairs are worse than the rest beyond chance",
    );
    ends(
        "slices: {by: [carrier, origin], depth: 2, metric: log_loss, max: 0.6, min_rows: 5000}",
        "slices.pairs",
        "broken",
        "no pair of values has 5,000 rows or more, 6 too small",
    );
    let found = SOURCE.replace("score: p", "score: guess");
    ends_of(&found, "slices: {by: [origin], depth: 1, metric: log_loss, max: 99}", "slices.origin", "passed", "0 of 2");
}

#[test]
fn groups_are_decided_on_alike() {
    ends("fairness: {group: origin, demographic_parity_difference: {max: 0.2}}", "demographic_parity_difference", "passed", "by origin is");
    ends(
        "fairness: {group: carrier, equal_opportunity_difference: {max: 0.9, warn: 0.05}}",
        "equal_opportunity_difference",
        "warned",
        "by carrier is",
    );
    ends("fairness: {group: carrier, equalized_odds_difference: {max: 0.05}}", "equalized_odds_difference", "failed", "by carrier is");
    ends("fairness: {group: split, demographic_parity_ratio: {min: 0.1}}", "demographic_parity_ratio", "broken", "fewer than two groups");
}

#[test]
fn predictions_that_no_working_model_makes_are_seen() {
    ends("sanity: {nan: 0}", "sanity.nan", "passed", "0 of 1,800 rows");
    ends("sanity: {distinct: {min: 100}}", "sanity.distinct", "passed", "different predictions");
    ends_of(&SOURCE.replace("score: p", "score: flat"), "sanity: {distinct: {min: 2}}", "sanity.distinct", "failed", "says the same of every row");
    ends_of(&SOURCE.replace("score: p", "score: sure"), "sanity: {extremes: {max: 5%}}", "sanity.extremes", "failed", "outside [0.01, 0.99]");
    ends("sanity: {extremes: {max: 50%, warn: 0}}", "sanity.extremes", "warned", "outside [0.01, 0.99]");
    ends("sanity: {share: {within: 10%}}", "sanity.share", "passed", "are decided positive");
    ends_of(&SOURCE.replace("score: p", "score: flat"), "sanity: {share: {within: 10%}}", "sanity.share", "failed", "are decided positive");
}

/// Not evaluated is not passed: a NaN breaks the run, unless its number is judged.
#[test]
fn predictions_without_a_number_break_or_are_judged() {
    let csv = "y,p\n1,0.9\n0,0.2\n1,\n0,NaN\n";
    let model = "predictions: {file: p.csv, label: y, score: p}\nmetrics: {roc_auc: 0.5}";
    let project = with(model, csv);
    let found = outcome(&evaluated(&project), "evaluate", "m", "predictions").clone();
    assert_eq!(found["status"], "broken");
    assert!(found["message"].as_str().expect("message").contains("2 predictions are NULL, NaN or infinite"), "{found:#}");
    for (limit, status) in [("0", "failed"), ("2", "passed"), ("{max: 60%, warn: 1}", "warned")] {
        let project = with(&format!("{model}\nsanity: {{nan: {limit}}}"), csv);
        let report = evaluated(&project);
        assert_eq!(outcome(&report, "evaluate", "m", "sanity.nan")["status"], status);
        assert_eq!(outcome(&report, "evaluate", "m", "predictions")["status"], "passed");
    }
}

#[test]
fn drift_latency_and_size_pass_warn_fail_and_break() {
    ends("drift: {against: train, psi: {max: 0.2}}", "drift.psi", "passed", "the training split's");
    ends("drift: {against: train, ks: {max: 0.9, warn: 0.0001}}", "drift.ks", "warned", "ks between");
    let shifted = "drift: {against: champion, predictions: {file: p.csv, score: sure}, jensen_shannon: {max: 0.1}}";
    ends(shifted, "drift.jensen_shannon", "failed", "the champion's");
    ends("drift: {against: champion, psi: {max: 1}}", "drift", "broken", "there is no champion");
    ends("latency: {p50: 1s, p99: 2s}", "latency.p99", "passed", "p99 of 1,800 predictions");
    ends("latency: {p95: 1ms}", "latency.p95", "failed", "must be at most 1ms");
    ends("size: {file: p.csv, max: 10MiB}", "size", "passed", "must be at most 10 MiB");
    ends("size: {file: p.csv, max: 10MiB, warn: 1kB}", "size", "warned", "p.csv has");
    ends("size: {file: p.csv, max: 1kB}", "size", "failed", "p.csv has");
    ends("size: {file: absent, max: 1kB}", "size", "broken", "absent");
}

#[test]
fn several_classes_numbers_and_rankings_are_judged() {
    let classes = "kind,a,b,c,said\ncat,0.7,0.2,0.1,cat\ndog,0.1,0.8,0.1,dog\ncow,0.2,0.2,0.6,cow\ncat,0.3,0.4,0.3,dog\n";
    let project = with(
        "predictions: {file: p.csv, label: kind, scores: {cat: a, dog: b, cow: c}}\nmetrics: {accuracy: 0.7, f1: {average: weighted, min: 0.5}, roc_auc: {multiclass: ovo, min: 0.5}, top_k_accuracy: {k: 2, min: 0.5}}",
        classes,
    );
    let report = evaluated(&project);
    assert_eq!(report["counts"]["passed"], 5, "{report:#}");
    let project = with("predictions: {file: p.csv, label: kind, prediction: said, task: multiclass}\nmetrics: {accuracy: 0.7, mcc: 0}", classes);
    assert_eq!(evaluated(&project)["counts"]["passed"], 3);
    let missing = with("predictions: {file: p.csv, label: kind, scores: {cat: a, dog: b}}\nmetrics: {accuracy: 0.7}", classes);
    let found = outcome(&evaluated(&missing), "evaluate", "m", "predictions").clone();
    assert!(found["message"].as_str().expect("message").contains("holds `cow`, and `scores` names no column for it"), "{found:#}");
    let numbers = "q,rel,s\n1,3,0.9\n1,0,0.1\n2,0,0.8\n2,1,0.7\n";
    let project = with(
        "predictions: {file: p.csv, label: rel, score: s, qid: q}\nmetrics: {ndcg: 0.5, mrr: 0.7, map: 0.7, precision_at_k: {k: 1, min: 0.5}}",
        numbers,
    );
    assert_eq!(evaluated(&project)["counts"]["passed"], 5);
    let project = with(
        "predictions: {file: p.csv, label: rel, prediction: s, task: regression}\nmetrics: {mae: 3, pinball: [{alpha: 0.1, max: 9}, {alpha: 0.9, max: 9}]}\nbeats: {baseline: median, metric: mae}",
        numbers,
    );
    assert_eq!(evaluated(&project)["counts"]["passed"], 5);
}

#[test]
fn rows_of_the_database_give_what_the_file_gives() {
    let db = Db::new();
    db.sql("create table scored (id int, y boolean, p float8, origin text, note text)");
    db.sql("insert into scored select i, i % 3 = 0, (i * 37 % 100) / 100.0, (array['JFK', 'LGA'])[1 + i % 2], 'n' from generate_series(1, 500) i");
    let csv: String = db.sql("select string_agg(id || ',' || y::int || ',' || p || ',' || origin, E'\\n' order by id) from scored");
    let value = |source: &str| {
        let project = with(
            &format!(
                "predictions: {{{source}, label: y, score: p, key: id}}\nmetrics: {{roc_auc: 0.01}}\nslices: {{by: [origin], metric: brier, max: 1}}"
            ),
            &format!("id,y,p,origin\n{csv}\n"),
        );
        project.write("q.sql", "select * from scored where p >= 0;");
        let yml = project.read("mlops.yml").replace("gates:", &format!("database: {{url: \"{}\"}}\ngates:", db.url()));
        project.write("mlops.yml", &yml);
        let report = evaluated(&project);
        assert_eq!(report["exit_code"], 0, "{report:#}");
        outcome(&report, "evaluate", "m", "roc_auc")["measure"]["value"].as_f64().expect("value")
    };
    let file = value("file: p.csv");
    assert_eq!((file, file), (value("table: scored"), value("query: q.sql")));
    let project = with("predictions: {table: scored, label: y, score: pp}\nmetrics: {roc_auc: 0.1}", "");
    project.write("mlops.yml", &project.read("mlops.yml").replace("gates:", &format!("database: {{url: \"{}\"}}\ngates:", db.url())));
    let found = outcome(&evaluated(&project), "evaluate", "m", "predictions").clone();
    assert!(found["message"].as_str().expect("message").contains("there is no column `pp`; did you mean `p`?"), "{found:#}");
    let first =
        "predictions: {table: scored, label: y, score: p, key: id}\nchampion: {predictions: {table: not_yet}, metric: brier, if_missing: skipped}";
    let project = with(first, "");
    project.write("mlops.yml", &project.read("mlops.yml").replace("gates:", &format!("database: {{url: \"{}\"}}\ngates:", db.url())));
    let found = outcome(&evaluated(&project), "evaluate", "m", "champion").clone();
    assert_eq!(found["status"], "skipped", "{found:#}");
}

/// The report says of each challenger why it may or may not ship.
#[test]
fn the_flights_challengers_ship_or_not_and_the_report_says_why() {
    for (file, champion, overfit) in
        [("predictions", "passed", "warned"), ("others/worse", "failed", "failed"), ("others/overfitted", "warned", "failed")]
    {
        let project = project::flights();
        project.write("mlops.yml", &project.read("mlops.yml").replace("file: predictions.parquet", &format!("file: {file}.parquet")));
        let ended = Mlops::new(project.path()).args(["run", "--stages", "evaluate"]).run();
        assert_eq!(ended.code, i32::from(file != "predictions"), "{file}: {}", ended.out);
        let report = project.report();
        let of = |name: &str| outcome(&report, "evaluate", "delay", name).clone();
        assert_eq!((of("champion")["status"].as_str(), of("overfit")["status"].as_str()), (Some(champion), Some(overfit)), "{file}");
        assert!(of("champion")["message"].as_str().is_some_and(|m| m.contains("on the same 8,400 rows") && m.contains("95% interval")));
    }
}

/// The example's own model, evaluated here, has the metrics of its predictions.
#[test]
fn the_flights_model_is_evaluated_on_a_dataset_of_the_run() {
    let (project, db) = (project::flights(), Db::flights());
    let yml = project.read("mlops.yml");
    let (before, rest) = yml.split_once("  model:\n    delay:").expect("model");
    let (_, after) = rest.split_once("\ndatasets:").expect("datasets");
    let model = "  model:\n    delay:\n      predictions: {onnx: model/model.onnx, dataset: scored, label: late, key: flight_id}\n      metrics: {roc_auc: 0.85}\n      latency: 50ms\n";
    let query = "select flight_id, late, carrier, origin, hour::float4, minute::float4, distance::float4, \
                 (extract(isodow from time_hour at time zone 'UTC') - 1)::float4 as weekday, temp::float4, wind_speed::float4, visib::float4, \
                 precip::float4, pressure::float4, dep_delay::float4 from departures where time_hour >= '2013-01-22 05:00Z' \
                 and num_nulls(temp, pressure, wind_speed, visib, precip, dep_delay) = 0;";
    project.write("db/scored.sql", query);
    project.write("mlops.yml", &format!("{before}{model}\ndatasets:\n  scored: {{query: db/scored.sql, out: data/scored.parquet}}{after}"));
    let ended = Mlops::new(project.path()).args(["run", "--stages", "snapshot,evaluate"]).env("DATABASE_URL", &db.url()).run().expect(0);
    let report = project.report();
    let auc = outcome(&report, "evaluate", "delay", "roc_auc")["measure"]["value"].as_f64().expect("value");
    assert!((auc - 0.89).abs() < 0.02, "{auc}: {}", ended.out);
    assert!(outcome(&report, "evaluate", "delay", "latency.p95")["measure"]["value"].as_f64().is_some_and(|s| s > 0.0));
    let alone = Mlops::new(project.path()).args(["run", "--stages", "evaluate"]).env("DATABASE_URL", &db.url()).run().expect(3);
    alone.says("this run has not written it; name its `file`");
}

/// Slips in the settings are found before anything is read, each with the nearest word.
#[test]
fn slips_are_mistakes_with_a_place() {
    for (model, words) in [
        (format!("{SOURCE}\nmetrics: {{roc_auk: 0.5}}"), "did you mean `roc_auc`?"),
        (format!("{SOURCE}\nmetrics: {{rmse: 0.5}}"), "`rmse` judges regression predictions, and these are of a binary model"),
        (format!("{SOURCE}\nmetric: {{roc_auc: 0.5}}"), "did you mean `metrics`?"),
        (format!("{SOURCE}\noverfitt: {{metric: f1, max: 1}}"), "did you mean `overfit`?"),
        (format!("{SOURCE}\noverfit: {{metric: aucroc, max: 1}}"), "unknown metric `aucroc`"),
        (format!("{SOURCE}\nmetrics: {{f1: {{average: makro, min: 1}}}}"), "makro"),
        (format!("{SOURCE}\nmetrics: {{fbeta: {{beta: 0, min: 1}}}}"), "`beta` is above 0"),
        (format!("{SOURCE}\nbeats: {{baseline: mean, metric: accuracy}}"), "`mean` is no baseline of a binary model"),
        (format!("{SOURCE}\nbeats: {{baseline: logistic, metric: accuracy}}"), "name the columns it learns from in `features`"),
        (format!("{SOURCE}\nchampion: {{predictions: {{file: q.csv}}, metric: f1, method: delong}}"), "`delong` is for `roc_auc`"),
        (format!("{SOURCE}\nchampion: {{predictions: {{file: q.csv}}, metric: f1, confidence: 95}}"), "`confidence` is written as `95%`"),
        (format!("{SOURCE}\nslices: {{by: [a], metric: f1}}"), "a bound is missing"),
        (format!("{SOURCE}\nslices: {{by: [a], metric: f1, min: 0.5, warn: 0.4}}"), "could never warn"),
        (format!("{SOURCE}\nsanity: {{}}"), "nothing to judge"),
        (format!("{SOURCE}\noverfit: 0.05"), "settings such as `{metric: roc_auc, max: 0.05}`"),
        (format!("{SOURCE}\nbeats: {{baseline: linear, metric: f1}}"), "known are: majority, prior"),
        (format!("{SOURCE}\nschema: {{train: p.csv}}"), "name the columns to compare"),
        (format!("{SOURCE}\nsanity: []"), "`sanity` is an empty list"),
        (format!("{SOURCE}\nmetrics: [{{roc_auc: 0.9}}]"), "`metrics` is a map of metrics"),
        (format!("{SOURCE}\nmetrics: {{}}"), "`metrics` is a map of metrics"),
        (format!("{SOURCE}\nmetrics: {{f1: []}}"), "`f1` is an empty list"),
        (format!("{SOURCE}\nmetrics: {{roc_auc: {{min: 0.5, wann: 0.6}}}}"), "did you mean `warn`?"),
        (format!("{SOURCE}\nmetrics: {{roc_auc: 85}}"), "always fails"),
        (format!("{SOURCE}\nmetrics: {{roc_auc: 0}}"), "can never fail"),
        (format!("{SOURCE}\nmetrics: {{log_loss: {{min: 0}}}}"), "can never fail"),
        (format!("{SOURCE}\noverfit: {{metric: f1, max: 1}}"), "so `max` can never fail"),
        (format!("{SOURCE}\nfairness: {{group: g, demographic_parity_difference: {{max: 1}}}}"), "can never fail"),
        (format!("{SOURCE}\nslices: {{by: [a, a], metric: f1, min: 0.5}}"), "names a column twice"),
        (format!("{SOURCE}\nsanity: {{distinct: {{min: 1}}}}"), "is at least 2"),
        (format!("{SOURCE}\nchampion: {{predictions: {{file: p.csv}}, metric: f1}}"), "are the model's own"),
        (format!("{SOURCE}\nchampion: {{predictions: {{file: q.csv}}, metric: f1, resamples: 100000000000}}"), "between 100 and 1,000,000"),
        ("predictions: {file: p.csv, label: y, score: y}\nmetrics: {f1: 1}".into(), "named as a prediction, and as the label"),
        ("predictions: {file: p.csv, label: y, score: p, prediction: q}\nmetrics: {f1: 1}".into(), "stands beside neither"),
        ("predictions: {file: p.csv, label: y, scores: {a: p, b: p}}\nmetrics: {accuracy: 1}".into(), "for two classes"),
        (format!("{SOURCE}\nlatency: {{p95: 5}}"), "duration"),
        (format!("{SOURCE}\nsize: {{file: p.csv, max: 5}}"), "a size such as `512MiB`"),
        ("predictions: {file: p.csv, table: t, label: y, score: p}\nmetrics: {f1: 1}".into(), "the rows are in one place"),
        ("predictions: {label: y, score: p}\nmetrics: {f1: 1}".into(), "say where the rows are"),
        ("predictions: {file: p.csv, label: y, prediction: p}\nmetrics: {f1: 1}".into(), "with `prediction` alone also `task`"),
        ("predictions: {file: p.csv, label: y, prediction: p, task: binary}\nmetrics: {roc_auc: 1}".into(), "computed from probabilities"),
        ("predictions: {file: p.csv, label: y, score: p, threshold: 2}\nmetrics: {f1: 1}".into(), "the threshold 2 is no probability"),
        ("predictions: {file: p.csv, label: y, score: p, threshold: {maximize: roc_auc, on: val}, split: s}\nmetrics: {f1: 1}".into(), "roc_auc"),
        (SOURCE.into(), "so nothing would be gated"),
    ] {
        let ended = Mlops::new(with(&model, "y,p\n").path()).args(["validate"]).run();
        assert_eq!(ended.code, 2, "{model}\n{}{}", ended.out, ended.err);
        ended.says(words);
    }
}
