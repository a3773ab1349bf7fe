//! Swap compared with psutil: a swap file of this test, and a container that needs more memory than its limit.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use sutazai_agent::metrics::SystemMetricSource;
use sutazai_core::ports::{Clock, SystemClock};

use super::engine::Engine;
use super::host::collect;
use super::psutil::{Comparison, Psutil, number};

const MIB: u64 = 1 << 20;

/// Swap space in a file, switched off and removed on drop.
struct SwapFile(PathBuf);

impl SwapFile {
    fn on(mib: u64) -> Self {
        let name = format!("sutazai-{}.swap", std::process::id());
        let this = Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name));
        let file = File::create(&this.0).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, mib * MIB).unwrap();
        for program in ["mkswap", "swapon"] {
            let done = Command::new(program).arg(&this.0).output().unwrap();
            assert!(
                done.status.success(),
                "{program} {}: {}; it needs root and a disk that can hold a swap file",
                this.0.display(),
                String::from_utf8_lossy(&done.stderr)
            );
        }
        this
    }
}

impl Drop for SwapFile {
    fn drop(&mut self) {
        // Switching off fails if switching on has failed; the file is removed in any case.
        let _ = Command::new("swapoff").arg(&self.0).output();
        let _ = fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_matches_psutil() {
    let _machine = super::MACHINE.read().await;
    let _swap = SwapFile::on(128);
    let engine = Engine::start();
    engine.import("load", &[]);
    engine.run("churning", &["--memory", "40m", "--memory-swap", "140m"], "load", &["churn", "60"]);
    let used = async |source: &SystemMetricSource| collect(source).await.swap.used_bytes.unwrap();
    let source = SystemMetricSource::new();
    for _ in 0..100 {
        if used(&source).await > 10 * MIB {
            break;
        }
        SystemClock.sleep(Duration::from_millis(100)).await;
    }

    // The container is idle at both ends of the interval, so that nothing moves between our reading and psutil's. At
    // the start it is idle long enough for the interval to begin there (`metrics::baseline`).
    engine.docker(&["pause", "churning"]);
    SystemClock.sleep(Duration::from_millis(200)).await;
    let mut psutil = Psutil::start();
    collect(&source).await;
    let before = psutil.read(&[]);
    engine.docker(&["unpause", "churning"]);
    SystemClock.sleep(Duration::from_secs(2)).await;
    engine.docker(&["pause", "churning"]);
    let host = collect(&source).await;
    let after = psutil.read(&[]);

    let (ours, theirs) = (&host.swap, &after["swap"]);
    let seconds = host.cpu.interval_seconds;
    let grown = |figure: &str| number(&after["swap"][figure]) - number(&before["swap"][figure]);
    let mut comparison = Comparison::default();
    comparison.within("swap.total_bytes", ours.total_bytes.unwrap() as f64, number(&theirs["total"]), 0.0);
    comparison.near("swap.used_bytes", ours.used_bytes.unwrap() as f64, number(&theirs["used"]), 0.0);
    comparison.points("swap.used_percent", ours.used_percent.unwrap(), number(&theirs["percent"]));
    let (read, written) = (ours.in_bytes_per_second.unwrap(), ours.out_bytes_per_second.unwrap());
    assert!(ours.in_memory == Some(false), "a swap file is on a disk: {ours:?}");
    let floor = (MIB / 4) as f64;
    comparison.near("swap.in_bytes", read * seconds, grown("sin"), floor);
    comparison.near("swap.out_bytes", written * seconds, grown("sout"), floor);
    println!("{}", comparison.table());
    assert!(comparison.holds(), "{}", comparison.table());
    assert!(ours.total_bytes >= Some(127 * MIB) && ours.used_bytes > Some(10 * MIB), "{ours:?}");
    let least = read.min(written) * seconds;
    assert!(least > 4.0 * MIB as f64, "60 MiB churn in 40: {ours:?}");
}
