//! `sutazai models list|check|pull`: lists, measures or downloads models.

use std::process::ExitCode;
use std::sync::Arc;

use futures::StreamExt;
use serde_json::{Value, json};
use sutazai::agent::agents::hardware_optimizer::check::{BUDGET, check_model};
use sutazai::agent::models::{MeasuredModel, ModelManager, PermissionStore};
use sutazai::setup;
use sutazai_core::domain::{ModelInfo, ModelMeasurement, ModelPermission};
use sutazai_core::ports::{Clock, ModelBackend, SystemClock};
use sutazai_core::{Error, Result};

use super::arguments::{Models, SettingFlags};
use super::output;
use super::progress::{CheckBar, PullBar};

/// Number of digits of a digest that are shown; enough to distinguish models.
const DIGEST_PREFIX_DIGITS: usize = 12;

/// Lists the models, measures one, or downloads one.
pub(crate) async fn run(settings: &SettingFlags, command: &Models) -> Result<ExitCode> {
    let config = settings.load(&[])?;
    super::logging::start(&config, "warn", None)?;
    let manager = setup::models(&config, Arc::new(SystemClock)).await?.ok_or_else(|| {
        Error::invalid(
            "MODEL_BACKENDS",
            "expected at least one backend, such as llama-cpp=/models/small.gguf; none is set",
        )
    })?;
    let store = setup::model_permissions();
    match command {
        Models::List { json } => list(&manager, &store, *json).await?,
        Models::Check { name, json } => check(&manager, &store, name.clone(), *json).await?,
        Models::Pull { name } => {
            let bar = PullBar::new(name);
            let mut stream = manager.pull(name).await?;
            while let Some(progress) = stream.next().await {
                bar.show(&progress?);
            }
            bar.clear();
            output::line(format_args!("{name} is available."))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(manager: &ModelManager, store: &PermissionStore, json: bool) -> Result<()> {
    let models = manager.models().await?;
    let mut listed = Vec::new();
    for model in models {
        let measured = store.of(&model);
        if let Err(e) = &measured {
            tracing::warn!(error = %e, "model permissions unreadable");
        }
        listed.push((model, measured.ok().flatten()));
    }
    if json {
        let listed = listed.iter().map(|(model, measured)| {
            let mut value = serde_json::to_value(model).map_err(Error::json)?;
            value["permissions"] = json!(measured.as_ref().map(|measured| &measured.granted));
            Ok(value)
        });
        return output::json(&Value::Array(listed.collect::<Result<_>>()?).to_string());
    }
    for (model, measured) in listed {
        output::line(format_args!("{}", row(&model, measured.as_ref())))?;
    }
    Ok(())
}

/// Formats one line of the list.
fn row(model: &ModelInfo, measured: Option<&MeasuredModel>) -> String {
    let millions = |n: u64| format!("{:.0} M", n as f64 / 1e6);
    let size = model.size_bytes.map_or_else(String::new, |n| format!("{}B", millions(n)));
    let parameters = model.parameters.map_or_else(String::new, |n| format!("{} parameters", millions(n)));
    let context = model.context_length.map_or_else(String::new, |n| format!("{n} tokens"));
    let digest = model.digest.as_deref().map_or("", digest_prefix);
    let permissions = match measured {
        None => "not measured".to_owned(),
        Some(measured) => format!("permissions: {}", names(&measured.granted)),
    };
    let process = model.process.as_ref().map_or_else(String::new, |process| {
        let crashes = match process.crashes {
            0 => String::new(),
            1 => ", 1 crash".to_owned(),
            n => format!(", {n} crashes"),
        };
        let last = process.last_crash.as_ref().map_or_else(String::new, |last| format!(" ({last})"));
        format!("  {}{crashes}{last}", process.state.as_str())
    });
    let note = model.note.as_ref().map_or_else(String::new, |note| format!("  ({note})"));
    let line = format!(
        "{:<40} {:<12} {size:>10}  {parameters:<18} {context:>13}  {digest:<DIGEST_PREFIX_DIGITS$}  {permissions}{process}{note}",
        model.name, model.backend
    );
    line.trim_end().to_owned()
}

/// Returns the first digits of a digest, without the name of its algorithm.
fn digest_prefix(digest: &str) -> &str {
    let digits = digest.split_once(':').map_or(digest, |(_, digits)| digits);
    digits.get(..DIGEST_PREFIX_DIGITS).unwrap_or(digits)
}

fn names(granted: &[ModelPermission]) -> String {
    match granted {
        [] => "none".to_owned(),
        granted => granted.iter().map(|permission| permission.as_str()).collect::<Vec<_>>().join(", "),
    }
}

async fn check(
    manager: &ModelManager,
    store: &PermissionStore,
    name: Option<String>,
    json: bool,
) -> Result<()> {
    let model = manager.answering(name).await?;
    let bar = CheckBar::new(&model.name);
    let measurements =
        check_model(manager, &model, &SystemClock, |fraction, what| bar.show(fraction, what)).await;
    bar.clear();
    let measurements = measurements?;
    let granted = ModelMeasurement::granted(&measurements);
    let measured = MeasuredModel {
        backend: model.backend.clone(),
        model: model.name.clone(),
        measured_at: SystemClock.now(),
        granted,
        measurements,
    };
    store.record(&model, measured.clone())?;
    if json {
        let mut value = serde_json::to_value(&measured).map_err(Error::json)?;
        value["digest"] = json!(model.digest);
        return output::json(&value.to_string());
    }
    for measurement in &measured.measurements {
        output::line(format_args!("{}", measurement_row(measurement)))?;
    }
    output::line(format_args!("Permissions of {}: {}", model.name, names(&measured.granted)))
}

/// Formats one measurement with its threshold.
fn measurement_row(measurement: &ModelMeasurement) -> String {
    let ModelMeasurement { name, permission, value, threshold, cases, min_cases } = measurement;
    let verdict = match (measurement.passed(), cases < min_cases) {
        (true, _) => "passed".to_owned(),
        (false, true) => format!("not passed: {cases} of {min_cases} cases within {} s", BUDGET.as_secs()),
        (false, false) => "not passed".to_owned(),
    };
    format!(
        "{:<8} {name:<36} {value:.2} of {cases} cases, at least {threshold:.2} is needed: {verdict}",
        permission.as_str()
    )
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::{ModelProcess, ProcessState};

    use super::*;

    fn model() -> ModelInfo {
        ModelInfo {
            size_bytes: Some(98_000_000),
            parameters: Some(135_000_000),
            context_length: Some(8_192),
            digest: Some("sha256:0123456789abcdef".into()),
            process: Some(ModelProcess {
                state: ProcessState::Ready,
                crashes: 2,
                last_crash: Some("killed by SIGSEGV".into()),
                variant: None,
            }),
            note: Some("its chat template is not used".into()),
            ..ModelInfo::new("small", "llama-cpp")
        }
    }

    #[test]
    fn row_shows_permissions_digest_and_crashes() {
        let shown = row(&model(), None);
        for part in [
            "98 MB",
            "135 M parameters",
            "8192 tokens",
            "its chat template is not used",
            "0123456789ab ",
            "not measured",
            "ready, 2 crashes (killed by SIGSEGV)",
        ] {
            assert!(shown.contains(part), "{part:?} in {shown:?}");
        }
        let measured = |granted: &[ModelPermission]| MeasuredModel {
            backend: String::new(),
            model: String::new(),
            measured_at: SystemClock.now(),
            granted: granted.to_vec(),
            measurements: Vec::new(),
        };
        assert!(row(&model(), Some(&measured(&[]))).contains("permissions: none"));
        let both = measured(&[ModelPermission::Choose, ModelPermission::Word]);
        assert!(row(&model(), Some(&both)).contains("permissions: choose, word"));
        let bare = ModelInfo {
            size_bytes: None,
            parameters: None,
            digest: Some("short".into()),
            context_length: None,
            process: None,
            note: None,
            ..model()
        };
        assert!(row(&bare, None).ends_with("short         not measured"), "{:?}", row(&bare, None));
    }

    #[test]
    fn measurement_row_shows_threshold_and_missing_cases() {
        let measurement = |value, cases| ModelMeasurement {
            name: "texts accepted".into(),
            permission: ModelPermission::Word,
            value,
            threshold: 0.9,
            cases,
            min_cases: 12,
        };
        assert!(
            measurement_row(&measurement(0.92, 12))
                .ends_with("0.92 of 12 cases, at least 0.90 is needed: passed")
        );
        assert!(measurement_row(&measurement(0.5, 12)).ends_with("not passed"));
        assert!(measurement_row(&measurement(1.0, 3)).ends_with("not passed: 3 of 12 cases within 60 s"));
    }
}
