//! Fuzz targets for untrusted input: multipart forms, cursors, event ids, WebSocket messages, chat requests and
//! forwarded addresses.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sutazai_bodies::page::Cursor;
use sutazai_core::domain::{EventOffset, TaskId};
use sutazai_core::testing::mutated;

use crate::dto::openai::chat::CreateChatCompletion;
use crate::error::ApiError;
use crate::extract::{FileForm, read_json};
use crate::security::TrustedProxies;
use crate::streaming::message;
use crate::streaming::resume::read_id;

/// Duration of each target under `cargo test`; libFuzzer sets its own.
const TEST_DURATION: Duration = Duration::from_secs(2);

/// Asserts that a rejection is a client error (4xx), and not 401.
fn refused(e: ApiError) {
    let status = Response::status(&e.into_response());
    assert!(status.is_client_error(), "{status}");
    assert_ne!(status, StatusCode::UNAUTHORIZED);
}

#[test]
fn forms_with_files() {
    let seeds: [&[u8]; 3] = [
        b"--b\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nSea\r\n--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a/b.md\"\r\ncontent-type: text/markdown; charset=\"utf-8\"\r\n\r\n# x\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=file; filename*=UTF-8''%e2%82%ac.txt\r\n\r\n\r\n--b--",
        b"--b\r\ncontent-disposition: form-data; name=\"\"\r\n\r\n--b\r\n\r\n\r\n--b\r\n",
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bolero::check!().with_test_time(TEST_DURATION).for_each(|script: &[u8]| {
        let request =
            Request::post("/api/v1/documents").header("content-type", "multipart/form-data; boundary=b");
        let request = request.body(Body::from(mutated(&seeds, script))).unwrap();
        match runtime.block_on(FileForm::from_request(request, &())) {
            Ok(_) => {}
            Err(e) => refused(e),
        }
    });
}

#[test]
fn cursors_and_ids() {
    let seeds: [&[u8]; 4] = [
        b"0199f3c2a1b47000a1b2c3d4e5f60718",
        b"00000000000000ff",
        b"340282366920938463463374607431768211455",
        b"0",
    ];
    bolero::check!().with_test_time(TEST_DURATION).for_each(|script: &[u8]| {
        let text = String::from_utf8_lossy(&mutated(&seeds, script)).into_owned();
        // Only the canonical spelling is accepted: what is read is written the same way.
        if let Some(id) = TaskId::read(&text) {
            assert_eq!(id.write(), text);
        }
        if let Some(number) = u64::read(&text) {
            assert_eq!(number.write(), text);
        }
        if let Err(e) = read_id::<EventOffset>(&text, "after") {
            assert_eq!(e.field(), Some("after"));
        }
    });
}

#[test]
fn messages_of_sockets() {
    let seeds: [&[u8]; 3] = [
        br#"{"type":"subscribe","task_id":"0199f3c2-a1b4-7000-a1b2-c3d4e5f60718","after":"12"}"#,
        br#"{"type":"ping"}"#,
        br#"[{"type":"unsubscribe","task_id":null}]"#,
    ];
    bolero::check!().with_test_time(TEST_DURATION).for_each(|script: &[u8]| {
        let text = String::from_utf8_lossy(&mutated(&seeds, script)).into_owned();
        if let Err(e) = message::Request::read(&text) {
            refused(e);
        }
    });
}

#[test]
fn chat_requests() {
    let seeds: [&[u8]; 2] = [
        br#"{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":"b"}],"stop":["x"],"seed":5,"temperature":0.5,"stream":true,"stream_options":{"include_usage":true}}"#,
        br#"{"model":"m","messages":[{"role":"developer","content":"a"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"max_completion_tokens":9}"#,
    ];
    bolero::check!().with_test_time(TEST_DURATION).for_each(|script: &[u8]| {
        if let Err(e) = read_json::<CreateChatCompletion>(&mutated(&seeds, script)) {
            refused(e);
        }
    });
}

#[test]
fn forwarded_addresses() {
    let seeds: [&[u8]; 4] = [
        b"for=192.0.2.60;proto=http;by=203.0.113.43, for=\"[2001:db8:cafe::17]:4711\"",
        b"203.0.113.7, 10.0.0.9, [::1]:80",
        b"for=_hidden, for=unknown",
        b",,;;=\"\\\"",
    ];
    let proxies: TrustedProxies = "127.0.0.0/8,10.0.0.0/8".parse().unwrap();
    bolero::check!().with_test_time(TEST_DURATION).for_each(|script: &[u8]| {
        let value = mutated(&seeds, script);
        let mut request = Request::get("/");
        for name in ["forwarded", "x-forwarded-for", "x-forwarded-proto"] {
            if script.len() % 3 == name.len() % 3 {
                continue;
            }
            let Ok(value) = axum::http::HeaderValue::from_bytes(&value) else { return };
            request = request.header(name, value);
        }
        let peer: std::net::SocketAddr = "127.0.0.1:1".parse().unwrap();
        let request = request.extension(ConnectInfo(peer)).body(Body::empty()).unwrap();
        let _ = (proxies.address(&request), proxies.counted(&request), proxies.scheme(&request));
    });
}
