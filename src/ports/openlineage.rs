//! Where events of `OpenLineage` are collected, by the names of its own clients: `OPENLINEAGE_URL`, `OPENLINEAGE_ENDPOINT`,
//! `OPENLINEAGE_API_KEY`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

pub struct Collector {
    client: reqwest::Client,
    url: String,
    key: Option<String>,
}

const PATIENCE: Duration = Duration::from_secs(5);

impl Collector {
    /// Nothing where none is named.
    pub fn named(env: &BTreeMap<String, String>) -> Option<Result<Self, String>> {
        let get = |name: &str| env.get(name).filter(|value| !value.is_empty());
        let base = get("OPENLINEAGE_URL")?;
        let endpoint = get("OPENLINEAGE_ENDPOINT").map_or("api/v1/lineage", String::as_str);
        let url = format!("{}/{}", base.trim_end_matches('/'), endpoint.trim_start_matches('/'));
        let client = reqwest::Client::builder().timeout(PATIENCE).build();
        Some(client.map(|client| Self { client, url, key: get("OPENLINEAGE_API_KEY").cloned() }).map_err(|e| e.to_string()))
    }

    pub async fn send(&self, event: &Value) -> Result<(), String> {
        let mut request = self.client.post(&self.url).json(event);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let answer = request.send().await.map_err(|e| e.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answers {}", answer.status())) }
    }
}
