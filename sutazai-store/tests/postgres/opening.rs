//! Errors of opening name what is wrong, and never show the password.

use std::net::TcpListener;

use sutazai_core::ErrorKind;

use crate::place::Server;

#[tokio::test]
async fn errors_name_the_cause_without_the_password() {
    let address = Server::shared().address();
    let (user, place) = address.split_once('@').unwrap();
    let password = user.rsplit_once(':').unwrap().1;
    // Its listener is dropped, so connections to it are refused.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, part) in [
        (format!("{address}/nowhere"), "nowhere"),
        (format!("postgres://sutazai:wrong-secret@{place}/postgres"), "password"),
        (format!("postgres://nobody:{password}@{place}/postgres"), "nobody"),
        (format!("postgres://sutazai:{password}@{closed}/postgres"), "refused"),
    ] {
        let e = sutazai_store::open(&url).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        let said = format!("{e} {e:?}");
        assert!(said.contains(part), "{said}");
        assert!(!said.contains(password) && !said.contains("wrong-secret"), "{said}");
    }
}

#[tokio::test]
async fn invalid_address_names_the_setting() {
    for url in ["postgres://host:no-port/x", "postgres://[::1/x", "postgres:///x?sslmode=perhaps"] {
        let e = sutazai_store::open(url).await.unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("DATABASE_URL")), "{url}: {e}");
        assert!(e.to_string().contains("postgres://user:password@host:5432/database"), "{e}");
    }
}

#[tokio::test]
async fn both_scheme_names_are_accepted() {
    let url = Server::shared().database().await;
    sutazai_store::open(&url.replace("postgres://", "postgresql://")).await.unwrap();
}
