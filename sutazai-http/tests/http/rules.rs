//! The rules of the analysis as data.

use std::sync::Arc;

use async_trait::async_trait;
use reqwest::Method;
use serde_json::{Value, json};
use sutazai_core::Result;
use sutazai_core::domain::{
    AgentDescriptor, BoundDirection, BoundOperation, RelativeBound, RuleBounds, RuleDescriptor, RuleMetric,
    Step,
};
use sutazai_core::engine::Engine;
use sutazai_core::ports::{Agent, AgentContext};
use sutazai_http::App;

use crate::support::{Server, failure, success};

const PATH: &str = "/api/v1/agents/hardware-optimizer/rules";

#[derive(Debug)]
struct Optimizer;

#[async_trait]
impl Agent for Optimizer {
    fn descriptor(&self) -> AgentDescriptor {
        let rule = |id: &str, metrics| RuleDescriptor {
            id: id.into(),
            title: "A title".into(),
            meaning: "A meaning.".into(),
            info: None,
            warning: Some("over 1.5 for each processor".into()),
            critical: None,
            source: Some("Ours".into()),
            metrics,
        };
        let load = RuleMetric {
            metric: "host.cpu.load[5]".into(),
            unit: "tasks".into(),
            direction: BoundDirection::Above,
            bounds: RuleBounds { warning: Some(1.5), critical: Some(4.0), ..RuleBounds::default() },
            relative_to: Some(RelativeBound {
                metric: "host.cpu.cores".into(),
                operation: BoundOperation::Times,
            }),
        };
        let left = RuleMetric { direction: BoundDirection::Below, relative_to: None, ..load.clone() };
        let rules = vec![rule("high_load", vec![load, left]), rule("headroom", vec![])];
        AgentDescriptor::new("hardware-optimizer", "Judges.").rules(rules)
    }

    async fn run(&self, _: &AgentContext) -> Result<Step> {
        Ok(Step::Done(Value::Null))
    }
}

#[tokio::test]
async fn rules_are_listed_with_their_bounds() {
    let engine = Engine::builder().agent(Arc::new(Optimizer)).build().unwrap();
    let server = Server::of_app(App::new(engine)).await;
    let data = success(server.request(Method::GET, PATH).send().await.unwrap(), 200).await;
    let bounds = json!({ "info": null, "warning": 1.5, "critical": 4.0 });
    let metric = |direction: &str, relative_to: Value| {
        json!({
            "metric": "host.cpu.load[5]",
            "unit": "tasks",
            "direction": direction,
            "bounds": bounds,
            "relative_to": relative_to,
        })
    };
    let cores = json!({ "metric": "host.cpu.cores", "operation": "times" });
    let rule = |id: &str, metrics: Value| {
        json!({
            "id": id,
            "title": "A title",
            "meaning": "A meaning.",
            "info": null,
            "warning": "over 1.5 for each processor",
            "critical": null,
            "source": "Ours",
            "metrics": metrics,
        })
    };
    let metrics = json!([metric("above", cores), metric("below", Value::Null)]);
    assert_eq!(data, json!({ "items": [rule("high_load", metrics), rule("headroom", json!([]))] }));
}

#[tokio::test]
async fn server_without_the_agent_has_no_rules() {
    let server = Server::of_app(App::new(Engine::builder().build().unwrap())).await;
    failure(server.request(Method::GET, PATH).send().await.unwrap(), 404, "not_found").await;
}
