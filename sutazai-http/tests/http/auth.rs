//! Registration, sign-in, and rejection of invalid tokens.

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::support::{PASSWORD, SECRET, Server, failure, names, success};

async fn post(server: &Server, path: &str, body: &Value) -> Response {
    server.request(Method::POST, &format!("/api/v1/auth/{path}")).json(body).send().await.unwrap()
}

fn registration(username: &str, email: &str, password: &str) -> Value {
    json!({ "username": username, "email": email, "password": password })
}

#[tokio::test]
async fn invalid_registration_is_rejected_by_field() {
    let server = Server::start().await;
    server.user("ada").await;
    let mail = "new@example.org";
    for (field, body) in [
        ("username", registration("ab", mail, PASSWORD)),
        ("username", registration("a b", mail, PASSWORD)),
        ("email", registration("new", "new", PASSWORD)),
        ("password", registration("new", mail, "short")),
        ("password", registration("new", mail, "password1")),
        ("password", registration("newcomer", mail, "Newcomer")),
        ("password", registration("new", mail, &"x y".repeat(400))),
        ("password", json!({ "username": "new", "email": mail })),
        ("role", json!({ "username": "new", "email": mail, "password": PASSWORD, "role": "admin" })),
    ] {
        names(post(&server, "register", &body).await, 422, "invalid_input", field).await;
    }
    for (field, body) in [
        ("username", registration("ADA", mail, PASSWORD)),
        ("email", registration("new", "Ada@Example.org", PASSWORD)),
    ] {
        names(post(&server, "register", &body).await, 409, "conflict", field).await;
    }
    success(post(&server, "register", &registration("new", mail, PASSWORD)).await, 201).await;
}

#[tokio::test]
async fn sign_in_accepts_name_or_email_and_rejects_wrong_credentials() {
    let server = Server::start().await;
    server.user("ada").await;
    for login in ["ada", "ADA", "ada@example.org", "Ada@Example.ORG"] {
        let data =
            success(post(&server, "login", &json!({ "login": login, "password": PASSWORD })).await, 200)
                .await;
        assert_eq!((&data["user"]["username"], &data["token_type"]), (&json!("ada"), &json!("bearer")));
    }
    let mut answers = Vec::new();
    for (login, password) in
        [("ada", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ada", ""), ("ada'--", "x")]
    {
        let answer = post(&server, "login", &json!({ "login": login, "password": password })).await;
        answers.push(failure(answer, 401, "unauthenticated").await);
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "an unknown user can be told from a wrong password"
    );
    let long = "x".repeat(1_025);
    names(
        post(&server, "login", &json!({ "login": "ada", "password": long })).await,
        422,
        "invalid_input",
        "password",
    )
    .await;
    names(
        post(&server, "login", &json!({ "username": "ada", "password": PASSWORD })).await,
        422,
        "invalid_input",
        "username",
    )
    .await;
}

#[tokio::test]
async fn refresh_token_is_single_use_and_reuse_ends_the_session() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let other =
        success(post(&server, "login", &json!({ "login": "ada", "password": PASSWORD })).await, 200).await;
    let refresh = async |token: &Value| post(&server, "refresh", &json!({ "refresh_token": token })).await;
    let first = &ada.signed_in["refresh_token"];
    let second = success(refresh(first).await, 200).await;
    assert_ne!(&second["refresh_token"], first);
    assert_eq!(second["user"]["username"], "ada");
    let me = async |token: &Value| {
        server
            .request(Method::GET, "/api/v1/auth/me")
            .bearer_auth(token.as_str().unwrap())
            .send()
            .await
            .unwrap()
    };
    success(me(&second["access_token"]).await, 200).await;

    // The response may have been lost, so the same client may repeat its request.
    let again = success(refresh(first).await, 200).await;
    assert_eq!(again["refresh_token"], second["refresh_token"]);
    success(me(&again["access_token"]).await, 200).await;
    let stolen = server.request(Method::POST, "/api/v1/auth/refresh").header("user-agent", "another");
    let stolen = stolen.json(&json!({ "refresh_token": first })).send().await.unwrap();
    failure(stolen, 401, "unauthenticated").await;
    failure(refresh(&second["refresh_token"]).await, 401, "unauthenticated").await;
    failure(me(&second["access_token"]).await, 401, "unauthenticated").await;
    success(me(&other["access_token"]).await, 200).await;
    success(refresh(&other["refresh_token"]).await, 200).await;
    for bad in ["", "nonsense", &ada.token] {
        failure(refresh(&json!(bad)).await, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn logout_revokes_both_tokens() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    success(ada.post("/api/v1/auth/logout", &json!({})).await, 200).await;
    failure(ada.get("/api/v1/tasks").await, 401, "unauthenticated").await;
    let refresh = json!({ "refresh_token": ada.signed_in["refresh_token"] });
    failure(post(&server, "refresh", &refresh).await, 401, "unauthenticated").await;
}

#[tokio::test]
async fn forged_token_is_rejected() {
    let server = Server::start().await;
    let ada = server.user("ada").await;
    let good = serde_json::to_value(server.identity.authenticate(&ada.token).unwrap().claims).unwrap();
    let with = |field: &str, value: Value| {
        let mut claims = good.clone();
        claims[field] = value;
        claims
    };
    let sign = |claims: &Value, algorithm: Algorithm, key: &[u8]| {
        encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(key)).unwrap()
    };
    let me = async |token: &str| {
        server.request(Method::GET, "/api/v1/auth/me").bearer_auth(token).send().await.unwrap()
    };
    // Control: with the right key and claims, a token made by the same code is accepted.
    success(me(&sign(&good, Algorithm::HS256, SECRET)).await, 200).await;

    let parts: Vec<&str> = ada.token.split('.').collect();
    let admin = sign(&with("role", json!("admin")), Algorithm::HS256, SECRET);
    let admin = admin.split('.').nth(1).unwrap();
    let past = good["iat"].as_i64().unwrap() - 1;
    let refresh_token = ada.signed_in["refresh_token"].as_str().unwrap().to_owned();
    for (what, token) in [
        ("another key", sign(&good, Algorithm::HS256, b"another secret of thirty-two by.")),
        ("another algorithm", sign(&good, Algorithm::HS512, SECRET)),
        ("no algorithm", format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", parts[1])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("another role under the old signature", format!("{}.{admin}.{}", parts[0], parts[2])),
        ("expired", sign(&with("exp", json!(past)), Algorithm::HS256, SECRET)),
        ("not yet valid", sign(&with("iat", json!(past + 3_600)), Algorithm::HS256, SECRET)),
        ("no end", sign(&with("exp", Value::Null), Algorithm::HS256, SECRET)),
        ("another type", sign(&with("type", json!("refresh")), Algorithm::HS256, SECRET)),
        ("an unknown role", sign(&with("role", json!("root")), Algorithm::HS256, SECRET)),
        ("a refresh token", refresh_token),
    ] {
        let answer = me(&token).await;
        assert_eq!(answer.status(), 401, "{what}");
        failure(answer, 401, "unauthenticated").await;
    }
    let nobody = sign(&with("sub", json!("0195f3a0-0000-7000-8000-000000000000")), Algorithm::HS256, SECRET);
    failure(me(&nobody).await, 401, "unauthenticated").await;
}

#[tokio::test]
async fn concurrent_sign_ins_succeed_or_get_retry_after() {
    let server = Server::start().await;
    server.user("ada").await;
    let body = json!({ "login": "ada", "password": PASSWORD });
    let answers = futures::future::join_all((0..200).map(|_| post(&server, "login", &body))).await;
    let mut served = 0;
    for answer in answers {
        match answer.status().as_u16() {
            200 => served += 1,
            _ => {
                let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
                assert!((1..=5).contains(&after));
                let error = failure(answer, 503, "busy").await;
                assert_eq!(error["details"]["retry_after_seconds"], after);
            }
        }
    }
    assert!(served > 0);
    let again = tokio::time::timeout(Duration::from_secs(5), post(&server, "login", &body)).await.unwrap();
    success(again, 200).await;
}
