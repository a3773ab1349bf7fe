//! What cannot be opened is told by its name, and never with its password.

use std::net::TcpListener;

use sutazai_core::ErrorKind;

use crate::place::Server;

#[tokio::test]
async fn what_is_wrong_is_named_without_the_password() {
    let address = Server::shared().address();
    let (user, place) = address.split_once('@').unwrap();
    let password = user.rsplit_once(':').unwrap().1;
    // Bound but not listening any more: nobody answers there.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, part) in [
        (format!("{address}/nowhere"), "nowhere"),
        (format!("postgres://sutazai:wrong-secret@{place}/postgres"), "password"),
        (format!("postgres://nobody:{password}@{place}/postgres"), "nobody"),
        (format!("postgres://sutazai:{password}@{nobody}/postgres"), "refused"),
    ] {
        let e = sutazai_store::open(&url).await.unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
        let said = format!("{e} {e:?}");
        assert!(said.contains(part), "{said}");
        assert!(!said.contains(password) && !said.contains("wrong-secret"), "{said}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_names_the_setting() {
    for url in ["postgres://host:no-port/x", "postgres://[::1/x", "postgres:///x?sslmode=perhaps"] {
        let e = sutazai_store::open(url).await.unwrap_err();
        assert_eq!((e.kind(), e.field()), (ErrorKind::InvalidInput, Some("DATABASE_URL")), "{url}: {e}");
        assert!(e.to_string().contains("postgres://user:password@host:5432/database"), "{e}");
    }
}

#[tokio::test]
async fn both_names_of_the_scheme_will_do() {
    let url = Server::shared().database().await;
    sutazai_store::open(&url.replace("postgres://", "postgresql://")).await.unwrap();
}
