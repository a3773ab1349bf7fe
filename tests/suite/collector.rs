//! Trace collector for tests: it accepts OTLP over HTTP, as a real one does, and keeps the spans.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use data_encoding::HEXLOWER;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;

/// Span as the tests compare it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    /// Kind as in the protocol: 2 server, 3 client, 4 producer, 5 consumer.
    pub(crate) kind: i32,
    pub(crate) attributes: BTreeMap<String, String>,
}

#[derive(Debug, Default)]
struct Taken {
    spans: Vec<Seen>,
    /// All received bytes, for searching what must not be among them.
    bytes: Vec<u8>,
    services: Vec<String>,
}

/// Collector on a free port that runs as long as the test.
#[derive(Debug, Clone)]
pub(crate) struct Collector {
    pub(crate) address: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::<Mutex<Taken>>::default();
        let router = axum::Router::new().route("/v1/traces", post(take)).with_state(taken.clone());
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { address, taken }
    }

    /// Returns all spans of a trace.
    pub(crate) fn trace(&self, id: &str) -> Vec<Seen> {
        self.taken.lock().unwrap().spans.iter().filter(|span| span.trace == id).cloned().collect()
    }

    /// Returns the service names of the senders.
    pub(crate) fn services(&self) -> Vec<String> {
        self.taken.lock().unwrap().services.clone()
    }

    /// Returns whether this text was received in any message.
    pub(crate) fn has_heard(&self, words: &str) -> bool {
        self.taken.lock().unwrap().bytes.windows(words.len()).any(|window| window == words.as_bytes())
    }
}

/// Returns the only span of this name.
pub(crate) fn named<'s>(spans: &'s [Seen], name: &str) -> &'s Seen {
    let found: Vec<&Seen> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} in {spans:#?}");
    found[0]
}

async fn take(State(taken): State<Arc<Mutex<Taken>>>, headers: HeaderMap, body: Bytes) -> Vec<u8> {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
    let mut taken = taken.lock().unwrap();
    taken.bytes.extend_from_slice(&body);
    for of_service in request.resource_spans {
        let resource = of_service.resource.unwrap_or_default();
        taken.services.extend(attributes(resource.attributes).remove("service.name"));
        for span in of_service.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            taken.spans.push(Seen {
                trace: HEXLOWER.encode(&span.trace_id),
                id: HEXLOWER.encode(&span.span_id),
                parent: HEXLOWER.encode(&span.parent_span_id),
                name: span.name,
                kind: span.kind,
                attributes: attributes(span.attributes),
            });
        }
    }
    ExportTraceServiceResponse::default().encode_to_vec()
}

fn attributes(list: Vec<opentelemetry_proto::tonic::common::v1::KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => format!("{other:?}"),
    };
    list.into_iter().filter_map(|pair| Some((pair.key, text(pair.value?.value?)))).collect()
}
