//! GitLab's API, as far as a guest of a pipeline needs it: notes, statuses, and which merge request this is.

use async_trait::async_trait;
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::api::{Answer, Api, ApiError, At, PAGES, Wire, client, kind_of_token, whole};
use super::client::said;

#[derive(Debug, Clone, Deserialize)]
pub struct Note {
    pub id: u64,
    #[serde(default)]
    pub body: Option<String>,
    pub author: Author,
    #[serde(default)]
    pub system: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Author {
    pub username: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MergeRequest {
    pub iid: u64,
    pub state: String,
    #[serde(default)]
    pub sha: Option<String>,
}

/// The API of one project.
pub struct GitLab {
    api: Api<Plain>,
    project: String,
}

struct Plain {
    client: Client,
    token: String,
}

#[async_trait]
impl Wire for Plain {
    async fn exchange(&self, method: &Method, url: &str, body: Option<&Json>) -> Result<Answer, String> {
        let request = self.client.request(method.clone(), url).header("PRIVATE-TOKEN", &self.token);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let response = request.send().await.map_err(said)?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Answer { status, headers, body: whole(reqwest::Body::from(response)).await? })
    }

    fn remedy(&self, answer: &Answer) -> Option<String> {
        let kind = kind_of_token(&self.token);
        Some(match answer.status.as_u16() {
            401 => format!("{kind} is not valid, or has expired"),
            403 | 404 => format!("{kind} needs the scope `api` and at least the Reporter role in this project (missing rights show as 404)"),
            400 | 422 => "GitLab does not take the content; please report it".into(),
            _ => return None,
        })
    }
}

impl GitLab {
    pub fn new(at: &At<'_>) -> Result<Self, String> {
        let wire = Plain { client: client(at.ca)?, token: at.token.into() };
        let api = Api::new(wire, at)?;
        Ok(Self { api, project: url::form_urlencoded::byte_serialize(at.project.as_bytes()).collect() })
    }

    pub async fn pause(&self) {
        self.api.rest().await;
    }

    pub async fn me(&self) -> Result<String, ApiError> {
        Ok(self.api.json::<Author>(Method::GET, "user", None).await?.username)
    }

    /// Every note that a person or bot wrote, over all pages, the oldest first.
    pub async fn notes(&self, iid: u64) -> Result<Vec<Note>, ApiError> {
        let mut notes: Vec<Note> = self.pages(&format!("merge_requests/{iid}/notes?sort=asc&order_by=created_at")).await?;
        notes.retain(|note| !note.system);
        Ok(notes)
    }

    pub async fn create(&self, iid: u64, body: &str) -> Result<(), ApiError> {
        self.api.call(Method::POST, &self.path(&format!("merge_requests/{iid}/notes")), Some(&json!({"body": body}))).await.map(drop)
    }

    pub async fn update(&self, iid: u64, id: u64, body: &str) -> Result<(), ApiError> {
        self.api.call(Method::PUT, &self.path(&format!("merge_requests/{iid}/notes/{id}")), Some(&json!({"body": body}))).await.map(drop)
    }

    pub async fn delete(&self, iid: u64, id: u64) -> Result<(), ApiError> {
        self.api.call(Method::DELETE, &self.path(&format!("merge_requests/{iid}/notes/{id}")), None).await.map(drop)
    }

    /// The merge requests that a commit of a branch pipeline belongs to.
    pub async fn merge_requests_of(&self, sha: &str) -> Result<Vec<MergeRequest>, ApiError> {
        self.pages(&format!("repository/commits/{sha}/merge_requests")).await
    }

    pub async fn set_status(&self, sha: &str, status: &Json) -> Result<(), ApiError> {
        match self.api.call(Method::POST, &self.path(&format!("statuses/{sha}")), Some(status)).await {
            // The state that it has already.
            Err(e) if e.status == Some(400) && e.why.contains("Cannot transition status") => Ok(()),
            other => other.map(drop),
        }
    }

    pub async fn project(&self) -> Result<Json, ApiError> {
        self.api.json(Method::GET, &format!("projects/{}", self.project), None).await
    }

    fn path(&self, rest: &str) -> String {
        format!("projects/{}/{rest}", self.project)
    }

    async fn pages<T: serde::de::DeserializeOwned>(&self, rest: &str) -> Result<Vec<T>, ApiError> {
        let (mut all, mut page) = (Vec::new(), "1".to_owned());
        for _ in 0..PAGES {
            if page.is_empty() {
                return Ok(all);
            }
            let path = self.path(&format!("{rest}{}per_page=100&page={page}", if rest.contains('?') { '&' } else { '?' }));
            let answer = self.api.call(Method::GET, &path, None).await?;
            all.extend(self.api.read::<Vec<T>>(&Method::GET, &path, &answer)?);
            answer.header("x-next-page").unwrap_or_default().trim().clone_into(&mut page);
        }
        Err(self.api.endless(&self.path(rest)))
    }
}
