//! Rules about GPUs: their memory and temperature.

use sutazai_core::domain::GpuMetrics;

use super::bounds::{self, Bounds};
use super::draft::{Draft, Found};
use super::figures::{bytes, decimal, percent};
use super::judged::Judged;
use super::names::clean_name;
use super::rule::{Facts, Rest, Rule};
use super::sensors;

/// Used share of GPU memory in percent. It is rarely an emergency, since model servers use most of it on purpose.
const MEMORY: Bounds = Bounds::mild(90.0, 97.0);
/// Degrees Celsius: NVIDIA's consumer cards target 83 and throttle from about 90.
const HOT: Bounds = Bounds::new(83.0, 90.0);

const NO_MODEL_FITS: &str = "A further model or a larger batch may not fit into its memory.";
const SLOWER: &str = "A GPU that becomes too hot lowers its clock rate, so its work takes longer.";
const SHOW: (&str, &str) = ("See the state of all GPUs.", "nvidia-smi");

/// Reports a GPU whose memory is nearly used up.
pub(super) const GPU_MEMORY: Rule = Rule {
    name: "gpu_memory",
    title: "GPU memory",
    meaning: "No further model fits.",
    conditions: ["over 90 %", "over 97 %", ""],
    source: "Servers of models take most of it on purpose; ours",
    judged: &[Judged::percent("gpus[<index>].memory_used_percent", MEMORY.levels())],
    needs: &["gpus.memory_used_bytes", "gpus.memory_total_bytes"],
    check: |facts| each(facts, &GPU_MEMORY, "nearly out of memory", NO_MODEL_FITS, memory),
};

/// Reports a GPU that is hot.
pub(super) const GPU_TEMPERATURE: Rule = Rule {
    name: "gpu_temperature",
    title: "GPU temperature",
    meaning: "A GPU slows itself down. Values that no sensor means are left out, as above.",
    conditions: ["", "over 83 °C", "over 90 °C"],
    source: "NVIDIA's consumer cards aim at 83 °C and slow down from about 90 °C on",
    judged: &[Judged::above("gpus[<index>].celsius", "celsius", HOT.levels())],
    needs: &["gpus.celsius"],
    check: |facts| each(facts, &GPU_TEMPERATURE, "hot", SLOWER, temperature),
};

type Judge = fn(&Facts<'_>, &GpuMetrics) -> Option<Found>;

fn each(
    facts: &Facts<'_>,
    rule: &Rule,
    are: &'static str,
    consequence: &'static str,
    judge: Judge,
) -> Vec<Found> {
    let gpus = facts.snapshot.gpus.value().into_iter().flatten();
    let rest = Rest {
        metric: "gpus",
        things: "GPUs",
        are,
        consequence,
        text: SHOW.0,
        command: SHOW.1,
        advice: "Run {command} to see the state of all GPUs.",
    };
    rule.worst(gpus.filter_map(|gpu| judge(facts, gpu)).collect(), &rest)
}

fn memory(facts: &Facts<'_>, gpu: &GpuMetrics) -> Option<Found> {
    let (used, total) = (gpu.memory_used_bytes? as f64, gpu.memory_total_bytes? as f64);
    let share = bounds::percent(used, total);
    facts.look();
    let (severity, bound) = MEMORY.grade(share)?;
    let series = path(gpu, "memory_used_bytes");
    let draft = Draft::new(&GPU_MEMORY, severity, title(gpu))
        .about(&gpu.index.to_string())
        .judged(path(gpu, "memory_used_percent"), share, "percent", bound)
        .since(facts.trends.over_since(&series, bound / 100.0 * total))
        .context(series, used, "bytes")
        .context(path(gpu, "memory_total_bytes"), total, "bytes");
    let (title, share, used, total) = (title(gpu), percent(share), bytes(used), bytes(total));
    let found = draft
        .statements([
            format!("{title} uses {used} of its {total} of memory, which is {share}."),
            format!("{title} has {share} of its memory in use ({used} of {total})."),
            format!("The memory of {title} is {share} used."),
        ])
        .consequences(&[
            NO_MODEL_FITS,
            "Programs on the GPU fail when they cannot get the memory that they ask for.",
            "A model server may reserve most of the memory on purpose.",
        ])
        .command(SHOW.0, SHOW.1, "Run {command} to see which processes use the memory of each GPU.")
        .remedy("Use a smaller model or a shorter context, or end programs that no longer need the GPU.")
        .advice("Use a model with smaller weights, for example a quantized one.")
        .advice("Limit how much memory the model server reserves if other programs share the GPU.")
        .finish(format!("the memory of {title} is nearly used up"));
    Some(found)
}

fn temperature(facts: &Facts<'_>, gpu: &GpuMetrics) -> Option<Found> {
    let celsius = gpu.celsius.filter(|celsius| sensors::is_plausible(*celsius))?;
    facts.look();
    let (severity, bound) = HOT.grade(celsius)?;
    let (title, shown) = (title(gpu), decimal(celsius));
    let draft = Draft::new(&GPU_TEMPERATURE, severity, title.clone()).about(&gpu.index.to_string()).judged(
        path(gpu, "celsius"),
        celsius,
        "celsius",
        bound,
    );
    let draft = match gpu.used_percent {
        Some(used) => draft.context(path(gpu, "used_percent"), used, "percent").statements([
            format!("{title} has a temperature of {shown} °C at {} utilization.", percent(used)),
            format!("{title} is at {shown} °C while its utilization is {}.", percent(used)),
        ]),
        None => draft.statements([format!("{title} has a temperature of {shown} °C.")]),
    };
    let found = draft
        .statements([format!("The temperature of {title} is {shown} °C.")])
        .consequences(&[
            SLOWER,
            "Lasting heat shortens the life of the card.",
            "Dust, a failed fan or warm air around the machine is the usual cause.",
        ])
        .command(
            SHOW.0,
            SHOW.1,
            "Run {command} to see the temperature, the fan speed and the power of each GPU.",
        )
        .remedy("Check the fans and the air around the GPU, or lower its power limit.")
        .advice("Reduce the load on the GPU for now if the temperature keeps rising.")
        .finish(format!("{title} is hot"));
    Some(found)
}

fn title(gpu: &GpuMetrics) -> String {
    match &gpu.name {
        Some(name) => format!("GPU {} ({})", gpu.index, clean_name(name)),
        None => format!("GPU {}", gpu.index),
    }
}

fn path(gpu: &GpuMetrics, figure: &str) -> String {
    format!("gpus[{}].{figure}", gpu.index)
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity::{Info, Warning};

    use super::super::rule::tests::grade;
    use super::super::sample::{around, gpus, healthy};
    use super::super::trends::Trends;
    use super::*;

    #[test]
    fn memory_is_graded_as_a_share() {
        for (used, total, expected) in [
            (900, 1000, None),
            (901, 1000, Some(Info)),
            (970, 1000, Some(Info)),
            (971, 1000, Some(Warning)),
            (5, 0, None),
        ] {
            let mut snapshot = healthy();
            let gpu = &mut gpus(&mut snapshot)[0];
            (gpu.memory_used_bytes, gpu.memory_total_bytes) = (Some(used), Some(total));
            assert_eq!(grade(&GPU_MEMORY, &snapshot), expected, "{used} of {total}");
        }
    }

    #[test]
    fn missing_values_are_neither_judged_nor_named() {
        let mut snapshot = healthy();
        let gpu = &mut gpus(&mut snapshot)[0];
        (gpu.name, gpu.used_percent, gpu.celsius) = (None, None, Some(95.0));
        (gpu.memory_used_bytes, gpu.memory_total_bytes) = (Some(99), None);
        assert_eq!(grade(&GPU_MEMORY, &snapshot), None);
        let trends = Trends::default();
        let found = (GPU_TEMPERATURE.check)(&Facts::new(&snapshot, &trends));
        assert_eq!(found[0].finding.summary, "GPU 0 has a temperature of 95 °C.");
        assert!(found[0].finding.evidence.iter().all(|evidence| !evidence.metric.ends_with("used_percent")));
    }

    #[test]
    fn temperature_is_graded_by_bounds() {
        for (value, expected) in around(83.0, 90.0) {
            let mut snapshot = healthy();
            gpus(&mut snapshot)[0].celsius = Some(value);
            assert_eq!(grade(&GPU_TEMPERATURE, &snapshot), expected, "{value}");
            for unknown in [None, Some(127.0), Some(255.0)] {
                gpus(&mut snapshot)[0].celsius = unknown;
                assert_eq!(grade(&GPU_TEMPERATURE, &snapshot), None, "{value} {unknown:?}");
            }
        }
    }
}
