//! Creation of a database, and errors of opening one.

use std::os::unix::fs::PermissionsExt;

use sutazai_core::ErrorKind;

use crate::place::Place;

#[tokio::test]
async fn file_and_directory_are_accessible_to_this_user_only() {
    let place = Place::new();
    let directory = place.file().parent().unwrap().join("made").join("here");
    let file = directory.join("x.db");
    let stores = sutazai_store::open(&format!("sqlite://{}", file.display())).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    for entry in std::fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    drop(stores);
}

#[tokio::test]
async fn access_of_other_users_is_removed() {
    let place = Place::new();
    drop(sutazai_store::open(&place.url()).await.unwrap());
    let mode = || std::fs::metadata(place.file()).unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(place.file(), std::fs::Permissions::from_mode(0o666)).unwrap();
    drop(sutazai_store::open(&place.url()).await.unwrap());
    assert_eq!(mode(), 0o600);
}

#[tokio::test]
async fn symbolic_link_is_rejected() {
    let place = Place::new();
    drop(sutazai_store::open(&place.url()).await.unwrap());
    let link = place.file().with_file_name("link.db");
    std::os::unix::fs::symlink(place.file(), &link).unwrap();
    let e = sutazai_store::open(&format!("sqlite://{}", link.display())).await.unwrap_err();
    assert_eq!((e.kind(), e.message()), (ErrorKind::Unavailable, "the database cannot be opened"));
    assert!(e.to_string().contains("link.db is a symbolic link"), "{e}");
}

#[tokio::test]
async fn other_file_is_named_and_not_changed() {
    let place = Place::new();
    let text = "A letter to somebody, long enough to be taken for a header of one hundred bytes. ".repeat(60);
    std::fs::write(place.file(), &text).unwrap();
    let e = sutazai_store::open(&place.url()).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(e.to_string().contains("sutazai.db is not an SQLite database"), "{e}");
    // The message for callers of a server does not contain the path.
    assert_eq!(e.message(), "the database cannot be used");
    assert_eq!(std::fs::read_to_string(place.file()).unwrap(), text);
}

#[tokio::test]
async fn directory_that_cannot_be_created_is_named() {
    let place = Place::new();
    std::fs::write(place.file(), b"").unwrap();
    let e = sutazai_store::open(&format!("{}/below.db", place.url())).await.unwrap_err();
    assert_eq!(e.kind(), ErrorKind::Unavailable, "{e}");
    assert!(e.to_string().contains("below.db"), "{e}");
}
