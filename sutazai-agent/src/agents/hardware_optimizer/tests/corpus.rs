//! Two corpora of model texts: lies, all of which must be rejected, and honest paraphrases, which must be accepted.
//!
//! Each line of `lies.txt` has a kind, a rule and a text, each line of `paraphrases.txt` a rule and a text. A text is
//! about the finding of its rule on that rule's [`machine`]. It may have placeholders: `{statement}` is the rule's own
//! sentence, `{clause}` the same without its full stop, `{resource}` the resource, `{command}` the first command of the
//! remedies between backquotes, and `{bare}` that command alone. `\u{...}` is a character that an editor would not
//! show.

use std::collections::{BTreeMap, BTreeSet};

use sutazai_core::ports::Clock;

use super::super::composition::Composition;
use super::machines::{Machine, machine};
use super::*;

const LIES: &str = include_str!("../../../../tests/fixtures/lies.txt");
const PARAPHRASES: &str = include_str!("../../../../tests/fixtures/paraphrases.txt");

/// Number of paraphrases at the end of the file that are not used for the work on the check.
const HELD_OUT: usize = 100;

/// Number of lies of each kind that also go through whole analyses.
const ANALYZED_OF_EACH_KIND: usize = 8;

#[derive(Debug, Clone, Copy)]
struct Lie {
    kind: &'static str,
    rule: &'static str,
    text: &'static str,
}

fn lies() -> Vec<Lie> {
    let parse = |line: &'static str| {
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().unwrap_or_else(|| panic!("a field is missing: {line}"));
        Lie { kind: field(), rule: field(), text: field() }
    };
    LIES.lines().map(parse).collect()
}

fn paraphrases() -> Vec<(&'static str, &'static str)> {
    PARAPHRASES.lines().map(|line| line.split_once('\t').expect(line)).collect()
}

/// Returns the finding of each rule on the machine of that rule.
async fn findings() -> BTreeMap<&'static str, Found> {
    let mut findings = BTreeMap::new();
    for rule in rules::RULES {
        let machine = machine(rule.name);
        let found = rules::find(&machine.snapshot, &machine.trends().await);
        let own = found.into_iter().find(|found| found.finding.rule == rule.name);
        findings.extend(own.map(|found| (rule.name, found)));
    }
    findings
}

/// Replaces these placeholders by the values of the finding, and the escapes by their characters.
fn fill(text: &str, found: &Found, placeholders: &[&str]) -> String {
    let finding = &found.finding;
    let command = finding.remedies.iter().find_map(|remedy| remedy.command.clone()).unwrap_or_default();
    let value = |placeholder: &str| match placeholder {
        "{statement}" => finding.summary.clone(),
        "{clause}" => finding.summary.trim_end_matches('.').to_owned(),
        "{resource}" => finding.resource.clone(),
        "{command}" => format!("`{command}`"),
        _ => command.clone(),
    };
    let filled = placeholders.iter().fold(unescape(text), |text, one| text.replace(one, &value(one)));
    filled.trim().to_owned()
}

/// All placeholders of the corpora.
const ALL_PLACEHOLDERS: &[&str] = &["{statement}", "{clause}", "{resource}", "{command}", "{bare}"];
/// Placeholders of the corpora that models do not have.
const CORPUS_PLACEHOLDERS: &[&str] = &["{clause}", "{bare}"];

/// Replaces each `\u{...}` by the character that it stands for.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u{");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('}').expect("an escape without end");
        plain.push(u32::from_str_radix(code, 16).ok().and_then(char::from_u32).expect("no character"));
        plain.push_str(rest);
    }
    plain
}

/// Returns the texts that a model with the permission `word` may write, for each rule.
fn compositions<'a>(findings: &'a BTreeMap<&'static str, Found>) -> BTreeMap<&'static str, Composition<'a>> {
    findings.iter().map(|(rule, found)| (*rule, Composition::new(found, Word))).collect()
}

/// Checks the text like one of a model; the error is the rejection reason.
fn accepts(composition: &Composition<'_>, text: &str) -> Result<(), String> {
    let checked = composition.check(&composition.complete(text));
    checked.map(|_| ()).map_err(|rejection| rejection.to_string())
}

#[tokio::test]
async fn no_lie_of_the_corpus_is_accepted() {
    let findings = findings().await;
    let compositions = compositions(&findings);
    let lies = lies();
    let mut accepted: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for lie in &lies {
        let text = fill(lie.text, &findings[lie.rule], ALL_PLACEHOLDERS);
        if accepts(&compositions[lie.rule], &text).is_ok() {
            accepted.entry(lie.kind).or_default().push(format!("{}: {text}", lie.rule));
        }
    }
    let number: usize = accepted.values().map(Vec::len).sum();
    let counts: Vec<_> = accepted.iter().map(|(kind, texts)| format!("{kind} {}", texts.len())).collect();
    assert_eq!(number, 0, "of {} lies were accepted: {}\n{accepted:#?}", lies.len(), counts.join(", "));
}

#[tokio::test]
async fn lies_are_many_distinct_and_of_many_kinds() {
    let findings = findings().await;
    let lies = lies();
    let distinct = |of: fn(&Lie) -> &'static str| lies.iter().map(of).collect::<BTreeSet<_>>().len();
    let filled: BTreeSet<_> =
        lies.iter().map(|lie| fill(lie.text, &findings[lie.rule], ALL_PLACEHOLDERS)).collect();
    assert_eq!(filled.len(), lies.len(), "a lie is listed twice");
    assert!(lies.len() >= 1000, "{} lies", lies.len());
    assert!(distinct(|lie| lie.kind) >= 20, "{} kinds", distinct(|lie| lie.kind));
    assert!(distinct(|lie| lie.rule) >= 30, "{} rules", distinct(|lie| lie.rule));
}

#[tokio::test]
async fn honest_paraphrases_are_accepted() {
    let findings = findings().await;
    let compositions = compositions(&findings);
    let paraphrases = paraphrases();
    assert!(paraphrases.len() >= 300, "{} paraphrases", paraphrases.len());
    assert_eq!(
        paraphrases.iter().collect::<BTreeSet<_>>().len(),
        paraphrases.len(),
        "a paraphrase is listed twice"
    );
    assert!(paraphrases.iter().map(|(rule, _)| rule).collect::<BTreeSet<_>>().len() >= 30);
    let refused = |some: &[(&str, &str)]| {
        let judged = some.iter().filter_map(|(rule, text)| {
            let text = fill(text, &findings[rule], ALL_PLACEHOLDERS);
            accepts(&compositions[rule], &text).err().map(|why| format!("{rule}: {text}\n    {why}"))
        });
        judged.collect::<Vec<_>>()
    };
    let (open, held_out) = paraphrases.split_at(paraphrases.len() - HELD_OUT);
    let (refused_open, refused_held_out) = (refused(open), refused(held_out).len());
    let accepted = paraphrases.len() - refused_open.len() - refused_held_out;
    let enough = |accepted: usize, of: usize| accepted * 100 >= of * 95;
    assert!(
        enough(accepted, paraphrases.len()) && enough(HELD_OUT - refused_held_out, HELD_OUT),
        "{accepted} of {} accepted; refused are {refused_held_out} of the held-out ones and {} others:\n{}",
        paraphrases.len(),
        refused_open.len(),
        refused_open.join("\n"),
    );
}

/// Analyzes the machine with its history at the time of its snapshot.
async fn analyzed(machine: &Machine, model: ScriptedModelBackend) -> Analysis {
    let clock = ManualClock::new();
    clock.advance((machine.snapshot.taken_at - clock.now()).to_std().unwrap());
    let mut context = context(&machine.snapshot, Some(Arc::new(model)));
    context.metric_store = Some(Arc::new(machine.store().await));
    context.clock = Arc::new(clock);
    analyze(&context).await.unwrap()
}

/// Selects lies of every kind, spread over the lines of each.
fn lies_to_analyze() -> Vec<Lie> {
    let mut kinds: BTreeMap<&str, Vec<Lie>> = BTreeMap::new();
    for lie in lies() {
        kinds.entry(lie.kind).or_default().push(lie);
    }
    let spread = |lies: Vec<Lie>| {
        let step = lies.len().div_ceil(ANALYZED_OF_EACH_KIND);
        lies.into_iter().step_by(step)
    };
    kinds.into_values().flat_map(spread).collect()
}

#[tokio::test]
async fn no_lie_reaches_a_result_through_any_kind_of_backend() {
    let findings = findings().await;
    let told = lies_to_analyze();
    assert!(told.len() >= 200, "{} lies are told", told.len());
    let mut reached = Vec::new();
    for lie in &told {
        let found = &findings[lie.rule];
        let text = fill(lie.text, found, ALL_PLACEHOLDERS);
        let raw = fill(lie.text, found, CORPUS_PLACEHOLDERS);
        let json = json!({ "text": raw }).to_string();
        let machine = machine(lie.rule);
        for (backend, answer, schema, grammar) in [
            ("grammar", &text, false, true),
            ("JSON schema", &json, true, false),
            ("placeholders in plain text", &raw, false, false),
            ("plain text", &text, false, false),
        ] {
            let model = permitted(answer.clone()).supporting(schema, grammar);
            let analysis = analyzed(&machine, model).await;
            let about = analysis.findings.iter().position(|one| one.rule == lie.rule).unwrap();
            let by_rules = analysis.recommendations[about].text_by == GeneratedBy::Rules;
            if !by_rules || analysis.recommendations.iter().any(|one| one.text == text) {
                reached.push(format!("{} by {backend}: {text}", lie.kind));
            }
        }
    }
    assert!(reached.is_empty(), "{} texts reached a result:\n{}", reached.len(), reached.join("\n"));
}
