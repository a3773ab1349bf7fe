//! psutil in a separate process, queried line by line, and the comparison of figures.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Python process that answers with psutil's readings.
pub(crate) struct Psutil {
    python: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Psutil {
    pub(crate) fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/psutil_reading.py");
        let mut python = Command::new(interpreter())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let questions = python.stdin.take().unwrap();
        let answers = BufReader::new(python.stdout.take().unwrap());
        Self { python, questions, answers }
    }

    /// Returns psutil's current readings, including those of these processes.
    pub(crate) fn read(&mut self, pids: &[u32]) -> Value {
        writeln!(self.questions, "{}", serde_json::json!(pids)).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("psutil answered {line:?}: {e}"))
    }
}

impl Drop for Psutil {
    fn drop(&mut self) {
        // Both calls fail only if Python has ended by itself.
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

/// Returns the path of the Python interpreter that has psutil.
fn interpreter() -> PathBuf {
    if let Some(named) = std::env::var_os("SUTAZAI_TEST_PYTHON") {
        return named.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/python-env.sh");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "{script} ended with {}", made.status);
    String::from_utf8(made.stdout).unwrap().trim().into()
}

/// Converts an answer into a number.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Pairs of figures, and whether they agree within the tolerance.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    lines: Vec<String>,
    differences: usize,
}

impl Comparison {
    /// Requires a difference of at most 2 %, or of `floor` if that is more.
    pub(crate) fn near(&mut self, what: &str, ours: f64, theirs: f64, floor: f64) {
        self.within(what, ours, theirs, (theirs.abs() * 0.02).max(floor));
    }

    /// Requires shares in percent that differ by at most two points.
    pub(crate) fn points(&mut self, what: &str, ours: f64, theirs: f64) {
        self.within(what, ours, theirs, 2.0);
    }

    pub(crate) fn within(&mut self, what: &str, ours: f64, theirs: f64, allowed: f64) {
        let same = (ours - theirs).abs() <= allowed;
        self.differences += usize::from(!same);
        let mark = if same { ' ' } else { '!' };
        self.lines.push(format!("{mark} {what:<44} ours {ours:>16.2}  theirs {theirs:>16.2}"));
    }

    pub(crate) fn holds(&self) -> bool {
        self.differences == 0
    }

    /// Returns the comparison as a table, which a failing test prints.
    pub(crate) fn table(&self) -> String {
        self.lines.join("\n")
    }
}
