//! Schedules: cron plans that submit tasks at set times.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod list;
pub(crate) mod replace;
pub(crate) mod show;
