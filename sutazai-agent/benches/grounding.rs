//! Quality of a model's texts compared with the authored ones. Three modes, by the first argument:
//!
//! - `pairs FOLDER [SEED]`: analyzes 100 varied machines; writes `pairs.txt`, the authored text and the model's text
//!   about each finding side by side without labels, and `key.txt`, which names the model's text of each pair.
//! - `judged FOLDER`: reads `judgments.txt`, a line `NUMBER A`, `NUMBER B` or `NUMBER =` for each pair, and prints the
//!   share of pairs in which the model's text is at least as good.
//! - `fluency [FOLDER]`: prints the fluency of authored advice, of its words in random order and of the model's
//!   wording, for choosing `MIN_FLUENCY`; with a folder it also writes the texts for a reader who labels them.
//! - `judged-fluency FOLDER`: prints how the reader's labels divide at each threshold.
//!
//! `MODEL_BACKENDS` names the backend and `BENCH_PERMISSION` (`choose` or `word`, the default) the permission of the
//! model, whatever it was granted. `benches/grounding.md` has the criteria of a judgment; `benches/grounding.sh` runs
//! all modes.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::expect_used, clippy::panic)] // a failing bench panics

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sutazai_agent::agents::hardware_optimizer::analyze;
use sutazai_agent::agents::hardware_optimizer::check::fluency_samples;
use sutazai_agent::models::{
    ConnectOptions, EmbeddedModels, MeasuredModel, ModelLauncher, ModelManager, PermissionStore, connect,
};
use sutazai_core::domain::{Analysis, GeneratedBy, ModelInfo, ModelPermission};
use sutazai_core::ports::{Clock, ModelBackend, SystemClock};
use sutazai_core::testing::{agent_context, sources_of};

#[path = "../tests/fixtures/varied.rs"]
mod varied;

/// Number of machines that are analyzed.
const MACHINES: u64 = 100;

async fn analysis(model: Option<&Arc<dyn ModelBackend>>, seed: u64) -> Analysis {
    let snapshot = if seed == 0 { varied::recorded() } else { varied::varied(seed) };
    let payload = json!({ "use_model": model.is_some() });
    let (mut context, _) = agent_context("hardware-optimizer", payload, Arc::new(SystemClock));
    context.model = model.cloned();
    context.metric_sources = sources_of(snapshot);
    analyze(&context).await.unwrap()
}

/// Returns the first model of `MODEL_BACKENDS`, with the permission of `BENCH_PERMISSION`.
async fn permitted(folder: &Path) -> (Arc<dyn ModelBackend>, ModelInfo) {
    let entry = std::env::var("MODEL_BACKENDS").expect("MODEL_BACKENDS names a backend");
    let launcher = ModelLauncher::new(env!("CARGO_BIN_EXE_sutazai-model"));
    let embedded = Some(EmbeddedModels::ChildProcess(launcher));
    let backend = connect(&entry, &ConnectOptions { embedded, ..ConnectOptions::default() }).unwrap();
    let info = backend.models().await.unwrap().remove(0);
    let granted = match std::env::var("BENCH_PERMISSION").as_deref() {
        Ok("choose") => vec![ModelPermission::Choose],
        _ => vec![ModelPermission::Choose, ModelPermission::Word],
    };
    let store = PermissionStore::new(folder.join("permissions.json"));
    let measured = MeasuredModel {
        backend: info.backend.clone(),
        model: info.name.clone(),
        measured_at: SystemClock.now(),
        granted,
        measurements: Vec::new(),
    };
    store.record(&info, measured).unwrap();
    let manager = ModelManager::new(vec![backend], &info.name, Arc::new(SystemClock));
    (Arc::new(manager.with_permissions(store)), info)
}

/// Authored text and the model's text about one finding.
struct Pair {
    finding: String,
    rules: String,
    model: String,
}

async fn pairs(folder: &Path, seed: u64) {
    let (model, _) = permitted(folder).await;
    let mut pairs = Vec::new();
    let (mut texts, mut refused) = (0, 0);
    let mut took = Vec::new();
    for machine in 0..MACHINES {
        let begun = Instant::now();
        let written = analysis(Some(&model), machine).await;
        took.push(begun.elapsed().as_secs_f64());
        eprint!("\r{} of {MACHINES}", machine + 1);
        let by_rules = analysis(None, machine).await;
        texts += written.recommendations.len();
        refused += written.grounding.refused.len();
        for (own, rules) in written.recommendations.into_iter().zip(by_rules.recommendations) {
            // The same text twice leaves nothing to judge.
            if own.text_by == GeneratedBy::Model && own.text != rules.text {
                pairs.push(Pair { finding: own.finding_id, rules: rules.text, model: own.text });
            }
        }
    }
    eprintln!();
    let mut dice = StdRng::seed_from_u64(seed);
    pairs.shuffle(&mut dice);
    let (mut shown, mut key) = (String::new(), String::new());
    for (i, pair) in pairs.iter().enumerate() {
        let number = i + 1;
        let model_first = dice.random_bool(0.5);
        let (a, b) = if model_first { (&pair.model, &pair.rules) } else { (&pair.rules, &pair.model) };
        let _ = writeln!(shown, "{number}\n  A: {a}\n  B: {b}\n");
        let _ = writeln!(key, "{number} {} {}", if model_first { "A" } else { "B" }, pair.finding);
    }
    std::fs::write(folder.join("pairs.txt"), shown).unwrap();
    std::fs::write(folder.join("key.txt"), key).unwrap();
    took.sort_by(f64::total_cmp);
    println!(
        "{texts} texts, {} of the model differ from the rules' text, {refused} attempts refused",
        pairs.len()
    );
    println!("seconds an analysis: median {:.1}, longest {:.1}", took[took.len() / 2], took[took.len() - 1]);
}

/// Reads one number and one word a line.
fn read(path: &Path) -> HashMap<u32, String> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let entry = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

fn judged(folder: &Path) {
    let key = read(&folder.join("key.txt"));
    let judgments = read(&folder.join("judgments.txt"));
    let (mut better, mut equal, mut worse) = (0, 0, 0);
    for (number, judgment) in &judgments {
        let of_model = key.get(number).unwrap_or_else(|| panic!("there is no pair {number}"));
        match judgment.as_str() {
            "=" => equal += 1,
            which if which == of_model => better += 1,
            "A" | "B" => worse += 1,
            other => panic!("pair {number}: expected A, B or =, got {other}"),
        }
    }
    let total = better + equal + worse;
    let share = f64::from(better + equal) / f64::from(total.max(1)) * 100.0;
    println!("{total} of {} pairs judged: {better} better, {equal} equal, {worse} worse", key.len());
    println!("the model's text is at least as good in {share:.1} %");
}

/// Prints the distribution of each label and, with a folder, writes the samples without their labels and fluencies for
/// a reader (`texts.txt`, one a line in random order), and these in `key.json`.
async fn fluency(folder_for_readers: Option<&Path>) {
    let folder = tempfile::tempdir().unwrap();
    let (model, info) = permitted(folder.path()).await;
    let samples = fluency_samples(&*model, &info, &SystemClock).await.unwrap();
    if let Some(folder) = folder_for_readers {
        let mut shuffled: Vec<_> = samples.iter().collect();
        shuffled.shuffle(&mut StdRng::seed_from_u64(1));
        let mut texts = String::new();
        for (number, sample) in shuffled.iter().enumerate() {
            writeln!(texts, "{number}\t{}", sample.text.replace(['\t', '\n'], " ")).unwrap();
        }
        let key: Vec<_> =
            shuffled.iter().map(|s| json!({ "label": s.label, "fluency": s.fluency })).collect();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("texts.txt"), texts).unwrap();
        std::fs::write(folder.join("key.json"), serde_json::to_string_pretty(&key).unwrap()).unwrap();
    }
    for label in ["authored", "salad", "worded"] {
        let mut of_label: Vec<_> = samples.iter().filter(|sample| sample.label == label).collect();
        of_label.sort_by(|one, other| one.fluency.total_cmp(&other.fluency));
        if of_label.is_empty() {
            println!("{label}: the backend measures no fluency");
            continue;
        }
        let at = |share: f64| of_label[((of_label.len() - 1) as f64 * share).round() as usize].fluency;
        println!(
            "{label:<9} {} texts: 5 % {:.3}, median {:.3}, 95 % {:.3}",
            of_label.len(),
            at(0.05),
            at(0.5),
            at(0.95)
        );
        for sample in of_label.iter().step_by((of_label.len() / 8).max(1)) {
            println!("    {:.3} {}", sample.fluency, sample.text);
        }
    }
}

/// Prints how a reader's labels (`labels.txt` next to the texts: `NUMBER<tab>fluent` or `NUMBER<tab>not`) divide at
/// each threshold: what share of the fluent texts passes, and what share of the others.
fn judged_fluency(folder: &Path) {
    let key: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("key.json")).unwrap()).unwrap();
    let labels = std::fs::read_to_string(folder.join("labels.txt")).unwrap();
    let labels: HashMap<usize, bool> = labels
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(number, label)| (number.parse().unwrap(), label.trim() == "fluent"))
        .collect();
    let with_labels: Vec<_> =
        key.iter().enumerate().filter_map(|(number, of)| Some((of, *labels.get(&number)?))).collect();
    for label in ["authored", "salad", "worded"] {
        let of_label: Vec<_> = with_labels.iter().filter(|(of, _)| of["label"] == label).collect();
        let fluent = of_label.iter().filter(|(_, fluent)| *fluent).count();
        println!("{label:<9} {fluent} of {} read as fluent", of_label.len());
    }
    println!("{:<10}{:>20}{:>20}", "threshold", "fluent that pass", "others that pass");
    for threshold in [0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.40] {
        let passing = |wanted: bool| {
            let of: Vec<_> = with_labels.iter().filter(|(_, fluent)| *fluent == wanted).collect();
            let passed = of.iter().filter(|(of, _)| of["fluency"].as_f64().unwrap() >= threshold).count();
            format!("{passed} of {}", of.len())
        };
        println!("{threshold:<10.2}{:>20}{:>20}", passing(true), passing(false));
    }
}

#[tokio::main]
async fn main() {
    // Cargo adds the argument `--bench`.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["pairs", folder] => pairs(Path::new(folder), 1).await,
        ["pairs", folder, seed] => pairs(Path::new(folder), seed.parse().expect("a seed is a number")).await,
        ["judged", folder] => judged(Path::new(folder)),
        ["fluency"] => fluency(None).await,
        ["fluency", folder] => fluency(Some(Path::new(folder))).await,
        ["judged-fluency", folder] => judged_fluency(Path::new(folder)),
        _ => {
            println!("expected pairs FOLDER [SEED], judged FOLDER, fluency [FOLDER] or judged-fluency FOLDER")
        }
    }
}
