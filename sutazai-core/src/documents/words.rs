//! What a word is to a search, and what finding one is worth: the same for every store.

use std::collections::BTreeSet;

/// So many different words of a search are looked for; the rest are left out.
const MOST: usize = 8;

/// The words of a text in their order, in lower case: runs of letters and digits of any script. What stands between them
/// means nothing. Languages that are written without spaces have whole phrases for words.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let runs = text.split(|c| !is_of_a_word(c)).filter(|run| !run.is_empty());
    runs.map(|run| run.chars().flat_map(char::to_lowercase).collect())
}

/// The different words of a search, at most 8.
pub fn words_to_find(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    words(text).filter(|word| seen.insert(word.clone())).take(MOST).collect()
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

/// Letters and digits, and the marks that stand on letters where a letter and its mark are two characters.
fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_stands_between_signs() {
        let text = "Set JWT_SECRET in /etc/config.toml, \"x86\" NOT* a-b. Größe cafe\u{301}";
        let expected = [
            "set",
            "jwt",
            "secret",
            "in",
            "etc",
            "config",
            "toml",
            "x86",
            "not",
            "a",
            "b",
            "größe",
            "cafe\u{301}",
        ];
        assert_eq!(words(text).collect::<Vec<_>>(), expected);
        assert_eq!(words(" *:()-\"' \u{0} ").count(), 0);
    }

    #[test]
    fn a_search_has_each_word_once_and_not_too_many() {
        assert_eq!(words_to_find("The lease, the LEASE and the end"), ["the", "lease", "and", "end"]);
        let many: String = (0..100).map(|n| format!("w{n} ")).collect();
        assert_eq!(words_to_find(&many).len(), MOST);
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
