//! The attacking account, and the statuses of its requests.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sutazai_core::ports::{Clock, SystemClock};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Server;

/// Source address of the attacker; the neighbor has another one.
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Source address whose connection limit the attacker exhausts.
pub(crate) const SECOND_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// Timeout of one attack request, after which it is sent again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time in which every attack has to have begun.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Number of responses per attack and status; `cut` is a connection that was closed.
type Answers = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// Account with a password and a token, and the address that it attacks.
pub(crate) struct Attacker {
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
    answers: Mutex<Answers>,
    /// Attack that has not begun, as last seen.
    awaited: Mutex<&'static str>,
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
        Arc::new(Self { client, address, token, answers: Mutex::default(), awaited: Mutex::default() })
    }

    /// Waits until every attack has been begun.
    ///
    /// Their thread has the lowest priority. If the measurement began earlier, a busy machine would omit some of them.
    pub(crate) async fn until_all_attack(&self) {
        let all = async {
            while let Some(missing) = self.missing() {
                *self.awaited.lock().unwrap() = missing;
                SystemClock.sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(START_TIMEOUT, all).await;
        assert!(in_time.is_ok(), "{} did not begin in {START_TIMEOUT:?}", self.awaited.lock().unwrap());
    }

    /// Returns an attack that has not begun.
    fn missing(&self) -> Option<&'static str> {
        let answers = self.answers.lock().unwrap();
        crate::attacks::ALL.into_iter().find(|attack| !answers.contains_key(attack))
    }

    /// Records that an attack has begun. Some responses arrive minutes later, or never.
    pub(crate) fn begin(&self, attack: &'static str) {
        self.answers.lock().unwrap().entry(attack).or_default();
    }

    /// Sends one request of an attack, reads the response, and counts its status.
    pub(crate) async fn send(
        &self,
        attack: &'static str,
        method: Method,
        path: &str,
        kind: &str,
        body: Bytes,
    ) {
        self.begin(attack);
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

    /// Opens a connection with a small receive buffer.
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

    /// Asserts that no attack caused a server error.
    pub(crate) fn assert_none_broke_the_server(&self) {
        let answers = self.answers.lock().unwrap();
        let broken = answers.iter().find(|(_, answers)| answers.contains_key("500"));
        assert!(broken.is_none(), "{broken:?}");
    }
}
