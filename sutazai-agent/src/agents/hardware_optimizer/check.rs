//! Measurement of what a model may do: whether it chooses fitting sentences, and whether its wording is accepted.
//!
//! `sutazai models check` runs it. All cases are findings on one recorded machine with many problems and are the same
//! in every run, so that models are compared by the same cases. A backend that cannot finish within [`BUDGET`] has
//! measured fewer cases than a permission needs and is granted nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{StreamExt, stream};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sutazai_core::domain::{
    ModelInfo, ModelMeasurement, ModelPermission, ModelPermissions, Severity, Snapshot,
};
use sutazai_core::ports::{Clock, ModelBackend};
use sutazai_core::{Error, Result};

use super::author::Author;
use super::composition::Composition;
use super::prompt::{self, Question};
use super::rules::{self, Found, Trends, first_choices};

/// Time limit of one measurement.
pub const BUDGET: Duration = Duration::from_secs(60);

/// Number of cases in which a model chooses.
pub const CHOICES: usize = 36;

/// Number of sentences to choose from in each case: one is authored for the finding, the others for other findings.
pub const ALTERNATIVES: usize = 4;

/// Minimum share of fitting choices for `choose`. Chance gives a quarter; fewer than one random model in 10,000 reaches
/// this share in 36 cases.
pub const MIN_FITTING: f64 = 0.6;

/// Number of findings about which a model words advice.
pub const WORDED: usize = 12;

/// Minimum share of worded texts that are accepted at the first attempt, for `word`.
pub const MIN_ACCEPTED: f64 = 0.9;

/// Number of pairs of an authored sentence and its words in random order.
pub const SALADS: usize = 6;

/// Minimum share of pairs in which the authored sentence is more fluent to the model than the word salad, for `word`.
pub const MIN_SEPARATED: f64 = 0.9;

/// Maximum number of concurrent cases.
const MAX_CONCURRENT_CASES: usize = 4;

/// Recorded snapshot of a machine with many problems.
const MACHINE: &str = include_str!("check_machine.json");

/// Measures a model of this backend within [`BUDGET`], by this clock. `progress` is called with the finished share and the name of the current step.
///
/// # Errors
/// The error of the backend. A timeout is none: the measurement then has fewer cases.
pub async fn check_model(
    backend: &dyn ModelBackend,
    model: &ModelInfo,
    clock: &dyn Clock,
    progress: impl Fn(f32, &str) + Sync,
) -> Result<Vec<ModelMeasurement>> {
    let found = findings()?;
    let permissions = all_permissions(model);
    let author = Author::new(backend, &permissions, clock, BUDGET).asking(&model.name);
    let done = AtomicUsize::new(0);
    let step = |what: &str| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(done as f32 / (CHOICES + WORDED + SALADS) as f32, what);
    };
    let choices: Vec<bool> = measured(choices(&found), |(found, sentences, fitting)| {
        let (author, step) = (&author, &step);
        async move {
            let chosen = match author.likeliest(Question::Why, found, &sentences).await? {
                Some(chosen) => Some(chosen),
                None => author.line(prompt::fitting(found, &sentences), &sentences).await?.ok(),
            };
            step("choosing sentences");
            Ok(Some(chosen.is_some_and(|chosen| chosen == fitting)))
        }
    })
    .await?;
    let salads: Vec<bool> = measured(salads(&found), |(found, sentence, salad)| {
        let (author, step) = (&author, &step);
        async move {
            let authored = author.fluency(found, &sentence).await?;
            let shuffled = author.fluency(found, &salad).await?;
            step("comparing with word salad");
            Ok(authored.zip(shuffled).map(|(authored, shuffled)| authored > shuffled))
        }
    })
    .await?;
    let worded: Vec<bool> = measured(found.iter().take(WORDED), |found| {
        let (author, step) = (&author, &step);
        async move {
            let text = author.text(&Composition::new(found, ModelPermission::Word), 0).await?;
            step("wording advice");
            Ok(Some(text.is_ok()))
        }
    })
    .await?;
    let share = |name: &str, permission, passed: &[bool], threshold, min_cases| ModelMeasurement {
        name: name.to_owned(),
        permission,
        value: passed.iter().filter(|passed| **passed).count() as f64 / passed.len().max(1) as f64,
        threshold,
        cases: passed.len(),
        min_cases,
    };
    let mut measurements = vec![
        share("fitting sentences chosen", ModelPermission::Choose, &choices, MIN_FITTING, CHOICES),
        share("worded texts accepted", ModelPermission::Word, &worded, MIN_ACCEPTED, WORDED),
    ];
    // A backend that does not measure fluency is held to the language only.
    if author.measures_fluency() {
        let name = "advice more fluent than word salad";
        measurements.push(share(name, ModelPermission::Word, &salads, MIN_SEPARATED, SALADS));
    }
    Ok(measurements)
}

/// Text with its fluency, for choosing [`MIN_FLUENCY`](super::MIN_FLUENCY).
#[derive(Debug, Clone, PartialEq)]
pub struct FluencySample {
    /// Kind of the text: `authored`, `salad` or `worded`.
    pub label: &'static str,
    /// Fluency measured by the backend.
    pub fluency: f32,
    /// Text that was measured.
    pub text: String,
}

/// Measures the fluency of authored advice, of its words in random order, and of what the model words itself.
///
/// # Errors
/// The error of the backend.
pub async fn fluency_samples(
    backend: &dyn ModelBackend,
    model: &ModelInfo,
    clock: &dyn Clock,
) -> Result<Vec<FluencySample>> {
    let found = findings()?;
    let permissions = all_permissions(model);
    let author = Author::new(backend, &permissions, clock, Duration::from_secs(3_600)).asking(&model.name);
    let mut samples = Vec::new();
    for (about, sentence, salad) in salads_of(&found, usize::MAX) {
        for (label, text) in [("authored", sentence), ("salad", salad)] {
            let fluency = author.fluency(about, &text).await?;
            samples.extend(fluency.map(|fluency| FluencySample { label, fluency, text }));
        }
        let worded = author.worded(&Composition::new(about, ModelPermission::Word)).await?;
        samples.extend(worded.map(|(text, fluency)| FluencySample { label: "worded", fluency, text }));
    }
    Ok(samples)
}

/// Runs cases concurrently until the time limit is reached.
async fn measured<C, F>(cases: impl IntoIterator<Item = C>, run: impl Fn(C) -> F) -> Result<Vec<bool>>
where
    F: Future<Output = Result<Option<bool>>>,
{
    let running: Vec<_> = cases.into_iter().map(run).collect();
    let mut running = stream::iter(running).buffered(MAX_CONCURRENT_CASES);
    let mut passed = Vec::new();
    while let Some(case) = running.next().await {
        match case {
            Ok(case) => passed.extend(case),
            Err(e) if e.kind() == sutazai_core::ErrorKind::Timeout => return Ok(passed),
            Err(e) => return Err(e),
        }
    }
    Ok(passed)
}

fn all_permissions(model: &ModelInfo) -> ModelPermissions {
    ModelPermissions {
        backend: model.backend.clone(),
        model: model.name.clone(),
        ..ModelPermissions::default()
    }
}

/// Returns the findings on the recorded machine, one of each rule.
fn findings() -> Result<Vec<Found>> {
    let snapshot: Snapshot = serde_json::from_str(MACHINE)
        .map_err(|e| Error::internal("the recorded machine of the measurement is damaged").with_source(e))?;
    let mut found = rules::find(&snapshot, &Trends::default());
    let mut seen = Vec::new();
    found.retain(|found| {
        let new = !seen.contains(&found.finding.rule) && !found.texts.consequences.is_empty();
        seen.push(found.finding.rule.clone());
        new && found.finding.severity >= Severity::Info
    });
    Ok(found)
}

/// Returns for each case the finding, sentences on why something matters, and the one that is authored for the finding.
fn choices(found: &[Found]) -> Vec<(&Found, Vec<String>, String)> {
    let why = |found: &Found| found.texts.consequences.first().map(|text| first_choices(text));
    let mut dice = StdRng::seed_from_u64(13);
    let mut cases = Vec::new();
    for (i, about) in found.iter().enumerate().take(CHOICES) {
        let Some(fitting) = why(about) else { continue };
        let mut sentences = vec![fitting.clone()];
        let mut others: Vec<_> =
            found.iter().filter(|other| other.finding.resource != about.finding.resource).collect();
        others.shuffle(&mut dice);
        for other in others.into_iter().filter_map(why) {
            if sentences.len() < ALTERNATIVES && !sentences.contains(&other) {
                sentences.push(other);
            }
        }
        // The fitting sentence stands at each position equally often.
        sentences.rotate_right(i % ALTERNATIVES);
        cases.push((about, sentences, fitting));
    }
    cases
}

fn salads(found: &[Found]) -> Vec<(&Found, String, String)> {
    salads_of(found, SALADS)
}

/// Returns findings with an authored sentence that has a command, and its words in random order.
fn salads_of(found: &[Found], most: usize) -> Vec<(&Found, String, String)> {
    let mut dice = StdRng::seed_from_u64(13);
    let with_command = found.iter().filter_map(|found| {
        let sentence = found.texts.advice.iter().find(|sentence| sentence.contains('`'))?;
        Some((found, sentence.clone()))
    });
    with_command
        .take(most)
        .map(|(found, sentence)| (found, sentence.clone(), salad(&sentence, &mut dice)))
        .collect()
}

/// Shuffles the words of a sentence: a command is one word, and the first word and the full stop stay in place.
fn salad(sentence: &str, dice: &mut impl Rng) -> String {
    let mut words: Vec<String> = Vec::new();
    for (i, part) in sentence.trim_end_matches('.').split('`').enumerate() {
        match i % 2 {
            1 => words.push(format!("`{part}`")),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    if let Some(rest) = words.get_mut(1..) {
        rest.shuffle(dice);
    }
    format!("{}.", words.join(" "))
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::{Constraint, GenerateRequest};
    use sutazai_core::testing::{ManualClock, ScriptedModelBackend};

    use super::*;

    async fn measure(model: ScriptedModelBackend) -> Vec<ModelMeasurement> {
        let info = model.models().await.unwrap().remove(0);
        check_model(&model, &info, &ManualClock::new(), |_, _| ()).await.unwrap()
    }

    #[test]
    fn cases_suffice_and_their_alternatives_differ() {
        let found = findings().unwrap();
        assert!(found.len() >= CHOICES, "{} findings", found.len());
        let cases = choices(&found);
        assert_eq!(cases.len(), CHOICES);
        for (about, sentences, fitting) in &cases {
            assert_eq!(sentences.len(), ALTERNATIVES, "{}", about.finding.id);
            assert_eq!(sentences.iter().filter(|sentence| *sentence == fitting).count(), 1);
        }
        let places: Vec<_> = (0..ALTERNATIVES)
            .map(|place| cases.iter().filter(|(_, sentences, fitting)| &sentences[place] == fitting).count())
            .collect();
        assert_eq!(places, [CHOICES / ALTERNATIVES; ALTERNATIVES]);
        assert_eq!(salads(&found).len(), SALADS);
        for (_, sentence, salad) in salads(&found) {
            assert_ne!(sentence, salad);
            assert_eq!(sentence.len(), salad.len());
        }
    }

    /// Returns the fitting sentence of the requested case.
    fn fitting(request: &GenerateRequest) -> Option<String> {
        let asked = request.messages.last()?.content.clone();
        let found = findings().unwrap();
        let cases = choices(&found).into_iter();
        let mut of_request = cases.filter(|(about, ..)| asked.contains(&about.finding.summary));
        of_request
            .find(|(_, sentences, _)| sentences.iter().all(|sentence| asked.contains(sentence)))
            .map(|(.., fitting)| fitting)
    }

    #[tokio::test]
    async fn fitting_choices_grant_choose_and_nonsense_does_not_grant_word() {
        let model =
            ScriptedModelBackend::replying(|request| fitting(request).unwrap_or_else(|| "nonsense".into()));
        let measurements = measure(model.supporting(false, true)).await;
        assert_eq!(ModelMeasurement::granted(&measurements), [ModelPermission::Choose], "{measurements:#?}");
        let model = ScriptedModelBackend::replying(|request| match &request.constraint {
            Some(Constraint::JsonSchema(schema)) => {
                let first = schema["properties"]["text"]["enum"][0].as_str();
                serde_json::json!({ "text": first.unwrap_or_default() }).to_string()
            }
            _ => String::new(),
        });
        let measurements = measure(model.supporting(true, false)).await;
        assert_eq!(
            ModelMeasurement::granted(&measurements),
            [],
            "the first of four is chance: {measurements:#?}"
        );
    }

    #[tokio::test]
    async fn fluent_authored_advice_grants_word() {
        let model = || {
            ScriptedModelBackend::replying(|request| {
                let asked = request.messages.last().unwrap().content.clone();
                let found = findings().unwrap();
                let about = found.iter().find(|found| asked.contains(&found.finding.summary));
                about.map(|found| found.texts.advice[0].clone()).unwrap_or_default()
            })
        };
        let measurements = measure(model().supporting(false, true)).await;
        assert_eq!(ModelMeasurement::granted(&measurements), [ModelPermission::Word], "{measurements:#?}");
        assert_eq!(measurements.len(), 2, "a backend without fluency is held to the language only");
        // The same fluency for every text separates nothing.
        let measurements = measure(model().supporting(false, true).with_fluency(0.9)).await;
        assert_eq!(ModelMeasurement::granted(&measurements), [], "{measurements:#?}");
    }

    #[tokio::test]
    async fn failing_backend_is_an_error_and_slow_backend_gets_no_permission() {
        let info = ScriptedModelBackend::new(["x"]).models().await.unwrap().remove(0);
        let down = ScriptedModelBackend::replying(|_| Error::unavailable("down"));
        assert!(check_model(&down, &info, &ManualClock::new(), |_, _| ()).await.is_err());
        let slow = ScriptedModelBackend::replying(|_| Error::timeout("no answer"));
        let measurements = check_model(&slow, &info, &ManualClock::new(), |_, _| ()).await.unwrap();
        assert_eq!(ModelMeasurement::granted(&measurements), []);
    }
}
