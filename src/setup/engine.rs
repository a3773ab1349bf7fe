//! The engine of a configured process.

use std::sync::Arc;

use sutazai_agent::agents;
use sutazai_agent::models::ModelManager;
use sutazai_core::domain::Caller;
use sutazai_core::engine::{Engine, EngineBuilder};
use sutazai_core::metric_history::MetricHistoryConfig;
use sutazai_core::{Error, Result};
use sutazai_store::Stores;

use super::metric_sources;
use super::model_backends::{load, models};
use super::shared::SharedParts;
use crate::config::Config;

/// Returns a builder with the configured parts and the built-in agents.
///
/// # Errors
/// Those of [`models()`].
pub(super) async fn engine_builder(
    config: &Config,
    stores: &Stores,
    shared: &SharedParts,
) -> Result<EngineBuilder> {
    let history = MetricHistoryConfig {
        interval: config.history_interval,
        retention: config.history_keep,
        ..MetricHistoryConfig::default()
    };
    let mut builder = Engine::builder()
        .task_store(stores.tasks.clone())
        .identity_store(stores.identity.clone())
        .access(config.access)
        .max_pending_per_owner(config.quotas.pending_tasks)
        .schedule_store(stores.schedules.clone())
        .retention(config.retention_policy)
        .metric_store(stores.metrics.clone())
        .metric_history(history)
        .host(&config.host_name)
        .agent_store(stores.agents.clone())
        .clock(stores.clock.clone())
        .workers(config.workers)
        .lease(config.lease)
        .shutdown_grace(config.shutdown_grace)
        .limits(config.limits.clone())
        .admission_control(config.admission_control.clone());
    if let Some(manager) = models(config, stores.clock.clone()).await? {
        builder = with_models(builder, manager);
    }
    if let Some(bus) = shared.bus() {
        builder = builder.message_bus(bus, stores.relays.clone());
    }
    if let Some(cache) = shared.cache() {
        builder = builder.cache(cache);
    }
    for source in metric_sources() {
        builder = builder.metric_source(source);
    }
    Ok(agents::all().into_iter().fold(builder, EngineBuilder::agent))
}

/// Sets the models of the engine, which loads the default one when it starts.
pub fn with_models(builder: EngineBuilder, models: Arc<ModelManager>) -> EngineBuilder {
    builder.model(models).background("model loading", |engine, stop| async move {
        if let Some(model) = engine.model_for(&Caller::System) {
            stop.run_until_cancelled(load(&*model)).await;
        }
    })
}

/// Builds the engine of the process.
///
/// # Errors
/// `InvalidInput` naming the setting.
pub(super) fn built(builder: EngineBuilder) -> Result<Engine> {
    builder.build().map_err(|e: Error| match e.field() {
        Some("per_agent") => e.with_field("AGENT_CONCURRENCY"),
        _ => e,
    })
}
