//! Responses while the identity store is unavailable: 503, never a claim that the credentials are invalid.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use sutazai_core::Error;
use sutazai_core::domain::{SessionId, UserId, UserRole};
use sutazai_core::identity::{Identity, IdentityConfig};
use sutazai_core::ports::{AUDIENCE, AccessClaims, Clock, ISSUER, SystemClock, TokenSigner};
use sutazai_core::testing::{MockApiKeyStore, MockIdentityStore};
use sutazai_http::auth::{Argon2Cost, Argon2PasswordHasher, JwtTokenSigner};

use crate::support::{PASSWORD, SECRET, Server, failure, success};

fn cut() -> Error {
    Error::unavailable("the line is cut")
}

/// Stores in which every call fails.
fn out_of_reach() -> (MockIdentityStore, MockApiKeyStore) {
    let (mut store, mut keys) = (MockIdentityStore::new(), MockApiKeyStore::new());
    store.expect_user().returning(|_| Err(cut()));
    store.expect_user_by_login().returning(|_| Err(cut()));
    store.expect_users().returning(|_| Err(cut()));
    store.expect_count_users().returning(|_, _| Err(cut()));
    store.expect_change_user().returning(|_, _, _| Err(cut()));
    store.expect_session().returning(|_| Err(cut()));
    store.expect_sessions().returning(|_, _| Err(cut()));
    store.expect_revoke().returning(|_, _| Err(cut()));
    store.expect_revoke_all().returning(|_, _| Err(cut()));
    store.expect_revoked_since().returning(|_| Err(cut()));
    keys.expect_create().returning(|_| Err(cut()));
    keys.expect_find().returning(|_| Err(cut()));
    keys.expect_api_keys().returning(|_| Err(cut()));
    keys.expect_delete().returning(|_, _| Err(cut()));
    (store, keys)
}

fn identity(store: MockIdentityStore, keys: MockApiKeyStore) -> Identity {
    let cost = Argon2Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    Identity::new(
        Arc::new(store),
        Arc::new(keys),
        Arc::new(Argon2PasswordHasher::new(cost).unwrap()),
        Arc::new(JwtTokenSigner::new(SECRET).unwrap()),
        Arc::new(SystemClock),
        IdentityConfig::default(),
    )
}

/// Access token of an admin who signed in before the store failed.
fn token() -> String {
    let (now, sid) = (SystemClock.now().timestamp(), SessionId::new());
    let claims = AccessClaims {
        iss: ISSUER.into(),
        aud: AUDIENCE.into(),
        sub: UserId::new(),
        exp: now + 600,
        iat: now,
        jti: format!("{sid}.1"),
        sid,
        kind: "access".into(),
        role: UserRole::Admin,
    };
    JwtTokenSigner::new(SECRET).unwrap().sign(&claims).unwrap()
}

#[tokio::test]
async fn every_route_reports_an_unavailable_store() {
    let (store, keys) = out_of_reach();
    let server = Server::start_over(identity(store, keys)).await;
    let (token, id) = (token(), UserId::new());
    for (method, path, body) in [
        (Method::POST, "/api/v1/auth/login", json!({ "login": "ada", "password": PASSWORD })),
        (Method::GET, "/api/v1/auth/me", json!({})),
        (Method::POST, "/api/v1/auth/logout", json!({})),
        (Method::POST, "/api/v1/auth/logout-all", json!({})),
        (
            Method::POST,
            "/api/v1/auth/password",
            json!({ "current_password": PASSWORD, "new_password": "another good password" }),
        ),
        (Method::GET, "/api/v1/auth/sessions", json!({})),
        (Method::DELETE, "/api/v1/auth/sessions/ID", json!({})),
        (Method::GET, "/api/v1/auth/api-keys", json!({})),
        (Method::POST, "/api/v1/auth/api-keys", json!({ "name": "x", "scopes": ["tasks:read"] })),
        (Method::DELETE, "/api/v1/auth/api-keys/ID", json!({})),
        (Method::GET, "/api/v1/admin/users", json!({})),
        (Method::POST, "/api/v1/admin/users/ID/disable", json!({})),
        (Method::POST, "/api/v1/admin/users/ID/enable", json!({})),
        (Method::PUT, "/api/v1/admin/users/ID/role", json!({ "role": "user" })),
        (Method::GET, "/api/v1/admin/users/ID/sessions", json!({})),
        (Method::DELETE, "/api/v1/admin/users/ID/sessions", json!({})),
        (Method::GET, "/api/v1/admin/statistics", json!({})),
    ] {
        let path = path.replace("ID", &id.to_string());
        let request = server.request(method.clone(), &path).bearer_auth(&token).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 503, "{method} {path}");
        failure(answer, 503, "unavailable").await;
    }
    // Routes that need no query to the store still work.
    let tasks = server.request(Method::GET, "/api/v1/tasks").bearer_auth(&token).send().await.unwrap();
    success(tasks, 200).await;
}

#[tokio::test]
async fn api_key_is_not_rejected_while_the_store_is_unavailable() {
    let (store, keys) = out_of_reach();
    let server = Server::start_over(identity(store, keys)).await;
    let key = format!("sutz_{}", "0".repeat(64));
    let answer = server.request(Method::GET, "/api/v1/tasks").header("x-api-key", &key).send().await.unwrap();
    failure(answer, 503, "unavailable").await;
}

#[tokio::test]
async fn failed_logout_is_not_reported_as_success() {
    let (mut store, keys) = (MockIdentityStore::new(), MockApiKeyStore::new());
    store.expect_revoked_since().returning(|_| Ok(Vec::new()));
    let mut faults = 1;
    store.expect_revoke().times(2).returning(move |_, _| {
        faults -= 1;
        if faults == 0 { Err(cut()) } else { Ok(()) }
    });
    let server = Server::start_over(identity(store, keys)).await;
    let token = token();
    let logout = || server.request(Method::POST, "/api/v1/auth/logout").bearer_auth(&token).send();
    failure(logout().await.unwrap(), 503, "unavailable").await;
    success(logout().await.unwrap(), 200).await; // still signed in, so it can be tried again
    failure(logout().await.unwrap(), 401, "unauthenticated").await;
}
