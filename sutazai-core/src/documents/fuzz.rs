//! Fuzz tests of the readers of uploaded files.

use std::collections::HashSet;
use std::time::Duration;

use super::service::chunks_of;
use super::split::LONGEST;
use super::tokenizer::{terms_to_find, words};
use crate::domain::{DocumentId, MediaType};
use crate::testing::mutated;

/// Time per target when no external fuzzer sets it.
const TIME: Duration = Duration::from_secs(2);

const SEEDS: [&[u8]; 5] = [
    "<!doctype html><title>A &amp; B</title><style>p{}</style><script>a<b</script><p hidden>f&uuml;nf<br>sechs".as_bytes(),
    b"<pre> a\n b</pre><template><p>x</template><div style='display:none'>y</div><dialog>z</dialog><![CDATA[<!-- &#x110000;",
    "# One\n\nZwei Sätze. Und noch einer!\n\n## Two\n\n- 한국어 की\n\n```\ncode\n```\n".as_bytes(),
    "\u{feff}İstanbul ΟΔΟΣ Donau\u{ad}dampf\u{200b}schiff cafe\u{301} \u{202e}\r\n\r\nx".as_bytes(),
    b"\xff\xfea\0b\0",
];

#[test]
fn files() {
    bolero::check!().with_test_time(TIME).for_each(|script: &[u8]| {
        let file = mutated(&SEEDS, script);
        for media_type in [MediaType::Plain, MediaType::Markdown, MediaType::Html] {
            let Ok(chunks) = chunks_of(DocumentId::new(), media_type, &file) else { continue };
            for (index, chunk) in chunks.iter().enumerate() {
                let length = chunk.text.chars().count();
                assert!(length > 0 && length <= LONGEST, "{length} characters");
                assert_eq!((chunk.index as usize, chunk.end - chunk.start), (index, length as u32));
                // Stored text is found by its own words, as they are written in it.
                let stored: HashSet<String> = words(&chunk.text).collect();
                for written in chunk.text.split_whitespace().take(4) {
                    let found =
                        terms_to_find(written).into_iter().flatten().all(|word| stored.contains(&word));
                    assert!(found, "{written:?}");
                }
            }
            assert!(chunks.windows(2).all(|pair| pair[0].start < pair[1].start && pair[0].end < pair[1].end));
        }
    });
}
