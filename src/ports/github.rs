//! GitHub's API, as far as a guest of a workflow needs it: comments, check runs, statuses, and which pull request this is.

use async_trait::async_trait;
use octocrab::Octocrab;
use octocrab::service::middleware::retry::RetryConfig;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::api::{Answer, Api, ApiError, At, PAGES, Wire, client, kind_of_token, whole};

#[derive(Debug, Clone, Deserialize)]
pub struct Comment {
    pub id: u64,
    #[serde(default)]
    pub node_id: String,
    #[serde(default)]
    pub body: Option<String>,
    pub user: Option<User>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct User {
    pub login: String,
}

/// An open pull request, and where it comes from.
#[derive(Debug, Clone, Deserialize)]
pub struct Pull {
    pub number: u64,
    pub state: String,
    pub head: Head,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Head {
    pub sha: String,
    pub repo: Option<Repository>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Repository {
    pub full_name: String,
}

/// The API of one repository.
pub struct GitHub {
    api: Api<Octo>,
    graphql: String,
    repository: String,
}

/// Who `GITHUB_TOKEN` writes as, where it may not ask for its own name.
const ACTIONS_BOT: &str = "github-actions[bot]";
const PAGE: usize = 100;
/// Annotations a request; more come with another one.
pub const ANNOTATIONS: usize = 50;

struct Octo {
    client: Octocrab,
    token: &'static str,
}

#[async_trait]
impl Wire for Octo {
    async fn exchange(&self, method: &Method, url: &str, body: Option<&Json>) -> Result<Answer, String> {
        let said = |e: octocrab::Error| innermost(&e);
        let builder = http::Request::builder().method(method.clone()).uri(url);
        let request = self.client.build_request(builder, body).map_err(said)?;
        let (parts, body) = self.client.execute(request).await.map_err(said)?.into_parts();
        Ok(Answer { status: parts.status, headers: parts.headers, body: whole(body).await? })
    }

    fn remedy(&self, answer: &Answer) -> Option<String> {
        let needed = answer.header("x-accepted-github-permissions").map(|p| format!(" ({p})")).unwrap_or_default();
        Some(match answer.status.as_u16() {
            401 => format!("{} is not valid, or no longer", self.token),
            403 if answer.header("x-github-sso").is_some() => "authorise the token for the organisation's single sign-on".into(),
            403 => format!(
                "{} may not do this: give the job `permissions: pull-requests: write`{needed}; for a fork or Dependabot it stays read-only",
                self.token
            ),
            404 => format!("it is not there, or {} may not see it: `permissions: pull-requests: write`{needed}", self.token),
            410 => "the repository has its issues or this pull request closed to comments".into(),
            422 => "GitHub does not take the content; please report it".into(),
            _ => return None,
        })
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

impl GitHub {
    pub fn new(at: &At<'_>, graphql_url: Option<&str>) -> Result<Self, String> {
        // Addresses are whole here, and octocrab would put the path of an enterprise server in front of each.
        let origin = url::Url::parse(at.api).map_err(|e| format!("{}: {e}", at.api))?.origin().ascii_serialization();
        let client = Octocrab::builder()
            .personal_token(at.token.to_owned())
            .base_uri(origin)
            .map_err(|e| innermost(&e))?
            .add_retry_config(RetryConfig::None)
            .build_with_reqwest(client(at.ca)?)
            .map_err(|e| innermost(&e))?;
        let wire = Octo { client, token: kind_of_token(at.token) };
        Ok(Self { api: Api::new(wire, at)?, graphql: graphql(at.api, graphql_url), repository: at.project.into() })
    }

    pub async fn pause(&self) {
        self.api.rest().await;
    }

    /// The login that our comments carry.
    pub async fn me(&self) -> Result<String, ApiError> {
        match self.query("query { viewer { login } }", &json!({})).await {
            Ok(data) => Ok(data["viewer"]["login"].as_str().unwrap_or(ACTIONS_BOT).to_owned()),
            Err(e) if e.status.is_some_and(|status| status < 500) => Ok(ACTIONS_BOT.into()),
            Err(e) => Err(e),
        }
    }

    /// Every comment, over all pages, the oldest first.
    pub async fn comments(&self, number: u64) -> Result<Vec<Comment>, ApiError> {
        self.pages(&format!("issues/{number}/comments")).await
    }

    pub async fn create(&self, number: u64, body: &str) -> Result<(), ApiError> {
        self.api.call(Method::POST, &self.path(&format!("issues/{number}/comments")), Some(&json!({"body": body}))).await.map(drop)
    }

    pub async fn update(&self, id: u64, body: &str) -> Result<(), ApiError> {
        self.api.call(Method::PATCH, &self.path(&format!("issues/comments/{id}")), Some(&json!({"body": body}))).await.map(drop)
    }

    pub async fn delete(&self, id: u64) -> Result<(), ApiError> {
        self.api.call(Method::DELETE, &self.path(&format!("issues/comments/{id}")), None).await.map(drop)
    }

    /// Folded away as outdated.
    pub async fn minimize(&self, node_id: &str) -> Result<(), ApiError> {
        let mutation = "mutation($id: ID!) { minimizeComment(input: {subjectId: $id, classifier: OUTDATED}) { minimizedComment { isMinimized } } }";
        self.query(mutation, &json!({"id": node_id})).await.map(drop)
    }

    /// The open pull requests of a commit of this repository.
    pub async fn pulls_of(&self, sha: &str) -> Result<Vec<Pull>, ApiError> {
        self.pages(&format!("commits/{sha}/pulls")).await
    }

    /// The open pull requests from a branch, also of a fork: `owner:branch`.
    pub async fn pulls_from(&self, head: &str) -> Result<Vec<Pull>, ApiError> {
        let head: String = url::form_urlencoded::byte_serialize(head.as_bytes()).collect();
        self.pages(&format!("pulls?state=open&head={head}")).await
    }

    /// The id of the new check run.
    pub async fn create_check_run(&self, run: &Json) -> Result<u64, ApiError> {
        let created: Json = self.api.json(Method::POST, &self.path("check-runs"), Some(run)).await?;
        Ok(created["id"].as_u64().unwrap_or_default())
    }

    pub async fn update_check_run(&self, id: u64, change: &Json) -> Result<(), ApiError> {
        self.api.call(Method::PATCH, &self.path(&format!("check-runs/{id}")), Some(change)).await.map(drop)
    }

    pub async fn set_status(&self, sha: &str, status: &Json) -> Result<(), ApiError> {
        self.api.call(Method::POST, &self.path(&format!("statuses/{sha}")), Some(status)).await.map(drop)
    }

    /// What the token sees of it.
    pub async fn repository(&self) -> Result<Json, ApiError> {
        self.api.json(Method::GET, &format!("repos/{}", self.repository), None).await
    }

    fn path(&self, rest: &str) -> String {
        format!("repos/{}/{rest}", self.repository)
    }

    async fn pages<T: serde::de::DeserializeOwned>(&self, rest: &str) -> Result<Vec<T>, ApiError> {
        let mut all = Vec::new();
        for page in 1..=PAGES {
            let path = self.path(&format!("{rest}{}per_page={PAGE}&page={page}", if rest.contains('?') { '&' } else { '?' }));
            let answer = self.api.call(Method::GET, &path, None).await?;
            let found: Vec<T> = self.api.read(&Method::GET, &path, &answer)?;
            let more = answer.header("link").map_or(found.len() == PAGE, |link| link.contains("rel=\"next\""));
            all.extend(found);
            if !more {
                return Ok(all);
            }
        }
        Err(self.api.endless(&self.path(rest)))
    }

    async fn query(&self, query: &str, variables: &Json) -> Result<Json, ApiError> {
        let answer = self
            .api
            .call_url(Method::POST, &self.graphql, Some(&json!({"query": query, "variables": variables})), query.starts_with("mutation"))
            .await?;
        let said: Json = self.api.read(&Method::POST, "graphql", &answer)?;
        match said["errors"].as_array().filter(|errors| !errors.is_empty()) {
            None => Ok(said["data"].clone()),
            Some(errors) => {
                let why: Vec<&str> = errors.iter().filter_map(|e| e["message"].as_str()).collect();
                Err(ApiError::answered(&self.graphql, why.join(", ")))
            }
        }
    }
}

/// Beside the API: the token goes nowhere else, whatever a variable says.
fn graphql(api: &str, given: Option<&str>) -> String {
    let api = api.trim_end_matches('/');
    let origin = |url: &str| url::Url::parse(url).ok().map(|url| url.origin());
    match given.filter(|given| origin(given).is_some() && origin(given) == origin(api)) {
        Some(given) => given.to_owned(),
        None => format!("{}/graphql", api.strip_suffix("/v3").unwrap_or(api)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphql_lies_beside_the_api_and_nowhere_else() {
        assert_eq!(graphql("https://api.github.com", Some("https://api.github.com/graphql")), "https://api.github.com/graphql");
        assert_eq!(graphql("https://ghe.example/api/v3/", None), "https://ghe.example/api/graphql");
        assert_eq!(graphql("http://127.0.0.1:9", Some("https://api.github.com/graphql")), "http://127.0.0.1:9/graphql");
    }
}
