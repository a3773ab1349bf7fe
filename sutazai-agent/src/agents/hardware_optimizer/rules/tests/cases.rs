//! Machines with every fault and every case that a rule words differently.

use std::collections::HashSet;

use sutazai_core::domain::*;

use super::super::sample::{
    cgroup, containers, gpus, healthy, host, limit, pressure, read_before, read_containers_before, sick,
};
use super::super::*;

const GIB: u64 = 1 << 30;

/// Returns findings of every rule and of every case that a rule words differently.
pub(super) async fn every_kind() -> Vec<Found> {
    let none = Trends::default();
    let mut all = [find(&sick(), &none), find(&healthy(), &none)].concat();
    for change in CHANGES {
        let mut snapshot = healthy();
        change(&mut snapshot);
        all.extend(find(&snapshot, &none));
    }
    all.extend(find(&crowded(), &none));
    for available in [59 * GIB, 8 * GIB, GIB / 100] {
        let mut snapshot = healthy();
        let machine = host(&mut snapshot);
        (machine.disks[0].used_percent, machine.disks[0].available_bytes) = (70.0, available);
        machine.memory.available_bytes = Some(available);
        (machine.disks[0].used_bytes, machine.processes.as_mut().unwrap().top[0].memory_bytes) =
            (50_000_000_000, 50_000_000_000);
        let rising: Vec<f64> = (0..20).map(|n| 1e9 * f64::from(30 + n)).collect();
        for series in ["host.disks[/].used_bytes", "host.processes[postgres:812].memory_bytes"] {
            let trends = trends::tests::trends(&snapshot, series, &rising).await;
            all.extend(find(&snapshot, &trends));
        }
    }
    for (earlier, lately) in [(1.0, 3.0), (1.0, 2.0)] {
        let mut snapshot = healthy();
        host(&mut snapshot).memory.oom_kills = Some(3);
        let kills = [[earlier; 20], [lately; 20]].concat();
        let trends = trends::tests::trends(&snapshot, "host.memory.oom_kills", &kills).await;
        all.extend(find(&snapshot, &trends));
    }
    let mut snapshot = healthy();
    containers(&mut snapshot)[0].restarts = Some(20);
    let trends = trends::tests::trends(&snapshot, "containers[web].restarts", &[10.0, 12.0]).await;
    all.extend(find(&snapshot, &trends));
    let rules: HashSet<&str> = all.iter().map(|found| found.finding.rule.as_str()).collect();
    assert_eq!(rules.len(), RULES.len(), "a rule gave no finding");
    all
}

/// Returns a machine with more faulty things of each kind than are reported one by one.
fn crowded() -> Snapshot {
    const WRITTEN: [&str; 6] = ["/", "/var", "/home", "/srv", "/tmp", "/opt"];
    let mut snapshot = healthy();
    let group = cgroup(&mut snapshot);
    (group.cpu_limit_cores, group.throttled_periods, group.oom_kills) = (None, Some(2000), Some(1));
    (group.memory_used_bytes, group.pids) = (Some(2 * GIB / 10 * 9), Some(850));
    let gpu = GpuMetrics {
        celsius: Some(85.0),
        memory_used_bytes: Some(23 * GIB),
        ..gpus(&mut snapshot)[0].clone()
    };
    *gpus(&mut snapshot) = (0..6).map(|index| GpuMetrics { index, ..gpu.clone() }).collect();
    let base = containers(&mut snapshot)[0].clone();
    let faults: [fn(&mut ContainerInfo); 8] = [
        |one| one.pids = Some(450),
        |one| one.oom_killed = Some(true),
        |one| one.restarts = Some(12),
        |one| (one.restarts, one.started_seconds_ago) = (Some(9), Some(60)),
        |one| one.health = Some("unhealthy".into()),
        |one| one.memory_used_percent = Some(90.0),
        |one| one.cpu_percent = Some(90.0),
        |one| (one.state, one.exit_code) = ("exited".into(), Some(2)),
    ];
    *containers(&mut snapshot) = Vec::new();
    for (number, fault) in (0..48).zip(faults.iter().cycle()) {
        let mut container = ContainerInfo { name: format!("web-{number}"), ..base.clone() };
        fault(&mut container);
        containers(&mut snapshot).push(container);
    }
    let machine = host(&mut snapshot);
    let disk = DiskMetrics { read_only: true, ..machine.disks[0].clone() };
    machine.disks = WRITTEN.map(|mount| DiskMetrics { mount: mount.into(), ..disk.clone() }).into();
    let device = DeviceMetrics { latency_ms: Some(200.0), ..machine.devices[0].clone() };
    let network = NetworkMetrics { errors: 20_000, drops: Some(30_000), ..machine.networks[0].clone() };
    read_before(machine, "host.networks[eth0].carrier_changes", [0.0, 0.0]);
    let network = NetworkMetrics { carrier_changes: Some(9), ..network };
    for number in 0..6 {
        let port = (8000 + number).to_string();
        read_before(machine, format!("host.limits[listen_queue:{port}].used"), [9.0, 9.0]);
        let (group, user) = (format!("/a.slice/{number}.service"), (1000 + number).to_string());
        machine.limits.extend([
            limit(KernelLimit::GroupTasks, Some(&group), 90, 100),
            limit(KernelLimit::UserTasks, Some(&user), 90, 100),
            limit(KernelLimit::InotifyWatches, Some(&user), 90, 100),
            limit(KernelLimit::ListenQueue, Some(&port), 9, 10),
        ]);
    }
    let process = ProcessInfo { open_files: Some(900), ..machine.processes.as_mut().unwrap().top[0].clone() };
    let sensor = TemperatureMetrics { celsius: 92.0, ..machine.temperatures[0].clone() };
    machine.devices = vec![device; 6];
    machine.networks = vec![network; 6];
    machine.processes.as_mut().unwrap().top = vec![process; 6];
    machine.temperatures = vec![sensor; 6];
    let processes = machine.processes.as_mut().unwrap();
    (processes.zombies, processes.lasting_zombies, processes.blocked) = (Some(20), Some(20), Some(8));
    machine.files = Some(FileMetrics { open: 850, limit: 1000 });
    snapshot
}

/// Changes with one fault each, to reach the cases that a rule words differently.
const CHANGES: [fn(&mut Snapshot); 56] = [
    |snapshot| {
        (host(snapshot).cpu.load, host(snapshot).cpu.used_percent) = (Some([0.4, 99.0, 0.4]), Some(20.0))
    },
    |snapshot| {
        (host(snapshot).cpu.load, host(snapshot).cpu.used_percent) = (Some([0.4, 7.0, 0.4]), Some(70.0))
    },
    |snapshot| (host(snapshot).cpu.load, host(snapshot).cpu.used_percent) = (Some([0.4, 7.0, 0.4]), None),
    |snapshot| {
        let cpu = &mut host(snapshot).cpu;
        (cpu.cores, cpu.used_percent, cpu.load) = (1, Some(93.0), Some([2.5, 0.5, 0.4]));
    },
    |snapshot| host(snapshot).clock.as_mut().unwrap().max_error_ms = 9000.0,
    |snapshot| {
        let clock = host(snapshot).clock.as_mut().unwrap();
        (clock.synchronized, clock.max_error_ms) = (false, 300.0);
    },
    |snapshot| (host(snapshot).swap.total_bytes, host(snapshot).memory.used_percent) = (Some(0), Some(80.0)),
    |snapshot| host(snapshot).swap.used_percent = Some(85.0),
    |snapshot| (host(snapshot).swap.used_percent, host(snapshot).memory.used_percent) = (Some(85.0), None),
    |snapshot| host(snapshot).swap.out_bytes_per_second = Some(2e6),
    |snapshot| host(snapshot).memory.used_percent = Some(93.2),
    |snapshot| host(snapshot).memory.used_percent = Some(98.0),
    |snapshot| {
        host(snapshot).memory.used_percent = Some(98.0);
        snapshot.pressure = Default::default();
    },
    |snapshot| host(snapshot).memory.oom_kills = Some(1),
    |snapshot| (host(snapshot).memory.oom_kills, host(snapshot).uptime_seconds) = (Some(2), Some(600)),
    |snapshot| pressure(snapshot).memory.some_avg60 = 22.0,
    |snapshot| pressure(snapshot).cpu.some_avg60 = 40.0,
    |snapshot| (pressure(snapshot).io.some_avg60, pressure(snapshot).io.full_avg60) = (30.0, None),
    |snapshot| host(snapshot).disks[0].used_percent = 88.0,
    |snapshot| (host(snapshot).disks[0].used_percent, host(snapshot).disks[0].mount) = (99.0, "/data".into()),
    |snapshot| host(snapshot).disks[0].inodes_used_percent = Some(90.0),
    |snapshot| {
        let disk = &mut host(snapshot).disks[0];
        (disk.used_percent, disk.available_bytes) = (96.0, 200 * GIB);
    },
    |snapshot| host(snapshot).devices[0].latency_ms = Some(150.0),
    |snapshot| {
        let machine = host(snapshot);
        machine.devices[0].latency_ms = Some(150.0);
        read_before(machine, "host.devices[vda].latency_ms", [150.0; 2]);
        read_before(machine, "host.devices[vda].operations_per_second", [50.0; 2]);
    },
    |snapshot| {
        let machine = host(snapshot);
        machine.swap.out_bytes_per_second = Some(2e6);
        read_before(machine, "host.swap.in_bytes_per_second", [0.0; 2]);
        read_before(machine, "host.swap.out_bytes_per_second", [2e6; 2]);
    },
    |snapshot| {
        let machine = host(snapshot);
        machine.swap.in_bytes_per_second = Some(2e6);
        read_before(machine, "host.swap.in_bytes_per_second", [2e6; 2]);
        read_before(machine, "host.swap.out_bytes_per_second", [0.0; 2]);
    },
    |snapshot| {
        let processes = host(snapshot).processes.as_mut().unwrap();
        (processes.zombies, processes.lasting_zombies, processes.blocked) = (Some(12), None, Some(8));
        processes.top[0].cpu_percent = 300.0;
    },
    |snapshot| {
        let machine = host(snapshot);
        machine.processes.as_mut().unwrap().blocked = Some(8);
        read_before(machine, "host.processes.blocked", [8.0; 2]);
    },
    |snapshot| containers(snapshot)[0].cpu_percent = Some(97.0),
    |snapshot| {
        containers(snapshot)[0].cpu_percent = Some(97.0);
        read_containers_before(snapshot, "containers[web].cpu_percent", [97.0; 2]);
    },
    |snapshot| {
        let one = &mut containers(snapshot)[0];
        (one.oom_killed, one.state) = (Some(true), "restarting".into());
        (one.restarts, one.started_seconds_ago, one.finished_seconds_ago) = (Some(4), Some(90_000), Some(60));
    },
    |snapshot| {
        let one = &mut containers(snapshot)[0];
        (one.oom_killed, one.state, one.finished_seconds_ago) = (Some(true), "exited".into(), Some(200_000));
    },
    |snapshot| {
        let one = &mut containers(snapshot)[0];
        (one.oom_killed, one.started_seconds_ago, one.restarts) = (Some(true), Some(90), Some(9));
    },
    |snapshot| {
        let group = cgroup(snapshot);
        group.earlier = [(0.5, 5.0), (0.25, 2.5)]
            .into_iter()
            .flat_map(|(seconds_ago, ago)| {
                [
                    ("periods", 5000.0 - ago),
                    ("throttled_periods", 3.0 - ago / 2.5),
                    ("other_cpu_seconds", 80.0 - ago / 5.0),
                ]
                .map(|(figure, value)| EarlierValue {
                    series: format!("cgroup[/system.slice/sutazai.service].{figure}"),
                    seconds_ago,
                    value,
                })
            })
            .collect();
    },
    |snapshot| (host(snapshot).networks[0].errors, host(snapshot).networks[0].drops) = (20_000, Some(50_000)),
    |snapshot| {
        let processes = host(snapshot).processes.as_mut().unwrap();
        (processes.zombies, processes.lasting_zombies) = (Some(20), Some(12));
    },
    // Read within two seconds: a disk and a process that grow by 50 MiB and by 5 MiB a second.
    |snapshot| {
        let machine = host(snapshot);
        let used = machine.disks[0].used_bytes as f64;
        let mib = 1_048_576.0;
        machine.disks[0].available_bytes = 2 << 30;
        read_before(machine, "host.disks[/].used_bytes", [used - 100.0 * mib, used - 50.0 * mib]);
    },
    |snapshot| {
        let machine = host(snapshot);
        machine.processes.as_mut().unwrap().top[0].own_memory_bytes = Some(100 << 20);
        let mib = 1_048_576.0;
        let series = "host.processes[postgres:812].own_memory_bytes";
        read_before(machine, series, [90.0 * mib, 95.0 * mib]);
    },
    |snapshot| {
        let sensor = &mut host(snapshot).temperatures[0];
        (sensor.celsius, sensor.critical_celsius) = (90.5, None);
    },
    |snapshot| gpus(snapshot)[0].celsius = Some(85.0),
    |snapshot| {
        (containers(snapshot)[0].oom_killed, containers(snapshot)[0].memory_limit_bytes) = (Some(true), None)
    },
    |snapshot| {
        (containers(snapshot)[0].oom_killed, containers(snapshot)[0].state) = (Some(true), "exited".into())
    },
    |snapshot| containers(snapshot)[0].restarts = Some(9),
    |snapshot| {
        (containers(snapshot)[0].restarts, containers(snapshot)[0].state) = (None, "restarting".into())
    },
    |snapshot| containers(snapshot)[0].state = "restarting".into(),
    |snapshot| {
        let container = &mut containers(snapshot)[0];
        (container.memory_limit_bytes, container.memory_used_percent) = (None, None);
    },
    |snapshot| {
        let unlimited = ContainerInfo { memory_limit_bytes: None, ..containers(snapshot)[0].clone() };
        *containers(snapshot) = vec![unlimited; 2];
    },
    |snapshot| {
        let clock = host(snapshot).clock.as_mut().unwrap();
        (clock.synchronized, clock.max_error_ms, clock.service) = (false, 16_000.0, Some("chronyd".into()));
    },
    |snapshot| {
        let memory = &mut host(snapshot).memory;
        (memory.used_percent, memory.huge_pages_bytes) = (Some(96.0), Some(8 * GIB));
        memory.huge_pages_free_bytes = Some(3 * GIB);
    },
    |snapshot| {
        let disk = &mut host(snapshot).disks[0];
        (disk.mount, disk.read_only, disk.failed) = ("/srv/data".into(), true, Some(true));
    },
    |snapshot| {
        let disk = &mut host(snapshot).disks[0];
        (disk.mount, disk.filesystem, disk.used_percent) = ("/dev/shm".into(), "tmpfs".into(), 90.0);
    },
    |snapshot| {
        let process = "nginx".to_owned();
        let deleted = DeletedFiles { bytes: 20 * GIB, files: 1, pid: 901, process, process_bytes: 20 * GIB };
        host(snapshot).disks[0].deleted_files = Some(deleted);
    },
    |snapshot| {
        let kill = |seconds_ago, group: Option<&str>| KillInfo {
            seconds_ago,
            pid: 901,
            process: "nginx".into(),
            group: group.map(str::to_owned),
        };
        let kills =
            [kill(200_000, Some("/a")), kill(60, Some("/b")), kill(50, Some("/b")), kill(9000, Some("/c"))];
        host(snapshot).kills.logged = Some(kills.into());
        host(snapshot).memory.oom_kills = Some(4);
    },
    |snapshot| {
        let group = cgroup(snapshot);
        (group.memory_high_bytes, group.memory_used_bytes) = (Some(GIB), Some(GIB - 5));
    },
    |snapshot| {
        let mount = |n: u32, waited_seconds| UnansweredMount {
            mount: format!("/mnt/{n}"),
            device: "/dev/fuse".into(),
            filesystem: "fuse.sshfs".into(),
            waited_seconds,
        };
        host(snapshot).unanswered_mounts = (0..7).map(|n| mount(n, 1.0 + 20.0 * f64::from(n))).collect();
    },
    |snapshot| {
        let ended = |code| ContainerInfo {
            state: "exited".into(),
            exit_code: Some(code),
            ..containers(&mut healthy())[0].clone()
        };
        *containers(snapshot) = [1, 127, 139].map(ended).into();
    },
];
