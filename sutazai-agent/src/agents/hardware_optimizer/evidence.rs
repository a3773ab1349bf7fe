//! Evidence that a figure or a name of a text rests on.

use sutazai_core::domain::{Evidence, Finding};

use super::rules::forms;

/// Returns the index of the evidence whose value a figure states; the decisive one if several have it.
pub(super) fn of_figure(words: &str, finding: &Finding) -> Option<usize> {
    let written: Vec<Vec<String>> =
        finding.evidence.iter().map(|evidence| forms(evidence.value, &evidence.unit)).collect();
    let find =
        |fits: &dyn Fn(&str) -> bool| written.iter().position(|forms| forms.iter().any(|form| fits(form)));
    // A figure of a text ends before a unit that is an ordinary word, as in `1 hour`.
    let is_bare = !words.contains(' ');
    let begins = |form: &str| is_bare && form.strip_prefix(words).is_some_and(|rest| rest.starts_with(' '));
    find(&|form| form == words).or_else(|| find(&begins))
}

/// Returns the index of the first evidence about the thing with this name. The name of the resource itself rests on the
/// decisive evidence.
pub(super) fn of_name(words: &str, finding: &Finding) -> Option<usize> {
    let words = words.to_lowercase();
    let own = words.split_once(' ').map_or("", |(_, own)| own);
    let about = finding.evidence.iter().position(|evidence| {
        names(evidence).into_iter().any(|name| name == words || (!own.is_empty() && name == own))
    });
    let is_resource = words == finding.resource.to_lowercase() && !finding.evidence.is_empty();
    about.or_else(|| is_resource.then_some(0))
}

/// Returns the index of the first evidence about a thing whose name contains the number, such as a port.
pub(super) fn of_number_in_name(words: &str, finding: &Finding) -> Option<usize> {
    let contains = |evidence: &Evidence| names(evidence).iter().any(|name| name.contains(words));
    finding.evidence.iter().position(contains)
}

/// Returns the names of the thing that a metric path has in brackets, in lower case. A process is written with its id in
/// parentheses, and a kernel limit has its kind before the name.
fn names(evidence: &Evidence) -> Vec<String> {
    let Some((_, rest)) = evidence.metric.split_once('[') else { return Vec::new() };
    let Some((name, _)) = rest.rsplit_once(']') else { return Vec::new() };
    let name = name.to_lowercase();
    let process = name.rsplit_once(':').map(|(name, id)| [format!("{name} ({id})"), name.to_owned()]);
    let limited = name.split_once(':').filter(|_| evidence.metric.starts_with("host.limits["));
    let limited = limited.map(|(_, name)| name.to_owned());
    process.into_iter().flatten().chain(limited).chain([name.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use sutazai_core::domain::Severity;

    use super::*;

    fn finding(resource: &str, evidence: &[(&str, f64, &str)]) -> Finding {
        let evidence = evidence.iter().map(|(metric, value, unit)| Evidence {
            metric: (*metric).to_owned(),
            value: *value,
            unit: (*unit).to_owned(),
            threshold: None,
            since: None,
        });
        Finding {
            id: "rule".into(),
            rule: "rule".into(),
            severity: Severity::Info,
            resource: resource.into(),
            summary: String::new(),
            evidence: evidence.collect(),
            remedies: Vec::new(),
        }
    }

    #[test]
    fn figure_rests_on_the_value_that_is_written_so() {
        let disk = finding(
            "disk /var",
            &[
                ("host.disks[/var].used_percent", 96.42, "percent"),
                ("host.disks[/var].available_bytes", 1.4 * 1_073_741_824.0, "bytes"),
                ("host.disks[/var].hours", 1.0, "hours"),
                ("host.disks[/var].files", 3.0, "count"),
                ("host.disks[/var].rate", 2_097_152.0, "bytes/s"),
                ("host.disks[/var].wait", 12.5, "ms"),
            ],
        );
        for (words, expected) in [
            ("96.4 %", Some(0)),
            ("1.4 GiB", Some(1)),
            ("1", Some(2)),
            ("3", Some(3)),
            ("2 MiB/s", Some(4)),
            ("12.5 ms", Some(5)),
            ("40 %", None),
            ("96.4 ms", None),
            ("4", None),
        ] {
            assert_eq!(of_figure(words, &disk), expected, "{words}");
        }
    }

    #[test]
    fn number_in_a_name_rests_on_the_evidence_about_its_thing() {
        let queue = finding(
            "port 8080",
            &[("host.cpu.cores", 2.0, "count"), ("host.limits[listen_queue:8080].used", 129.0, "count")],
        );
        assert_eq!(of_number_in_name("8080", &queue), Some(1));
        assert_eq!(of_number_in_name("443", &queue), None);
    }

    #[test]
    fn name_rests_on_the_evidence_about_its_thing() {
        let process = finding(
            "process java (812)",
            &[
                ("host.cpu.cores", 4.0, "count"),
                ("host.processes[java:812].machine_percent", 70.0, "percent"),
            ],
        );
        for (words, expected) in [
            ("Process java (812)", Some(1)),
            ("java (812)", Some(1)),
            ("java", Some(1)),
            ("process perl (812)", None),
            ("812", None),
        ] {
            assert_eq!(of_name(words, &process), expected, "{words}");
        }
        let group = finding("group /a.slice", &[("host.limits[group_tasks:/a.slice].used", 7.0, "count")]);
        assert_eq!(of_name("/a.slice", &group), Some(0));
        let gpu = finding("GPU 0 (NVIDIA L4)", &[("gpus[0].celsius", 91.0, "celsius")]);
        assert_eq!(of_name("GPU 0 (NVIDIA L4)", &gpu), Some(0), "the resource itself");
        assert_eq!(of_name("NVIDIA L4", &finding("GPU 0 (NVIDIA L4)", &[])), None);
    }
}
