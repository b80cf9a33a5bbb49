//! GitLab's API, as far as a note on a merge request needs it.

use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

#[derive(Debug, thiserror::Error)]
#[error("{method} {url}: {why}")]
pub struct GitLabError {
    pub method: Method,
    pub url: String,
    pub why: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Note {
    pub id: u64,
    pub body: String,
    pub author: Author,
    #[serde(default)]
    pub system: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Author {
    pub username: String,
}

/// The API of one project.
pub struct GitLab {
    client: Client,
    api: String,
    project: String,
    token: String,
}

impl GitLab {
    /// `api_url` is `CI_API_V4_URL`, taken as it is: GitLab may live under a sub-path.
    pub fn new(api_url: &str, project: &str, token: &str) -> Result<Self, GitLabError> {
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .user_agent(concat!("mlops-action/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| GitLabError { method: Method::GET, url: api_url.into(), why: e.to_string() })?;
        let project = url::form_urlencoded::byte_serialize(project.as_bytes()).collect();
        Ok(Self { client, api: api_url.trim_end_matches('/').into(), project, token: token.into() })
    }

    pub async fn me(&self) -> Result<String, GitLabError> {
        let (author, _) = self.send::<Author>(Method::GET, "/user", |r| r).await?;
        Ok(author.username)
    }

    /// Every note that a person or bot wrote, over all pages.
    pub async fn notes(&self, iid: u64) -> Result<Vec<Note>, GitLabError> {
        let mut all = Vec::new();
        let mut page = "1".to_owned();
        while !page.is_empty() {
            let query = [("per_page", "100"), ("sort", "asc"), ("order_by", "created_at"), ("page", &page)];
            let (found, next) = self.send::<Vec<Note>>(Method::GET, &self.notes_path(iid), |r| r.query(&query)).await?;
            all.extend(found.into_iter().filter(|note| !note.system));
            page = next;
        }
        Ok(all)
    }

    pub async fn create(&self, iid: u64, body: &str) -> Result<(), GitLabError> {
        let body = json!({"body": body});
        self.send::<Note>(Method::POST, &self.notes_path(iid), |r| r.json(&body)).await.map(drop)
    }

    pub async fn update(&self, iid: u64, id: u64, body: &str) -> Result<(), GitLabError> {
        let body = json!({"body": body});
        self.send::<Note>(Method::PUT, &format!("{}/{id}", self.notes_path(iid)), |r| r.json(&body)).await.map(drop)
    }

    fn notes_path(&self, iid: u64) -> String {
        format!("/projects/{}/merge_requests/{iid}/notes", self.project)
    }

    /// The answer, and the next page's number (empty: none).
    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<(T, String), GitLabError> {
        let url = format!("{}{path}", self.api);
        let fail = |why: String| GitLabError { method: method.clone(), url: url.clone(), why };
        let request = with(self.client.request(method.clone(), &url)).header("PRIVATE-TOKEN", &self.token);
        let response = request.send().await.map_err(|e| fail(e.without_url().to_string()))?;
        let status = response.status();
        let next = response.headers().get("x-next-page").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        if !status.is_success() {
            return Err(fail(format!("{status}{}", hint(status))));
        }
        let answer = response.json().await.map_err(|e| fail(e.without_url().to_string()))?;
        Ok((answer, next))
    }
}

fn hint(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "; the token is not valid",
        403 | 404 => "; the token needs scope `api` and at least the Reporter role in this project (missing rights show as 404)",
        _ => "",
    }
}
