use anyhow::{Context, bail};
use async_trait::async_trait;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Done, Env, Stage, StageType};
use crate::deploy::{Deploy, Release};
use crate::mistakes::Mistakes;
use crate::node::Node;
use crate::outcome::{Outcome, StageReport, Status, Table};

/// Writes the Kubernetes manifests of the deploy stage: a Deployment, a Service and a kustomization.
///
/// A manifest that would hold a secret in clear is refused.
#[derive(Debug, JsonSchema)]
pub(super) struct Manifests {
    #[schemars(skip)]
    deploy: Deploy,
}

impl StageType for Manifests {
    const NAME: &'static str = "manifests";
    const SECTION: &'static str = "deploy";
    const NEEDS: &'static [&'static str] =
        &["connect", "migrate", "seed", "check", "vitals", "snapshot", "evaluate", "endpoint", "register", "promote"];
    const DATABASE: bool = false;

    fn build(node: &Node, _: &str, mistakes: &mut Mistakes) -> Option<Self> {
        let deploy: Deploy = node.decode(mistakes)?;
        if let Some(why) = deploy.mistake() {
            mistakes.add(node.place, format!("deploy: {why}"));
        }
        Some(Self { deploy })
    }

    fn schema(generator: &mut SchemaGenerator) -> Schema {
        Deploy::json_schema(generator)
    }
}

#[async_trait]
impl Stage for Manifests {
    fn describe(&self) -> Vec<String> {
        vec![format!("write the Deployment and Service {}/{} with {}", self.deploy.namespace, self.deploy.name, self.deploy.image)]
    }

    async fn run(&self, env: &Env, _: &[StageReport]) -> anyhow::Result<Done> {
        let registered = env.facts().registered;
        let (model, version) = registered.map(|v| (v.model, v.version.to_string())).unzip();
        let release = Release { model, version, commit: env.ci.commit.clone() };
        let files = self.deploy.manifests(&release, &env.templates)?;
        for (file, content) in &files {
            serde_saphyr::from_str::<Node>(content).with_context(|| format!("{file} is no valid YAML"))?;
            if env.mask.needles().iter().any(|secret| content.contains(secret.as_str())) {
                bail!("{file} would hold a secret in clear: move it from `deploy.env` to `deploy.secrets`; nothing was written");
            }
        }
        let (mut outcomes, mut artifacts, mut changed) = (Vec::new(), Vec::new(), 0);
        let place = format!("{}/{}", self.deploy.namespace, self.deploy.name);
        let model = release.model.iter().zip(&release.version).map(|(model, version)| format!("{model} version {version}")).next();
        let mut rows = vec![vec!["image".to_owned(), self.deploy.image.clone()]];
        rows.extend(model.map(|model| vec!["model".to_owned(), model]));
        for (file, content) in files {
            let path = format!("{}/deploy/{file}", env.out);
            let new = env.workspace.write(&path, content.as_bytes())?;
            changed += usize::from(new);
            let note = if new { "written" } else { "unchanged" };
            rows.push(vec![file.clone(), note.to_owned()]);
            outcomes.push(Outcome::new(file, "write", Status::Passed, format!("{path} {note}")));
            artifacts.push(path);
        }
        let summary = format!("{} files in {}/deploy, {changed} changed", artifacts.len(), env.out);
        let table = Some(Table { title: "Deploy".into(), columns: vec!["what".into(), place], rows });
        Ok(Done { artifacts, table, ..Done::new(outcomes, summary) })
    }
}
