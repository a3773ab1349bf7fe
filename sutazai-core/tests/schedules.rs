//! Thousands of random schedules over the memory store.
//!
//! `SUTAZAI_SCHEDULES=n` sets their number; `SUTAZAI_SCHEDULE_SEED=n` replays the one that a failure named.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::sync::Arc;

use sutazai_core::memory::MemoryTaskStore;
use sutazai_core::ports::TaskStore;
use sutazai_core::testing::schedules;

/// Returns the seeds to run: the requested one, or `default_count` seeds from a start that differs at each run.
fn seeds(default_count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    match number("SUTAZAI_SCHEDULE_SEED") {
        Some(seed) => seed..seed + 1,
        None => {
            let first = u64::from(rand::random::<u32>());
            first..first + number("SUTAZAI_SCHEDULES").unwrap_or(default_count)
        }
    }
}

#[tokio::test]
async fn memory_store_passes_random_schedules() {
    for seed in seeds(3_000) {
        let make = || async { Arc::new(MemoryTaskStore::new()) as Arc<dyn TaskStore> };
        if let Err(fault) = schedules::run(make, seed).await {
            panic!("{fault}\nreplay it with SUTAZAI_SCHEDULE_SEED={seed}");
        }
    }
}
