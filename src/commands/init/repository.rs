//! What lies in the repository: migrations, seeds, a model, its predictions, and which platform it is on.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use crate::cli::Platform;
use crate::ports::git::Git;

pub(super) struct Repository {
    /// Of git; else the folder of `mlops.yml`.
    pub(super) root: PathBuf,
    pub(super) name: String,
    pub(super) platform: Platform,
    pub(super) branch: String,
    /// Paths are relative to the folder of `mlops.yml`, with forward slashes.
    pub(super) migrations: Option<String>,
    /// Tables that the migrations make.
    pub(super) tables: Vec<String>,
    /// Files with rows, and the table that each is named after.
    pub(super) data: Vec<(String, String)>,
    pub(super) artifact: Option<String>,
    /// A file with a label and a score: path, label, score.
    pub(super) predictions: Option<[String; 3]>,
}

/// Where migrations are kept by those who use no framework.
const MIGRATIONS: [&str; 6] = ["db/migrations", "migrations", "db/migrate", "database/migrations", "sql/migrations", "sql"];
const DATA: [&str; 6] = ["data", "seeds", "db/seeds", "fixtures", "seed", "."];
const MODELS: [&str; 5] = ["model", "models", "artifacts", "output", "."];
const ROWS: [&str; 6] = [".csv", ".csv.gz", ".ndjson", ".jsonl", ".parquet", ".tsv"];
const ARTIFACTS: [&str; 5] = [".onnx", ".pkl", ".joblib", ".pt", ".safetensors"];
const LABELS: [&str; 5] = ["label", "y_true", "target", "y", "actual"];
const SCORES: [&str; 6] = ["score", "y_score", "probability", "p", "y_pred_proba", "prediction"];

impl Repository {
    pub(super) fn look(folder: &Path) -> Self {
        let root = root_of(folder);
        let absolute = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        let name = absolute.file_name().map(|name| name.to_string_lossy().trim().to_owned()).unwrap_or_default();
        let name =
            if name.is_empty() || name.len() > 100 || name.contains("${") || name.contains(char::is_control) { "project".into() } else { name };
        let migrations =
            MIGRATIONS.iter().find(|dir| files(folder, dir, &[".sql"]).iter().any(|file| is_numbered(file))).map(|dir| (*dir).to_owned());
        let tables = migrations.iter().flat_map(|dir| created(folder, dir)).collect();
        let predictions = DATA.iter().chain(&MODELS).find_map(|dir| predictions(folder, dir));
        let data = DATA.iter().flat_map(|dir| files(folder, dir, &ROWS)).filter_map(|path| Some((stem(&path)?, path))).collect();
        Self {
            platform: platform(&root),
            branch: branch(&root),
            artifact: MODELS.iter().flat_map(|dir| files(folder, dir, &ARTIFACTS)).next(),
            root,
            name,
            migrations,
            tables,
            data,
            predictions,
        }
    }
}

fn root_of(folder: &Path) -> PathBuf {
    let absolute = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let found = absolute.ancestors().find(|dir| dir.join(".git").exists()).map(Path::to_path_buf);
    match found {
        // Shown as short as it was given.
        Some(root) if root == absolute => folder.to_path_buf(),
        Some(root) => root,
        None => folder.to_path_buf(),
    }
}

fn platform(root: &Path) -> Platform {
    let remote = fs::read_to_string(root.join(".git/config")).unwrap_or_default();
    if root.join(".gitlab-ci.yml").exists() || (remote.contains("gitlab") && !remote.contains("github")) {
        Platform::Gitlab
    } else {
        Platform::Github
    }
}

fn branch(root: &Path) -> String {
    let head = fs::read_to_string(root.join(".git/refs/remotes/origin/HEAD")).ok();
    let remote = head.and_then(|text| text.trim().rsplit('/').next().map(str::to_owned));
    // On a feature branch without a remote nobody knows the main one.
    remote
        .or_else(|| Git::at(root).branch().filter(|name| ["main", "master", "trunk", "develop"].contains(&name.as_str())))
        .unwrap_or_else(|| "main".into())
}

/// By their ends, in the order of their names; links and folders are not looked into.
fn files(folder: &Path, dir: &str, ends: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = fs::read_dir(folder.join(dir))
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| ends.iter().any(|end| name.ends_with(end)))
        .map(|name| if dir == "." { name } else { format!("{dir}/{name}") })
        .collect();
    found.sort();
    found
}

/// `data/airlines.csv.gz` is for `airlines`.
fn stem(path: &str) -> Option<String> {
    path.rsplit('/').next()?.split('.').next().filter(|stem| !stem.is_empty()).map(str::to_owned)
}

/// `0001_name.up.sql`, `V1__name.sql`
fn is_numbered(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).trim_start_matches('V');
    let rest = name.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    rest.len() < name.len() && rest.strip_prefix('_').is_some_and(|rest| rest.trim_start_matches('_').len() > ".sql".len())
}

fn created(folder: &Path, dir: &str) -> Vec<String> {
    let pattern = regex::RegexBuilder::new(r#"create\s+table\s+(?:if\s+not\s+exists\s+)?"?([a-z_][a-z0-9_.]*)"?"#).case_insensitive(true).build();
    let Ok(pattern) = pattern else { return vec![] };
    let texts = files(folder, dir, &[".sql"]).into_iter().filter_map(|path| fs::read_to_string(folder.join(path)).ok());
    let mut tables: Vec<String> = Vec::new();
    for text in texts {
        for name in pattern.captures_iter(&text).filter_map(|found| found.get(1)) {
            let name = name.as_str().to_lowercase();
            if !tables.contains(&name) {
                tables.push(name);
            }
        }
    }
    tables
}

/// Whether both classes are there, as 0 and 1, with probabilities, as far as the first rows tell.
fn is_binary(path: &Path, label: usize, score: usize) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    let mut classes = [false; 2];
    for line in BufReader::new(file).lines().skip(1).take(1000).map_while(Result::ok) {
        let values: Vec<&str> = line.split(',').map(|value| value.trim().trim_matches('"')).collect();
        let class = values.get(label).and_then(|v| v.parse::<f64>().ok());
        let share = values.get(score).and_then(|v| v.parse::<f64>().ok()).is_some_and(|v| (0.0..=1.0).contains(&v));
        match class {
            Some(0.0) if share => classes[0] = true,
            Some(1.0) if share => classes[1] = true,
            _ => return false,
        }
    }
    classes == [true; 2]
}

/// A CSV file whose head names a label and a score.
fn predictions(folder: &Path, dir: &str) -> Option<[String; 3]> {
    let named =
        files(folder, dir, &[".csv"]).into_iter().filter(|path| stem(path).is_some_and(|stem| stem.contains("pred") || stem.contains("score")));
    named.into_iter().find_map(|path| {
        let mut head = String::new();
        BufReader::new(fs::File::open(folder.join(&path)).ok()?).read_line(&mut head).ok()?;
        let names: Vec<&str> = head.trim().split(',').map(|name| name.trim_matches('"')).collect();
        let first = |wanted: &[&str]| wanted.iter().find(|w| names.contains(w)).map(|w| (*w).to_owned());
        let (label, score) = (first(&LABELS)?, first(&SCORES)?);
        let place = |wanted: &str| names.iter().position(|name| *name == wanted);
        is_binary(&folder.join(&path), place(&label)?, place(&score)?).then(|| [path.clone(), label, score])
    })
}
