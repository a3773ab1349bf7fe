//! Rules of GPUs.

use sutazai_core::domain::GpuMetrics;

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, decimal, percent};
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};

/// Used share of its memory in percent; seldom an emergency, since servers of models take most of it on purpose.
const MEMORY: Bounds = Bounds::mild(90.0, 97.0);
/// Degrees Celsius: NVIDIA's consumer cards aim at 83 and slow down from about 90 on.
const HOT: Bounds = Bounds::new(83.0, 90.0);

const SHOW: (&str, &str) = ("See the state of all GPUs.", "nvidia-smi");

/// The memory of a GPU is nearly used up.
pub(super) const GPU_MEMORY: Rule = Rule {
    name: "gpu_memory",
    meaning: "The memory of a graphics processor is nearly used up, so a further model does not fit.",
    check: |facts| each(facts, &GPU_MEMORY, "nearly out of memory", memory),
};

/// A GPU is hot.
pub(super) const GPU_TEMPERATURE: Rule = Rule {
    name: "gpu_temperature",
    meaning: "A graphics processor is hot and slows itself down to stay whole.",
    check: |facts| each(facts, &GPU_TEMPERATURE, "hot", temperature),
};

type Judge = fn(&Facts<'_>, &GpuMetrics) -> Option<Found>;

fn each(facts: &Facts<'_>, rule: &Rule, are: &'static str, judge: Judge) -> Vec<Found> {
    let gpus = facts.snapshot.gpus.value().into_iter().flatten();
    let rest = Rest { metric: "gpus", things: "GPUs", are, text: SHOW.0, command: SHOW.1 };
    rule.worst(gpus.filter_map(|gpu| judge(facts, gpu)).collect(), &rest)
}

fn memory(facts: &Facts<'_>, gpu: &GpuMetrics) -> Option<Found> {
    let (used, total) = (gpu.memory_used_bytes as f64, gpu.memory_total_bytes as f64);
    let share = bounds::percent(used, total);
    let (severity, bound) = MEMORY.grade(share)?;
    let series = path(gpu, "memory_used_bytes");
    let draft = Draft::new(&GPU_MEMORY, severity, title(gpu))
        .about(&gpu.index.to_string())
        .judged(path(gpu, "memory_used_percent"), share, "percent", bound)
        .since(facts.trends.over_since(&series, bound / 100.0 * total))
        .context(series, used, "bytes")
        .context(path(gpu, "memory_total_bytes"), total, "bytes")
        .command(SHOW.0, SHOW.1)
        .advice("Use a smaller model or a smaller context, or end what no longer needs the GPU.");
    Some(draft.says(format!(
        "{} uses {} of {} of memory, {}.",
        title(gpu),
        bytes(used),
        bytes(total),
        percent(share),
    )))
}

fn temperature(_: &Facts<'_>, gpu: &GpuMetrics) -> Option<Found> {
    let celsius = gpu.celsius?;
    let (severity, bound) = HOT.grade(celsius)?;
    let draft = Draft::new(&GPU_TEMPERATURE, severity, title(gpu))
        .about(&gpu.index.to_string())
        .judged(path(gpu, "celsius"), celsius, "celsius", bound)
        .context(path(gpu, "used_percent"), gpu.used_percent, "percent")
        .command(SHOW.0, SHOW.1)
        .advice("Check the fans and the air around the GPU, or lower its power limit.");
    Some(draft.says(format!(
        "{} is {} °C hot at {} use.",
        title(gpu),
        decimal(celsius),
        percent(gpu.used_percent),
    )))
}

fn title(gpu: &GpuMetrics) -> String {
    format!("GPU {} ({})", gpu.index, clean_name(&gpu.name))
}

fn path(gpu: &GpuMetrics, figure: &str) -> String {
    format!("gpus[{}].{figure}", gpu.index)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, gpus, healthy};
    use super::*;

    #[test]
    fn memory_is_a_share_of_what_there_is() {
        for (used, total, expected) in [
            (900, 1000, None),
            (901, 1000, Some(Info)),
            (970, 1000, Some(Info)),
            (971, 1000, Some(Warning)),
            (5, 0, None),
        ] {
            let mut snapshot = healthy();
            let gpu = &mut gpus(&mut snapshot)[0];
            (gpu.memory_used_bytes, gpu.memory_total_bytes) = (used, total);
            assert_eq!(grade(&GPU_MEMORY, &snapshot), expected, "{used} of {total}");
        }
    }

    #[test]
    fn heat_has_its_bounds() {
        for (value, expected) in around(83.0, 90.0) {
            let mut snapshot = healthy();
            gpus(&mut snapshot)[0].celsius = Some(value);
            assert_eq!(grade(&GPU_TEMPERATURE, &snapshot), expected, "{value}");
            gpus(&mut snapshot)[0].celsius = None;
            assert_eq!(grade(&GPU_TEMPERATURE, &snapshot), None, "{value}");
        }
    }
}
