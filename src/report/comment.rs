use anyhow::bail;
use async_trait::async_trait;
use schemars::JsonSchema;

use super::forge::{Forge, Posted, connect, token};
use super::markdown::Page;
use super::marker::Marker;
use super::{CommentPolicy, Delivery, Sink};
use crate::catalogue::Named;
use crate::outcome::RunReport;
use crate::ports::api::ApiError;
use crate::ports::ci::{Ci, Host};

/// One comment on the pull or merge request, updated by every run.
///
/// It is found again by a hidden marker and its author, over all pages; a run that is older than the comment leaves it
/// alone, and of comments that racing jobs made only one stays. What cannot be posted (a fork's token, a limit, an
/// outage) is a warning with the reason and the remedy; the verdict does not change.
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
        let known = to.pr_number.or(to.ci.change.as_ref().map(|change| change.number));
        if known.is_none() && !worth_asking(to) {
            return Ok(None);
        }
        let delivered = deliver(report, to, known).await;
        match delivered {
            Err(error) if to.ci.change.as_ref().is_some_and(|change| change.from_fork) => Err(error.context(
                "the change comes from a fork, whose jobs get no secret and may only read: docs/ci.md has a second workflow that comments for them",
            )),
            other => other,
        }
    }
}

/// Whether the host should be asked which change a commit belongs to.
fn worth_asking(to: &Delivery<'_>) -> bool {
    let branch_of_gitlab = to.ci.host == Host::GitLab && token(to.ci, to.hosting.token).is_ok();
    to.comment == CommentPolicy::Always || to.ci.source.is_some() || branch_of_gitlab
}

async fn deliver(report: &RunReport, to: &Delivery<'_>, known: Option<u64>) -> anyhow::Result<Option<String>> {
    let forge = connect(to.ci, &to.hosting).map_err(anyhow::Error::msg)?;
    let change = match known {
        Some(number) => Some(number),
        None => found(forge.as_ref(), to.ci).await?,
    };
    let Some(change) = change else {
        if to.comment == CommentPolicy::Always {
            bail!("there is no open {} of this commit to comment on", to.ci.change_word());
        }
        return Ok(None);
    };
    let key = Marker::key(&report.project, report.environment.as_deref(), to.comment_key);
    let marker = Marker::new(key, to.ci.stamp, report);
    let first = marker.to_string();
    let page = Page { marker: Some(&first), run_url: to.ci.run_url.as_deref(), passed: false, limit: forge.limit() };
    let body = page.render(report, to.templates)?;
    Thread { forge: forge.as_ref(), change, recreate: to.recreate_comment }.post(&marker, &body).await.map(Some)
}

async fn found(forge: &dyn Forge, ci: &Ci) -> anyhow::Result<Option<u64>> {
    let Some(commit) = &ci.commit else { return Ok(None) };
    Ok(forge.change_of(commit, ci.source.as_ref()).await?)
}

/// The comments of one change.
struct Thread<'a> {
    forge: &'a dyn Forge,
    change: u64,
    recreate: bool,
}

/// Looks after a write, while there is something to mend.
const ROUNDS: usize = 5;

/// A comment of ours.
type Ours = (Posted, Marker);

impl Thread<'_> {
    async fn post(&self, marker: &Marker, body: &str) -> anyhow::Result<String> {
        let ours = self.ours(marker).await?;
        if let Some((_, newer)) = ours.iter().find(|(_, m)| m.is_newer_than(marker)) {
            return Ok(format!("comment left alone: run {} is newer", newer.run()));
        }
        let done = match ours.first() {
            None => {
                self.forge.create(self.change, body).await?;
                "posted"
            }
            Some((posted, _)) if same(&posted.body, body) && ours.len() == 1 => return Ok("comment unchanged".into()),
            // Whoever follows the change hears of it again, unless nothing but the time is new.
            Some((_, before)) if self.recreate && !before.says_what(marker) => {
                self.forge.create(self.change, body).await?;
                "posted anew"
            }
            Some((posted, _)) => {
                self.forge.update(self.change, posted.id, body).await?;
                "updated"
            }
        };
        self.settle(marker, body).await?;
        Ok(format!("comment {done}"))
    }

    /// Another job may have written at the same time: the newest text stays, in one comment. Every job does the same, so it
    /// does not matter who comes first.
    async fn settle(&self, marker: &Marker, body: &str) -> anyhow::Result<()> {
        for _ in 0..ROUNDS {
            // Long enough for what was on its way when we wrote; and nothing waits between a look and the write that follows.
            self.forge.pause().await;
            if self.settled(marker, body).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether nothing was left to do.
    async fn settled(&self, marker: &Marker, body: &str) -> anyhow::Result<bool> {
        let mut ours = self.ours(marker).await?;
        // Taken away by somebody, or not listed yet: another one could be one too many.
        let Some(newest) = (0..ours.len()).max_by_key(|i| (ours[*i].1.stamp, ours[*i].0.id)) else { return Ok(true) };
        if marker.is_newer_than(&ours[newest].1) {
            // An older run has written over us.
            gone_is_fine(self.forge.update(self.change, ours[newest].0.id, body).await)?;
            return Ok(false);
        }
        let alone = ours.len() == 1;
        let keep = if self.recreate { newest } else { 0 };
        if keep != newest {
            let body = ours[newest].0.body.clone();
            gone_is_fine(self.forge.update(self.change, ours[keep].0.id, &body).await)?;
        }
        ours.remove(keep);
        for (other, mark) in ours {
            if !self.recreate {
                gone_is_fine(self.forge.delete(self.change, other.id).await)?;
                continue;
            }
            // Without its marker it is no comment of ours any more.
            let outdated = other.body.replacen(&mark.to_string(), "<!-- mlops-action: outdated -->", 1);
            gone_is_fine(self.forge.update(self.change, other.id, &outdated).await)?;
            gone_is_fine(self.forge.hide(self.change, &other).await)?;
        }
        Ok(alone)
    }

    /// With the same key and by ourselves, the oldest first: anyone may have planted a marker.
    async fn ours(&self, marker: &Marker) -> anyhow::Result<Vec<Ours>> {
        let comments = self.forge.comments(self.change).await?;
        let marked: Vec<Ours> = comments.into_iter().filter_map(|c| Marker::read(&c.body).filter(|m| m.key == marker.key).map(|m| (c, m))).collect();
        if marked.is_empty() {
            return Ok(marked);
        }
        let me = self.forge.me().await?;
        let mut ours: Vec<Ours> = marked.into_iter().filter(|(c, _)| c.author == me).collect();
        ours.sort_by_key(|(c, _)| c.id);
        Ok(ours)
    }
}

/// GitLab takes blanks away at the ends.
fn same(a: &str, b: &str) -> bool {
    a.trim() == b.trim()
}

/// What another job has taken away already.
fn gone_is_fine(result: Result<(), ApiError>) -> Result<(), ApiError> {
    match result {
        Err(error) if error.status == Some(404) => Ok(()),
        other => other,
    }
}
