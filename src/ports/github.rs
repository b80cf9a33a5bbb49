//! GitHub's API, as far as a comment on a pull request needs it.

use std::time::Duration;

use octocrab::Octocrab;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug, thiserror::Error)]
#[error("{method} {path}: {why}")]
pub struct GitHubError {
    pub method: &'static str,
    pub path: String,
    pub status: Option<u16>,
    pub why: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    pub id: u64,
    #[serde(default)]
    pub body: Option<String>,
    pub user: Option<User>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub login: String,
}

/// The API of one repository.
pub struct GitHub {
    client: Octocrab,
    repository: String,
}

/// Who `GITHUB_TOKEN` writes as; it may not ask for its own name.
const ACTIONS_BOT: &str = "github-actions[bot]";
const PAGE: usize = 100;

impl GitHub {
    pub fn new(api_url: &str, repository: &str, token: &str) -> Result<Self, GitHubError> {
        let fail = |why: String| GitHubError { method: "GET", path: api_url.into(), status: None, why };
        let client = Octocrab::builder()
            .base_uri(api_url)
            .map_err(|e| fail(e.to_string()))?
            .personal_token(token.to_owned())
            .set_connect_timeout(Some(Duration::from_secs(10)))
            .set_read_timeout(Some(Duration::from_secs(30)))
            .build()
            .map_err(|e| fail(e.to_string()))?;
        Ok(Self { client, repository: repository.into() })
    }

    pub async fn me(&self) -> Result<String, GitHubError> {
        match self.client.get::<User, _, ()>("/user", None).await.map_err(|e| error("GET", "/user", &e)) {
            Ok(user) => Ok(user.login),
            Err(e) if matches!(e.status, Some(401 | 403 | 404)) => Ok(ACTIONS_BOT.into()),
            Err(e) => Err(e),
        }
    }

    /// Every comment, over all pages.
    pub async fn comments(&self, number: u64) -> Result<Vec<Comment>, GitHubError> {
        let mut all = Vec::new();
        for page in 1.. {
            let path = format!("/repos/{}/issues/{number}/comments?per_page={PAGE}&page={page}", self.repository);
            let found: Vec<Comment> = self.client.get(&path, None::<&()>).await.map_err(|e| error("GET", &path, &e))?;
            let last = found.len() < PAGE;
            all.extend(found);
            if last {
                break;
            }
        }
        Ok(all)
    }

    pub async fn create(&self, number: u64, body: &str) -> Result<(), GitHubError> {
        let path = format!("/repos/{}/issues/{number}/comments", self.repository);
        let _: Comment = self.client.post(&path, Some(&json!({"body": body}))).await.map_err(|e| error("POST", &path, &e))?;
        Ok(())
    }

    pub async fn update(&self, id: u64, body: &str) -> Result<(), GitHubError> {
        let path = format!("/repos/{}/issues/comments/{id}", self.repository);
        let _: Comment = self.client.patch(&path, Some(&json!({"body": body}))).await.map_err(|e| error("PATCH", &path, &e))?;
        Ok(())
    }
}

fn error(method: &'static str, path: &str, source: &octocrab::Error) -> GitHubError {
    let (status, why) = match source {
        octocrab::Error::GitHub { source, .. } => (Some(source.status_code.as_u16()), format!("{} {}", source.status_code, source.message)),
        other => {
            let inner = std::error::Error::source(other).map(|e| format!(": {e}")).unwrap_or_default();
            (None, format!("{other}{inner}"))
        }
    };
    let hint = match status {
        Some(401) => "; the token is not valid",
        Some(403 | 404) => "; the token needs `permissions: pull-requests: write`, which a fork or Dependabot never gets",
        _ => "",
    };
    GitHubError { method, path: path.into(), status, why: format!("{why}{hint}") }
}
