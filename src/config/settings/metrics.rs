//! Settings: metric history, monitoring, traces and logs.

use sutazai_agent::metrics::host_name;
use sutazai_core::metric_history::MetricHistoryConfig;

use super::setting::{Fallback, Setting, Values, days, seconds};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "HOST_NAME",
        values: Values::Text("1 to 253 characters"),
        default: Fallback::Computed(host_name),
        help: "name of this machine in the metric history and in analyses",
    },
    Setting {
        name: "HISTORY_INTERVAL_SECONDS",
        values: Values::Number { min: 1, max: 3_600 },
        default: Fallback::Computed(|| seconds(MetricHistoryConfig::default().interval)),
        help: "time between two samples of the metric history",
    },
    Setting {
        name: "HISTORY_KEEP_DAYS",
        values: Values::Number { min: 1, max: 3_650 },
        default: Fallback::Computed(|| days(MetricHistoryConfig::default().retention)),
        help: "retention of the metric history",
    },
    Setting {
        name: "ENABLE_MONITORING",
        values: Values::Switch,
        default: Fallback::Fixed("true"),
        help: "whether GET /metrics serves metrics for Prometheus",
    },
    Setting {
        name: "METRICS_TOKEN",
        values: Values::Secret { min_bytes: 16 },
        default: Fallback::Unset("only programs on this machine may read"),
        help: "bearer token for GET /metrics",
    },
    Setting {
        name: "OTEL_EXPORTER_OTLP_ENDPOINT",
        values: Values::Address("http:// or https:// and a host, such as http://127.0.0.1:4318"),
        default: Fallback::Unset("no traces"),
        help: "collector that traces are sent to",
    },
    Setting {
        name: "OTEL_SERVICE_NAME",
        values: Values::Text("a name"),
        default: Fallback::Fixed("sutazai"),
        help: "name of this server in log lines and traces",
    },
    Setting {
        name: "LOG_FORMAT",
        values: Values::Choice(&["text", "json"]),
        default: Fallback::Fixed("text"),
        help: "format of log lines",
    },
    Setting {
        name: "LOG_LEVEL",
        values: Values::Text("a level or a filter such as info,sutazai=debug"),
        default: Fallback::Unset("info for serve and worker, warn for the rest"),
        help: "log lines that are written",
    },
    Setting {
        name: "ENVIRONMENT",
        values: Values::Choice(&["development", "production"]),
        default: Fallback::Fixed("development"),
        help: "strictness of the startup checks; production requires JWT_SECRET_KEY",
    },
];
