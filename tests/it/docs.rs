use std::fs;

use mlops_action::cli::Input;
use serde_json::Value as Json;

use crate::support::bin::Mlops;
use crate::support::root;

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

fn mlops(args: &[&'static str]) -> String {
    Mlops::new(&root()).args(args.iter().copied()).run().expect(0).out
}

#[test]
fn the_published_schemas_are_what_the_program_says() {
    for (of, file) in [("config", "docs/schema/mlops.schema.json"), ("report", "docs/schema/report.schema.json")] {
        assert_eq!(mlops(&["schema", of]), read(file), "{file} is out of date: make docs");
    }
}

#[test]
fn the_reference_is_what_the_program_says() {
    assert_eq!(reference(), read("docs/reference.md"), "docs/reference.md is out of date: make docs");
}

/// The text of `docs/reference.md`: `make docs` writes it with `MLOPS_WRITE_DOCS=1`.
fn reference() -> String {
    let json: Json = serde_json::from_str(&mlops(&["explain", "--format", "json"])).expect("json");
    let mut text = String::from("# Reference\n\nMade from the program (`make docs`); `mlops explain NAME` prints the same.\n");
    let mut family = String::new();
    for entry in json.as_array().expect("list") {
        let get = |key: &str| entry[key].as_str().expect(key).to_owned();
        if get("family") != family {
            family = get("family");
            let title = family[..1].to_uppercase() + &family[1..];
            text.push_str(&format!("\n## {title}s\n"));
        }
        text.push_str(&format!("\n### {}\n\n{}\n", get("name"), get("doc")));
        let settings = entry["settings"].as_array().expect("settings");
        if !settings.is_empty() {
            text.push_str("\n| setting | |\n|---|---|\n");
        }
        for setting in settings {
            let get = |key: &str| setting[key].as_str().expect(key).replace('|', "\\|");
            text.push_str(&format!("| `{}` | {} |\n", get("key"), get("doc")));
        }
    }
    text
}

#[test]
fn the_table_of_checks_is_what_the_program_says() {
    assert_eq!(checks(), read("docs/checks.md"), "docs/checks.md is out of date: make docs");
}

/// The text of `docs/checks.md`: what is written by hand up to the mark, then the table.
fn checks() -> String {
    const MARK: &str = "<!-- from here on made by `make docs` -->\n";
    let page = read("docs/checks.md");
    let (by_hand, _) = page.split_once(MARK).expect("the mark");
    let json: Json = serde_json::from_str(&mlops(&["explain", "--format", "json"])).expect("json");
    let mut text = format!("{by_hand}{MARK}\n| check | written | a bare value is | what it asks | cost |\n|---|---|---|---|---|\n");
    for entry in json.as_array().expect("list").iter().filter(|e| e["family"] == "check") {
        let get = |key: &str| entry[key].as_str().unwrap_or_default().replace('|', "\\|");
        let asks = get("doc").split("\n\n").next().unwrap_or_default().replace('\n', " ");
        let short = entry["short"].as_str().map_or_else(String::new, |s| format!("`{s}`"));
        text.push_str(&format!("| [`{0}`](reference.md#{0}) | `{1}` | {short} | {asks} | {2} |\n", get("name"), get("form"), get("cost")));
    }
    text
}

#[test]
fn generated_files_are_written_when_asked_for() {
    if std::env::var_os("MLOPS_WRITE_DOCS").is_some() {
        fs::create_dir_all(root().join("docs/schema")).expect("folder");
        fs::write(root().join("docs/reference.md"), reference()).expect("write");
        fs::write(root().join("docs/checks.md"), checks()).expect("write");
        for (of, file) in [("config", "docs/schema/mlops.schema.json"), ("report", "docs/schema/report.schema.json")] {
            fs::write(root().join(file), mlops(&["schema", of])).expect("write");
        }
    }
    assert!(root().join("docs/reference.md").is_file());
}

/// The inputs of the action and of the GitLab template are the options of `run`, and the outputs those of the sink.
#[test]
fn the_action_and_the_template_have_the_options_of_run() {
    let action: Json = serde_yaml::from_str(&read("action.yml")).expect("yaml");
    let gitlab = read(".gitlab-ci-template.yml");
    let header: Json = serde_yaml::from_str(gitlab.split("\n---\n").next().expect("header")).expect("yaml");
    for Input { name, help, .. } in mlops_action::cli::inputs() {
        let input = &action["inputs"][&name];
        assert_eq!(input["description"].as_str(), Some(help.trim_end_matches('.')), "action.yml: input {name}");
        assert!(name == "token" || input["default"].is_null(), "a default of {name} would override mlops.yml");
        let free_text_by_variable = ["token", "database-url", "registry-url", "allow-pull-request-target"].contains(&name.as_str());
        assert!(free_text_by_variable || !header["spec"]["inputs"][&name].is_null(), ".gitlab-ci-template.yml: input {name}");
    }
    let known: Vec<String> = mlops_action::cli::inputs().into_iter().map(|input| input.name).collect();
    for name in action["inputs"].as_object().expect("inputs").keys() {
        assert!(name == "command" || known.contains(name), "action.yml has an input {name} that is no option");
    }
    let project = crate::support::project::with(&[("mlops.yml", "version: 1\nproject: p\ndeploy: {name: x, image: r/x:1}\n")]);
    Mlops::new(project.path()).args(["run"]).run().expect(0);
    let written = project.read("mlops-out/outputs.env");
    let names =
        written.lines().filter_map(|line| line.strip_prefix("MLOPS_")?.split_once('=')).map(|(name, _)| name.to_lowercase().replace('_', "-"));
    let promised: Vec<String> = action["outputs"].as_object().expect("outputs").keys().cloned().collect();
    assert_eq!(names.collect::<Vec<_>>(), promised, "the outputs of action.yml");
}

#[test]
fn every_path_in_the_documentation_exists() {
    let mut seen = 0;
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/configuration.md",
        "docs/ci.md",
        "docs/migrations.md",
        "docs/seeds.md",
        "docs/checks.md",
    ] {
        let text = read(file);
        for word in text.split(['`', '(', ')', ' ', '\n']).map(|w| w.trim_end_matches(['.', ','])) {
            let ours = ["src/", "docs/", "fixtures/", "scripts/", "tests/", "migrations/", "templates/"].iter().any(|p| word.starts_with(p));
            if ours && !word.contains(['*', '<', '{', '…']) && !word.contains("NAME") {
                seen += 1;
                assert!(root().join(word.split('#').next().unwrap_or(word)).exists(), "{file} names {word}, which is not there");
            }
        }
    }
    assert!(seen >= 15, "only {seen} paths were seen");
}

#[test]
fn the_readme_lists_every_stage() {
    let json: Json = serde_json::from_str(&mlops(&["explain", "--format", "json"])).expect("json");
    let readme = read("README.md");
    for stage in json.as_array().expect("list").iter().filter(|e| e["family"] == "stage") {
        let name = stage["name"].as_str().expect("name");
        assert!(readme.contains(&format!("| `{name}` |")), "README.md has no row for the stage {name}");
    }
}
