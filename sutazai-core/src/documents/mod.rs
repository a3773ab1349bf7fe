//! Documents: files of users, kept as text in chunks that a search finds by their words.
//!
//! * `service`: what callers can do with their documents,
//! * `html`: the text of a page, `elements`: what of it a reader sees,
//! * `file`: the text of a file and its character set,
//! * `split`: a text in pieces,
//! * `turns`: how much of something one user may do at once,
//! * [`words`]: what a word is to a search, and what it is worth; stores need it too.

mod elements;
mod file;
#[cfg(all(test, feature = "testing"))]
mod fuzz;
mod html;
mod service;
mod split;
mod turns;
pub mod words;

pub use service::Documents;
