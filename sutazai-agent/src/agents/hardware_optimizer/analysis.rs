//! Analysis of one machine, from the snapshot to the result.

use sutazai_core::Result;
use sutazai_core::adapter::analysis_budget::HISTORY_READ_TIMEOUT;
use sutazai_core::domain::{Analysis, Finding, GeneratedBy, PriorityLevel, Recommendation, Snapshot};
use sutazai_core::ports::AgentContext;

use super::rules::{self, Examined, Trends};
use super::writer::{self, Written};

/// First two stages of an analysis, as its progress events name them; the third is [`writer::WRITING`].
const MEASURING: &str = "measuring";
const JUDGING: &str = "judging";

/// Measures the machine, finds problems and writes recommendations. The payload's `use_model` decides whether a model
/// is asked.
///
/// # Errors
/// `Cancelled` once the context is cancelled. A failed measurement, or a text that the model could not write, is
/// reported in the result instead.
pub async fn analyze(context: &AgentContext) -> Result<Analysis> {
    let snapshot = measure(context).await;
    analyze_snapshot(context, snapshot).await
}

/// Measures the machine with all sources of the context.
pub async fn measure(context: &AgentContext) -> Snapshot {
    context.progress_of(MEASURING, 0.05, "measuring the machine");
    context.snapshot().await
}

/// Finds the problems of a machine that was measured just now, and writes recommendations.
///
/// # Errors
/// As [`analyze`].
pub async fn analyze_snapshot(context: &AgentContext, snapshot: Snapshot) -> Result<Analysis> {
    context.check_cancelled()?;
    let reading = Trends::read(context.metric_store.as_deref(), &context.host, &snapshot);
    let read = context.clock.timeout(HISTORY_READ_TIMEOUT, reading).await;
    let late = read
        .is_none()
        .then(|| format!("there are no trends: the history gave no answer within {HISTORY_READ_TIMEOUT:?}"));
    let trends = read.unwrap_or_default();
    let examined = rules::examine(&snapshot, &trends);
    let found = &examined.found;
    let noun = if found.len() == 1 { "finding" } else { "findings" };
    context.progress_of(JUDGING, writer::JUDGED_SHARE, format!("{} {noun}", found.len()));
    context.findings(found.iter().map(|found| found.finding.clone()).collect());
    let written = writer::write(context, found).await?;
    let analysis = result(context, snapshot, examined, written);
    Ok(Analysis { notes: late.into_iter().collect(), ..analysis })
}

fn result(context: &AgentContext, snapshot: Snapshot, examined: Examined, written: Written) -> Analysis {
    let findings: Vec<_> = examined.found.into_iter().map(|found| found.finding).collect();
    let checked = &written.grounding.texts;
    let recommendations: Vec<_> = findings
        .iter()
        .zip(written.texts)
        .zip(checked)
        .map(|((finding, text), checked)| Recommendation {
            finding_id: finding.id.clone(),
            severity: finding.severity,
            resource: finding.resource.clone(),
            text,
            text_by: if checked.permission.is_some() { GeneratedBy::Model } else { GeneratedBy::Rules },
            commands: finding.remedies.iter().filter_map(|remedy| remedy.command.clone()).collect(),
        })
        .collect();
    let by_model = recommendations.iter().any(|recommendation| recommendation.text_by == GeneratedBy::Model);
    Analysis {
        host: context.host.clone(),
        priority_level: priority(&snapshot, &findings),
        metrics: snapshot,
        findings,
        checked: examined.checked,
        recommendations,
        generated_by: if by_model { GeneratedBy::Model } else { GeneratedBy::Rules },
        model: written.model,
        degraded: written.degraded,
        notes: Vec::new(),
        summary: written.summary,
        grounding: written.grounding,
        generated_at: context.clock.now(),
    }
}

/// Derives the level from the fullest of memory and disks, and from the worst finding.
///
/// Processor use counts only through findings: a reading over the fraction of a second between two samples is no level,
/// and the rules judge whether the use lasts.
fn priority(snapshot: &Snapshot, findings: &[Finding]) -> PriorityLevel {
    let host = snapshot.host.value();
    let percents = host.into_iter().flat_map(|host| {
        // A read-only disk cannot fill up, and a file system in memory is no disk: it has its own rule.
        let disks = host.disks.iter().filter(|disk| !disk.read_only && !rules::is_in_memory(disk));
        let disks = disks.map(|disk| disk.used_percent);
        disks.chain(host.memory.used_percent)
    });
    let measured = PriorityLevel::from_percent(percents.fold(0.0, f64::max));
    let found = findings.iter().map(|finding| PriorityLevel::at_least_for(finding.severity));
    found.fold(measured, PriorityLevel::max)
}
