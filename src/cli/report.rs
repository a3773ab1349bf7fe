//! Report of an analysis for people: bars, findings with the worst first, recommendations, and how their texts were
//! checked.
//!
//! `sutazai analyze` prints the result of [`render`], colored on a terminal and plain in a pipe.

use std::fmt::Write;

use console::{Style, measure_text_width};
use sutazai_core::domain::{
    Analysis, GeneratedBy, Grounding, ModelPermission, PriorityLevel, Recommendation, Severity,
};
use sutazai_core::domain::{HostMetrics, MissingFigures, Section, Snapshot};

use super::printable::{name, printable};

/// Layout of the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Enables colors and bold text.
    pub(crate) colours: bool,
    /// Width of the report in columns.
    pub(crate) width: usize,
}

/// Renders the whole report, including a final line break.
pub(crate) fn render(analysis: &Analysis, look: Look) -> String {
    let page = Page { look };
    let mut out = String::new();
    page.machine(&mut out, &analysis.metrics);
    page.verdict(&mut out, analysis);
    let permissions = analysis.grounding.texts.iter().map(|text| text.permission);
    for (recommendation, permission) in analysis.recommendations.iter().zip(permissions) {
        page.recommendation(&mut out, recommendation, permission);
    }
    page.origin(&mut out, analysis);
    out
}

struct Page {
    look: Look,
}

/// Width of the labels at the start of a line, in columns.
const LABEL_WIDTH: usize = 12;

impl Page {
    /// Applies a style to a text. All untrusted text passes through this method, [`Page::line`] or [`pad`], which
    /// make it safe for a terminal.
    fn paint(&self, style: Style, text: &str) -> String {
        style.force_styling(self.look.colours).apply_to(printable(text)).to_string()
    }

    fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dim(), text)
    }

    fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn machine(&self, out: &mut String, snapshot: &Snapshot) {
        let taken = snapshot.taken_at.format("%Y-%m-%d %H:%M:%S UTC");
        match &snapshot.host {
            Section::Present { value: host } => {
                let up = host.uptime_seconds.map(|seconds| format!(", up {}", duration(seconds)));
                let line = format!("Linux {}{}, {taken}", name(&host.kernel), up.unwrap_or_default());
                let _ = writeln!(out, "{}  {}\n", self.bold(&name(&host.hostname)), self.dim(&line));
                self.host(out, host);
            }
            Section::Missing { reason } => {
                let _ =
                    writeln!(out, "{}\n", self.dim(&format!("{taken}; host metrics are missing: {reason}")));
            }
        }
        match &snapshot.pressure {
            Section::Present { value } => {
                let resources = [("cpu", &value.cpu), ("memory", &value.memory), ("io", &value.io)];
                let known = resources.iter().filter_map(|(resource, pressure)| {
                    Some(format!("{resource} {:.1} %", pressure.as_ref()?.some_avg10))
                });
                let known: Vec<String> = known.collect();
                self.line(out, "pressure", &format!("{} of the last 10 s stalled", known.join(", ")));
                self.missing_figures(out, "pressure", &value.missing);
            }
            Section::Missing { reason } => self.missing(out, "pressure", reason),
        }
        if let Section::Present { value } = &snapshot.cgroup {
            self.missing_figures(out, "cgroup", &value.missing);
        }
        match &snapshot.containers {
            Section::Present { value } => {
                self.line(
                    out,
                    "containers",
                    &format!("{} running of {}, {}", value.running, value.total, name(&value.engine)),
                );
                self.missing_figures(out, "containers", &value.missing);
            }
            Section::Missing { reason } => self.missing(out, "containers", reason),
        }
        match &snapshot.gpus {
            Section::Present { value } => {
                for gpu in value {
                    let label = format!("gpu {}", gpu.index);
                    match (gpu.memory_used_bytes, gpu.memory_total_bytes) {
                        (Some(used), Some(total)) => {
                            let note = format!("{} of {}", bytes(used), bytes(total));
                            self.bar(out, &label, share(used, total), &note);
                        }
                        _ => self.missing(out, &label, "the driver does not report its memory"),
                    }
                    self.missing_figures(out, &label, &gpu.missing);
                }
            }
            Section::Missing { reason } => self.missing(out, "gpus", reason),
        }
        for (name, section) in &snapshot.custom {
            match section {
                Section::Present { value } => self.line(out, name, &value.to_string()),
                Section::Missing { reason } => self.missing(out, name, reason),
            }
        }
        out.push('\n');
    }

    fn host(&self, out: &mut String, host: &HostMetrics) {
        let mut cpu = format!("{} cores", host.cpu.cores);
        if let Some([one, five, fifteen]) = host.cpu.load {
            let _ = write!(cpu, ", load {one:.2} {five:.2} {fifteen:.2}");
        }
        match host.cpu.used_percent {
            Some(used) => self.bar(out, "cpu", used, &cpu),
            None => self.line(out, "cpu", &cpu),
        }
        let memory = &host.memory;
        match (memory.used_percent, memory.used_bytes, memory.total_bytes) {
            (Some(percent), Some(used), Some(total)) => {
                self.bar(out, "memory", percent, &format!("{} of {}", bytes(used), bytes(total)));
            }
            (_, _, Some(total)) => self.line(out, "memory", &format!("{} in total", bytes(total))),
            _ => {}
        }
        if let (Some(percent), Some(used), Some(total)) =
            (host.swap.used_percent, host.swap.used_bytes, host.swap.total_bytes)
            && total > 0
        {
            self.bar(out, "swap", percent, &format!("{} of {}", bytes(used), bytes(total)));
        }
        for disk in &host.disks {
            let note = format!("{} free of {}", bytes(disk.available_bytes), bytes(disk.total_bytes));
            self.bar(out, &disk.mount, disk.used_percent, &note);
        }
        for mount in &host.unanswered_mounts {
            let reason = match mount.waited_seconds {
                seconds if seconds > 0.0 => format!("it did not answer within {seconds:.1} s"),
                _ => "no process could be started to ask it".to_owned(),
            };
            self.missing(out, &mount.mount, &reason);
        }
        if let Some(processes) = &host.processes {
            let top = processes.top.first();
            let most = top.map_or_else(String::new, |process| {
                format!(", most memory: {} ({})", name(&process.name), bytes(process.memory_bytes))
            });
            self.line(out, "processes", &format!("{}{most}", processes.count));
        }
        self.missing_figures(out, "host", &host.missing);
    }

    fn verdict(&self, out: &mut String, analysis: &Analysis) {
        let level = analysis.priority_level;
        let style = match level {
            PriorityLevel::Critical => Style::new().red().bold(),
            PriorityLevel::High => Style::new().red(),
            PriorityLevel::Medium => Style::new().yellow(),
            PriorityLevel::Low => Style::new().green(),
        };
        let found = match analysis.findings.len() {
            0 => "nothing found that needs attention".to_owned(),
            1 => "1 finding".to_owned(),
            n => format!("{n} findings"),
        };
        let (level, host) = (self.paint(style, level.as_str()), name(&analysis.host));
        let _ = writeln!(out, "{} {level} on {host}: {found}", self.bold("Priority"));
        if analysis.findings.len() > 1 {
            self.wrapped(out, &printable(&analysis.summary), false);
        }
    }

    fn recommendation(
        &self,
        out: &mut String,
        recommendation: &Recommendation,
        permission: Option<ModelPermission>,
    ) {
        let (mark, style) = match recommendation.severity {
            Severity::Critical => ("critical", Style::new().red().bold()),
            Severity::Warning => ("warning ", Style::new().yellow()),
            Severity::Info => ("info    ", Style::new().cyan()),
        };
        let by = match (recommendation.text_by, permission) {
            (GeneratedBy::Model, Some(ModelPermission::Choose)) => "chosen by the model",
            (GeneratedBy::Model, _) => "worded by the model",
            (GeneratedBy::Rules, _) => "written by the rules",
        };
        let title = format!("{}  {}", self.paint(style, mark), self.bold(&recommendation.resource));
        let _ = writeln!(out, "\n{title}  {}", self.dim(by));
        self.wrapped(out, &printable(&recommendation.text), false);
        for command in &recommendation.commands {
            let _ = writeln!(out, "    {} {}", self.dim("$"), self.paint(Style::new().cyan(), command));
        }
    }

    fn origin(&self, out: &mut String, analysis: &Analysis) {
        out.push('\n');
        if let Some(model) = &analysis.model {
            let seconds = model.duration_ms as f64 / 1_000.0;
            let text = format!(
                "{} ({}) wrote {} tokens in {seconds:.1} s.",
                model.name, model.backend, model.completion_tokens
            );
            let _ = writeln!(out, "{}", self.dim(&text));
            if let Some(why) = &model.degraded {
                let _ = writeln!(out, "{}", self.dim(&format!("Not as configured: {why}.")));
            }
        }
        if let Some(why) = &analysis.degraded {
            let _ = writeln!(out, "{}", self.dim(&format!("Not all by the model: {why}.")));
        }
        for note in &analysis.notes {
            let _ = writeln!(out, "{}", self.dim(&format!("Note: {note}.")));
        }
        if !analysis.grounding.texts.is_empty() {
            let _ = writeln!(out, "{}", self.dim(&checks(&analysis.grounding)));
        }
    }

    fn bar(&self, out: &mut String, label: &str, percent: f64, note: &str) {
        const CELLS: usize = 24;
        let full = ((percent / 100.0 * CELLS as f64).round().max(0.0) as usize).min(CELLS);
        let style = match percent {
            p if p > 90.0 => Style::new().red(),
            p if p > 70.0 => Style::new().yellow(),
            _ => Style::new().green(),
        };
        let bar = format!("{}{}", self.paint(style, &"█".repeat(full)), self.dim(&"░".repeat(CELLS - full)));
        let _ = writeln!(out, "{} {bar} {percent:5.1} %  {}", pad(label), self.dim(note));
    }

    fn line(&self, out: &mut String, label: &str, text: &str) {
        let _ = writeln!(out, "{} {}", pad(label), printable(text));
    }

    fn missing(&self, out: &mut String, label: &str, reason: &str) {
        let _ = writeln!(out, "{} {}", pad(label), self.dim(&format!("missing: {reason}")));
    }

    /// Lists figures that a section lacks, one line for each reason.
    fn missing_figures(&self, out: &mut String, label: &str, missing: &[MissingFigures]) {
        for MissingFigures { figures, reason } in missing {
            self.missing(out, label, &format!("{}: {reason}", figures.join(", ")));
        }
    }

    fn wrapped(&self, out: &mut String, text: &str, dim: bool) {
        let width = self.look.width.saturating_sub(2).max(40);
        let mut line = String::new();
        let flush = |line: &mut String, out: &mut String| {
            let shown = if dim { self.dim(line) } else { line.clone() };
            let _ = writeln!(out, "  {shown}");
            line.clear();
        };
        for word in text.split_whitespace() {
            if !line.is_empty() && measure_text_width(&line) + 1 + measure_text_width(word) > width {
                flush(&mut line, out);
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        if !line.is_empty() {
            flush(&mut line, out);
        }
    }
}

/// Summarizes who wrote the texts, and how many attempts were rejected for which reasons.
fn checks(grounding: &Grounding) -> String {
    let texts = |n: usize| if n == 1 { "1 text".to_owned() } else { format!("{n} texts") };
    let mut parts = Vec::new();
    for (permission, how) in [(ModelPermission::Word, "worded"), (ModelPermission::Choose, "chosen")] {
        match grounding.written_under(permission) {
            0 => {}
            n => parts.push(format!("{} {how} by the model", texts(n))),
        }
    }
    match grounding.written_by_rules() {
        0 => {}
        n => parts.push(format!("{} by the rules", texts(n))),
    }
    let mut line = parts.join(", ");
    let reasons: Vec<_> =
        grounding.refused_by_reason().iter().map(|(reason, n)| format!("{n} {}", reason.as_str())).collect();
    if !reasons.is_empty() {
        line.push_str(&format!("; {} refused: {}", grounding.refused.len(), reasons.join(", ")));
    }
    if !grounding.permissions.is_empty() {
        let may: Vec<_> = grounding.permissions.iter().map(|permission| permission.as_str()).collect();
        line.push_str(&format!("; the model may {}", may.join(" and ")));
    }
    format!("{line}.")
}

fn pad(label: &str) -> String {
    let label = printable(label);
    let fill = LABEL_WIDTH.saturating_sub(measure_text_width(&label));
    format!("{label}{}", " ".repeat(fill))
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// Formats a number of bytes in binary units (IEC 80000-13), with one decimal from KiB on.
fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{n} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

fn duration(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60) {
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Utc};
    use sutazai_core::domain::{
        CheckedText, Finding, ModelUse, Pressure, PressureMetrics, RefusedAttempt, RejectionReason,
    };

    use super::super::printable::is_steering;
    use super::*;

    fn analysis() -> Analysis {
        let at = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        Analysis {
            host: "web-1".into(),
            metrics: Snapshot::empty(at),
            findings: vec![Finding {
                id: "memory_use".into(),
                rule: "memory_use".into(),
                severity: Severity::Critical,
                resource: "process \u{1b}[2Jevil".into(),
                summary: "Memory is 93 % used.".into(),
                evidence: vec![],
                remedies: vec![],
            }],
            checked: vec![],
            recommendations: vec![Recommendation {
                finding_id: "memory_use".into(),
                severity: Severity::Critical,
                resource: "process \u{1b}[2Jevil".into(),
                text: "Look at what holds the memory and end what is not needed. ".repeat(4),
                text_by: GeneratedBy::Model,
                commands: vec!["ps aux --sort=-rss | head".into()],
            }],
            priority_level: PriorityLevel::Critical,
            generated_by: GeneratedBy::Model,
            model: Some(ModelUse {
                backend: "llama-cpp".into(),
                name: "small".into(),
                duration_ms: 1_840,
                prompt_tokens: 90,
                completion_tokens: 41,
                degraded: None,
            }),
            degraded: None,
            notes: vec![],
            summary: "Memory is nearly used up.".into(),
            grounding: Grounding {
                permissions: vec![ModelPermission::Choose, ModelPermission::Word],
                texts: vec![CheckedText {
                    finding_id: "memory_use".into(),
                    permission: Some(ModelPermission::Word),
                    assertions: vec![],
                }],
                refused: vec![RefusedAttempt {
                    finding_id: Some("memory_use".into()),
                    attempt: 1,
                    reason: RejectionReason::NotFluent,
                    excerpt: String::new(),
                }],
            },
            generated_at: at,
        }
    }

    #[test]
    fn untrusted_value_cannot_control_the_terminal() {
        const HOSTILE: &str = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}evil\r";
        let mut analysis = analysis();
        analysis.host = HOSTILE.into();
        analysis.summary = HOSTILE.into();
        analysis.degraded = Some(HOSTILE.into());
        analysis.notes = vec![HOSTILE.into()];
        analysis.recommendations[0].text = HOSTILE.into();
        analysis.recommendations[0].commands = vec![HOSTILE.into()];
        let model = analysis.model.as_mut().unwrap();
        (model.name, model.backend, model.degraded) = (HOSTILE.into(), HOSTILE.into(), Some(HOSTILE.into()));
        fn missing<T>() -> Section<T> {
            Section::Missing { reason: HOSTILE.into() }
        }
        let metrics = &mut analysis.metrics;
        (metrics.host, metrics.pressure, metrics.containers, metrics.gpus) =
            (missing(), missing(), missing(), missing());
        metrics.custom.insert(HOSTILE.into(), missing());
        metrics.custom.insert(format!("{HOSTILE}2"), Section::Present { value: HOSTILE.into() });
        let text = render(&analysis, Look { colours: false, width: 60 });
        assert!(!text.contains(|c| c != '\n' && is_steering(c)), "{text:?}");
        assert!(text.matches("evil").count() >= 13, "{text}");
    }

    #[test]
    fn load_is_left_out_on_a_system_without_it() {
        let machine: Snapshot =
            serde_json::from_str(include_str!("../../sutazai-agent/tests/fixtures/snapshot.json")).unwrap();
        let mut analysis = Analysis { metrics: machine, ..analysis() };
        let cpu = |analysis: &Analysis| {
            let text = render(analysis, Look { colours: false, width: 100 });
            text.lines().find(|line| line.starts_with("cpu ")).unwrap().to_owned()
        };
        assert!(cpu(&analysis).contains(" cores, load "), "{}", cpu(&analysis));
        let Section::Present { value: host } = &mut analysis.metrics.host else { panic!("no host") };
        host.cpu.load = None;
        assert!(cpu(&analysis).ends_with(" cores"), "{}", cpu(&analysis));
    }

    #[test]
    fn figures_that_could_not_be_read_are_named() {
        let mut analysis = analysis();
        let calm = Pressure { some_avg10: 0.5, some_avg60: 0.4, full_avg10: None, full_avg60: None };
        let missing = MissingFigures {
            figures: vec!["pressure.memory".into(), "pressure.io".into()],
            reason: "/proc/pressure cannot be read".into(),
        };
        analysis.metrics.pressure =
            PressureMetrics { cpu: Some(calm), memory: None, io: None, missing: vec![missing] }.into();
        let text = render(&analysis, Look { colours: false, width: 100 });
        assert!(text.contains("pressure     cpu 0.5 % of the last 10 s stalled\n"), "{text}");
        let line = "pressure     missing: pressure.memory, pressure.io: /proc/pressure cannot be read\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn plain_output_has_no_escape_codes_even_from_hostile_names() {
        let text = render(&analysis(), Look { colours: false, width: 60 });
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.contains("$ ps aux --sort=-rss | head"), "{text}");
        let checks = "1 text worded by the model; 1 refused: 1 not fluent; the model may choose and word.";
        assert!(text.contains(checks), "{text}");
        assert!(text.contains("Priority critical on web-1: 1 finding"), "{text}");
        let mut without_history = analysis();
        without_history.notes = vec!["the history is not used: the disk is full".into()];
        let text_with_note = render(&without_history, Look { colours: false, width: 60 });
        assert!(
            text_with_note.contains("Note: the history is not used: the disk is full.\n"),
            "{text_with_note}"
        );
        assert!(
            text.lines()
                .filter(|l| l.starts_with("  Look") || l.starts_with("  "))
                .all(|l| l.chars().count() <= 62),
            "{text}"
        );
    }

    #[test]
    fn colors_are_used_only_if_requested() {
        assert!(render(&analysis(), Look { colours: true, width: 60 }).contains("\u{1b}["));
    }

    #[test]
    fn bytes_and_durations_have_units() {
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(25_769_803_776), "24.0 GiB");
        assert_eq!(duration(90_061), "1 d 1 h");
        assert_eq!(duration(3_720), "1 h 2 min");
    }
}
