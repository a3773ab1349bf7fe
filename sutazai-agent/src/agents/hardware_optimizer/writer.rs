//! Writer of recommendations: has the model write a text for each finding as far as permitted, and falls back to the
//! authored text.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;
use sutazai_core::domain::{
    CheckedText, Grounding, ModelPermission, ModelPermissions, ModelUse, RefusedAttempt,
};
use sutazai_core::ports::{AgentContext, ModelBackend};
use sutazai_core::{Error, Result};

use super::author::{Accepted, Author};
use super::composition::Composition;
use super::prompt;
use super::rejection::Rejection;
use super::rules::Found;
use super::summary;

/// Maximum number of concurrent texts; a backend that batches reads its weights once for all of them.
const MAX_CONCURRENT_TEXTS: usize = 4;

/// Time limit of all texts together; the worst findings come first.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(25);

/// Maximum attempts at a text before the authored one is used.
const MAX_ATTEMPTS: u32 = 2;

/// Last stage of an analysis, as its progress events name it.
pub(super) const WRITING: &str = "writing";

/// Share of an analysis that is done when the rules have been run and writing begins.
pub(super) const JUDGED_SHARE: f32 = 0.2;

/// Texts of all findings, with their origin.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// One text for each finding, in the same order.
    pub(super) texts: Vec<String>,
    /// One-line summary over all findings.
    pub(super) summary: String,
    pub(super) grounding: Grounding,
    pub(super) model: Option<ModelUse>,
    /// Reason why no model took part, or not in all texts.
    pub(super) degraded: Option<String>,
}

/// Model's attempts at the text of one finding.
#[derive(Debug, Default)]
struct Draft {
    accepted: Option<Accepted>,
    refused: Vec<Rejection>,
}

/// Model's results for all findings.
#[derive(Debug, Default)]
struct Drafts {
    permission: Option<ModelPermission>,
    permissions: Vec<ModelPermission>,
    texts: Vec<Draft>,
    summary: Option<String>,
    refused_summary: Option<Rejection>,
    model: Option<ModelUse>,
    degraded: Option<String>,
}

/// Returns whether a task with this payload uses a model.
pub(super) fn uses_model(payload: &Value) -> bool {
    payload.get("use_model").and_then(Value::as_bool).unwrap_or(true)
}

/// Writes a text for each finding.
///
/// # Errors
/// `Cancelled` once the context is cancelled.
pub(super) async fn write(context: &AgentContext, found: &[Found]) -> Result<Written> {
    let wanted = uses_model(&context.task.payload);
    let drafts = match &context.model {
        Some(model) if wanted && !found.is_empty() => {
            tokio::select! {
                // Cancellation is checked first, so that no text is published after it.
                biased;
                () = context.cancellation.cancelled() => return Err(Error::cancelled("the task was asked to stop")),
                drafts = by_model(context, model.as_ref(), found) => drafts,
            }
        }
        None if wanted => {
            Drafts { degraded: Some("no model backend is configured".to_owned()), ..Drafts::default() }
        }
        _ => Drafts::default(),
    };
    Ok(assemble(found, drafts))
}

/// Combines the model's drafts with the authored texts where there is none.
fn assemble(found: &[Found], drafts: Drafts) -> Written {
    let mut written = Written {
        summary: drafts.summary.unwrap_or_else(|| summary::by_rules(found)),
        grounding: Grounding { permissions: drafts.permissions, ..Grounding::default() },
        model: drafts.model,
        degraded: drafts.degraded,
        texts: Vec::new(),
    };
    let mut texts = drafts.texts.into_iter();
    for found in found {
        let finding_id = &found.finding.id;
        let draft = texts.next().unwrap_or_default();
        written.grounding.refused.extend(refused(Some(finding_id), draft.refused));
        let (text, permission, assertions) = match draft.accepted {
            Some(accepted) => (accepted.text, drafts.permission, accepted.assertions),
            None => {
                let (text, assertions) = Composition::new(found, ModelPermission::Choose).rules_text();
                (text, None, assertions)
            }
        };
        written.texts.push(text);
        written.grounding.texts.push(CheckedText { finding_id: finding_id.clone(), permission, assertions });
    }
    written.grounding.refused.extend(refused(None, drafts.refused_summary));
    written
}

fn refused(
    finding_id: Option<&String>,
    rejections: impl IntoIterator<Item = Rejection>,
) -> impl Iterator<Item = RefusedAttempt> {
    (1..).zip(rejections).map(move |(attempt, rejection)| RefusedAttempt {
        finding_id: finding_id.cloned(),
        attempt,
        reason: rejection.reason,
        excerpt: rejection.excerpt,
    })
}

/// Asks the model to write about the findings, within its permissions.
async fn by_model(context: &AgentContext, model: &dyn ModelBackend, found: &[Found]) -> Drafts {
    let permissions = match model.permissions(None).await {
        Ok(permissions) => permissions,
        Err(e) => return Drafts { degraded: Some(e.public_text()), ..Drafts::default() },
    };
    let Some(permission) = strongest(&permissions) else {
        return Drafts { degraded: Some(missing_permission_note(permissions)), ..Drafts::default() };
    };
    let author = Author::new(model, &permissions, &*context.clock, TOTAL_TIMEOUT);
    let writing: Vec<_> = found.iter().map(|found| draft(&author, found, permission).boxed()).collect();
    let mut writing = stream::iter(writing).buffered(MAX_CONCURRENT_TEXTS);
    let mut drafts = Drafts {
        permission: Some(permission),
        permissions: permissions.granted.clone(),
        ..Drafts::default()
    };
    while let Some(draft) = writing.next().await {
        let index = drafts.texts.len();
        if let (Some(accepted), Some(found)) = (&draft.accepted, found.get(index)) {
            context.text_about(&found.finding.id, format!("{}\n", accepted.text));
        }
        drafts.texts.push(draft);
        let (done, total) = (index + 1, found.len());
        let fraction = JUDGED_SHARE + 0.7 * done as f32 / total as f32;
        context.progress_of(WRITING, fraction, format!("{done} of {total} recommendations written"));
    }
    drop(writing);
    let lines = summary::lines(found);
    if lines.len() > 1 && permissions.allow(ModelPermission::Choose) && !author.has_failed() {
        match author.line(prompt::summary(&lines), &lines).await {
            Ok(Ok(line)) => drafts.summary = Some(line),
            Ok(Err(rejection)) => drafts.refused_summary = Some(rejection),
            Err(e) => author.fail(e),
        }
    }
    (drafts.model, drafts.degraded) = author.end();
    drafts
}

/// Returns the permission under which texts are written.
fn strongest(permissions: &ModelPermissions) -> Option<ModelPermission> {
    [ModelPermission::Word, ModelPermission::Choose].into_iter().find(|wanted| permissions.allow(*wanted))
}

fn missing_permission_note(permissions: ModelPermissions) -> String {
    let ModelPermissions { backend, model, note, .. } = permissions;
    note.unwrap_or_else(|| format!("the model {model} of {backend} has no permission to write"))
}

/// Writes and checks the text of one finding, and retries once after a rejection.
async fn draft(author: &Author<'_>, found: &Found, permission: ModelPermission) -> Draft {
    let mut draft = Draft::default();
    let composition = Composition::new(found, permission);
    for attempt in 0..MAX_ATTEMPTS {
        if author.has_failed() {
            break;
        }
        match author.text(&composition, attempt).await {
            Ok(Ok(accepted)) => {
                draft.accepted = Some(accepted);
                break;
            }
            Ok(Err(rejection)) => {
                tracing::debug!(finding = found.finding.id, %rejection, "model text rejected");
                draft.refused.push(rejection);
            }
            // The other texts would fail the same way, each after its own timeout.
            Err(e) => author.fail(e),
        }
    }
    draft
}
