//! `mlops.yml`: text and environment in, typed values out. Reads no file and no environment itself, and knows no check,
//! metric, stage or sink by name: their sections stay untyped nodes for the catalogues.

mod core;
mod interpolate;
mod overlay;
mod source;

pub use self::core::{Comment, CommentMode, Core, FailOn};

use std::collections::BTreeMap;

use crate::mistakes::{Mistakes, Place, suggestion};
use crate::node::{Node, Value};

/// What configuration is made of.
pub struct Input<'a> {
    pub text: &'a str,
    pub env: &'a BTreeMap<String, String>,
    /// Chosen with `--environment`.
    pub environment: Option<&'a str>,
    /// Flags that win over the file: dotted key and value.
    pub overrides: &'a [(&'a str, String)],
    /// For `${file:…}`.
    pub read_file: &'a dyn Fn(&str) -> Result<String, String>,
    /// The sections that the stages read, dotted: `migrate`, `gates.data`.
    pub sections: &'a [&'a str],
}

/// The whole file, typed where it belongs to nobody else.
#[derive(Debug)]
pub struct Config {
    pub core: Core,
    root: Node,
    /// Values that must not be shown anywhere.
    pub secrets: Vec<String>,
}

impl Config {
    /// Where a top-level key's value stands.
    pub fn place(&self, key: &str) -> Option<Place> {
        self.root.get(key).map(|node| node.place)
    }

    /// A stage's section, by its dotted name.
    pub fn section(&self, dotted: &str) -> Option<&Node> {
        dotted.split('.').try_fold(&self.root, |node, name| node.get(name))
    }
}

/// Everything that is wrong goes to `mistakes`; a configuration is returned as far as it could be read.
pub fn load(input: &Input<'_>, mistakes: &mut Mistakes) -> Option<Config> {
    let root = source::parse(input.text, mistakes)?;
    let mut root = overlay::apply(root, input.environment, mistakes);
    let mut secrets = Vec::new();
    interpolate::apply(&mut root, input, &mut secrets, mistakes);
    for (dotted, value) in input.overrides {
        overlay::set(&mut root, dotted, value);
        if crate::secret::is_secret_key(dotted) {
            secrets.push(value.clone());
        }
    }
    unknown_sections(&root, input.sections, mistakes);
    let core = core::decode(&root, mistakes)?;
    secrets.extend(core.secrets().map(str::to_owned));
    Some(Config { core, root, secrets })
}

/// Only what reports need: a job that gathers those of others has no database, and so none of its variables.
pub fn load_reporting(input: &Input<'_>, mistakes: &mut Mistakes) -> Option<Core> {
    let root = overlay::apply(source::parse(input.text, mistakes)?, input.environment, mistakes);
    let wanted = root.entries().iter().filter(|(key, _)| ["version", "project", "report", "templates"].contains(&key.name.as_str())).cloned();
    let mut root = Node::new(Value::Map(wanted.collect()), root.place);
    interpolate::apply(&mut root, input, &mut Vec::new(), mistakes);
    core::decode(&root, mistakes)
}

/// The names of all environments of a file, for validating every one of them.
pub fn environments(text: &str) -> Vec<String> {
    let root = source::parse(text, &mut Mistakes::default());
    let names = |node: &Node| node.entries().iter().map(|(key, _)| key.name.clone()).collect();
    root.as_ref().and_then(|root| root.get("environments")).map(names).unwrap_or_default()
}

fn unknown_sections(root: &Node, sections: &[&str], mistakes: &mut Mistakes) {
    let top: Vec<&str> = core::KEYS.iter().copied().chain(sections.iter().map(|s| s.split('.').next().unwrap_or(s))).collect();
    for (key, node) in root.entries() {
        if !top.contains(&key.name.as_str()) {
            mistakes.add_with_help(key.place, format!("unknown key `{}`", key.name), suggestion(&key.name, top.clone(), "keys"));
            continue;
        }
        if node.is_null() {
            mistakes.add(key.place, format!("`{}` has no value", key.name));
            continue;
        }
        let inner: Vec<&str> =
            sections.iter().filter_map(|s| s.split_once('.')).filter(|(head, _)| *head == key.name).map(|(_, rest)| rest).collect();
        if inner.is_empty() {
            continue;
        }
        if !node.is_map() {
            mistakes.add(node.place, format!("`{}` is a map with {}", key.name, inner.join(" and ")));
        }
        for (child, node) in node.entries() {
            if !inner.contains(&child.name.as_str()) {
                let help = suggestion(&child.name, inner.iter().copied(), "keys");
                mistakes.add_with_help(child.place, format!("unknown key `{}` in `{}`", child.name, key.name), help);
            } else if node.is_null() {
                mistakes.add(child.place, format!("`{}.{}` has no value", key.name, child.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_with(text: &str, environment: Option<&str>, env: &[(&str, &str)], overrides: &[(&str, String)]) -> (Option<Config>, Vec<String>) {
        let env = env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let read_file = |path: &str| if path == "/run/secrets/pw" { Ok("from-file\n".to_owned()) } else { Err("no such file".to_owned()) };
        let input =
            Input { text, env: &env, environment, overrides, read_file: &read_file, sections: &["database", "migrate", "gates.data", "gates.model"] };
        let mut mistakes = Mistakes::default();
        let config = load(&input, &mut mistakes);
        let said = mistakes
            .sorted()
            .into_iter()
            .map(|m| format!("{}:{} {} {}", m.place.line, m.place.column, m.message, m.help.unwrap_or_default()).trim().to_owned());
        (config, said.collect())
    }

    fn mistakes_of(text: &str) -> Vec<String> {
        load_with(text, None, &[], &[]).1
    }

    #[test]
    fn a_least_file_has_every_default() {
        let (config, mistakes) = load_with("version: 1\nproject: p\n", None, &[], &[]);
        assert_eq!(mistakes, Vec::<String>::new());
        let core = config.expect("config").core;
        assert!(core.database.url.is_empty() && &*core.report.dir == "mlops-out" && core.database.pool == 4);
    }

    #[test]
    fn mistakes_of_every_kind_are_reported_together() {
        let said = mistakes_of(
            "version: 1\nproject: p\nmigrat: {}\ngates: {dta: {}}\ndatabase: {pol: 3, url: \"${NOPE}\"}\nreport: {comment: sometimes}\nproject: q\n",
        );
        assert_eq!(
            said,
            [
                "3:1 unknown key `migrat` did you mean `migrate`?",
                "4:9 unknown key `dta` in `gates` did you mean `data`?",
                "5:12 unknown key `pol` in `database` did you mean `pool`?",
                "5:25 the environment variable `NOPE` is not set write `${NOPE:-default}` for a default",
                "6:19 unknown value `sometimes` in `report.comment` known values: always, auto, never",
                "7:1 the key `project` stands here twice (first in line 2)",
            ]
        );
    }

    #[test]
    fn a_section_without_a_value_or_of_the_wrong_kind_is_never_left_out() {
        for section in [
            "gates: foo",
            "gates: [data]",
            "gates: {data: }",
            "migrate:",
            "database:",
            "environments: [a]",
            "environments: {a: foo}",
            "environments: {a: }",
        ] {
            assert_eq!(mistakes_of(&format!("version: 1\nproject: p\n{section}\n")).len(), 1, "{section}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_meant_is_a_mistake() {
        for url in ["mysql://u@h/d", "postgres://u:p@ss/w@h/d", "postgres://u:p#w@h/d", "just text"] {
            let said = mistakes_of(&format!("version: 1\nproject: p\ndatabase: {{url: \"{url}\"}}\n"));
            assert!(said.len() == 1 && !said[0].contains("p@ss"), "{url}: {said:?}");
        }
        for url in ["", "postgres://u:p%40ss@h/d", "postgresql://h/d?options=-c%20x", "host=/tmp user=u password='p@ s'"] {
            assert_eq!(mistakes_of(&format!("version: 1\nproject: p\ndatabase: {{url: \"{url}\"}}\n")), Vec::<String>::new(), "{url}");
        }
    }

    #[test]
    fn a_syntax_error_has_a_place() {
        let said = mistakes_of("version: 1\nproject: [a\n");
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with(|c: char| c.is_ascii_digit()) && !said[0].starts_with("0:"), "{said:?}");
    }

    #[test]
    fn an_environment_overlays_any_section() {
        let text = "version: 1\nproject: p\ndatabase: {pool: 2, connect_timeout: 5s}\nenvironments:\n  staging: {database: {pool: 9}}\n  broken: {database: {url: \"${UNSET}\"}}\n";
        let (config, mistakes) = load_with(text, Some("staging"), &[], &[]);
        assert_eq!(mistakes, Vec::<String>::new());
        let database = config.expect("config").core.database;
        assert_eq!((database.pool, database.connect_timeout.0.as_secs()), (9, 5));
        let (_, mistakes) = load_with(text, Some("stagin"), &[], &[]);
        assert_eq!(mistakes, ["4:1 there is no environment `stagin` did you mean `staging`?"]);
    }

    #[test]
    fn secrets_come_from_keys_that_say_so_and_from_files() {
        let text = "version: 1\nproject: \"${NAME:-p}\"\ndatabase: {url: \"${URL}\", ca: \"${file:/run/secrets/pw}\"}\n";
        let (config, mistakes) = load_with(text, None, &[("URL", "postgres://u:pw@h/d"), ("NAME", "visible")], &[]);
        assert_eq!(mistakes, Vec::<String>::new());
        let config = config.expect("config");
        assert!(config.secrets.contains(&"postgres://u:pw@h/d".to_owned()) && config.secrets.contains(&"from-file".to_owned()));
        assert!(!config.secrets.contains(&"visible".to_owned()) && config.core.project == "visible");
    }

    #[test]
    fn of_a_database_url_only_the_password_is_secret() {
        let text = "version: 1\nproject: p\ndatabase: {url: \"postgres://${WHO}:${PW}@${HOST}/d?password=${MORE}\"}\n";
        let env = [("WHO", "someone"), ("PW", "in-front"), ("HOST", "db.example"), ("MORE", "behind")];
        let secrets = load_with(text, None, &env, &[]).0.expect("config").secrets;
        assert!(["in-front", "behind"].iter().all(|part| secrets.iter().any(|s| s == part)), "{secrets:?}");
        assert!(["someone", "db.example"].iter().all(|part| secrets.iter().all(|s| s != part)), "{secrets:?}");
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let overrides = [("database.url", "postgres://flag@h/d".to_owned())];
        let (config, _) = load_with("version: 1\nproject: p\ndatabase: {url: \"postgres://file@h/d\"}\n", None, &[], &overrides);
        assert_eq!(config.expect("config").core.database.url.expose(), "postgres://flag@h/d");
        let (config, _) = load_with("version: 1\nproject: p\n", None, &[], &overrides);
        assert_eq!(config.expect("config").core.database.url.expose(), "postgres://flag@h/d");
    }

    #[test]
    fn words_stay_words_and_a_billion_laughs_are_refused() {
        let (config, _) = load_with("version: 1\nproject: NO\n", None, &[], &[]);
        assert_eq!(config.expect("config").core.project, "NO");
        let mut bomb = String::from("version: 1\nproject: p\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", ")));
        }
        assert!(!mistakes_of(&bomb).is_empty());
    }
}
