//! Embeds SutazAI in an axum service: our router is nested under a prefix, next to routes of the service.
//!
//! Run it: `cargo run --features http,host-metrics --example 03_http_server`, then open the addresses that it prints.

#![allow(clippy::print_stdout)] // an example prints what it does

use axum::Router;
use axum::routing::get;
use sutazai::config::Config;
use sutazai::setup::Service;
use sutazai::{Result, http};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    let config = Config::from_env()?;
    let service = Service::open(&config).await?;
    service.start().await?;

    let app =
        Router::new().route("/", get(|| async { "my own service" })).nest("/ai", http::router(service.app()));

    let listener = TcpListener::bind(config.server.listen).await?;
    let address = listener.local_addr()?;
    println!("mine:  http://{address}/");
    println!("ours:  http://{address}/ai/health and http://{address}/ai/api/v1/...");

    let stop = async {
        // If no handler for Ctrl-C can be installed, the signal ends the process itself.
        let _ = tokio::signal::ctrl_c().await;
    };
    http::serve(listener, app, stop).await?;
    service.shutdown().await
}
