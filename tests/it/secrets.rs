use crate::support::bin::{Ended, Mlops};
use crate::support::forge::Forge;
use crate::support::project;
use crate::support::server::{Db, PASSWORD, files_below};

const TOKEN: &str = "ghs_0123456789abcdef";
const HIDDEN: &str = "env-s3cret-value";

/// A run in which secrets are in the URL, in the environment, and in the text of a failing query.
#[test]
fn no_secret_is_in_any_output() {
    let (db, forge) = (Db::new(), Forge::start());
    db.sql("create table t (a int); insert into t values (1)");
    let config = format!(
        "version: 1\nproject: p\ndatabase: {{url: \"${{DATABASE_URL}}\"}}\ngates:\n  data:\n    t:\n      no_rows:\n        - {{name: \"${{API_TOKEN}}\", \
         sql: \"select '${{API_TOKEN}}'::int from t\"}}\n        - {{name: raises, sql: \"select ('{PASSWORD}' || a)::int from t\"}}\n        \
         - {{name: found, sql: \"select '${{API_TOKEN}}' as leak, '{PASSWORD}' as pw\"}}\n"
    );
    let event = "{\"pull_request\": {\"number\": 7, \"head\": {\"sha\": \"abc\", \"repo\": {\"full_name\": \"o/r\"}}}}";
    let project = project::with(&[("mlops.yml", &config), ("event.json", event)]);
    let run = |format: &'static str| {
        let plain = Mlops::new(project.path()).args(["run", "-vv", "--format", format]).env("DATABASE_URL", &db.url()).env("API_TOKEN", HIDDEN);
        forge.as_github(plain, &project).env("INPUT_TOKEN", TOKEN).run().expect(1)
    };
    let ended: Vec<Ended> = ["human", "json"].map(run).into();
    assert!(ended[0].out.contains("***"), "nothing was hidden:\n{}", ended[0].out);
    let state = forge.state();
    assert_eq!(state["comments"].as_array().expect("comments").len(), 1);
    let mut places = vec![("comment".to_owned(), state.to_string())];
    for e in ended {
        places.extend([("standard output".to_owned(), e.out), ("standard error".to_owned(), e.err)]);
    }
    let written = files_below(project.path()).into_iter().filter(|(path, _)| !path.ends_with("mlops.yml"));
    places.extend(written.map(|(path, content)| (path.display().to_string(), String::from_utf8_lossy(&content).into_owned())));
    assert!(places.len() >= 11, "{:?}", places.iter().map(|p| &p.0).collect::<Vec<_>>());
    for (place, text) in places {
        for secret in [PASSWORD, "s3cret-Pass%2Fword", TOKEN, HIDDEN] {
            assert!(!text.contains(secret), "{secret} is in {place}:\n{text}");
        }
    }
}

#[test]
fn the_password_of_a_key_value_dsn_is_hidden_too() {
    let db = Db::new();
    db.sql("create table t (a int); insert into t values (1)");
    let config = format!(
        "version: 1\nproject: p\ndatabase: {{url: \"${{DSN}}\"}}\ngates: {{data: {{t: {{no_rows: [{{sql: \"select '{PASSWORD}' as pw\"}}]}}}}}}\n"
    );
    let project = project::with(&[("mlops.yml", &config)]);
    let url = db.url();
    let (_, place) = url.rsplit_once('@').expect("place");
    let (host, name) = place.split_once('/').expect("name");
    let port = host.rsplit(':').next().expect("port");
    let dsn = format!("host=127.0.0.1 port={port} user=app password={PASSWORD} dbname={name}");
    let ended = Mlops::new(project.path()).args(["run"]).env("DSN", &dsn).run().expect(1);
    let written = files_below(&project.path().join("mlops-out"));
    assert!(!ended.out.contains(PASSWORD) && ended.out.contains("***") && written.len() == 8, "{}", ended.out);
    assert!(written.iter().all(|(_, content)| !String::from_utf8_lossy(content).contains(PASSWORD)));
}

#[test]
fn a_wrong_password_or_url_is_not_shown_either() {
    let db = Db::new();
    let project = project::with(&[("mlops.yml", "version: 1\nproject: p\ngates: {data: {t: {rows: 1}}}\n")]);
    let run = |url: &str| Mlops::new(project.path()).args(["run", "-vv", "--database-url", url]).run();
    for ended in [
        run(&db.url_with("wr0ng-password")),
        run("postgres://app:wr0ng-password@127.0.0.1:port/x"),
        run("host=127.0.0.1 password=wr0ng-password nonsense=1"),
    ] {
        assert!([2, 3].contains(&ended.code), "exit {}", ended.code);
        assert!(!ended.out.contains("wr0ng-password") && !ended.err.contains("wr0ng-password"), "{}\n{}", ended.out, ended.err);
    }
}

#[test]
fn a_manifest_with_a_secret_in_clear_is_refused() {
    let config = "version: 1\nproject: p\ndeploy: {name: x, image: r/x:1, env: {KEY: \"${API_TOKEN}\"}}\n";
    let project = project::with(&[("mlops.yml", config)]);
    let ended =
        Mlops::new(project.path()).args(["run"]).env("API_TOKEN", HIDDEN).run().expect(3).says("move it from `deploy.env` to `deploy.secrets`");
    assert!(!project.has("mlops-out/deploy") && !ended.out.contains(HIDDEN));
}
