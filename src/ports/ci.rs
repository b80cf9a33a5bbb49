//! Which CI host runs us, what triggered it, and where outputs go. Kept apart from the code host's API.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    GitHub,
    GitLab,
    Local,
}

/// Which of two runs is the newer one: numbers that only grow, and attempts of the same run.
pub type Stamp = (u64, u64);

/// The pull or merge request that triggered the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub number: u64,
    /// From a fork the token may only read.
    pub from_fork: bool,
}

/// Where the commit of a `workflow_run` after a pull request comes from. Its pull request is asked for by this, never by what a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `owner/name`, a fork or not.
    pub repository: String,
    pub branch: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ci {
    pub host: Host,
    /// `pull_request`, `merge_group`, `merge_request_event`, …
    pub event: Option<String>,
    /// `owner/name` on GitHub, the project's id on GitLab.
    pub repository: Option<String>,
    /// The commit a reader knows: the head of the change, not a merge commit made for the test.
    pub commit: Option<String>,
    pub change: Option<Change>,
    /// Only of a `workflow_run` after a pull request.
    pub source: Option<Source>,
    pub run_url: Option<String>,
    pub stamp: Option<Stamp>,
    /// Who made it run.
    pub actor: Option<String>,
    /// Which attempt of the same run this is.
    pub attempt: Option<i32>,
    /// The branch; of a change, the one that it comes from.
    pub branch: Option<String>,
    pub api_url: Option<String>,
    pub graphql_url: Option<String>,
    /// `GITHUB_OUTPUT`.
    pub outputs: Option<PathBuf>,
    /// `GITHUB_STEP_SUMMARY`.
    pub summary: Option<PathBuf>,
    /// A token of the host, wherever it lies in the environment.
    pub token: Option<String>,
    /// GitLab's job token can read but not comment.
    pub token_is_job_token: bool,
}

type Env = BTreeMap<String, String>;

fn get(env: &Env, name: &str) -> Option<String> {
    env.get(name).filter(|value| !value.is_empty()).cloned()
}

impl Ci {
    /// `event` is the parsed `GITHUB_EVENT_PATH`, if there is one.
    pub fn detect(env: &Env, event: Option<&Json>) -> Self {
        let set = |name| get(env, name);
        // gitlab-ci-local sets GITLAB_CI=false but gives the rest.
        let gitlab = set("GITLAB_CI").as_deref() == Some("true") || (set("CI_API_V4_URL").is_some() && set("CI_PIPELINE_ID").is_some());
        if set("GITHUB_ACTIONS").as_deref() == Some("true") {
            github(env, event)
        } else if gitlab {
            gitlab_ci(env)
        } else {
            Self::local(env)
        }
    }

    pub fn event_path(env: &Env) -> Option<PathBuf> {
        get(env, "GITHUB_EVENT_PATH").map(PathBuf::from)
    }

    fn local(env: &Env) -> Self {
        Self {
            host: Host::Local,
            event: None,
            source: None,
            stamp: None,
            graphql_url: None,
            repository: None,
            commit: get(env, "GIT_COMMIT"),
            change: None,
            run_url: None,
            actor: get(env, "USER").or_else(|| get(env, "LOGNAME")),
            attempt: None,
            branch: None,
            api_url: None,
            outputs: None,
            summary: None,
            token: None,
            token_is_job_token: false,
        }
    }

    /// What a reader calls it here.
    pub const fn change_word(&self) -> &'static str {
        match self.host {
            Host::GitLab => "merge request",
            Host::GitHub | Host::Local => "pull request",
        }
    }

    /// Not merged yet: a pull request, or its place in the merge queue. Nothing is shipped from it.
    pub fn is_proposal(&self) -> bool {
        self.change.is_some() || self.source.is_some() || self.event.as_deref() == Some("merge_group")
    }

    /// The code may be anybody's while the secrets are the repository's.
    pub fn is_privileged(&self) -> bool {
        let of_a_fork = self.source.as_ref().is_some_and(|source| Some(&source.repository) != self.repository.as_ref());
        of_a_fork || self.event.as_deref() == Some("pull_request_target")
    }

    /// Why a database on this machine's loopback cannot be reached from here, where that is the likely reason.
    pub fn loopback_hint(&self, endpoint: &str, place: Place) -> Option<&'static str> {
        let server = endpoint.rsplit('@').next().unwrap_or_default();
        let loopback = ["localhost:", "127.0.0.1:", "::1:"].iter().any(|host| server.starts_with(host));
        let hint = match (place, self.host) {
            (Place::Machine, _) => return None,
            (Place::Pod, _) => {
                "on the Kubernetes executor services share the job's `localhost`: is the service there, on this port, and has it started?"
            }
            (Place::Container, Host::GitHub) => {
                "inside a container action `localhost` is the container itself: use the label of the service \
                 (`postgres:5432`, no `ports:` needed), or 172.17.0.1 for something on the runner"
            }
            (Place::Container, Host::GitLab) => "inside a job `localhost` is the job's own container: use the service's alias (`postgres:5432`)",
            (Place::Container, Host::Local) => "inside a container `localhost` is the container itself: use --network host, or the host's address",
        };
        loopback.then_some(hint)
    }
}

fn github(env: &Env, event: Option<&Json>) -> Ci {
    let set = |name| get(env, name);
    let text = |pointer: &str| event.and_then(|e| e.pointer(pointer)).and_then(Json::as_str).map(str::to_owned);
    let number = |pointer: &str| event.and_then(|e| e.pointer(pointer)).and_then(Json::as_u64);
    let repository = set("GITHUB_REPOSITORY");
    let change = event.and_then(|event| pull_request(event, repository.as_deref()));
    let run_url = match (set("GITHUB_SERVER_URL"), &repository, set("GITHUB_RUN_ID")) {
        (Some(server), Some(repository), Some(run)) => Some(format!("{server}/{repository}/actions/runs/{run}")),
        _ => None,
    };
    let attempt: Option<i32> = set("GITHUB_RUN_ATTEMPT").and_then(|n| n.parse().ok());
    let own = set("GITHUB_RUN_ID").and_then(|id| id.parse().ok()).map(|id| (id, attempt.and_then(|n| n.try_into().ok()).unwrap_or(1)));
    // Of a `workflow_run`, what it is about: the run whose report this is.
    let about = number("/workflow_run/id").map(|id| (id, number("/workflow_run/run_attempt").unwrap_or(1)));
    let of_a_change = text("/workflow_run/event").is_some_and(|event| event.starts_with("pull_request"));
    let source = text("/workflow_run/head_repository/full_name").zip(text("/workflow_run/head_branch")).filter(|_| of_a_change);
    let commit = ["/pull_request/head/sha", "/workflow_run/head_sha", "/merge_group/head_sha"].into_iter().find_map(text);
    Ci {
        host: Host::GitHub,
        event: set("GITHUB_EVENT_NAME"),
        commit: commit.or_else(|| set("GITHUB_SHA")),
        change,
        run_url: text("/workflow_run/html_url").or(run_url),
        stamp: about.or(own),
        actor: set("GITHUB_ACTOR"),
        attempt,
        branch: text("/workflow_run/head_branch").or_else(|| set("GITHUB_HEAD_REF")).or_else(|| set("GITHUB_REF_NAME")),
        source: source.map(|(repository, branch)| Source { repository, branch }),
        repository,
        api_url: set("GITHUB_API_URL"),
        graphql_url: set("GITHUB_GRAPHQL_URL"),
        outputs: set("GITHUB_OUTPUT").map(PathBuf::from),
        summary: set("GITHUB_STEP_SUMMARY").map(PathBuf::from),
        token: set("GITHUB_TOKEN"),
        token_is_job_token: false,
    }
}

/// `pull_request` events carry it whole; a comment's event only says that its issue is a pull request.
fn pull_request(event: &Json, repository: Option<&str>) -> Option<Change> {
    let number = |pointer| event.pointer(pointer).and_then(Json::as_u64);
    if let Some(number) = number("/pull_request/number") {
        let head = event.pointer("/pull_request/head/repo/full_name").and_then(Json::as_str);
        return Some(Change { number, from_fork: head != repository });
    }
    event.pointer("/issue/pull_request")?;
    Some(Change { number: number("/issue/number")?, from_fork: false })
}

fn gitlab_ci(env: &Env) -> Ci {
    let set = |name| get(env, name);
    let project = set("CI_PROJECT_ID");
    let change = set("CI_MERGE_REQUEST_IID").and_then(|iid| iid.parse().ok()).map(|number| {
        let source = set("CI_MERGE_REQUEST_SOURCE_PROJECT_ID");
        Change { number, from_fork: source.is_some() && source != set("CI_MERGE_REQUEST_PROJECT_ID") }
    });
    let personal = set("GITLAB_TOKEN");
    let number = |name| set(name).and_then(|n| n.parse::<u64>().ok());
    Ci {
        host: Host::GitLab,
        event: set("CI_PIPELINE_SOURCE"),
        source: None,
        // A job that is run again has a new number.
        stamp: number("CI_PIPELINE_ID").map(|pipeline| (pipeline, number("CI_JOB_ID").unwrap_or_default())),
        graphql_url: None,
        repository: set("CI_MERGE_REQUEST_PROJECT_ID").or(project),
        commit: set("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA").or_else(|| set("CI_COMMIT_SHA")),
        change,
        run_url: set("CI_JOB_URL"),
        actor: set("GITLAB_USER_LOGIN"),
        attempt: None,
        branch: set("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME").or_else(|| set("CI_COMMIT_BRANCH")),
        api_url: set("CI_API_V4_URL"),
        outputs: None,
        summary: None,
        token_is_job_token: personal.is_none(),
        token: personal.or_else(|| set("CI_JOB_TOKEN")),
    }
}

/// Where this process lives, as far as `localhost` is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Machine,
    Container,
    /// Containers of a pod have one network.
    Pod,
}

impl Place {
    pub fn of(env: &Env) -> Self {
        if env.contains_key("KUBERNETES_SERVICE_HOST") {
            Self::Pod
        } else if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
            Self::Container
        } else {
            Self::Machine
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn a_pull_request_from_a_fork_is_known_and_its_head_is_the_commit() {
        let event = json!({"pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": "them/r"}}}});
        let ci = Ci::detect(&env(&[("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "us/r"), ("GITHUB_SHA", "merge")]), Some(&event));
        assert_eq!(ci.change, Some(Change { number: 7, from_fork: true }));
        assert_eq!(ci.commit.as_deref(), Some("abc"));
    }

    #[test]
    fn a_push_and_a_merge_queue_have_no_change() {
        for event in [json!({"ref": "refs/heads/main"}), json!({"merge_group": {"head_sha": "x"}}), json!({"issue": {"number": 1}})] {
            assert_eq!(Ci::detect(&env(&[("GITHUB_ACTIONS", "true")]), Some(&event)).change, None);
        }
    }

    #[test]
    fn gitlab_is_known_without_its_flag_and_a_job_token_is_told_apart() {
        let ci = Ci::detect(
            &env(&[
                ("GITLAB_CI", "false"),
                ("CI_API_V4_URL", "http://g/api/v4"),
                ("CI_PIPELINE_ID", "1"),
                ("CI_MERGE_REQUEST_IID", "7"),
                ("CI_JOB_TOKEN", "t"),
            ]),
            None,
        );
        assert_eq!((ci.host, ci.token_is_job_token), (Host::GitLab, true));
        assert_eq!(ci.change.map(|c| c.number), Some(7));
    }
}
