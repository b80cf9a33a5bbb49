//! GitHub and GitLab as one thing: a place where a change has comments, and a commit a status.

use std::path::PathBuf;
use std::time::Instant;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::ports::api::{ApiError, At, kind_of_token};
use crate::ports::ci::{Ci, Host, Source};
use crate::ports::github::{self, GitHub};
use crate::ports::gitlab::{self, GitLab};

/// A comment on a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) id: u64,
    /// GitHub's name of it for GraphQL.
    pub(super) node: String,
    pub(super) author: String,
    pub(super) body: String,
}

/// How the host is reached.
#[derive(Debug, Clone)]
pub struct Hosting<'a> {
    /// A token given by flag or input; else the host's.
    pub token: Option<&'a str>,
    /// When everything must be delivered, retries included.
    pub until: Instant,
    pub ca: Option<PathBuf>,
}

/// What a commit's status says.
pub(super) struct Status<'a> {
    pub(super) passed: bool,
    pub(super) context: &'a str,
    pub(super) description: &'a str,
    pub(super) url: Option<&'a str>,
}

#[async_trait]
pub(super) trait Forge: Send + Sync {
    /// Until the host may be written to again.
    async fn pause(&self);
    /// Who we write as.
    async fn me(&self) -> Result<String, ApiError>;
    /// Every comment, the oldest first.
    async fn comments(&self, change: u64) -> Result<Vec<Posted>, ApiError>;
    async fn create(&self, change: u64, body: &str) -> Result<(), ApiError>;
    async fn update(&self, change: u64, id: u64, body: &str) -> Result<(), ApiError>;
    async fn delete(&self, change: u64, id: u64) -> Result<(), ApiError>;
    /// Out of the way: folded on GitHub, gone on GitLab, which cannot fold.
    async fn hide(&self, change: u64, comment: &Posted) -> Result<(), ApiError>;
    /// The open change whose head a commit is.
    async fn change_of(&self, commit: &str, source: Option<&Source>) -> Result<Option<u64>, ApiError>;
    async fn set_status(&self, commit: &str, status: &Status<'_>) -> Result<(), ApiError>;
    /// What the token can see here, in words.
    async fn look(&self) -> Result<String, ApiError>;
    /// Characters of a body at the most.
    fn limit(&self) -> usize;
}

/// Whether the code host answers this run's token: what it says, or what is missing. `None` outside of CI.
pub async fn reach(ci: &Ci, hosting: &Hosting<'_>) -> Option<Result<String, String>> {
    if ci.host == Host::Local {
        return None;
    }
    let kind = token(ci, hosting.token).map(kind_of_token);
    let looked = match connect(ci, hosting) {
        Ok(forge) => forge.look().await.map_err(|e| e.to_string()),
        Err(why) => Err(why),
    };
    Some(looked.map(|said| format!("{}: {said}", kind.unwrap_or_default())))
}

/// A token that can write, or what is missing.
pub(super) fn token<'a>(ci: &'a Ci, given: Option<&'a str>) -> Result<&'a str, String> {
    let token = given.or(ci.token.as_deref()).filter(|t| !t.is_empty());
    match ci.host {
        Host::GitHub => token.ok_or_else(|| "there is no token: pass `token: ${{ github.token }}`".into()),
        Host::GitLab => match token {
            Some(token) if !is_job_token(ci, token) => Ok(token),
            found => Err(format!(
                "set GITLAB_TOKEN to a project access token with scope `api` (masked, and not protected unless the branch is){}",
                found.map(|t| format!("; {} cannot write notes", kind_of_token(t))).unwrap_or_default()
            )),
        },
        Host::Local => Err("this is no CI run".into()),
    }
}

fn is_job_token(ci: &Ci, token: &str) -> bool {
    token.starts_with("glcbt-") || (ci.token_is_job_token && Some(token) == ci.token.as_deref())
}

pub(super) fn github(ci: &Ci, hosting: &Hosting<'_>) -> Result<GitHub, String> {
    let repository = ci.repository.as_deref().ok_or("the repository is not known: GITHUB_REPOSITORY is not set")?;
    GitHub::new(&at(ci, hosting, ci.api_url.as_deref().unwrap_or("https://api.github.com"), repository)?, ci.graphql_url.as_deref())
}

fn gitlab(ci: &Ci, hosting: &Hosting<'_>) -> Result<GitLab, String> {
    let project = ci.repository.as_deref().ok_or("the project is not known: CI_PROJECT_ID is not set")?;
    GitLab::new(&at(ci, hosting, ci.api_url.as_deref().ok_or("CI_API_V4_URL is not set")?, project)?)
}

fn at<'a>(ci: &'a Ci, hosting: &'a Hosting<'_>, api: &'a str, project: &'a str) -> Result<At<'a>, String> {
    Ok(At { api, project, token: token(ci, hosting.token)?, ca: hosting.ca.as_deref(), until: hosting.until })
}

/// The forge of this run. `Err` says what is missing.
pub(super) fn connect(ci: &Ci, hosting: &Hosting<'_>) -> Result<Box<dyn Forge>, String> {
    Ok(if ci.host == Host::GitLab { Box::new(gitlab(ci, hosting)?) } else { Box::new(github(ci, hosting)?) })
}

#[async_trait]
impl Forge for GitHub {
    async fn pause(&self) {
        Self::pause(self).await;
    }

    async fn me(&self) -> Result<String, ApiError> {
        Self::me(self).await
    }

    async fn comments(&self, change: u64) -> Result<Vec<Posted>, ApiError> {
        let posted = |c: github::Comment| Posted {
            id: c.id,
            node: c.node_id,
            author: c.user.map(|u| u.login).unwrap_or_default(),
            body: c.body.unwrap_or_default(),
        };
        Ok(Self::comments(self, change).await?.into_iter().map(posted).collect())
    }

    async fn create(&self, change: u64, body: &str) -> Result<(), ApiError> {
        Self::create(self, change, body).await
    }

    async fn update(&self, _: u64, id: u64, body: &str) -> Result<(), ApiError> {
        Self::update(self, id, body).await
    }

    async fn delete(&self, _: u64, id: u64) -> Result<(), ApiError> {
        Self::delete(self, id).await
    }

    async fn hide(&self, _: u64, comment: &Posted) -> Result<(), ApiError> {
        self.minimize(&comment.node).await
    }

    async fn change_of(&self, commit: &str, source: Option<&Source>) -> Result<Option<u64>, ApiError> {
        let found = match source {
            // `commits/…/pulls` knows nothing of a fork's commits.
            Some(source) => self.pulls_from(&format!("{}:{}", source.repository.split('/').next().unwrap_or_default(), source.branch)).await?,
            None => self.pulls_of(commit).await?,
        };
        let from = |pull: &github::Pull| pull.head.repo.as_ref().map(|repo| repo.full_name.clone());
        let same = |pull: &&github::Pull| {
            pull.state == "open" && pull.head.sha == commit && source.is_none_or(|s| from(pull).as_ref() == Some(&s.repository))
        };
        Ok(found.iter().find(same).map(|pull| pull.number))
    }

    async fn set_status(&self, commit: &str, status: &Status<'_>) -> Result<(), ApiError> {
        let state = if status.passed { "success" } else { "failure" };
        let mut body = json!({"state": state, "context": status.context, "description": status.description});
        link(&mut body, status.url);
        Self::set_status(self, commit, &body).await
    }

    async fn look(&self) -> Result<String, ApiError> {
        let repository = self.repository().await?;
        // A job's token may do more than it shows: only a comment shows that it may comment.
        let rights = if repository["permissions"]["push"] == json!(true) {
            "may write"
        } else {
            "sees it; to comment it needs `permissions: pull-requests: write`"
        };
        Ok(format!("{} {rights}", repository["full_name"].as_str().unwrap_or("the repository")))
    }

    /// 65,536, of which the marker needs some.
    fn limit(&self) -> usize {
        65_000
    }
}

#[async_trait]
impl Forge for GitLab {
    async fn pause(&self) {
        Self::pause(self).await;
    }

    async fn me(&self) -> Result<String, ApiError> {
        Self::me(self).await
    }

    async fn comments(&self, change: u64) -> Result<Vec<Posted>, ApiError> {
        let posted = |n: gitlab::Note| Posted { id: n.id, node: String::new(), author: n.author.username, body: n.body.unwrap_or_default() };
        Ok(self.notes(change).await?.into_iter().map(posted).collect())
    }

    async fn create(&self, change: u64, body: &str) -> Result<(), ApiError> {
        Self::create(self, change, body).await
    }

    async fn update(&self, change: u64, id: u64, body: &str) -> Result<(), ApiError> {
        Self::update(self, change, id, body).await
    }

    async fn delete(&self, change: u64, id: u64) -> Result<(), ApiError> {
        Self::delete(self, change, id).await
    }

    async fn hide(&self, change: u64, comment: &Posted) -> Result<(), ApiError> {
        Self::delete(self, change, comment.id).await
    }

    async fn change_of(&self, commit: &str, _: Option<&Source>) -> Result<Option<u64>, ApiError> {
        let found = self.merge_requests_of(commit).await?;
        Ok(found.iter().find(|m| m.state == "opened" && m.sha.as_deref().is_none_or(|sha| sha == commit)).map(|m| m.iid))
    }

    async fn set_status(&self, commit: &str, status: &Status<'_>) -> Result<(), ApiError> {
        let state = if status.passed { "success" } else { "failed" };
        let mut body = json!({"state": state, "name": status.context, "description": status.description});
        link(&mut body, status.url);
        Self::set_status(self, commit, &body).await
    }

    async fn look(&self) -> Result<String, ApiError> {
        let (project, me) = (self.project().await?, Self::me(self).await?);
        let access = ["project_access", "group_access"].iter().filter_map(|kind| project["permissions"][kind]["access_level"].as_u64()).max();
        // https://docs.gitlab.com/api/access_requests/: 20 is Reporter.
        let rights = match access {
            Some(level @ 0..20) => format!("has access level {level} there, and needs 20 (Reporter) to comment"),
            Some(level) => format!("has access level {level} there"),
            None => "sees it".into(),
        };
        Ok(format!("{me} {rights} ({})", project["path_with_namespace"].as_str().unwrap_or("the project")))
    }

    fn limit(&self) -> usize {
        990_000
    }
}

fn link(body: &mut Json, url: Option<&str>) {
    if let Some(url) = url {
        body["target_url"] = json!(url);
    }
}
