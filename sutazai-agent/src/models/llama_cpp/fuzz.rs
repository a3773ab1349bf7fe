//! Fuzz tests of the frames between a process and the child that runs its model: each end must survive a broken peer.

use std::io;
use std::time::Duration;

use sutazai_core::testing::mutated;

use super::protocol::{Command, Reply, read_frame, write_frame};

/// Duration of each target when no fuzzer sets it.
const TEST_TIME: Duration = Duration::from_secs(2);

/// Concatenates bodies, each prefixed with its length.
fn frames(bodies: &[&str]) -> Vec<u8> {
    let frame = |body: &&str| [&(body.len() as u32).to_le_bytes()[..], body.as_bytes()].concat();
    bodies.iter().flat_map(frame).collect()
}

#[test]
fn frames_of_the_child_and_of_its_parent() {
    let replies = frames(&[
        r#"{"reply":"ready","purpose":"write","slots":4,"parameters":134515008,"context_length":2048}"#,
        r#"{"reply":"text","id":1,"text":"a"}"#,
        r#"{"reply":"failed","id":2,"error":{"kind":"unavailable","message":"m","field":null,"retry_after":{"secs":1,"nanos":0}}}"#,
        r#"{"reply":"vectors","id":3,"vectors":[[0.5,-1e-7]],"prompt_tokens":3}"#,
    ]);
    let commands = frames(&[
        r#"{"command":"load","path":"/m.gguf","excluded_variants":["haswell"],"memory_limit":null}"#,
        r#"{"command":"embed","id":1,"texts":["a","b"]}"#,
        r#"{"command":"cancel","id":1}"#,
    ]);
    let seeds = [replies.as_slice(), commands.as_slice()];
    bolero::check!().with_test_time(TEST_TIME).for_each(|script: &[u8]| {
        let input = mutated(&seeds, script);
        let mut rest = input.as_slice();
        // A frame that was read can be written and is then read as the same value.
        while let Ok(Some(reply)) = read_frame::<Reply>(&mut rest) {
            let mut written = Vec::new();
            write_frame(&mut written, &reply).unwrap();
            let again = read_frame::<Reply>(written.as_slice()).unwrap().unwrap();
            assert_eq!(format!("{reply:?}"), format!("{again:?}"));
        }
        let mut rest = input.as_slice();
        let end = loop {
            match read_frame::<Command>(&mut rest) {
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(e) => break Some(e.kind()),
            }
        };
        let expected = [
            None,
            Some(io::ErrorKind::InvalidData),
            Some(io::ErrorKind::UnexpectedEof),
            Some(io::ErrorKind::Other),
        ];
        assert!(expected.contains(&end), "{end:?}");
    });
}
