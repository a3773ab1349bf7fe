//! Settings: models and the requests to them.

use sutazai_agent::models::DEFAULT_IDLE_TIMEOUT;
use sutazai_core::admission_control::AdmissionControlConfig;

use super::setting::{Fallback, Setting, Values, seconds};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "MODEL_BACKENDS",
        values: Values::Address(
            "name=address, separated by commas, such as llama-cpp=/model.gguf,ollama=http://127.0.0.1:11434",
        ),
        default: Fallback::Unset("no model"),
        help: "model backends in order of preference",
    },
    Setting {
        name: "MODEL_PROGRAM",
        values: Values::Text("path of a program, or in-process"),
        default: Fallback::Unset("the sutazai binary uses itself"),
        help: "program that runs llama-cpp models in child processes",
    },
    Setting {
        name: "MODEL_MEMORY_LIMIT_MB",
        values: Values::Number { min: 64, max: 16_777_216 },
        default: Fallback::Unset("no limit"),
        help: "private memory of a model's child process in MB; the mapped file does not count",
    },
    Setting {
        name: "DEFAULT_MODEL",
        values: Values::Text("a model's name"),
        default: Fallback::Fixed("tinyllama"),
        help: "model to use if it is available; otherwise the first available one",
    },
    Setting {
        name: "MODEL_AUTO_PULL",
        values: Values::Switch,
        default: Fallback::Fixed("false"),
        help: "whether a missing DEFAULT_MODEL is pulled by the first backend that can",
    },
    Setting {
        name: "OPENAI_API_KEY",
        values: Values::Secret { min_bytes: 0 },
        default: Fallback::Unset("none"),
        help: "bearer key for OpenAI-compatible servers",
    },
    Setting {
        name: "MODEL_SLOTS",
        values: Values::Number { min: 1, max: 1_024 },
        default: Fallback::Unset("as the first backend says, or 4"),
        help: "answers that the models write concurrently",
    },
    Setting {
        name: "MODEL_QUEUE",
        values: Values::Number { min: 0, max: 10_000 },
        default: Fallback::Computed(|| models().queue.to_string()),
        help: "requests that may wait for the models",
    },
    Setting {
        name: "MODEL_REQUESTS_PER_USER",
        values: Values::Number { min: 1, max: 10_000 },
        default: Fallback::Computed(|| models().per_user.to_string()),
        help: "requests to the models that one user may have in progress",
    },
    Setting {
        name: "MODEL_REQUESTS_PER_MINUTE",
        values: Values::Number { min: 1, max: 1_000_000 },
        default: Fallback::Computed(|| models().per_minute.to_string()),
        help: "requests to the models that one user, with all API keys, may begin in a minute",
    },
    Setting {
        name: "MODEL_MAX_TOKENS",
        values: Values::Number { min: 512, max: 1_000_000 },
        default: Fallback::Computed(|| models().max_tokens.to_string()),
        help: "tokens that a caller may ask for in one answer",
    },
    Setting {
        name: "MODEL_TIMEOUT_SECONDS",
        values: Values::Number { min: 1, max: 86_400 },
        default: Fallback::Computed(|| seconds(models().timeout)),
        help: "time limit of an answer, waiting included",
    },
    Setting {
        name: "MODEL_IDLE_TIMEOUT_SECONDS",
        values: Values::Number { min: 1, max: 86_400 },
        default: Fallback::Computed(|| seconds(DEFAULT_IDLE_TIMEOUT)),
        help: "time without output after which a model counts as hung; loading a large model from a slow disk counts too",
    },
];

fn models() -> AdmissionControlConfig {
    AdmissionControlConfig::default()
}
