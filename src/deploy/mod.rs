//! Kubernetes objects from typed values, through the templates.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::render::{RenderError, Templates};

/// The deploy stage's objects: a Deployment and a Service.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The name of the Deployment and the Service.
    pub name: String,
    /// The namespace of both.
    #[serde(default = "default_namespace")]
    pub namespace: String,
    /// The image, by digest where it must be the one that was tested.
    pub image: String,
    /// The port on which the container answers.
    #[serde(default = "default_port")]
    pub port: u16,
    #[serde(default)]
    pub scale: Scale,
    #[serde(default)]
    pub probes: Probes,
    #[serde(default)]
    pub resources: Resources,
    /// Plain environment variables. Secrets go to `secrets`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Environment variables from Kubernetes secrets.
    #[serde(default)]
    pub secrets: Vec<SecretRef>,
}

fn default_namespace() -> String {
    "default".into()
}

fn default_port() -> u16 {
    8080
}

/// How many pods run.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// Pods at the least. Default: 2.
    pub min: u32,
}

impl Default for Scale {
    fn default() -> Self {
        Self { min: 2 }
    }
}

/// Where the container says how it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probes {
    /// Ready to serve. Default: /readyz.
    pub ready: String,
    /// Alive. Default: /healthz.
    pub live: String,
}

impl Default for Probes {
    fn default() -> Self {
        Self { ready: "/readyz".into(), live: "/healthz".into() }
    }
}

/// Requests, and limits behind a slash: `250m/1`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Resources {
    /// Processor: `250m`, or `250m/1` with a limit.
    pub cpu: String,
    /// Memory: `512Mi` is request and limit, `256Mi/1Gi` sets them apart.
    pub memory: String,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu: "250m".into(), memory: "512Mi".into() }
    }
}

/// One key of a Kubernetes secret as an environment variable.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// The variable's name.
    pub name: String,
    /// The secret's name.
    pub secret: String,
    /// The key in the secret.
    pub key: String,
}

/// What the model is, for labels and annotations.
#[derive(Debug, Clone, Default)]
pub struct Release {
    pub model: Option<String>,
    pub version: Option<String>,
    pub commit: Option<String>,
}

impl Deploy {
    /// Names that Kubernetes would refuse.
    pub fn mistake(&self) -> Option<String> {
        for (key, name) in [("name", &self.name), ("namespace", &self.namespace)] {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            let edges = name.starts_with(|c: char| c.is_ascii_lowercase()) && !name.ends_with('-');
            if !edges || name.len() > 63 || !name.chars().all(fits) {
                return Some(format!("`{key}: {name}` is no Kubernetes name (lower-case letters, digits and `-`, a letter first, 63 at most)"));
            }
        }
        if self.image.trim().is_empty() || self.image.contains(char::is_whitespace) {
            return Some("`image` names no image".into());
        }
        if self.scale.min == 0 {
            return Some("`scale.min: 0` would deploy nothing".into());
        }
        if self.port == 0 {
            return Some("`port: 0` is no port".into());
        }
        let paths = [("ready", &self.probes.ready), ("live", &self.probes.live)];
        if let Some((key, path)) = paths.into_iter().find(|(_, path)| !path.starts_with('/') || path.contains(char::is_whitespace)) {
            return Some(format!("`probes.{key}: {path}` is no path such as /healthz"));
        }
        let quantities = [("cpu", &self.resources.cpu), ("memory", &self.resources.memory)];
        if let Some((key, text)) = quantities.into_iter().find(|(_, text)| !text.split('/').all(is_quantity) || text.matches('/').count() > 1) {
            return Some(format!("`resources.{key}: {text}` is no quantity such as 250m or 512Mi, nor two of them with a slash"));
        }
        self.env_mistake()
    }

    fn env_mistake(&self) -> Option<String> {
        let names: Vec<&String> = self.env.keys().chain(self.secrets.iter().map(|s| &s.name)).collect();
        let fits = |name: &str| {
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            !name.is_empty() && name.chars().all(letters) && !name.starts_with(|c: char| c.is_ascii_digit())
        };
        if let Some(name) = names.iter().find(|name| !fits(name)) {
            return Some(format!("`{name}` is no name of an environment variable"));
        }
        if let Some((_, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Some(format!("the environment variable `{name}` is set twice"));
        }
        let wrong = self.secrets.iter().find(|s| !is_object_name(&s.secret) || s.key.is_empty() || s.key.contains(char::is_whitespace));
        wrong.map(|s| format!("`{}/{}` is no key of a Kubernetes secret", s.secret, s.key))
    }

    /// `(file, content)`, in the order in which they are applied.
    pub fn manifests(&self, release: &Release, templates: &Templates) -> Result<Vec<(String, String)>, RenderError> {
        let selector = json!({"app.kubernetes.io/name": self.name});
        let mut labels = json!({"app.kubernetes.io/name": self.name, "app.kubernetes.io/managed-by": "mlops-action"});
        let mut annotations = Map::new();
        if let Some(version) = &release.version {
            labels["app.kubernetes.io/version"] = json!(label(version));
        }
        for (key, value) in [("model", &release.model), ("version", &release.version), ("commit", &release.commit)] {
            if let Some(value) = value {
                annotations.insert(format!("mlops-action/{key}"), json!(value));
            }
        }
        let data = json!({
            "name": self.name, "namespace": self.namespace, "image": self.image, "port": self.port,
            "replicas": self.scale.min, "labels": labels, "selector": selector, "annotations": annotations,
            "env": self.env_vars(), "resources": self.resources.object(), "ready": self.probes.ready, "live": self.probes.live,
        });
        let mut files = Vec::new();
        for kind in ["deployment", "service"] {
            files.push((format!("manifests/{kind}.yaml"), templates.render(&format!("{kind}.yaml"), &data)?));
        }
        let resources: Vec<&String> = files.iter().map(|(file, _)| file).collect();
        let kustomization = templates.render("kustomization.yaml", &json!({"resources": resources}))?;
        files.push(("kustomization.yaml".into(), kustomization));
        Ok(files)
    }

    fn env_vars(&self) -> Vec<Json> {
        let plain = self.env.iter().map(|(name, value)| json!({"name": name, "value": value}));
        let secret = |s: &SecretRef| json!({"name": s.name, "valueFrom": {"secretKeyRef": {"name": s.secret, "key": s.key}}});
        plain.chain(self.secrets.iter().map(secret)).collect()
    }
}

impl Resources {
    fn object(&self) -> Json {
        let split = |text: &str| text.split_once('/').map_or((text.to_owned(), None), |(r, l)| (r.to_owned(), Some(l.to_owned())));
        let (cpu, cpu_limit) = split(&self.cpu);
        let (memory, memory_limit) = split(&self.memory);
        let mut limits = Map::new();
        if let Some(limit) = cpu_limit {
            limits.insert("cpu".into(), json!(limit));
        }
        // Memory cannot be throttled: without a limit of its own the request is one.
        limits.insert("memory".into(), json!(memory_limit.unwrap_or_else(|| memory.clone())));
        json!({"requests": {"cpu": cpu, "memory": memory}, "limits": limits})
    }
}

/// Kubernetes' quantities: a number, and a suffix of ten or two to some power.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - digits.len()];
    number.parse::<f64>().is_ok_and(|n| n > 0.0) && ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&digits)
}

/// A DNS subdomain, as names of most objects are.
fn is_object_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.len() <= 253 && text.chars().all(fits) && edge(text.chars().next()) && edge(text.chars().last())
}

/// A label's value: 63 letters, digits, `.`, `_` and `-`, with a letter or digit at both ends.
fn label(text: &str) -> String {
    let safe: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' }).take(63).collect();
    safe.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deploy(more: &str) -> Deploy {
        serde_json::from_str(&format!(r#"{{"name": "delay", "image": "r/x@sha256:0"{more}}}"#)).expect("settings")
    }

    #[test]
    fn texts_that_yaml_would_read_as_something_else_stay_texts() {
        let deploy = deploy(r#", "env": {"COUNTRY": "NO", "PORT": "8080", "TEXT": "a: b # c\n\"d\""}"#);
        let release = Release { version: Some("1e5".into()), ..Release::default() };
        let files = deploy.manifests(&release, &Templates::default()).expect("files");
        // Read back by a parser that is not the one the project reads its own files with.
        let deployment: serde_yaml::Value = serde_yaml::from_str(&files[0].1).expect("yaml");
        let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
        let values: Vec<_> = (0..3).map(|i| env[i]["value"].as_str().expect("text")).collect();
        assert_eq!(values, ["NO", "8080", "a: b # c\n\"d\""]);
        assert_eq!(deployment["metadata"]["labels"]["app.kubernetes.io/version"].as_str(), Some("1e5"));
        assert_eq!(deployment["spec"]["selector"]["matchLabels"].as_mapping().map(serde_yaml::Mapping::len), Some(1));
    }

    #[test]
    fn names_that_kubernetes_refuses_are_mistakes() {
        for wrong in ["Delay", "1delay", "delay-", "a_b", "", &"x".repeat(64)] {
            let deploy = Deploy { name: wrong.to_owned(), ..deploy("") };
            assert!(deploy.mistake().is_some(), "{wrong}");
        }
        for more in [
            r#", "port": 0"#,
            r#", "resources": {"cpu": "lots"}"#,
            r#", "resources": {"memory": ""}"#,
            r#", "probes": {"ready": "a b"}"#,
            r#", "env": {"F G": "x"}"#,
            r#", "env": {"A": "x"}, "secrets": [{"name": "A", "secret": "s", "key": "k"}]"#,
            r#", "secrets": [{"name": "A", "secret": "X Y", "key": "k"}]"#,
        ] {
            assert!(deploy(more).mistake().is_some(), "{more}");
        }
        assert_eq!(deploy(r#", "resources": {"cpu": "250m/1.5", "memory": "512Mi"}"#).mistake(), None);
    }

    #[test]
    fn requests_and_limits() {
        let resources = Resources { cpu: "250m/1".into(), memory: "512Mi".into() };
        assert_eq!(resources.object(), json!({"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}));
    }
}
