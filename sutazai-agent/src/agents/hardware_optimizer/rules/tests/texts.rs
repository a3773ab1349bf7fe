//! Properties of the authored sentences of all rules.

use std::collections::BTreeSet;

use sutazai_core::domain::*;

use super::super::draft::{Texts, first_choices};
use super::super::sample::sick;
use super::super::*;
use super::cases::every_kind;

#[tokio::test]
async fn every_finding_offers_a_choice_of_sentences() {
    for Found { finding, texts } in every_kind().await {
        let lengths = [texts.statements.len(), texts.consequences.len(), texts.advice.len()];
        for (length, allowed) in lengths.into_iter().zip([2..=3, 2..=4, 3..=5]) {
            assert!(allowed.contains(&length), "{}: {lengths:?}", finding.id);
        }
        assert_eq!(finding.summary, texts.statements[0]);
        let sentences = all_sentences(&texts);
        let distinct: BTreeSet<String> = sentences.iter().map(|sentence| sentence.to_lowercase()).collect();
        assert_eq!(
            distinct.len(),
            sentences.len(),
            "{}: a sentence is there twice: {sentences:#?}",
            finding.id
        );
    }
}

#[tokio::test]
async fn every_sentence_is_well_formed() {
    for Found { finding, texts } in every_kind().await {
        let resource = finding.resource.as_str();
        let limits = [(&texts.statements, 160), (&texts.consequences, 160), (&texts.advice, 220)];
        for (sentences, longest) in limits {
            for sentence in sentences.iter().flat_map(|sentence| expanded(sentence)) {
                let bare = without(&sentence, resource);
                assert!(bare.chars().count() <= longest, "{}: too long: {sentence}", finding.id);
                let own = without_commands(&bare);
                assert!(own.starts_with(|c: char| c.is_ascii_uppercase()), "{}: {sentence}", finding.id);
                assert!(own.ends_with('.') && !own.ends_with(".."), "{}: {sentence}", finding.id);
                let inner = own.trim_end_matches('.');
                assert!(!inner.contains(". ") && !inner.contains(['!', '?', '{', '}', '|']), "{sentence}");
                assert!(!own.contains("  ") && !own.contains(" ,") && !own.contains(" ."), "{sentence}");
                let words: Vec<&str> = own.split(' ').collect();
                assert!(words.len() >= 5 || sentence.len() > bare.len(), "too short: {sentence}");
                assert!(words.windows(2).all(|pair| pair[0] != pair[1]), "a word is there twice: {sentence}");
            }
        }
        let headline = without(&texts.headline, resource);
        assert!(headline.chars().count() <= 70, "{headline}");
        assert!(!headline.contains(|c: char| c.is_ascii_digit() || ".;`[]".contains(c)), "{headline}");
        assert!(headline.split(' ').count() >= 3, "{headline}");
        // `GPU` is an abbreviation.
        let begin = texts.headline.starts_with(char::is_uppercase);
        assert!(!begin || texts.headline.starts_with("GPU "), "{}", texts.headline);
    }
}

#[tokio::test]
async fn every_figure_of_a_statement_is_in_the_evidence() {
    for Found { finding, texts } in every_kind().await {
        let decisive = &finding.evidence[0];
        for statement in &texts.statements {
            let bare = without(statement, &finding.resource);
            let found = figures(&bare);
            for figure in &found {
                let measured = finding.evidence.iter().any(|evidence| stands_for(figure, evidence));
                assert!(measured, "{figure} in {statement:?}: {:?}", finding.evidence);
            }
            // A flag has no figure, a single container needs no count, and less than a second is written in words.
            let soon = decisive.unit == "hours" && decisive.value * 3600.0 < 1.0;
            let plain = decisive.unit == "flag" || finding.rule == "container_no_limit" || soon;
            let said = found.iter().any(|figure| stands_for(figure, decisive));
            let more = finding.id.ends_with(":more");
            assert!(said || plain || more, "no decisive figure: {statement:?}: {decisive:?}");
        }
    }
}

#[tokio::test]
async fn statements_name_their_resource() {
    const GENERAL: [&str; 9] = [
        "memory",
        "swap",
        "processor",
        "disks",
        "processes",
        "open files",
        "clock",
        "containers",
        "control group",
    ];
    for Found { finding, texts } in every_kind().await {
        let resource = finding.resource.to_lowercase();
        if GENERAL.contains(&resource.as_str()) {
            continue;
        }
        for sentence in texts.statements.iter().chain([&texts.headline]) {
            let named = sentence.to_lowercase().contains(&resource);
            let more = finding.id.ends_with(":more") && sentence.starts_with("more ");
            assert!(named || more || finding.rule == "headroom", "{resource} is not named: {sentence}");
        }
    }
}

#[tokio::test]
async fn consequences_are_general() {
    for Found { finding, texts } in every_kind().await {
        for sentence in &texts.consequences {
            let plain = |c: char| c.is_ascii_alphabetic() || " ,-.[|]".contains(c);
            assert!(sentence.chars().all(plain), "{}: {sentence}", finding.id);
            let expanded = expanded(sentence);
            assert!(expanded.len() <= 64, "{sentence}");
            assert_eq!(expanded[0], first_choices(sentence));
            let distinct: BTreeSet<&String> = expanded.iter().collect();
            assert_eq!(distinct.len(), expanded.len(), "{sentence}");
        }
    }
}

#[tokio::test]
async fn commands_of_the_advice_are_those_of_the_remedies() {
    for Found { finding, texts } in every_kind().await {
        let offered: Vec<&String> = finding.remedies.iter().filter_map(|one| one.command.as_ref()).collect();
        let mut advised = Vec::new();
        for sentence in &texts.advice {
            let parts: Vec<&str> = sentence.split('`').collect();
            assert!(parts.len() % 2 == 1, "an open backquote: {sentence}");
            advised.extend(parts.iter().skip(1).step_by(2).map(|command| (*command).to_owned()));
            let own = without(&without_commands(sentence), &finding.resource);
            assert!(!own.contains(|c: char| c.is_ascii_digit()), "{sentence}");
        }
        assert!(advised.iter().all(|command| offered.contains(&command)), "{}: {advised:?}", finding.id);
        assert!(offered.iter().all(|command| advised.contains(command)), "{}: {offered:?}", finding.id);
        let first_has_command = texts.advice[0].contains('`');
        assert!(first_has_command || finding.remedies[0].command.is_none(), "{}", finding.id);
    }
}

#[tokio::test]
async fn sentences_are_plain_english() {
    // Phrases that the project no longer uses, then events that no rule has measured.
    const REFUSED: [&str; 28] = [
        "want of",
        "be had",
        "told",
        "tells",
        "anew",
        "fares",
        "stands",
        "so many",
        "so long",
        "so often",
        "presses",
        "reckons",
        "lately",
        "by force",
        "cushion",
        "nobody",
        "in step",
        "stay whole",
        "takes notice",
        "what there is",
        "soften",
        "has room",
        "has lost",
        "have lost",
        "has failed",
        "have failed",
        "was lost",
        "has crashed",
    ];
    for Found { finding, texts } in every_kind().await {
        let remedies = finding.remedies.iter().map(|remedy| remedy.text.clone());
        for sentence in all_sentences(&texts).into_iter().chain(remedies).chain([texts.headline]) {
            let sentence = without(&without_commands(&sentence), &finding.resource).to_lowercase();
            let words = format!(" {} ", sentence.replace(|c: char| !c.is_ascii_alphanumeric(), " "));
            for phrase in REFUSED {
                assert!(!words.contains(&format!(" {phrase} ")), "{phrase:?} in {sentence:?}");
            }
        }
    }
}

#[tokio::test]
async fn rules_text_takes_the_first_of_each_kind() {
    let machine = find(&sick(), &Trends::default());
    let swap = machine.iter().find(|found| found.finding.rule == "swap_full").unwrap();
    assert_eq!(
        swap.texts.rules_text(),
        "Swap is 99 % used (2 GiB in total), and memory is 97.3 % used. When both memory and swap are used up, the \
         kernel kills processes to free memory. Run `swapon --show` to see which swap devices and files there are and \
         how full each one is."
    );
    for Found { finding, texts } in every_kind().await {
        let text = texts.rules_text();
        assert!(text.starts_with(&finding.summary) && text.ends_with(&texts.advice[0]), "{text}");
        assert!(!text.contains(['[', '|', ']', '{', '}']) || text.contains('`'), "{text}");
        assert!(
            finding.severity != Severity::Critical
                || text.contains('`')
                || finding.remedies[0].command.is_none()
        );
    }
}

#[test]
fn synonyms_resolve_to_the_first() {
    for (sentence, first) in [
        ("Programs [fail|stop working] there.", "Programs fail there."),
        ("[A|B] and [c|d|e].", "A and c."),
        ("None at all.", "None at all."),
        ("", ""),
    ] {
        assert_eq!(first_choices(sentence), first);
    }
    assert_eq!(expanded("[A|B] and [c|d]."), ["A and c.", "A and d.", "B and c.", "B and d."]);
}

fn all_sentences(texts: &Texts) -> Vec<String> {
    [&texts.statements, &texts.consequences, &texts.advice].into_iter().flatten().cloned().collect()
}

/// Returns every sentence that the choices allow, the first choices first.
fn expanded(sentence: &str) -> Vec<String> {
    let parts = sentence.split_once('[').and_then(|(before, after)| Some((before, after.split_once(']')?)));
    let Some((before, (choices, rest))) = parts else { return vec![sentence.to_owned()] };
    let rests = expanded(rest);
    let joined =
        choices.split('|').flat_map(|choice| rests.iter().map(move |rest| format!("{before}{choice}{rest}")));
    joined.collect()
}

/// Removes the name of the resource, so that digits and lengths are those of the sentence itself.
fn without(sentence: &str, resource: &str) -> String {
    let begin = resource[..1].to_uppercase() + &resource[1..];
    let own = resource.split_once(' ').map_or(resource, |(_, own)| own);
    sentence.replace(&begin, "X").replace(resource, "x").replace(own, "x")
}

fn without_commands(sentence: &str) -> String {
    sentence.split('`').step_by(2).collect::<Vec<_>>().join("x")
}

fn figures(sentence: &str) -> Vec<String> {
    let words = sentence.split(|c: char| !c.is_ascii_digit() && c != '.').map(|word| word.trim_matches('.'));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Returns whether the figure is the value in one of the units and roundings that the rules use.
fn stands_for(figure: &str, evidence: &Evidence) -> bool {
    let scaled = (0..5).map(|power| evidence.value / 1024f64.powi(power));
    scaled.chain([evidence.value * 60.0, evidence.value * 3600.0]).any(|value| {
        let decimal = figures::decimal(value);
        figure == decimal || figure == format!("{value:.0}")
    })
}
