//! Temperatures under `/sys/class` (the kernel's `Documentation/hwmon/sysfs-interface.rst`), and the machine's count of
//! open files.
//!
//! Unlike other files of the kernel, those of a sensor may ask a device: one whose bus or disk does not respond blocks
//! the reader. So they are read on a dedicated thread, which can be abandoned.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Instant;

use sutazai_core::adapter::analysis_budget::SENSOR_TIMEOUT;
use sutazai_core::domain::{FileMetrics, TemperatureMetrics};

use super::super::missing::{Missing, unreadable};

/// Metric path of all temperatures.
const TEMPERATURES: &str = "host.temperatures";

/// Reader of the sensors.
#[derive(Debug)]
pub(super) struct Sensors {
    sys: PathBuf,
    running: Option<Reading>,
}

/// Reading on a dedicated thread, which closes the channel at its end.
#[derive(Debug)]
struct Reading {
    began: Instant,
    steps: Receiver<Step>,
    /// File that is being read.
    file: PathBuf,
}

/// Message of the thread that reads.
#[derive(Debug)]
enum Step {
    Reads(PathBuf),
    Found(TemperatureMetrics),
    Failed { label: String, reason: String },
}

impl Sensors {
    /// Creates a reader of the sensors under this root.
    pub(super) fn new(sys: &Path) -> Self {
        Self { sys: sys.to_owned(), running: None }
    }

    /// Starts a reading. If an earlier one still hangs, it is kept, so that at most one thread hangs.
    pub(super) fn start(&mut self, missing: &mut Missing) {
        if let Some(running) = &mut self.running {
            // Results of an earlier reading say nothing about now.
            while let Ok(step) = running.steps.try_recv() {
                running.note(&step);
            }
            if matches!(running.steps.try_recv(), Err(TryRecvError::Empty)) {
                return;
            }
        }
        let (sender, steps) = channel();
        let sys = self.sys.clone();
        let thread = std::thread::Builder::new().name("sutazai-sensors".to_owned());
        self.running = match thread.spawn(move || read(&sys, &sender)) {
            Ok(_) => Some(Reading { began: Instant::now(), steps, file: self.sys.join("class") }),
            Err(e) => {
                missing.add(&[TEMPERATURES], format!("no thread can be started to read the sensors: {e}"));
                None
            }
        };
    }

    /// Returns the temperatures that were read within the time limit after the start.
    pub(super) fn finish(&mut self, missing: &mut Missing) -> Vec<TemperatureMetrics> {
        let mut found = Vec::new();
        let Some(running) = &mut self.running else { return found };
        let until = running.began + SENSOR_TIMEOUT;
        loop {
            match running.steps.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Step::Found(temperature)) => found.push(temperature),
                Ok(Step::Failed { label, reason }) => {
                    missing.add(&[&format!("{TEMPERATURES}[{label}]")], reason);
                }
                Ok(step) => running.note(&step),
                Err(RecvTimeoutError::Timeout) => {
                    let file = running.file.display();
                    missing.add(&[TEMPERATURES], format!("{file} did not answer within {SENSOR_TIMEOUT:?}"));
                    return found;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.running = None;
                    return found;
                }
            }
        }
    }
}

impl Reading {
    fn note(&mut self, step: &Step) {
        if let Step::Reads(file) = step {
            self.file.clone_from(file);
        }
    }
}

/// Reads every sensor: those of `hwmon`, or the thermal zones if there are none.
fn read(sys: &Path, steps: &Sender<Step>) {
    let chips = entries(&sys.join("class/hwmon"), "hwmon");
    if chips.iter().map(|chip| sensors(chip, steps)).sum::<usize>() == 0 {
        for zone in entries(&sys.join("class/thermal"), "thermal_zone") {
            thermal(&zone, steps);
        }
    }
}

/// Parses `/proc/sys/fs/file-nr`: open, unused (always 0), limit.
pub(super) fn files(file_nr: &str) -> Option<FileMetrics> {
    let mut numbers = file_nr.split_whitespace().map_while(|number| number.parse().ok());
    Some(FileMetrics { open: numbers.next()?, limit: numbers.nth(1)? })
}

/// Reads the sensors of a chip, and returns the number of those that have a temperature.
fn sensors(chip: &Path, steps: &Sender<Step>) -> usize {
    let name = text(&chip.join("name"), steps).unwrap_or_else(|| "sensor".to_owned());
    let sensor = |input: &PathBuf| {
        let file = input.file_name()?.to_str()?.strip_suffix("_input")?;
        // The sensor itself reports that it is disconnected or broken.
        if text(&chip.join(format!("{file}_fault")), steps).is_some_and(|fault| fault != "0") {
            return None;
        }
        let label = text(&chip.join(format!("{file}_label")), steps).unwrap_or_else(|| file.to_owned());
        let label = format!("{name} {label}");
        let critical = celsius(&text(&chip.join(format!("{file}_crit")), steps).unwrap_or_default());
        let celsius = measured(input, &label, steps)?;
        let critical_celsius = critical.filter(|critical| *critical > 0.0);
        send(steps, Step::Found(TemperatureMetrics { label, celsius, critical_celsius }));
        Some(())
    };
    entries(chip, "temp").iter().filter_map(sensor).count()
}

fn thermal(zone: &Path, steps: &Sender<Step>) -> Option<()> {
    let label = text(&zone.join("type"), steps)?;
    let celsius = measured(&zone.join("temp"), &label, steps)?;
    send(steps, Step::Found(TemperatureMetrics { label, celsius, critical_celsius: None }));
    Some(())
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

/// Reads the temperature of a sensor. A device that is switched off refuses the reading.
fn measured(path: &Path, label: &str, steps: &Sender<Step>) -> Option<f64> {
    send(steps, Step::Reads(path.to_owned()));
    let failed = |reason| send(steps, Step::Failed { label: label.to_owned(), reason });
    match fs::read_to_string(path) {
        Ok(text) => {
            let celsius = celsius(&text);
            if celsius.is_none() {
                failed(format!("{} has no number", path.display()));
            }
            celsius
        }
        Err(e) => {
            failed(unreadable(path, &e));
            None
        }
    }
}

/// Parses a temperature in thousandths of a degree.
fn celsius(text: &str) -> Option<f64> {
    Some(text.trim().parse::<f64>().ok()? / 1000.0)
}

fn text(path: &Path, steps: &Sender<Step>) -> Option<String> {
    send(steps, Step::Reads(path.to_owned()));
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Sends a step; the receiver is gone when the reader was dropped.
fn send(steps: &Sender<Step>, step: Step) {
    let _ = steps.send(step);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sutazai_core::domain::MissingFigures;

    use super::*;

    fn write(root: &Path, files: &[(&str, &str)]) {
        for (path, content) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// Reads all sensors, and returns the missing figures as well.
    fn temperatures(sensors: &mut Sensors) -> (Vec<TemperatureMetrics>, Vec<MissingFigures>) {
        let mut missing = Missing::default();
        sensors.start(&mut missing);
        let found = sensors.finish(&mut missing);
        (found, missing.into_figures())
    }

    #[test]
    fn sensors_are_read_before_thermal_zones() {
        let sys = tempfile::tempdir().unwrap();
        let mut sensors = Sensors::new(sys.path());
        assert_eq!(temperatures(&mut sensors), (vec![], vec![]));
        write(
            sys.path(),
            &[
                ("class/thermal/thermal_zone0/type", "acpi\n"),
                ("class/thermal/thermal_zone0/temp", "41500\n"),
            ],
        );
        let zone = TemperatureMetrics { label: "acpi".into(), celsius: 41.5, critical_celsius: None };
        assert_eq!(temperatures(&mut sensors), (vec![zone], vec![]));
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
        let (found, missing) = temperatures(&mut sensors);
        assert_eq!(found, [package]);
        let [one] = &missing[..] else { panic!("{missing:?}") };
        assert_eq!(one.figures, ["host.temperatures[coretemp temp2]"]);
        assert!(one.reason.ends_with("hwmon0/temp2_input has no number"), "{one:?}");
    }

    /// A pipe without a writer stands for a device that does not respond.
    #[test]
    fn hanging_sensor_loses_only_the_temperatures_that_follow() {
        let sys = tempfile::tempdir().unwrap();
        write(
            sys.path(),
            &[("class/hwmon/hwmon0/name", "cpu\n"), ("class/hwmon/hwmon0/temp1_input", "50000\n")],
        );
        let pipe = sys.path().join("class/hwmon/hwmon0/temp2_input");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut sensors = Sensors::new(sys.path());
        let reason = format!("{} did not answer within 500ms", pipe.display());
        let (found, missing) = temperatures(&mut sensors);
        assert_eq!(found.iter().map(|one| one.label.as_str()).collect::<Vec<_>>(), ["cpu temp1"]);
        assert_eq!((&missing[0].figures[..], &missing[0].reason), (&[TEMPERATURES.to_owned()][..], &reason));
        // The reading that hangs is neither repeated nor waited for.
        let began = Instant::now();
        let (found, missing) = temperatures(&mut sensors);
        assert!(began.elapsed() < SENSOR_TIMEOUT, "{:?}", began.elapsed());
        assert_eq!((found.len(), &missing[0].reason), (0, &reason));
        // Once the device responds, its sensor is read again.
        fs::write(&pipe, "60000\n").unwrap();
        fs::remove_file(&pipe).unwrap();
        write(sys.path(), &[("class/hwmon/hwmon0/temp2_input", "61000\n")]);
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until {
            let (found, missing) = temperatures(&mut sensors);
            if missing.is_empty() {
                assert_eq!(found.iter().map(|one| one.celsius).collect::<Vec<_>>(), [50.0, 61.0]);
                return;
            }
        }
        panic!("the sensors stay missing");
    }

    #[test]
    fn open_files_are_reported_with_their_limit() {
        assert_eq!(files("1024\t0\t99999\n"), Some(FileMetrics { open: 1024, limit: 99999 }));
        assert_eq!(files("1024"), None);
    }
}
