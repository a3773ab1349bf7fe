//! Events of tasks: reported by agents, streamed for one task, and as the log of all tasks.

pub(crate) mod buffer;
pub(crate) mod log;
pub(crate) mod stream;
