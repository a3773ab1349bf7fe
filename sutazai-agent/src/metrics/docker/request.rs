//! Requests to a Docker engine: `GET` over its Unix socket, answered in JSON.
//!
//! Each request has its own connection, so that an engine that stalls on one of them delays no other. The response is
//! read as JSON values and not into types: engines that speak Docker's API, such as Podman, have values of their own in
//! it (`"State": "stopped"`), and one of them must not cost the rest of the answer.

use std::path::Path;

use futures::future::{Either, select};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use sutazai_core::{Error, Result};
use tokio::net::UnixStream;

/// Longest response that is read; the description of a container takes about 10 KiB.
const MAX_RESPONSE_BYTES: usize = 64 << 20;

/// Returns the response to `GET path`, or `None` where the engine answers that the object does not exist.
///
/// # Errors
/// `Unavailable`: no engine listens at the socket, or the response is not one of a Docker engine.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Option<Value>> {
    let stream = connect(socket).await?;
    let request = Request::get(path).header(HOST, "docker").body(Empty::<Bytes>::new());
    let request = request.map_err(|e| unexpected(path, &e))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|e| unexpected(path, &e))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|e| unexpected(path, &e))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES).collect().await;
        Ok::<_, Error>((status, body.map_err(|e| unexpected(path, &e))?.to_bytes()))
    };
    // The connection is polled here and not in a task, so that it ends with this future. It cannot fail on its own: a
    // broken connection is also the result of the exchange.
    let exchange = std::pin::pin!(exchange);
    let (status, body) = match select(exchange, std::pin::pin!(connection)).await {
        Either::Left((result, _)) => result?,
        Either::Right((_, exchange)) => exchange.await?,
    };
    if status == StatusCode::NOT_FOUND {
        return Ok(None);
    }
    let json = serde_json::from_slice::<Value>(&body);
    if status.is_success() {
        return json.map(Some).map_err(|_| unexpected(path, &"the response is not JSON"));
    }
    let message = json.ok().and_then(|json| Some(format!(", {}", json.get("message")?.as_str()?)));
    Err(unexpected(path, &format!("status {}{}", status.as_u16(), message.unwrap_or_default())))
}

/// Connects to the socket; a missing socket, a missing permission and a stopped engine have distinct errors.
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

fn unexpected(path: &str, why: &dyn std::fmt::Display) -> Error {
    Error::unavailable(format!("unexpected response of the Docker engine: GET {path}: {why}"))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn answers_of_every_transfer_form_are_read() {
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
            ("HTTP/1.0 200 OK\r\n\r\n<html>", Err("the response is not JSON")),
            ("220 mail.example ESMTP\r\n", Err("invalid HTTP version parsed")),
            ("", Err("connection closed before message completed")),
        ];
        for (answer, expected) in cases {
            let serving = async {
                let (mut peer, _) = listener.accept().await.unwrap();
                let mut question = [0; 256];
                let _ = peer.read(&mut question).await;
                peer.write_all(answer.as_bytes()).await.unwrap();
                // A server that states the length of its answer may keep the connection open.
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
