//! Fuzz tests of the stream decoders: any input, cut anywhere, gives the same items or the same kind of error.

use std::time::Duration;

use serde_json::Value;
use sutazai_core::ErrorKind;
use sutazai_core::testing::mutated;

use super::decoder::{Decoder, decode_pieces};
use super::{NdjsonDecoder, SseDecoder};

/// Duration of each target when no fuzzer sets it.
const TEST_TIME: Duration = Duration::from_secs(2);

/// Decodes the body whole and in chunks whose lengths follow from the script, and compares the results.
fn assert_chunking_is_irrelevant<D: Decoder>(decoder: fn() -> D, body: &[u8], script: &[u8])
where
    D::Item: PartialEq + std::fmt::Debug,
{
    let whole = decode_pieces(decoder(), &[body]);
    let (mut pieces, mut rest) = (Vec::new(), body);
    for length in script {
        let (piece, left) = rest.split_at(usize::from(*length % 16).min(rest.len()));
        pieces.push(piece);
        rest = left;
    }
    pieces.push(rest);
    match (whole, decode_pieces(decoder(), &pieces)) {
        (Ok(whole), Ok(cut)) => assert_eq!(whole, cut),
        (Err(whole), Err(cut)) => {
            assert_eq!((whole.kind(), cut.kind()), (ErrorKind::Unavailable, ErrorKind::Unavailable));
        }
        (whole, cut) => unreachable!("whole: {whole:?}, in pieces: {cut:?}"),
    }
}

#[test]
fn server_sent_events() {
    let seeds: [&[u8]; 3] = [
        b": alive\n\nevent: x\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\nid: 7\n\ndata: [DONE]\n\n",
        b"\xef\xbb\xbfdata:one\r\ndata: two\r\n\r\ndata\n\ndata:\n\nretry: 10\ndata: cut",
        b"data: \xff\n\ndata: a\rdata: b\r\r:\r\n\r\n",
    ];
    bolero::check!().with_test_time(TEST_TIME).for_each(|script: &[u8]| {
        assert_chunking_is_irrelevant(SseDecoder::default, &mutated(&seeds, script), script);
    });
}

#[test]
fn lines_of_json() {
    let seeds: [&[u8]; 3] = [
        b"{\"message\":{\"content\":\"a\"},\"done\":false}\n{\"done\":true,\"eval_count\":3}\n",
        b"{\"a\":[1,2,{\"b\":null}]}\r\n\n \n\"x\"\n1e400\n{\"last\":1}",
        b"\xef\xbb\xbf{\"\\ud800\":0}\n[[[[[[[[\n{\"a\":",
    ];
    bolero::check!().with_test_time(TEST_TIME).for_each(|script: &[u8]| {
        assert_chunking_is_irrelevant(NdjsonDecoder::<Value>::default, &mutated(&seeds, script), script);
    });
}
