//! Documents: files of users, stored as text in chunks with full-text search.
//!
//! * `elements`: visibility of the elements of an HTML page,
//! * `file`: decoding of files and their charsets,
//! * `html`: text extraction from HTML pages,
//! * `service`: operations of callers on their documents,
//! * `split`: splits a text into chunks,
//! * `keyed_semaphores`: limits of concurrent operations per user,
//! * `tokenizer`: words and term weights, which the stores use as well.

mod elements;
mod file;
#[cfg(all(test, feature = "test-util"))]
mod fuzz;
mod html;
mod keyed_semaphores;
mod service;
mod split;
pub(crate) mod tokenizer;

pub use service::Documents;
