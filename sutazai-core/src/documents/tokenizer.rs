//! Tokenizer and term weights of the full-text search, the same for every store.
//!
//! Words are compared by Unicode's compatibility caseless matching (The Unicode Standard, 3.13, D146): `ΟΔΟΣ` equals
//! `οδος`, `STRASSE` equals `Straße`, and `é` is equal as one character or two. Combining marks distinguish words, and
//! invisible characters belong to no word. Stores keep words in this form only, whatever their own tokenizers would do.

use std::borrow::Cow;

use caseless::Caseless;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Maximum number of different words and phrases in a search; the rest are ignored.
const MAX_TERMS: usize = 8;
/// Maximum length of a word that is stored unchanged, in bytes. PostgreSQL accepts words of at most 2,046.
const MAX_WORD_BYTES: usize = 500;
/// Delimiters of a phrase: the quotation marks of keyboards and of typesetters.
const QUOTES: [char; 7] = ['"', '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '«', '»'];

/// Splits a text into its words, in order and in the form in which they are compared: runs of letters, digits and marks
/// of any script that begin with a letter or a digit. All other characters only separate words. Languages written
/// without spaces have whole phrases as words. A word longer than 500 bytes is represented by its SHA-256, so that it
/// is still compared completely.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    runs(text).map(|run| comparable(&seen(run)))
}

/// Splits a text into its words as they are written, with the invisible characters in and behind them.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let runs = text.split(|c| !is_of_a_word(c) && !is_unseen(c));
    // Marks without a preceding letter have nothing to combine with.
    let begun = runs.map(|run| run.trim_start_matches(|c: char| !c.is_alphanumeric()));
    begun.filter(|run| run.contains(|c| !is_unseen(c)))
}

/// Returns the places at which a text has one of these terms of [`terms_to_find`], in ascending order: the offsets of the
/// first character and behind the last one, in Unicode scalar values. Places that overlap, as those of a phrase and of one
/// of its words do, are joined.
pub(crate) fn places(terms: &[Vec<String>], text: &str) -> Vec<(usize, usize)> {
    let (mut bytes, mut chars) = (0, 0);
    let words: Vec<(String, usize, usize)> = runs(text)
        .map(|run| {
            // Each run is a part of the text.
            let at = run.as_ptr().addr() - text.as_ptr().addr();
            let written = run.trim_end_matches(is_unseen);
            chars += text[bytes..at].chars().count();
            bytes = at;
            (comparable(&seen(run)), chars, chars + written.chars().count())
        })
        .collect();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for first in 0..words.len() {
        let fits = |term: &&Vec<String>| {
            let there = words[first..].iter().map(|(word, ..)| word);
            words.len() - first >= term.len() && there.zip(term.iter()).all(|(word, wanted)| word == wanted)
        };
        let Some(longest) = terms.iter().filter(fits).map(Vec::len).max() else { continue };
        let (start, end) = (words[first].1, words[first + longest - 1].2);
        match found.last_mut() {
            Some((_, last)) if start <= *last => *last = end.max(*last),
            _ => found.push((start, end)),
        }
    }
    found
}

/// Parses a search into at most 8 different terms, in order: single words, and phrases of the words between two
/// quotation marks. An unclosed quotation mark is ignored.
pub fn terms_to_find(text: &str) -> Vec<Vec<String>> {
    let mut terms: Vec<Vec<String>> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && terms.len() < MAX_TERMS {
        let quoted = rest.find(QUOTES).and_then(|at| {
            let inside = after_first(&rest[at..]);
            let end = inside.find(QUOTES)?;
            Some((at, &inside[..end], after_first(&inside[end..])))
        });
        let (before, phrase, after) = match quoted {
            Some((at, phrase, after)) => (&rest[..at], Some(phrase), after),
            None => (rest, None, ""),
        };
        let single = words(before).map(|word| vec![word]);
        let phrase = phrase.map(|phrase| words(phrase).collect::<Vec<_>>()).filter(|words| !words.is_empty());
        for term in single.chain(phrase) {
            if terms.len() < MAX_TERMS && !terms.contains(&term) {
                terms.push(term);
            }
        }
        rest = after;
    }
    terms
}

/// Weight of a word that `with` of all the owner's `chunks` contain, in thousandths: the inverse document frequency of
/// BM25, `ln(1 + (N - n + 0.5) / (n + 0.5))` (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009,
/// with 1 added so that it stays above zero). So "lease" has more weight than "the". Only the owner's chunks are
/// counted, so that the ranking reveals nothing about other users. Integers, so that sums do not depend on their order.
pub fn weight(chunks: u64, with: u64) -> i64 {
    // Both are far below 2^53 and therefore exact as `f64`. A chunk added between the two counts must not make the
    // logarithm negative.
    let (all, with) = (chunks.max(with) as f64, with as f64);
    let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
    // At least 1: even the most common word counts when it is present. The cast cannot overflow, because ln(2^64) < 45.
    ((weight * 1_000.0).round() as i64).max(1)
}

/// Returns the score of a passage from the sum of its words' weights.
pub fn score(weights: i64) -> f64 {
    weights as f64 / 1_000.0
}

/// Returns the text after its first character.
fn after_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// Returns whether a character is a letter, a digit or a combining mark.
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && is_combining_mark(c))
}

/// Returns whether a character is invisible, such as a soft hyphen or a zero-width joiner: Unicode's
/// `Default_Ignorable_Code_Point`.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Removes the invisible characters of a text.
fn seen(text: &str) -> Cow<'_, str> {
    match text.contains(is_unseen) {
        true => text.chars().filter(|c| !is_unseen(*c)).collect(),
        false => text.into(),
    }
}

/// Returns a word in the form in which words are compared.
fn comparable(word: &str) -> String {
    let folded = if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        word.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
    };
    if folded.len() <= MAX_WORD_BYTES {
        return folded;
    }
    // The prefix `#` occurs in no word, so a digest cannot be mistaken for one.
    format!("#{}", HEXLOWER.encode(&Sha256::digest(&folded)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_separated_by_punctuation() {
        let text = "Set JWT_SECRET in /etc/config.toml, \"x86\" NOT* a-b. Größe";
        let expected =
            ["set", "jwt", "secret", "in", "etc", "config", "toml", "x86", "not", "a", "b", "grösse"];
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
        assert_eq!(words(" *:()-\"' \u{0} \u{301} \u{ad}").count(), 0);
    }

    #[test]
    fn spellings_of_a_word_are_one_term() {
        for (one, other) in [
            ("İstanbul", "i\u{307}stanbul"),
            ("ΟΔΟΣ", "οδος"),
            ("Οδός", "ΟΔΌΣ"),
            ("STRASSE", "straße"),
            ("GROẞ", "groß"),
            ("café", "CAFE\u{301}"),
            ("한국어", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{116e}\u{11a8}\u{110b}\u{1165}"),
            ("Việt", "Vie\u{323}\u{302}t"),
            ("Donau\u{ad}dampf\u{200b}schiff", "Donaudampfschiff"),
            ("\u{feff}می\u{200c}خواهم", "میخواهم"),
            ("ﬁne", "FINE"),
            ("Ａｂｃ１", "abc1"),
            ("ǅungla", "ǆUNGLA"),
            ("Ω", "\u{2126}"),
            ("ꮳꮃꭹ", "ᏣᎳᎩ"),
            ("ΑΙ\u{345}", "αι\u{345}"),
        ] {
            let (one, other) = (words(one).collect::<Vec<_>>(), words(other).collect::<Vec<_>>());
            assert_eq!(one, other);
            assert_eq!(one.len(), 1, "{one:?}");
        }
        for (one, other) in [
            ("की", "को"),
            ("cafe", "café"),
            ("क्षेत्र", "कषतर"),
            ("ıssız", "issiz"),
            ("น้ำ", "นำ"),
            ("היום", "הַיּוֹם"),
        ] {
            let (one, other) = (words(one).collect::<Vec<_>>(), words(other).collect::<Vec<_>>());
            assert_ne!(one, other);
            assert_eq!((one.len(), other.len()), (1, 1), "{one:?} {other:?}");
        }
        assert_eq!(words("rock\u{301}n\u{b4}roll").collect::<Vec<_>>(), ["roc\u{1e31}n", "roll"]);
    }

    #[test]
    fn long_words_are_compared_whole() {
        for letter in ["x", "ü", "한"] {
            let (one, other) = (format!("{}a", letter.repeat(500)), format!("{}b", letter.repeat(500)));
            let [one, other] = [one, other].map(|word| words(&word).collect::<Vec<_>>());
            assert_eq!((one.len(), other.len()), (1, 1));
            assert_ne!(one, other);
            assert!(one[0].len() <= 2_046, "PostgreSQL takes it");
        }
        let upper = "Ü".repeat(300);
        assert_eq!(words(&upper).collect::<Vec<_>>(), words(&upper.to_lowercase()).collect::<Vec<_>>());
    }

    #[test]
    fn no_word_has_what_databases_read_as_their_own() {
        for c in '\u{80}'..=char::MAX {
            for word in words(&format!("a{c}b")) {
                assert!(!word.contains(['\'', '\\', '=', '#', '"', '\0']), "{c:?} in {word:?}");
                assert!(!word.is_empty());
            }
        }
    }

    #[test]
    fn search_terms_are_distinct_and_limited() {
        let terms =
            |text: &str| terms_to_find(text).into_iter().map(|words| words.join("+")).collect::<Vec<_>>();
        assert_eq!(terms("The lease, the LEASE and the end"), ["the", "lease", "and", "end"]);
        let many: String = (0..100).map(|n| format!("w{n} ")).collect();
        assert_eq!(terms(&many).len(), MAX_TERMS);
        assert_eq!(terms("a \"Red fox\" b"), ["a", "red+fox", "b"]);
        assert_eq!(terms("„Red fox“ “red FOX” «Red, fox»"), ["red+fox"]);
        assert_eq!(terms("\"one\" one \"\" \"!\""), ["one"]);
        assert_eq!(terms("\"red fox"), ["red", "fox"], "nothing closes it");
        assert_eq!(terms("\"a b\" \"c d"), ["a+b", "c", "d"]);
        assert_eq!(terms("\"a b\"c\"d e\""), ["a+b", "c", "d+e"]);
        assert_eq!(terms(&format!("\"{many}\"")).len(), 1);
    }

    #[test]
    fn places_of_terms_are_counted_in_characters() {
        let found = |search: &str, text: &str| -> Vec<String> {
            let chars: Vec<char> = text.chars().collect();
            let places = places(&terms_to_find(search), text);
            assert!(places.windows(2).all(|pair| pair[0].1 < pair[1].0), "{places:?}");
            places.into_iter().map(|(start, end)| chars[start..end].iter().collect()).collect()
        };
        assert_eq!(found("lease", "A lease; the LEASE, leases."), ["lease", "LEASE"]);
        assert_eq!(found("strasse größe", "🦀 Straße, GRÖSSE 🦀"), ["Straße", "GRÖSSE"]);
        assert_eq!(found("\"red fox\"", "red foxes, red, fox red fox"), ["red, fox", "red fox"]);
        assert_eq!(found("red \"red fox\"", "a red fox is red"), ["red fox", "red"]);
        assert_eq!(found("\"a b\" \"b c\"", "a b c"), ["a b c"]);
        assert_eq!(
            found("donaudampfschiff", "\u{ad}Donau\u{ad}dampf\u{ad}schiff\u{ad}!"),
            ["Donau\u{ad}dampf\u{ad}schiff"]
        );
        assert_eq!(found("roll", "rock\u{301}n\u{b4}roll"), ["roll"]);
        assert_eq!(found("", "text"), [""; 0]);
        assert_eq!(found("word", ""), [""; 0]);
    }

    #[test]
    fn rare_words_weigh_more_and_every_word_weighs_something() {
        assert!(weight(1_000, 1) > weight(1_000, 10));
        assert!(weight(1_000, 10) > weight(1_000, 1_000));
        assert!(weight(1_000, 1_000) >= 1 && weight(1_000_000_000, 1_000_000_000) >= 1);
        // A chunk was added between the two counts.
        assert!(weight(1, 2) >= 1);
        assert_eq!(score(weight(1, 1)), 0.288);
    }
}
