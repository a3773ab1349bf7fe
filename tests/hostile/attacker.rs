//! An account that attacks, and what its requests were answered.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Server;

/// Another address than the neighbor's.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// One that takes all connections which an address may have.
pub(crate) const SECOND_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// A peer that would wait longer is asked again.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often an attack got each status; `cut` is a connection that ended.
type Answers = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// An account with a password and a token, and the address that it attacks.
pub(crate) struct Attacker {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    answers: Mutex<Answers>,
}

impl Attacker {
    pub(crate) async fn register(server: &Server) -> Arc<Self> {
        let client = Client::builder().local_address(ADDRESS).timeout(PATIENCE).build().unwrap();
        let body =
            json!({ "username": "eve", "email": "eve@example.org", "password": "correct horse battery" });
        let answer = client.post(server.url("/api/v1/auth/register")).json(&body).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let token = answer["data"]["access_token"].as_str().unwrap().to_owned();
        let address = server.address.parse().unwrap();
        Arc::new(Self { client, address, token, answers: Mutex::default() })
    }

    /// Sends one request of an attack, reads its answer, and counts it.
    pub(crate) async fn send(
        &self,
        attack: &'static str,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method, url).bearer_auth(&self.token).header("content-type", kind);
        let status = match request.body(body).send().await {
            Ok(answer) => {
                let status = answer.status().as_u16().to_string();
                let _ = answer.bytes().await;
                status
            }
            Err(_) => "cut".to_owned(),
        };
        self.count(attack, status);
    }

    pub(crate) async fn json(&self, attack: &'static str, path: &str, body: &Value) {
        self.send(attack, Method::POST, path, "application/json", body.to_string().into()).await;
    }

    pub(crate) async fn get(&self, attack: &'static str, path: &str) {
        self.send(attack, Method::GET, path, "application/json", Bytes::new()).await;
    }

    /// A connection that will hold little of what it is sent.
    pub(crate) async fn connect(&self) -> std::io::Result<TcpStream> {
        self.connect_from(ADDRESS).await
    }

    pub(crate) async fn connect_from(&self, from: IpAddr) -> std::io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4_096)?;
        socket.bind(SocketAddr::new(from, 0))?;
        socket.connect(self.address).await
    }

    pub(crate) fn count(&self, attack: &'static str, answer: String) {
        *self.answers.lock().unwrap().entry(attack).or_default().entry(answer).or_default() += 1;
    }

    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<16} answers", "attack");
        for (attack, answers) in &*self.answers.lock().unwrap() {
            let _ = write!(table, "\n{attack:<16}");
            for (answer, count) in answers {
                let _ = write!(table, " {answer}: {count}");
            }
        }
        table
    }

    /// No attack was answered by an error of the server's own, and none was left out.
    pub(crate) fn assert_all_attacked(&self) {
        let answers = self.answers.lock().unwrap();
        for attack in crate::attacks::ALL {
            assert!(answers.contains_key(attack), "{attack} was not tried");
        }
        let broken = answers.iter().find(|(_, answers)| answers.contains_key("500"));
        assert!(broken.is_none(), "{broken:?}");
    }
}
