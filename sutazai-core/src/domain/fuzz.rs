//! Fuzz tests of the schemas and cron patterns that callers send.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::Value;

use super::cron::CronTimes;
use super::schema;
use crate::testing::mutated;

/// Time per target when no external fuzzer sets it.
const FUZZ_DURATION: Duration = Duration::from_secs(2);

#[test]
fn schemas() {
    let seeds: [&[u8]; 5] = [
        br##"{"$defs":{"a":{"type":"array","items":{"$ref":"#/$defs/a"}},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/b"}"##,
        br#"{"type":"object","properties":{"a":{"type":"string","pattern":"^(a|b){1,20}$"}},"required":["a"],"additionalProperties":false}"#,
        br#"{"type":"array","prefixItems":[{"enum":[1,null,"x"]}],"items":{"const":{"a":1}},"minItems":2,"maxItems":9}"#,
        br#"{"anyOf":[{"type":"number","minimum":0,"maximum":1e3},{"oneOf":[true,false,{"not":{}}]}],"format":"date-time"}"#,
        br##"{"$id":"http://a/b","$anchor":"x","allOf":[{"$ref":"#x"},{"$ref":"b#/allOf/0"},{"$dynamicRef":"#x"}],"if":{},"then":false}"##,
    ];
    let instance = serde_json::json!({ "a": ["x", 1, null, { "a": "ab" }] });
    bolero::check!().with_test_time(FUZZ_DURATION).for_each(|script: &[u8]| {
        let Ok(value) = serde_json::from_slice::<Value>(&mutated(&seeds, script)) else { return };
        let checked = schema::check(&value);
        match schema::validator(&value) {
            Ok(validator) => {
                assert!(checked.is_ok(), "a schema over the limits was compiled: {value}");
                let _ = validator.is_valid(&instance);
            }
            Err(e) => {
                assert_eq!(e.field(), Some("constraint"), "{e}");
                assert!(e.message().len() < 2_000, "{e}");
            }
        }
    });
}

#[test]
fn cron_patterns() {
    let seeds: [&[u8]; 8] = [
        b"30 2 * * MON-FRI",
        b"*/20 * * * *",
        b"0,30 2,14 1-7 */2 7",
        b"0 0 29 2 *",
        b"0 0 L * *",
        b"0 0 15W * *",
        b"0 0 * * 5#3",
        b"@daily",
    ];
    let zones = ["UTC", "Europe/Berlin", "Asia/Beirut", "Australia/Lord_Howe", "America/Sao_Paulo"];
    bolero::check!().with_test_time(FUZZ_DURATION).for_each(|script: &[u8]| {
        let pattern = String::from_utf8_lossy(&mutated(&seeds, script)).into_owned();
        let zone = zones[script.len() % zones.len()];
        match CronTimes::parse(&pattern, zone) {
            Ok(times) => {
                // Around the clock changes of a year, and near the end of the calendar.
                let mut time = Utc.with_ymd_and_hms(2026, 3, 27, 22, 15, 0).unwrap();
                for _ in 0..5 {
                    let Some(next) = times.after(time) else { break };
                    assert!(next > time, "{pattern:?} in {zone}: {next} after {time}");
                    time = next;
                }
                let _ = times.after(chrono::DateTime::<Utc>::MAX_UTC - chrono::TimeDelta::days(400));
            }
            Err(e) => assert!(e.field() == Some("cron"), "{e}"),
        }
    });
}
