//! Target of requests: an engine in this process, or a server.

use std::sync::Arc;

use sutazai::Result;
use sutazai::external::CancellationToken;

use crate::failure::{Failure, closed};
use crate::local::Local;
use crate::remote::{self, Remote};
use crate::stream::Items;
use crate::verbs::{self, Answer};

/// Target of requests. Clones share it.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    Engine(Arc<Local>),
    Server(Arc<Remote>),
}

impl Target {
    /// Runs one request. It fails as soon as the target is closed.
    pub(crate) async fn run(&self, verb: &str, body: &[u8]) -> Answer {
        match self {
            Self::Engine(local) => verbs::run(local, verb, body).await,
            Self::Server(remote) => remote::run(remote, verb, body).await,
        }
    }

    /// Opens the stream of a request.
    ///
    /// # Errors
    /// Those of the request.
    pub(crate) async fn open_stream(&self, verb: &str, body: &[u8]) -> Result<Items> {
        match self {
            Self::Engine(local) => verbs::open_stream(local, verb, body).await,
            Self::Server(remote) => remote::open_stream(remote, verb, body).await,
        }
    }

    /// Closes the target; running agents of an engine get `grace` seconds to end.
    ///
    /// # Errors
    /// Those of [`Local::close`].
    pub(crate) async fn close(&self, grace: Option<f64>) -> Result<()> {
        match self {
            Self::Engine(local) => local.close(grace).await,
            Self::Server(remote) => {
                remote.close().await;
                Ok(())
            }
        }
    }

    /// Returns the token that is cancelled when the target is closed.
    pub(crate) fn closed(&self) -> &CancellationToken {
        match self {
            Self::Engine(local) => &local.closed,
            Self::Server(remote) => &remote.closed,
        }
    }

    /// Returns the failure of a request after the target was closed.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Engine(_) => closed("engine"),
            Self::Server(_) => closed("client"),
        }
    }
}
