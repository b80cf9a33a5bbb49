//! GitHub and GitLab as one thing: a place where a change has comments.

use async_trait::async_trait;

use crate::ports::ci::{Ci, Host};
use crate::ports::github::GitHub;
use crate::ports::gitlab::GitLab;

/// A comment on a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Posted {
    pub(super) id: u64,
    pub(super) author: String,
    pub(super) body: String,
}

#[async_trait]
pub(super) trait Forge: Send + Sync {
    /// Who we write as.
    async fn me(&self) -> anyhow::Result<String>;
    /// Every comment, the oldest first.
    async fn comments(&self, change: u64) -> anyhow::Result<Vec<Posted>>;
    async fn create(&self, change: u64, body: &str) -> anyhow::Result<()>;
    async fn update(&self, change: u64, id: u64, body: &str) -> anyhow::Result<()>;
    /// Characters of a body at the most.
    fn limit(&self) -> usize;
}

/// The forge of this run. `Err` says what is missing.
pub(super) fn connect(ci: &Ci, token: Option<&str>) -> Result<Box<dyn Forge>, String> {
    let token = token.or(ci.token.as_deref()).filter(|t| !t.is_empty());
    let repository = ci.repository.as_deref().ok_or("the repository is not known")?;
    match ci.host {
        Host::GitHub => {
            let token = token.ok_or("there is no token: pass `token: ${{ github.token }}`")?;
            let api = ci.api_url.as_deref().unwrap_or("https://api.github.com");
            Ok(Box::new(GitHub::new(api, repository, token).map_err(|e| e.to_string())?))
        }
        Host::GitLab => {
            let missing = "set GITLAB_TOKEN to a project access token with scope `api` (masked, and not protected unless the branch is); \
                           the job token cannot write notes";
            let token = token.filter(|t| !(ci.token_is_job_token && Some(*t) == ci.token.as_deref())).ok_or(missing)?;
            let api = ci.api_url.as_deref().ok_or("CI_API_V4_URL is not set")?;
            Ok(Box::new(GitLab::new(api, repository, token).map_err(|e| e.to_string())?))
        }
        Host::Local => Err("this is no CI run".into()),
    }
}

#[async_trait]
impl Forge for GitHub {
    async fn me(&self) -> anyhow::Result<String> {
        Ok(Self::me(self).await?)
    }

    async fn comments(&self, change: u64) -> anyhow::Result<Vec<Posted>> {
        let posted = |c: crate::ports::github::Comment| Posted {
            id: c.id,
            author: c.user.map(|u| u.login).unwrap_or_default(),
            body: c.body.unwrap_or_default(),
        };
        Ok(Self::comments(self, change).await?.into_iter().map(posted).collect())
    }

    async fn create(&self, change: u64, body: &str) -> anyhow::Result<()> {
        Ok(Self::create(self, change, body).await?)
    }

    async fn update(&self, _: u64, id: u64, body: &str) -> anyhow::Result<()> {
        Ok(Self::update(self, id, body).await?)
    }

    fn limit(&self) -> usize {
        65_000
    }
}

#[async_trait]
impl Forge for GitLab {
    async fn me(&self) -> anyhow::Result<String> {
        Ok(Self::me(self).await?)
    }

    async fn comments(&self, change: u64) -> anyhow::Result<Vec<Posted>> {
        let posted = |n: crate::ports::gitlab::Note| Posted { id: n.id, author: n.author.username, body: n.body };
        Ok(self.notes(change).await?.into_iter().map(posted).collect())
    }

    async fn create(&self, change: u64, body: &str) -> anyhow::Result<()> {
        Ok(Self::create(self, change, body).await?)
    }

    async fn update(&self, change: u64, id: u64, body: &str) -> anyhow::Result<()> {
        Ok(Self::update(self, change, id, body).await?)
    }

    fn limit(&self) -> usize {
        990_000
    }
}
