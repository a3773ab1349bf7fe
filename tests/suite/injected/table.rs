//! The results of all scenarios as a table: on standard error for whoever runs the tests, and in Markdown in a file.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// Environment variable with the path of a file that receives the table in Markdown.
const TABLE_FILE: &str = "SUTAZAI_INJECTED_TABLE";

/// Table with one row for each fault.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

struct Row {
    fault: &'static str,
    took: Option<Duration>,
    verdict: &'static str,
    detail: String,
}

impl Table {
    /// Adds a fault whose report is as expected, with what the report says about it.
    pub(super) fn found(&mut self, fault: &'static str, found: &[String], took: Duration) {
        let detail = if found.is_empty() { "nothing, as expected".to_owned() } else { found.join("; ") };
        self.rows.push(Row { fault, took: Some(took), verdict: "good", detail });
    }

    /// Adds a fault whose report is not as expected.
    pub(super) fn wrong(&mut self, fault: &'static str, why: &str) {
        self.rows.push(Row { fault, took: None, verdict: "WRONG", detail: why.to_owned() });
    }

    /// Adds a fault that this machine or user cannot cause.
    pub(super) fn impossible(&mut self, fault: &'static str, why: &str) {
        self.rows.push(Row { fault, took: None, verdict: "could not be caused", detail: why.to_owned() });
    }

    /// Prints the table past the capture of the test harness, so that it also appears when all scenarios pass, and
    /// writes the file that [`TABLE_FILE`] names.
    pub(super) fn publish(&self) {
        let mut text = String::from("injected faults:\n");
        for row in &self.rows {
            let took = row.took.map_or_else(String::new, |took| format!("{:.1} s", took.as_secs_f64()));
            let why = if row.took.is_some() { String::new() } else { format!(": {}", row.detail) };
            let _ = writeln!(text, "  {:<58} {took:>6}  {}{why}", row.fault, row.verdict);
        }
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
        if let Some(path) = std::env::var_os(TABLE_FILE) {
            std::fs::write(&path, self.markdown()).unwrap();
        }
    }

    fn markdown(&self) -> String {
        let mut text = String::from("| fault | found | seconds |\n| --- | --- | ---: |\n");
        for row in &self.rows {
            let took = row.took.map_or_else(String::new, |took| format!("{:.1}", took.as_secs_f64()));
            let found = match row.took {
                Some(_) => cell(&row.detail),
                None => format!("**{}**: {}", row.verdict, cell(&row.detail)),
            };
            let _ = writeln!(text, "| {} | {found} | {took} |", cell(row.fault));
        }
        text
    }
}

/// Returns the text as a cell, which has no line breaks and ends at a vertical bar.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

#[test]
fn markdown_has_one_line_for_each_fault() {
    let mut table = Table::default();
    let found = ["`disk_space`: / is 97 % full.".to_owned(), "a note\nof a | b".to_owned()];
    table.found("a full disk", &found, Duration::from_millis(1240));
    table.found("no fault", &[], Duration::from_secs(1));
    table.wrong("a slow disk", "no finding");
    table.impossible("a hot disk", "there is no sensor");
    let expected = "\
| fault | found | seconds |
| --- | --- | ---: |
| a full disk | `disk_space`: / is 97 % full.; a note of a \\| b | 1.2 |
| no fault | nothing, as expected | 1.0 |
| a slow disk | **WRONG**: no finding |  |
| a hot disk | **could not be caused**: there is no sensor |  |
";
    assert_eq!(table.markdown(), expected);
}
