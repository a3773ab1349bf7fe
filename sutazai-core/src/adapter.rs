//! Items that only adapters need: stores, servers, model backends, metric sources, and the processes that
//! `sutazai::setup` builds.
//!
//! A program that runs agents and submits tasks needs none of them. A port itself is in [`ports`](crate::ports), with the
//! types of its methods; here is what implementations of ports share, so that all of them decide alike. This is the only
//! place that exports such an item, except those of the last group: a task store that an embedder writes, as
//! `examples/08_custom_task_store.rs` is, names them with the ports and the domain.

// Servers and model backends.
pub use crate::constraints::{check_answer, check_schema};
// Stores: fair claiming, pages of lists, and the lifetime of a replaced refresh token's salt.
pub use crate::domain::limits::ConcurrencyBudget;
pub use crate::domain::page::{MAX_PAGE_BYTES, PageBounds};
pub use crate::domain::user::REFRESH_REPEAT_WINDOW;
// Analyses without an engine, and tests of metric sources.
pub use crate::metric_samples::samples;
pub use crate::ports::agent::collect_snapshot;
// Servers and processes: files with keys and passwords.
pub use crate::private_file::{read_own_file, read_private_file};
// Task stores.
#[doc(no_inline)]
pub use crate::domain::{later, quota, scheduling_key, task::lifecycle};
#[doc(no_inline)]
pub use crate::ports::{Announcer, CommitEffects, deduplication_key_taken};

/// Time limits of the steps of an analysis, which metric sources and the analysis keep.
pub mod analysis_budget {
    pub use crate::domain::analysis_budget::*;
}

/// Words of texts and their weights, the same in every document store.
pub mod tokenizer {
    pub use crate::documents::tokenizer::{score, terms_to_find, weight, words};
}
