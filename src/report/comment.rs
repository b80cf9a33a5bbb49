use anyhow::bail;
use async_trait::async_trait;
use schemars::JsonSchema;

use super::forge::{Forge, connect};
use super::markdown::Page;
use super::{CommentPolicy, Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::RunReport;
use crate::ports::ci::Host;

/// One comment on the pull or merge request, updated by every run.
///
/// It is found again by a hidden marker and its author, over all pages. What cannot be posted (a fork's token, a
/// limit, an outage) is a warning with the reason; the verdict does not change.
#[derive(Debug, Default, JsonSchema)]
pub(super) struct Comment {}

impl Named for Comment {
    const NAME: &'static str = "comment";
}

#[async_trait]
impl Sink for Comment {
    async fn deliver(&self, report: &RunReport, to: &Delivery<'_>) -> anyhow::Result<Option<String>> {
        if to.comment == CommentPolicy::Never || to.ci.host == Host::Local {
            return Ok(None);
        }
        let Some(change) = &to.ci.change else {
            if to.comment == CommentPolicy::Always {
                bail!("there is no pull or merge request to comment on");
            }
            return Ok(None);
        };
        let forge = match connect(to.ci, to.token) {
            Ok(forge) => forge,
            Err(why) if change.from_fork => bail!("{why} (a change from a fork gets no secret)"),
            Err(why) => bail!(why),
        };
        let marker = marker(report);
        let page = Page { marker: Some(&marker), run_url: to.ci.run_url.as_deref(), passed: false, limit: forge.limit() };
        post(forge.as_ref(), change.number, &marker, &page.render(report)?).await.map(Some)
    }
}

/// One comment a project and environment.
fn marker(report: &RunReport) -> String {
    let key = format!("{}/{}", report.project, report.environment.as_deref().unwrap_or_default());
    // Two hyphens would end an HTML comment.
    format!("<!-- mlops-action {} -->", key.replace("--", "- -").replace(['<', '>', '\n'], " "))
}

async fn post(forge: &dyn Forge, change: u64, marker: &str, body: &str) -> anyhow::Result<String> {
    let comments = forge.comments(change).await?;
    let marked: Vec<_> = comments.iter().filter(|c| c.body.starts_with(marker)).collect();
    // Only who finds a marker needs to know its own name: anyone may have planted it.
    let me = if marked.is_empty() { String::new() } else { forge.me().await? };
    match marked.into_iter().find(|c| c.author == me) {
        Some(comment) if comment.body.trim() == body.trim() => Ok("comment unchanged".into()),
        Some(comment) => forge.update(change, comment.id, body).await.map(|()| "comment updated".into()),
        None => forge.create(change, body).await.map(|()| "comment posted".into()),
    }
}
