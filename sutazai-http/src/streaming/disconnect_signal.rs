//! Disconnect signal: ends a stream when the server stops or the caller loses access.

use std::convert::Infallible;
use std::future;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sutazai_core::ErrorKind;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::auth::credential::Credential;
use crate::server::Closing;
use crate::streaming::streams::StreamPermit;

/// Interval at which an open stream verifies its credential again. Mostly answered from memory; an API key needs a
/// query once in 30 seconds.
const RECHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Reason why a stream must end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    /// The server is stopping.
    Stop,
    /// The caller has lost access: the token has expired, the session has ended, or the key was deleted.
    Access,
}

/// Signal that ends the stream of a request.
#[derive(Debug)]
pub(crate) struct DisconnectSignal {
    app: App,
    closing: Option<Closing>,
    caller: Option<Caller>,
    credential: Option<Credential>,
    place: Option<StreamPermit>,
}

impl DisconnectSignal {
    /// Holds the stream's place among its user's streams until the stream ends.
    pub(crate) fn holding(self, place: StreamPermit) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Waits until the stream must end.
    pub(crate) async fn wait(self) -> Reason {
        let Self { app, closing, caller, credential, place: _place } = self;
        let stop = async {
            match closing {
                Some(closing) => closing.0.cancelled_owned().await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = stop => Reason::Stop,
            () = refused(&app, caller, credential) => Reason::Access,
        }
    }
}

/// Waits until the credential is rejected, or resolves to another caller.
async fn refused(app: &App, caller: Option<Caller>, credential: Option<Credential>) {
    let (Some(identity), Some(caller), Some(credential)) = (app.identity(), caller, credential) else {
        return future::pending().await;
    };
    let clock = app.engine().clock();
    loop {
        clock.sleep(RECHECK_INTERVAL).await;
        match credential.prove(identity).await {
            Ok((now, _)) if now == caller => {}
            // An unavailable store is no verdict about the caller: an outage must not end all streams.
            Err(e) if !matches!(e.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => {}
            _ => return,
        }
    }
}

impl FromRequestParts<App> for DisconnectSignal {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Infallible> {
        Ok(Self {
            app: app.clone(),
            closing: parts.extensions.get().cloned(),
            caller: parts.extensions.get().cloned(),
            credential: parts.extensions.get().cloned(),
            place: None,
        })
    }
}
