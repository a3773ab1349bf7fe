//! When a stream has to end, whoever reads it.

use std::convert::Infallible;
use std::future;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use sutazai_core::ErrorKind;
use sutazai_core::domain::Caller;

use crate::app::App;
use crate::auth::credential::Credential;
use crate::live::streams::StreamPlace;
use crate::server::Closing;

/// The time between two looks at whether the caller is still let in. The looks cost no trip to a store, but for that at
/// an API key once in half a minute.
const LOOK: Duration = Duration::from_secs(15);

/// Why a stream has to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reason {
    /// The server stops.
    Stop,
    /// The caller is not let in any more: the token has expired, the session ended, the key was removed.
    Access,
}

/// What ends the stream that a request asks for.
#[derive(Debug)]
pub(crate) struct Ending {
    app: App,
    closing: Option<Closing>,
    caller: Option<Caller>,
    credential: Option<Credential>,
    place: Option<StreamPlace>,
}

impl Ending {
    /// Holds the stream's place until it is waited for no more.
    pub(crate) fn holding(self, place: StreamPlace) -> Self {
        Self { place: Some(place), ..self }
    }

    /// Waits until the stream has to end.
    pub(crate) async fn come(self) -> Reason {
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

/// Waits until the caller is refused, or is let in as somebody else.
async fn refused(app: &App, caller: Option<Caller>, credential: Option<Credential>) {
    let (Some(identity), Some(caller), Some(credential)) = (app.identity(), caller, credential) else {
        return future::pending().await;
    };
    let clock = app.engine().clock();
    loop {
        clock.sleep(LOOK).await;
        match credential.prove(identity).await {
            Ok((now, _)) if now == caller => {}
            // A store out of reach has refused nobody.
            Err(e) if !matches!(e.kind(), ErrorKind::Unauthenticated | ErrorKind::Forbidden) => {}
            _ => return,
        }
    }
}

impl FromRequestParts<App> for Ending {
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
