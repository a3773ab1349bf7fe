//! Sessions whose refresh token is in a cookie: what pages get, and what forged requests do not.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use sutazai_core::ports::Clock;
use sutazai_core::testing::ManualClock;
use sutazai_http::{RateLimits, SecuritySettings, ServerConfig};

use crate::support::{PASSWORD, Server, failure, names, success};

const REFRESH: &str = "/api/v1/auth/refresh";

/// Request of a page of this server.
fn page(server: &Server, path: &str) -> RequestBuilder {
    server.request(Method::POST, path).header("x-session", "cookie").header("origin", server.url(""))
}

fn registration(name: &str) -> Value {
    json!({ "username": name, "email": format!("{name}@example.org"), "password": PASSWORD })
}

/// Name of the cookie of this server.
fn name(server: &Server) -> String {
    format!("sutazai_refresh_{}", server.address.port())
}

/// Returns the value and the attributes that a response sets this server's cookie to.
fn set_by(server: &Server, answer: &Response) -> Option<(String, String)> {
    let mut set = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
    let (named, rest) = set.next()?.split_once('=').unwrap();
    assert_eq!((named, set.next()), (name(server).as_str(), None));
    let (value, attributes) = rest.split_once("; ").unwrap();
    Some((value.to_owned(), attributes.to_owned()))
}

/// Registers a user by a page, and returns the value of the cookie.
async fn begin(server: &Server) -> String {
    let answer = page(server, "/api/v1/auth/register").json(&registration("ada")).send().await.unwrap();
    let (value, _) = set_by(server, &answer).unwrap();
    success(answer, 201).await;
    value
}

async fn refresh(server: &Server, value: &str) -> Response {
    let cookies = format!("other=1; {}={value}; more=2", name(server));
    page(server, REFRESH).header("cookie", cookies).send().await.unwrap()
}

async fn limited(proxies: &str) -> (Server, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let shared: Arc<dyn Clock> = clock.clone();
    let protection = SecuritySettings {
        rate_limits: Some(RateLimits::per_minute(5, 60, &shared)),
        trusted_proxies: proxies.parse().unwrap(),
        ..SecuritySettings::default()
    };
    (Server::start_exposed_at(clock.clone(), protection).await, clock)
}

#[tokio::test]
async fn refresh_token_is_in_the_cookie_and_not_in_the_body() {
    let server = Server::start().await;
    let login = json!({ "login": "ada", "password": PASSWORD });
    let register = page(&server, "/api/v1/auth/register").json(&registration("ada"));
    let mut last = String::new();
    for (request, status) in [(register, 201), (page(&server, "/api/v1/auth/login").json(&login), 200)] {
        let answer = request.send().await.unwrap();
        let (value, attributes) = set_by(&server, &answer).unwrap();
        assert!(attributes.starts_with("HttpOnly; SameSite=Strict; Max-Age=60"), "{attributes}");
        assert_eq!(attributes.matches(';').count(), 2, "no path, no domain: {attributes}");
        let data = success(answer, status).await;
        assert_eq!((data["user"]["username"].as_str(), data.get("refresh_token")), (Some("ada"), None));
        last = value;
    }
    let answer = refresh(&server, &last).await;
    let (next, attributes) = set_by(&server, &answer).unwrap();
    assert!(next != last && attributes.starts_with("HttpOnly; SameSite=Strict; Max-Age=60"), "{attributes}");
    let data = success(answer, 200).await;
    assert_eq!(data.get("refresh_token"), None);
    let me =
        server.request(Method::GET, "/api/v1/auth/me").bearer_auth(data["access_token"].as_str().unwrap());
    success(me.send().await.unwrap(), 200).await;
    success(refresh(&server, &next).await, 200).await;
}

#[tokio::test]
async fn without_the_header_no_cookie_is_set_or_read() {
    let server = Server::start().await;
    let value = begin(&server).await;
    let login = server.request(Method::POST, "/api/v1/auth/login").header("origin", server.url(""));
    let login = login.json(&json!({ "login": "ada", "password": PASSWORD })).send().await.unwrap();
    assert!(!login.headers().contains_key("set-cookie"));
    assert!(success(login, 200).await["refresh_token"].is_string());
    let plain = server.request(Method::POST, REFRESH).header("cookie", format!("{}={value}", name(&server)));
    names(plain.send().await.unwrap(), 422, "invalid_input", "refresh_token").await;
    // With the header, the token in a body is none of a page.
    let both = page(&server, REFRESH).json(&json!({ "refresh_token": value })).send().await.unwrap();
    names(both, 422, "invalid_input", "refresh_token").await;
    let other = server.request(Method::POST, REFRESH).header("x-session", "token").send().await.unwrap();
    names(other, 422, "invalid_input", "x-session").await;
    success(refresh(&server, &value).await, 200).await;
}

#[tokio::test]
async fn page_without_a_cookie_gets_no_content_and_is_not_counted() {
    let (server, _) = limited("").await;
    for _ in 0..8 {
        for cookies in ["", "sutazai_refresh=x", "sutazai_refresh_1=x", &format!("{}=", name(&server))] {
            let answer = page(&server, REFRESH).header("cookie", cookies).send().await.unwrap();
            assert!(!answer.headers().contains_key("set-cookie"));
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (204, ""));
        }
    }
    begin(&server).await;
}

#[tokio::test]
async fn good_refreshes_do_not_count_as_sign_ins_and_failed_ones_do() {
    let (server, _) = limited("").await;
    let mut value = begin(&server).await;
    for _ in 0..20 {
        let answer = refresh(&server, &value).await;
        (value, _) = set_by(&server, &answer).unwrap();
        success(answer, 200).await;
    }
    for _ in 0..4 {
        failure(refresh(&server, "nonsense").await, 401, "unauthenticated").await;
    }
    failure(refresh(&server, "nonsense").await, 429, "rate_limited").await;
    success(refresh(&server, &value).await, 200).await;
}

#[tokio::test]
async fn spent_cookie_gives_its_successor_for_30_seconds_and_then_ends_the_session() {
    let (server, clock) = limited("").await;
    let first = begin(&server).await;
    let answer = refresh(&server, &first).await;
    let (second, _) = set_by(&server, &answer).unwrap();
    clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        let again = refresh(&server, &first).await;
        assert_eq!(set_by(&server, &again).unwrap().0, second);
        success(again, 200).await;
    }
    clock.advance(Duration::from_secs(1));
    for value in [&first, &second] {
        let refused = refresh(&server, value).await;
        let cleared = (String::new(), "HttpOnly; SameSite=Strict; Max-Age=0".to_owned());
        assert_eq!(set_by(&server, &refused).unwrap(), cleared);
        failure(refused, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn spent_cookie_of_another_client_ends_the_session() {
    let server = Server::start().await;
    let first = begin(&server).await;
    let (second, _) = set_by(&server, &refresh(&server, &first).await).unwrap();
    let stolen = page(&server, REFRESH).header("cookie", format!("{}={first}", name(&server)));
    failure(stolen.header("user-agent", "another").send().await.unwrap(), 401, "unauthenticated").await;
    failure(refresh(&server, &second).await, 401, "unauthenticated").await;
}

#[tokio::test]
async fn signing_out_clears_the_cookie() {
    let server = Server::start().await;
    for (path, login) in [("/api/v1/auth/logout", "ada"), ("/api/v1/auth/logout-all", "eve")] {
        let register = page(&server, "/api/v1/auth/register").json(&registration(login));
        let answer = register.send().await.unwrap();
        let (value, _) = set_by(&server, &answer).unwrap();
        let token = success(answer, 201).await["access_token"].as_str().unwrap().to_owned();
        let foreign = page(&server, path).header("origin", "https://evil.example").bearer_auth(&token);
        // Two origins are none.
        names(foreign.send().await.unwrap(), 403, "forbidden", "origin").await;
        let out = page(&server, path).bearer_auth(&token).send().await.unwrap();
        let cleared = (String::new(), "HttpOnly; SameSite=Strict; Max-Age=0".to_owned());
        assert_eq!(set_by(&server, &out).unwrap(), cleared);
        success(out, 200).await;
        failure(refresh(&server, &value).await, 401, "unauthenticated").await;
    }
}

#[tokio::test]
async fn request_of_another_origin_is_rejected_and_spends_nothing() {
    let server = Server::start().await;
    let value = begin(&server).await;
    let (own, port) = (server.url(""), server.address.port());
    let other_port = format!("http://127.0.0.1:{}", port - 1);
    let localhost = format!("http://localhost:{port}");
    let foreign = [
        None,
        Some("null"),
        Some(""),
        Some("https://evil.example"),
        Some("http://127.0.0.1"),
        Some(other_port.as_str()),
        Some(localhost.as_str()),
        Some("127.0.0.1"),
    ];
    for origin in foreign {
        for (path, body) in [
            (REFRESH, json!({})),
            ("/api/v1/auth/login", json!({ "login": "ada", "password": PASSWORD })),
            ("/api/v1/auth/register", registration("eve")),
        ] {
            let request = server.request(Method::POST, path).header("x-session", "cookie");
            let request = request.header("cookie", format!("{}={value}", name(&server)));
            let request = origin.iter().fold(request, |request, origin| request.header("origin", *origin));
            let answer = request.json(&body).send().await.unwrap();
            assert!(!answer.headers().contains_key("set-cookie"), "{path} {origin:?}");
            names(answer, 403, "forbidden", "origin").await;
        }
    }
    success(refresh(&server, &value).await, 200).await;
    // The page may have been loaded by any name of this server.
    let by_name = server.request(Method::POST, REFRESH).header("x-session", "cookie");
    let by_name = by_name.header("host", format!("LOCALHOST:{port}")).header("origin", &localhost);
    assert_eq!(by_name.send().await.unwrap().status(), 204);
    let without_port = server.request(Method::POST, REFRESH).header("x-session", "cookie");
    let without_port =
        without_port.header("host", "app.example.org").header("origin", "https://app.example.org");
    let without_port = without_port.header("cookie", format!("sutazai_refresh={value}"));
    let answer = without_port.send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    assert!(set.starts_with("sutazai_refresh=") && !set.contains("Secure"), "{set}");
    assert_ne!(own, localhost);
}

#[tokio::test]
async fn trusted_proxy_tells_host_and_scheme() {
    let (server, _) = limited("127.0.0.1").await;
    let ask = |proto: &str, origin: &str| {
        let request = server.request(Method::POST, "/api/v1/auth/register").header("x-session", "cookie");
        let request = request.header("x-forwarded-host", "app.example.org:8443");
        let request = request.header("x-forwarded-proto", proto).header("x-forwarded-for", "198.51.100.1");
        request.header("origin", origin).json(&registration("ada")).send()
    };
    for (proto, origin) in [
        ("https", server.url("").as_str()),
        ("https", "https://app.example.org"),
        // Anybody on the way can write a page that came without TLS.
        ("https", "http://app.example.org:8443"),
    ] {
        names(ask(proto, origin).await.unwrap(), 403, "forbidden", "origin").await;
    }
    let answer = ask("https", "https://app.example.org:8443").await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(set.starts_with("sutazai_refresh_8443=") && set.ends_with("; Secure"), "{set}");
    success(answer, 201).await;
}

#[tokio::test]
async fn untrusted_peer_cannot_tell_the_host() {
    let server = Server::start().await;
    let forged = server.request(Method::POST, REFRESH).header("x-session", "cookie");
    let forged = forged.header("x-forwarded-host", "evil.example").header("forwarded", "host=evil.example");
    names(forged.header("origin", "https://evil.example").send().await.unwrap(), 403, "forbidden", "origin")
        .await;
}

#[tokio::test]
async fn no_other_origin_may_send_the_header() {
    for origins in ["https://app.example.org", "*"] {
        let protection =
            SecuritySettings { cors_origins: origins.parse().unwrap(), ..SecuritySettings::default() };
        let server = Server::start_exposed(protection, ServerConfig::default()).await;
        for asked in ["x-session", "content-type,x-session", "content-type, X-Session , authorization"] {
            let request = server.request(Method::OPTIONS, "/api/v1/auth/login");
            let request = request.header("origin", "https://app.example.org");
            let request = request.header("access-control-request-method", "POST");
            let answer = request.header("access-control-request-headers", asked).send().await.unwrap();
            let headers = answer.headers();
            let allowed =
                headers.get("access-control-allow-headers").map_or("", |value| value.to_str().unwrap());
            assert!(
                !allowed.to_lowercase().contains("x-session") && !allowed.contains('*'),
                "{asked}: {allowed}"
            );
            assert_eq!(allowed.contains("content-type"), asked.contains("content-type"), "{allowed}");
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
}
