//! llama.cpp's own server with a small real model.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sutazai_agent::models::OpenAiModelBackend;
use sutazai_core::ErrorKind;
use sutazai_core::ports::{Clock, ModelBackend, ModelBackendExt, SystemClock};
use tempfile::TempDir;

use crate::ask;
use crate::model::{file, model_path};

/// Running `llama-server`, killed on drop.
#[derive(Debug)]
pub(crate) struct LlamaServer {
    child: Child,
    port: u16,
    folder: TempDir,
}

impl LlamaServer {
    /// Starts a server on a free port without waiting for its model.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(&model_path(), "smollm2", arguments)
    }

    /// Starts a server with this model under this name.
    pub(crate) fn start_with(model: &Path, name: &str, arguments: &[&str]) -> Self {
        let server =
            file("SUTAZAI_TEST_LLAMA_SERVER", "llama-server/llama-server", "scripts/llama-server.sh");
        let folder = tempfile::tempdir().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(server)
            .arg("--model")
            .arg(model)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--alias", name])
            // One thread: several threads synchronize at every step, which takes long on a shared processor.
            .args(["--ctx-size", "2048", "--parallel", "2", "--threads", "1"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, port, folder }
    }

    /// Creates a client of the server.
    pub(crate) fn backend(&self, key: Option<&str>) -> OpenAiModelBackend {
        OpenAiModelBackend::new(&format!("http://127.0.0.1:{}/v1", self.port), key).unwrap()
    }

    /// Waits until the server makes embeddings.
    pub(crate) async fn embeds(&mut self) {
        let backend = self.backend(None);
        for _ in 0..1_200 {
            if backend.embed(None, &["a".into()]).await.is_ok() {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{}", self.log());
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        panic!("llama-server does not answer\n{}", self.log())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Waits until the server generates text; returns the errors received until then.
    pub(crate) async fn ready(&mut self, key: Option<&str>) -> Vec<ErrorKind> {
        let backend = self.backend(key);
        let mut kinds = Vec::new();
        for _ in 0..1_200 {
            match backend.complete(ask()).await {
                Ok(_) => return kinds,
                Err(e) => kinds.push(e.kind()),
            }
            if self.child.try_wait().unwrap().is_some() {
                break;
            }
            SystemClock.sleep(Duration::from_millis(50)).await;
        }
        panic!("llama-server does not answer: {kinds:?}\n{}", self.log())
    }
}

impl Drop for LlamaServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
