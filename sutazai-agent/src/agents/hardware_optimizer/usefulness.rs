//! Whether a text is worth reading, all its claims being true.

use std::collections::{BTreeMap, BTreeSet};

use super::claims::Fault;
use super::lexicon;
use super::support::words;

/// Fewer words are no recommendation.
const FEWEST_WORDS: usize = 6;

/// More characters are no longer read.
const LONGEST: usize = 700;

/// So many words in a row that stand twice make a loop.
const REPEATED_RUN: usize = 4;

/// One word may make up this share of a text's longer words.
const MOST_OF_ONE_WORD: f64 = 0.34;

/// So many words in a row of the request make a text a repetition of it.
const COPIED_RUN: usize = 9;

/// Looks at a text that makes `claims` claims; `request` is what the model was told beside the finding's own sentences,
/// which may end on words that no other does.
///
/// # Errors
/// `Useless` with the reason.
pub(super) fn check(
    text: &str,
    claims: u32,
    request: &str,
    may_end_on: impl Fn(&str) -> bool,
) -> Result<(), Fault> {
    let useless = |why| Err(Fault::Useless(why));
    let said: Vec<String> = words(text).map(str::to_lowercase).collect();
    if said.len() < FEWEST_WORDS {
        return useless("is empty or too short");
    }
    if text.len() > LONGEST {
        return useless("is too long");
    }
    if !text.trim_end().ends_with(['.', '!', '`']) {
        return useless("breaks off");
    }
    let dangles = |sentence: &str| {
        let last = words(sentence).last().map(str::to_lowercase);
        last.is_some_and(|word| lexicon::contains(lexicon::OPENING, &word) && !may_end_on(&word))
            && sentence.ends_with(|c: char| c.is_alphabetic())
    };
    if text.split(['.', '!', '?']).any(dangles) {
        return useless("breaks off");
    }
    if claims == 0 {
        return useless("says nothing about the finding");
    }
    if loops(&said) {
        return useless("loops");
    }
    let told: Vec<String> = words(request).map(str::to_lowercase).collect();
    let told: BTreeSet<_> = told.windows(COPIED_RUN).collect();
    if said.windows(COPIED_RUN).any(|run| told.contains(run)) {
        return useless("repeats the request");
    }
    Ok(())
}

fn loops(said: &[String]) -> bool {
    if said.windows(2).any(|pair| pair[0] == pair[1]) {
        return true;
    }
    let mut runs = BTreeSet::new();
    if said.windows(REPEATED_RUN).any(|run| !runs.insert(run)) {
        return true;
    }
    let mut counts = BTreeMap::new();
    let long: Vec<_> = said.iter().filter(|word| word.len() > 3).collect();
    for word in &long {
        *counts.entry(word.as_str()).or_insert(0_usize) += 1;
    }
    let most = counts.values().max().copied().unwrap_or(0);
    most > 2 && most as f64 > MOST_OF_ONE_WORD * long.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_nothing_to_read_are_told_apart() {
        let request = "You write short advice for the owner of a server and use only the facts given.";
        for (text, why) in [
            ("", "empty"),
            ("   .", "empty"),
            ("Memory is full.", "too short"),
            ("Memory is almost full and work is stalled so look at what", "breaks off"),
            ("Memory memory is used by the largest of all processes.", "loops"),
            ("See what holds the most memory, and see what holds the most memory again.", "loops"),
            ("The process of a process is the process that waits for the process.", "loops"),
            ("I write short advice for the owner of a server, as asked.", "repeats the request"),
        ] {
            match check(text, 2, request, |_| false) {
                Err(Fault::Useless(says)) => assert!(says.contains(why), "{text}: {says}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        let good = "Memory is almost full, so look at which processes hold the most of it.";
        assert_eq!(check(good, 1, request, |_| false), Ok(()));
        assert_eq!(check(good, 0, request, |_| false), Err(Fault::Useless("says nothing about the finding")));
        assert!(check(&format!("{good} {}.", "x ".repeat(400)), 1, request, |_| false).is_err());
    }
}
