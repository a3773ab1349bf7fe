//! One question to a Docker engine: `GET` over its socket, answered in JSON.
//!
//! Each question has a connection of its own and asks by HTTP/1.0, which the engine answers without chunks and then closes.
//! The answer is taken as JSON and not as types: engines that speak Docker's language, such as Podman, have words of their
//! own in it (`"State": "stopped"`), and one of them must not cost all others.

use std::path::Path;

use serde_json::Value;
use sutazai_core::{Error, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Longest answer that is read: the description of a container is some 10 KiB.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The answer to `GET path`; none where the engine knows no such thing.
///
/// # Errors
/// `Unavailable`: nobody listens there, or what answers is no Docker engine.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Option<Value>> {
    let mut stream = connect(socket).await?;
    let question = format!("GET {path} HTTP/1.0\r\nHost: docker\r\nConnection: close\r\n\r\n");
    // Who does not read the question may have said something all the same.
    let asked = stream.write_all(question.as_bytes()).await;
    let (mut answer, mut broken) = (Vec::new(), asked.err());
    loop {
        match stream.read_buf(&mut answer).await {
            Ok(0) => break,
            Ok(_) if is_whole(&answer) || answer.len() > MAX_ANSWER_BYTES => break,
            Ok(_) => {}
            // That the other end has gone is said before what it sent.
            Err(e) if broken.is_none() => broken = Some(e),
            Err(_) => break,
        }
    }
    if let Some(e) = broken.filter(|_| answer.is_empty()) {
        return Err(strange(path, &e.to_string()));
    }
    let (head, body) = parts(&answer).ok_or_else(|| strange(path, "what answers speaks no HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(404) => Ok(None),
        Some(200..=299) => {
            let body = if is_chunked(&head) { unchunked(body) } else { Some(body.to_vec()) };
            let json = body.and_then(|body| serde_json::from_slice(&body).ok());
            json.map(Some).ok_or_else(|| strange(path, "its answer is no JSON"))
        }
        Some(status) => {
            let said = serde_json::from_slice::<Value>(body).ok();
            let said = said.and_then(|said| Some(said.get("message")?.as_str()?.to_owned()));
            Err(strange(
                path,
                &format!("status {status}{}", said.map(|said| format!(", {said}")).unwrap_or_default()),
            ))
        }
        None => Err(strange(path, "what answers speaks no HTTP")),
    }
}

/// A missing socket, a missing right and a stopped engine each have their sentence.
async fn connect(socket: &Path) -> Result<UnixStream> {
    use std::io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
    let path = socket.display();
    UnixStream::connect(socket).await.map_err(|e| match e.kind() {
        NotFound => Error::unavailable(format!("there is no Docker socket at {path}{}", super::how_to_set())),
        PermissionDenied => Error::unavailable(format!("this user may not open the Docker socket {path}")),
        ConnectionRefused => {
            Error::unavailable(format!("no Docker engine listens at {path}{}", super::how_to_set()))
        }
        _ => Error::unavailable(format!("the Docker socket {path} cannot be opened: {e}")),
    })
}

fn strange(path: &str, why: &str) -> Error {
    Error::unavailable(format!("the Docker engine does not answer as it should: GET {path}: {why}"))
}

/// The head in lower case, and the body; none for what does not begin as HTTP does.
fn parts(answer: &[u8]) -> Option<(String, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    head.starts_with("http/1.").then(|| (head, &answer[end + 4..]))
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding").is_some_and(|value| value.contains("chunked"))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// Whether nothing more is to come although the connection is still open.
fn is_whole(answer: &[u8]) -> bool {
    let Some((head, body)) = parts(answer) else { return false };
    if is_chunked(&head) {
        return body.ends_with(b"0\r\n\r\n");
    }
    header(&head, "content-length")
        .and_then(|length| length.parse().ok())
        .is_some_and(|length| body.len() >= length)
}

/// The chunks of a body without their lengths; none where they are cut off.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..end]).ok()?.split(';').next()?.trim();
        let length = usize::from_str_radix(length, 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        let begin = end + 2;
        whole.extend_from_slice(rest.get(begin..begin.checked_add(length)?)?);
        rest = rest.get(begin + length + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_of_every_form_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let keeps_open = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n";
        let closes = "HTTP/1.0 200 OK\r\n\r\n{\"a\":1}";
        let cases = [
            (keeps_open, Ok(true)),
            (chunked, Ok(true)),
            (closes, Ok(true)),
            ("HTTP/1.0 404 Not Found\r\n\r\n{\"message\":\"no such container\"}", Ok(false)),
            ("HTTP/1.0 500 Oops\r\n\r\n{\"message\":\"broken\"}", Err("status 500, broken")),
            ("HTTP/1.0 200 OK\r\n\r\n<html>", Err("no JSON")),
            ("220 mail.example ESMTP\r\n", Err("no HTTP")),
            ("", Err("no HTTP")),
        ];
        for (answer, expected) in cases {
            let serving = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                let mut question = [0; 256];
                let _ = peer.read(&mut question).await;
                peer.write_all(answer.as_bytes()).await.unwrap();
                // One that says how long its answer is may keep the connection.
                answer.contains("HTTP/1.1").then_some(peer)
            };
            let (got, _open) = tokio::join!(get(&socket, "/version"), serving);
            match expected {
                Ok(there) => assert_eq!(got.unwrap().is_some(), there, "{answer:?}"),
                Err(why) => assert!(got.unwrap_err().message().ends_with(why), "{answer:?}"),
            }
        }
    }
}
