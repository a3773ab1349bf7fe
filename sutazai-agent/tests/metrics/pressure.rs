//! Section `pressure` compared with `/proc/pressure`, under a load that makes the processor scarce.

use std::fs;
use std::time::Duration;

use sutazai_agent::metrics::PressureMetricSource;
use sutazai_core::domain::{Pressure, PressureMetrics, SnapshotPart};
use sutazai_core::ports::{Clock, MetricSource, SystemClock};

use super::load::Load;

/// Reads the kernel's own files; the processor has no `full` for the whole machine (the kernel's `psi.rst`).
fn kernel_series() -> PressureMetrics {
    let pressure = |resource: &str| {
        let text = fs::read_to_string(format!("/proc/pressure/{resource}")).unwrap();
        let mean = |line: usize, field: usize| -> f64 {
            let word = text.lines().nth(line).unwrap().split(' ').nth(field).unwrap();
            word.split_once('=').unwrap().1.parse().unwrap()
        };
        let full = |field| (resource != "cpu").then(|| mean(1, field));
        Pressure { some_avg10: mean(0, 1), some_avg60: mean(0, 2), full_avg10: full(1), full_avg60: full(2) }
    };
    let [cpu, memory, io] = ["cpu", "memory", "io"].map(|resource| Some(pressure(resource)));
    PressureMetrics { cpu, memory, io, missing: Vec::new() }
}

/// The kernel updates its means every two seconds, so most readings lie between two equal ones.
#[tokio::test]
async fn pressure_matches_the_kernel() {
    let _machine = super::MACHINE.read().await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let _burning: Vec<Load> = (0..cores * 2).map(|_| Load::start(&["burn"])).collect();
    SystemClock.sleep(Duration::from_secs(3)).await;
    let source = PressureMetricSource::new();
    for _ in 0..20 {
        let before = kernel_series();
        let SnapshotPart::Pressure(ours) = source.collect().await.unwrap() else {
            panic!("no section `pressure`")
        };
        if before == kernel_series() {
            assert_eq!(ours, before);
            assert!(
                ours.cpu.as_ref().unwrap().some_avg10 > 1.0,
                "two programs burn on each processor: {ours:?}"
            );
            return;
        }
    }
    panic!("/proc/pressure was never the same twice");
}
