//! `mlops doctor`: looks at everything that a run needs, one after the other, and says what to do where something is missing.

use std::path::Path;
use std::time::{Duration, Instant};

use super::deliver::hosting;
use super::load::Loaded;
use super::tell::tell;
use super::{Outcome, Shell, logging};
use crate::mistakes::Mistakes;
use crate::outcome::{Outcome as Found, Status};
use crate::ports::ci::{Ci, Host, Place};
use crate::ports::git::Git;
use crate::ports::postgres::scratch::Binaries;
use crate::ports::postgres::throwaway::Throwaway;
use crate::ports::postgres::{Address, Postgres};
use crate::report::reach;
use crate::stages::Target;
use crate::stages::registry::mlflow;

/// Someone is waiting.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn doctor(shell: &Shell, token: Option<&str>) -> Outcome {
    shell.hide_secrets(token);
    let ci = shell.ci();
    let mut found = vec![program(), event(&ci)];
    match config(shell) {
        Ok((loaded, outcome)) => {
            let mut mask = loaded.mask.clone();
            token.iter().for_each(|token| mask.add(token));
            logging::set_mask(&mask);
            found.push(outcome);
            found.push(output(&loaded));
            found.extend(git(&loaded));
            found.extend(host(&ci, &loaded, token).await);
            found.extend(database(shell, &loaded, &ci).await);
            found.extend(registry(shell, &loaded).await);
        }
        Err(outcome) => found.push(*outcome),
    }
    Ok(tell(shell, &found, "nothing was looked at"))
}

fn program() -> Found {
    let message = format!("mlops {} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    Found::new("program", "version", Status::Passed, message)
}

fn event(ci: &Ci) -> Found {
    let event = ci.event.as_deref().unwrap_or("an unknown event");
    let change = ci.change.as_ref().map(|c| format!(", {} {}{}", ci.change_word(), c.number, if c.from_fork { " from a fork" } else { "" }));
    let change = change.unwrap_or_default();
    let (status, message, remedy) = match ci.host {
        Host::Local => (Status::Passed, "no CI".to_owned(), None),
        _ if ci.is_privileged() => {
            let remedy = "run on `pull_request` and comment from a second workflow (docs/ci.md); `run` refuses to read mlops.yml here";
            (Status::Failed, format!("GitHub Actions, {event}{change}: a stranger's code beside your secrets"), Some(remedy))
        }
        Host::GitHub if ci.change.as_ref().is_some_and(|c| c.from_fork) => {
            let remedy = "its token may only read: to comment on forks too, add the second workflow of docs/ci.md";
            (Status::Warned, format!("GitHub Actions, {event}{change}"), Some(remedy))
        }
        Host::GitHub => (Status::Passed, format!("GitHub Actions, {event}{change}"), None),
        Host::GitLab => (Status::Passed, format!("GitLab CI, {event}{change}"), None),
    };
    Found::new("CI", "event", status, message).with_remedy(remedy.map(str::to_owned))
}

fn config(shell: &Shell) -> Result<(Loaded, Found), Box<Found>> {
    let wrong = |message: String, remedy: Option<&str>| {
        Box::new(Found::new("mlops.yml", "valid", Status::Failed, message).with_remedy(remedy.map(str::to_owned)))
    };
    let (text, shown) = shell.read_config().map_err(|failure| wrong(failure.message, Some("`mlops init` writes one")))?;
    let mut mistakes = Mistakes::default();
    match shell.try_load(&text, &shown, shell.global.environment.as_deref(), &[], &mut mistakes) {
        Some(loaded) if mistakes.is_empty() => {
            let stages: Vec<&str> = loaded.plan.stages.iter().map(|planned| planned.kind.name).collect();
            let outcome = Found::new("mlops.yml", "valid", Status::Passed, format!("{shown} is valid; stages: {}", stages.join(", ")));
            Ok((loaded, outcome))
        }
        _ => Err(wrong(mistakes.render(&shown, &text, false), Some("`mlops validate` shows the same"))),
    }
}

fn output(loaded: &Loaded) -> Found {
    let dir = &loaded.config.core.report.dir;
    // Where it would be made; what is tried there is gone again.
    let whole = loaded.workspace.path_of_folder().join(&**dir);
    let there = whole.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    match tempfile::tempfile_in(there) {
        Ok(_) => Found::new("report.dir", "writable", Status::Passed, format!("{} can be written", &**dir)),
        Err(error) => Found::new("report.dir", "writable", Status::Failed, error.to_string())
            .with_remedy(Some("run as a user who may write there, or set `report.dir`".into())),
    }
}

fn git(loaded: &Loaded) -> Option<Found> {
    loaded.config.section("model")?;
    Some(match Git::at(&loaded.workspace.path_of_folder()).commit("HEAD") {
        Ok(commit) => Found::new("git", "commit", Status::Passed, commit),
        Err(error) => Found::new("git", "commit", Status::Warned, error.to_string())
            .with_remedy(Some("versions are registered without the commit they are made from".into())),
    })
}

async fn host(ci: &Ci, loaded: &Loaded, token: Option<&str>) -> Option<Found> {
    let mut hosting = hosting(&loaded.config.core, &loaded.workspace, token);
    hosting.until = Instant::now() + PATIENCE;
    Some(match reach(ci, &hosting).await? {
        Ok(said) => Found::new("token", "comment", Status::Passed, said),
        // Without a comment a run is as good as with one.
        Err(why) => Found::new("token", "comment", Status::Warned, why),
    })
}

async fn database(shell: &Shell, loaded: &Loaded, ci: &Ci) -> Vec<Found> {
    if !loaded.plan.stages.iter().any(|planned| planned.kind.name == "connect") {
        return vec![];
    }
    match loaded.target(shell, false) {
        Target::Throwaway(binaries) => vec![throwaway(binaries).await],
        Target::Server(address) => server("database", &address, ci, shell).await,
    }
}

async fn throwaway(Binaries { bin, path, base, .. }: Binaries) -> Found {
    let started = tokio::task::spawn_blocking(move || Throwaway::start(bin.as_deref(), &path, &base).map(|server| server.version().to_string()));
    match started.await {
        Ok(Ok(version)) => {
            Found::new("database", "connection", Status::Passed, format!("`database.url` is empty: a throwaway PostgreSQL {version} starts"))
        }
        Ok(Err(error)) => Found::new("database", "connection", Status::Failed, error.to_string())
            .with_remedy(Some("set `database.url`, or install PostgreSQL's server (Debian: postgresql), or use the full image".into())),
        Err(error) => Found::new("database", "connection", Status::Broken, error.to_string()),
    }
}

async fn server(subject: &str, address: &Address, ci: &Ci, shell: &Shell) -> Vec<Found> {
    let short = Address { connect_timeout: PATIENCE.min(address.connect_timeout), ..address.clone() };
    let server = match Postgres::connect(&short, |_| {}).await {
        Ok(server) => server,
        Err(error) => {
            let hint = ci.loopback_hint(&error.endpoint, Place::of(&shell.env)).unwrap_or("is it running, and is its address the one in mlops.yml?");
            return vec![Found::new(subject, "connection", Status::Failed, error.to_string()).with_remedy(Some(hint.into()))];
        }
    };
    let mut found = vec![Found::new(subject, "connection", Status::Passed, format!("connected to {}", server.endpoint()))];
    found.extend(rights(subject, &server).await.unwrap_or_else(|why| vec![Found::new(subject, "rights", Status::Broken, why)]));
    found
}

async fn rights(subject: &str, server: &Postgres) -> Result<Vec<Found>, String> {
    let sql = "select current_setting('server_version'), current_setting('server_version_num')::int / 10000, pg_is_in_recovery(), \
               current_user::text, has_database_privilege(current_database(), 'create'), \
               coalesce(has_schema_privilege(current_schema(), 'create'), false), coalesce(current_schema()::text, 'none'), \
               (select rolcreatedb or rolsuper from pg_roles where rolname = current_user)";
    let client = server.client().await.map_err(|e| e.to_string())?;
    let row = client.query_typed(sql, &[]).await.map_err(|e| server.error("looking at rights", &e).to_string())?;
    let row = row.first().ok_or("no answer")?;
    let (version, major, standby): (String, i32, bool) = (row.get(0), row.get(1), row.get(2));
    let (user, database, schema, schema_name, scratch): (String, bool, bool, String, bool) =
        (row.get(3), row.get(4), row.get(5), row.get(6), row.get(7));
    let judged = |name: &str, fine: bool, bad: Status, said: String, remedy: &str| {
        Found::new(subject, name, if fine { Status::Passed } else { bad }, said).with_remedy((!fine).then(|| remedy.to_owned()))
    };
    let may = |yes: bool, what: &str| format!("{user} may {}{what}", if yes { "" } else { "not " });
    Ok(vec![
        judged("version", major >= 12, Status::Warned, format!("PostgreSQL {version}"), "versions below 12 are not tried"),
        judged("writable", !standby, Status::Failed, if standby { "a standby in recovery" } else { "a primary" }.into(), "name the primary server"),
        judged(
            "own tables",
            database,
            Status::Failed,
            may(database, "make the schema `mlops` for history and registry"),
            &format!("grant create on database … to {user}"),
        ),
        judged(
            "migrations",
            schema,
            Status::Warned,
            may(schema, &format!("make tables in {schema_name}")),
            &format!("grant create, usage on schema {schema_name} to {user}; only migrations and seeds need it"),
        ),
        judged(
            "round trip",
            scratch,
            Status::Warned,
            may(scratch, "make a scratch database"),
            &format!("alter role {user} createdb; without it round trips use a throwaway server"),
        ),
    ])
}

async fn registry(shell: &Shell, loaded: &Loaded) -> Vec<Found> {
    let mut found = Vec::new();
    let url = &loaded.registry.url;
    if !url.is_empty() {
        found.extend(server("registry", &loaded.address(url), &shell.ci(), shell).await);
    }
    match mlflow(&loaded.registry, &loaded.workspace, &shell.env) {
        Ok(None) => {}
        Ok(Some(mlflow)) => found.push(match mlflow.get("2.0/mlflow/registered-models/search", &[("max_results", "1")]).await {
            Ok(_) => Found::new("MLflow", "connection", Status::Passed, format!("{} answers", mlflow.url())),
            Err(error) => Found::new("MLflow", "connection", Status::Warned, error.to_string())
                .with_remedy(Some("what it is to know waits until it answers: `mlops model sync`".into())),
        }),
        Err(error) => found.push(Found::new("MLflow", "connection", Status::Failed, format!("{error:#}"))),
    }
    found
}
