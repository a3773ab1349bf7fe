//! What a word is to a search, and what finding one is worth: the same for every store.
//!
//! Words are compared by Unicode's compatibility caseless matching (The Unicode Standard, 3.13, D146): `ΟΔΟΣ` is `οδος`,
//! `STRASSE` is `Straße`, and `é` is one word whether it is one character or two. Marks tell words apart, and characters that
//! nobody sees belong to no word. Stores keep words in this form and in no other, whatever their own tokenizers would do.

use std::borrow::Cow;

use caseless::Caseless;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The most different words and phrases of a search that are looked for; the rest are left out.
const MAX_TERMS: usize = 8;
/// The longest word that is kept as it is, in bytes. PostgreSQL takes words of at most 2,046.
const MAX_WORD_BYTES: usize = 500;
/// What a phrase stands between: the quotation marks of keyboards and of typesetters.
const QUOTES: [char; 7] = ['"', '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '«', '»'];

/// The words of a text in their order and in the form in which they are compared: runs of letters, digits and marks of any
/// script that begin with a letter or a digit. What stands between them means nothing. Languages that are written without
/// spaces have whole phrases for words. A word longer than 500 bytes is represented by its SHA-256, so that it is compared
/// whole.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let runs = text.split(|c| !is_of_a_word(c) && !is_unseen(c));
    // A mark that follows no letter stands on nothing.
    let begun = runs.map(|run| run.trim_start_matches(|c: char| !c.is_alphanumeric()));
    begun.map(seen).filter(|run| !run.is_empty()).map(|run| comparable(&run))
}

/// What a search looks for, at most 8 different terms in their order: words, each by itself, and phrases, the words between
/// two quotation marks. A quotation mark that nothing closes means nothing.
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

/// What it is worth that a chunk has a word which `with` of all the owner's `chunks` have, in thousandths: the inverse
/// document frequency of BM25, `ln(1 + (N - n + 0.5) / (n + 0.5))` (Robertson and Zaragoza, "The Probabilistic Relevance
/// Framework", 2009, with the 1 that keeps it above zero). So "lease" counts for more than "the". Only one owner's chunks are
/// counted: what others have shows in nobody's order. Whole numbers, so that sums do not depend on their order.
pub fn weight(chunks: u64, with: u64) -> i64 {
    // Far below 2^53, so that both are exact; a chunk that came between two counts must not make it less than none.
    let (all, with) = (chunks.max(with) as f64, with as f64);
    let weight = (1.0 + (all - with + 0.5) / (with + 0.5)).ln();
    // At least 1: that a word is there counts for something, however common it is. The cast cannot overflow: ln(2^64) < 45.
    ((weight * 1_000.0).round() as i64).max(1)
}

/// The score of a passage whose words have these weights together.
pub fn score(weights: i64) -> f64 {
    weights as f64 / 1_000.0
}

/// What follows the first character of a text.
fn after_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// Letters, digits and the marks that stand on them.
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || (!c.is_ascii() && is_combining_mark(c))
}

/// Whether nobody sees a character, such as a soft hyphen or a joiner of no width: Unicode's `Default_Ignorable_Code_Point`.
fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A text without the characters that nobody sees.
fn seen(text: &str) -> Cow<'_, str> {
    match text.contains(is_unseen) {
        true => text.chars().filter(|c| !is_unseen(*c)).collect(),
        false => text.into(),
    }
}

/// A word in the form in which words are compared.
fn comparable(word: &str) -> String {
    let folded = if word.is_ascii() {
        word.to_ascii_lowercase()
    } else {
        word.nfd().default_case_fold().nfkd().default_case_fold().nfkc().collect()
    };
    if folded.len() <= MAX_WORD_BYTES {
        return folded;
    }
    // No word has a number sign, so none is taken for another.
    Sha256::digest(&folded).iter().fold("#".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_signs() {
        let text = "Set JWT_SECRET in /etc/config.toml, \"x86\" NOT* a-b. Größe";
        let expected =
            ["set", "jwt", "secret", "in", "etc", "config", "toml", "x86", "not", "a", "b", "grösse"];
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
        assert_eq!(words(" *:()-\"' \u{0} \u{301} \u{ad}").count(), 0);
    }

    #[test]
    fn a_word_is_one_however_it_is_written() {
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
    fn a_search_has_each_term_once_and_not_too_many() {
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
    fn rare_words_are_worth_more_and_none_is_worth_nothing() {
        assert!(weight(1_000, 1) > weight(1_000, 10));
        assert!(weight(1_000, 10) > weight(1_000, 1_000));
        assert!(weight(1_000, 1_000) >= 1 && weight(1_000_000_000, 1_000_000_000) >= 1);
        // One that was added between the two counts.
        assert!(weight(1, 2) >= 1);
        assert_eq!(score(weight(1, 1)), 0.288);
    }
}
