//! psutil in a process of its own, asked line by line, and what counts as the same.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A Python that answers what psutil says.
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

    /// What it says now, also of these processes.
    pub(crate) fn read(&mut self, pids: &[u32]) -> Value {
        writeln!(self.questions, "{}", serde_json::json!(pids)).unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("psutil answered {line:?}: {e}"))
    }
}

impl Drop for Psutil {
    fn drop(&mut self) {
        // Neither fails but for a Python that has ended by itself.
        let _ = self.python.kill();
        let _ = self.python.wait();
    }
}

/// The Python that has psutil.
fn interpreter() -> PathBuf {
    if let Some(named) = std::env::var_os("SUTAZAI_TEST_PYTHON") {
        return named.into();
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/python-env.sh");
    let made = Command::new(script).stderr(Stdio::inherit()).output().unwrap();
    assert!(made.status.success(), "{script} ended with {}", made.status);
    String::from_utf8(made.stdout).unwrap().trim().into()
}

/// A number of an answer.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Two figures side by side, and whether they are the same within what is allowed.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    lines: Vec<String>,
    differences: usize,
}

impl Comparison {
    /// At most 2 % apart, or `floor` where that is more.
    pub(crate) fn near(&mut self, what: &str, ours: f64, theirs: f64, floor: f64) {
        self.within(what, ours, theirs, (theirs.abs() * 0.02).max(floor));
    }

    /// Shares in percent: at most two points apart.
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

    /// The table; a test that fails shows it.
    pub(crate) fn table(&self) -> String {
        self.lines.join("\n")
    }
}
