//! Temperatures under `/sys/class` (the kernel's `Documentation/hwmon/sysfs-interface.rst`), and the machine's count of
//! open files.

use std::fs;
use std::path::{Path, PathBuf};

use sutazai_core::domain::{FileMetrics, TemperatureMetrics};

/// Reads every sensor: those of `hwmon`, or the thermal zones if there are none.
pub(super) fn temperatures(sys: &Path) -> Vec<TemperatureMetrics> {
    let chips = entries(&sys.join("class/hwmon"), "hwmon");
    let mut found: Vec<TemperatureMetrics> = chips.iter().flat_map(|chip| sensors(chip)).collect();
    if found.is_empty() {
        found = entries(&sys.join("class/thermal"), "thermal_zone")
            .iter()
            .filter_map(|zone| thermal(zone))
            .collect();
    }
    found
}

/// Parses `/proc/sys/fs/file-nr`: open, unused (always 0), limit.
pub(super) fn files(file_nr: &str) -> Option<FileMetrics> {
    let mut numbers = file_nr.split_whitespace().map_while(|number| number.parse().ok());
    Some(FileMetrics { open: numbers.next()?, limit: numbers.nth(1)? })
}

fn sensors(chip: &Path) -> Vec<TemperatureMetrics> {
    let name = text(&chip.join("name")).unwrap_or_else(|| "sensor".to_owned());
    let sensor = |input: &PathBuf| {
        let file = input.file_name()?.to_str()?.strip_suffix("_input")?;
        // The sensor itself reports that it is disconnected or broken.
        if text(&chip.join(format!("{file}_fault"))).is_some_and(|fault| fault != "0") {
            return None;
        }
        let label = text(&chip.join(format!("{file}_label"))).unwrap_or_else(|| file.to_owned());
        Some(TemperatureMetrics {
            label: format!("{name} {label}"),
            celsius: celsius(input)?,
            critical_celsius: celsius(&chip.join(format!("{file}_crit"))).filter(|critical| *critical > 0.0),
        })
    };
    entries(chip, "temp").iter().filter_map(sensor).collect()
}

fn thermal(zone: &Path) -> Option<TemperatureMetrics> {
    let celsius = celsius(&zone.join("temp"))?;
    Some(TemperatureMetrics { label: text(&zone.join("type"))?, celsius, critical_celsius: None })
}

/// Lists the entries of a folder that begin with `prefix`, sorted; none if the folder does not exist.
fn entries(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let begins =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    let found = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = found.filter(begins).collect();
    found.sort();
    found
}

/// Reads a temperature file, which has thousandths of a degree.
fn celsius(path: &Path) -> Option<f64> {
    Some(text(path)?.parse::<f64>().ok()? / 1000.0)
}

fn text(path: &Path) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    #[test]
    fn sensors_are_read_before_thermal_zones() {
        let sys = tempfile::tempdir().unwrap();
        assert_eq!(temperatures(sys.path()), []);
        write(
            sys.path(),
            &[
                ("class/thermal/thermal_zone0/type", "acpi\n"),
                ("class/thermal/thermal_zone0/temp", "41500\n"),
            ],
        );
        let zone = TemperatureMetrics { label: "acpi".into(), celsius: 41.5, critical_celsius: None };
        assert_eq!(temperatures(sys.path()), [zone]);
        let chip = [
            ("class/hwmon/hwmon0/name", "coretemp\n"),
            ("class/hwmon/hwmon0/temp1_input", "83000\n"),
            ("class/hwmon/hwmon0/temp1_label", "Package id 0\n"),
            ("class/hwmon/hwmon0/temp1_crit", "100000\n"),
            ("class/hwmon/hwmon0/temp2_input", "not to be read\n"),
            ("class/hwmon/hwmon0/temp3_input", "127000\n"),
            ("class/hwmon/hwmon0/temp3_fault", "1\n"),
            ("class/hwmon/hwmon0/temp1_fault", "0\n"),
        ];
        write(sys.path(), &chip);
        let package = TemperatureMetrics {
            label: "coretemp Package id 0".into(),
            celsius: 83.0,
            critical_celsius: Some(100.0),
        };
        assert_eq!(temperatures(sys.path()), [package]);
    }

    #[test]
    fn open_files_are_reported_with_their_limit() {
        assert_eq!(files("1024\t0\t99999\n"), Some(FileMetrics { open: 1024, limit: 99999 }));
        assert_eq!(files("1024"), None);
    }
}
