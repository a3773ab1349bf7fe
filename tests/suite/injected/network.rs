//! Faults of the network, of kernel limits and of processes, and trends within seconds.
//!
//! Background processes of a script end by themselves too, after at most 30 s.

use super::{Report, Scenario};

/// Runs the rest of a script in a network namespace of its own, with loopback up.
macro_rules! in_namespace {
    ($script:literal) => {
        concat!(
            "export PLACE SUTAZAI NAME; export -f analyze need cannot\nunshare --net bash -c '",
            "ip link set lo up\n",
            $script,
            "'\n"
        )
    };
}
pub(super) use in_namespace;

/// Creates a pair of virtual interfaces, and a function that sends 4,000 small packets per second to nobody
/// over it.
macro_rules! traffic {
    () => {
        r#"
need ip link add name near type veth peer name far
ip address add 192.0.2.1/24 dev near
ip link set near up
ip link set far up
send() {
    timeout 20 python3 -c "
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
left = int(sys.argv[1])
while left:
    for _ in range(min(left, 20)):
        try:
            out.sendto(bytes(100), (\"192.0.2.255\", 9))
        except OSError:
            pass  # the queue is full
    left -= min(left, 20)
    time.sleep(0.005)
" "$1"
}
"#
    };
}

/// Rules without findings on a healthy machine.
const SILENT: &[&str] = &[
    "network_errors",
    "network_drops",
    "network_link_changes",
    "tcp_retransmissions",
    "listen_queue_full",
    "listen_overflows",
    "local_ports_near_limit",
    "time_wait_near_limit",
    "connection_tracking_near_limit",
    "machine_tasks_near_limit",
    "user_tasks_near_limit",
    "group_tasks_near_limit",
    "inotify_near_limit",
    "process_grows",
    "zombies",
    "blocked_processes",
    "open_files_process",
];

/// Scenarios about the network, limits and processes.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "an idle network and resting processes",
        usual: true,
        script: concat!(
            "for _ in 1 2 3 4 5 6; do sleep 20 & done\n",
            "export PLACE SUTAZAI NAME; export -f analyze need cannot\n",
            "unshare --net bash -c 'ip link set lo up; analyze'\n"
        ),
        expect: |report| {
            let loud: Vec<&str> = report.rules().into_iter().filter(|rule| SILENT.contains(rule)).collect();
            if loud.is_empty() { Ok(()) } else { Err(format!("false findings: {loud:?}")) }
        },
    },
    Scenario {
        name: "a queue that drops now, after a long healthy life",
        usual: true,
        script: concat!(
            "export PLACE SUTAZAI NAME; export -f analyze need cannot\nunshare --net bash -c '",
            traffic!(),
            r#"
send 20000
need tc qdisc add dev near root tbf rate 400kbit burst 2kb latency 1ms
send 60000 &
sleep 1
analyze
'
"#
        ),
        expect: |report| {
            let found = report.finding("network_drops", &["Interface near", "of the last"])?;
            if found["severity"] == "critical" { Ok(()) } else { Err(format!("most are dropped: {found}")) }
        },
    },
    Scenario {
        name: "packets dropped long ago",
        usual: true,
        script: concat!(
            "export PLACE SUTAZAI NAME; export -f analyze need cannot\nunshare --net bash -c '",
            traffic!(),
            r#"
send 2000
need tc qdisc add dev near root tbf rate 400kbit burst 2kb latency 1ms
send 8000
sleep 1
analyze
'
"#
        ),
        expect: |report| {
            let found = report.finding("network_drops", &["since the machine was started"])?;
            if found["severity"] == "info" { Ok(()) } else { Err(format!("it is over: {found}")) }
        },
    },
    Scenario {
        name: "a link that goes up and down",
        usual: true,
        script: in_namespace!(
            r#"
need ip link add name near type veth peer name far
ip link set near up
( for _ in $(seq 200); do ip link set far up; sleep 0.02; ip link set far down; sleep 0.02; done ) &
sleep 0.3
analyze
"#
        ),
        expect: |report| report.finding("network_link_changes", &["near"]).map(|_| ()),
    },
    Scenario {
        name: "connections over a path that loses a quarter",
        usual: true,
        script: in_namespace!(
            r#"
if ! tc qdisc add dev lo root netem loss 25% 2>/dev/null; then
    # Every fourth packet of a connection goes to an interface without a receiver.
    need ip link add name away type veth peer name nobody
    ip link set away up
    ip link set nobody up
    need tc qdisc add dev lo ingress
    need tc filter add dev lo parent ffff: protocol ip u32 match u16 1 0x0003 at 4 \
        action mirred egress redirect dev away
fi
timeout 25 python3 -c "
import socket, threading
server = socket.socket()
server.bind((\"127.0.0.1\", 0))
server.listen(128)
def echo(peer):
    while peer.recv(100):
        peer.send(bytes(100))
def ask():
    own = socket.create_connection(server.getsockname())
    while True:
        own.send(bytes(100))
        own.recv(100)
def serve():
    while True:
        threading.Thread(target=echo, args=(server.accept()[0],), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
for _ in range(60):
    threading.Thread(target=ask, daemon=True).start()
threading.Event().wait()
" &
sleep 3
analyze
"#
        ),
        expect: |report| report.finding("tcp_retransmissions", &["of their segments again"]).map(|_| ()),
    },
    Scenario {
        name: "a service that accepts no connection",
        usual: true,
        script: in_namespace!(
            r#"
timeout 25 python3 -c "
import socket, time
server = socket.socket()
server.bind((\"127.0.0.1\", 8080))
server.listen(4)
waiting = []
for _ in range(12):
    own = socket.socket()
    own.setblocking(False)
    own.connect_ex((\"127.0.0.1\", 8080))
    waiting.append(own)
time.sleep(25)
" &
sleep 0.5
analyze
"#
        ),
        expect: |report| report.finding("listen_queue_full", &["port 8080"]).map(|_| ()),
    },
    Scenario {
        name: "closed connections that hold nearly all local ports",
        usual: true,
        script: in_namespace!(
            r#"
need sysctl -q -w net.ipv4.ip_local_port_range="40000 40199"
python3 -c "
import socket
server = socket.socket()
server.bind((\"127.0.0.1\", 8080))
server.listen(16)
for _ in range(185):
    own = socket.create_connection((\"127.0.0.1\", 8080))
    peer, _ = server.accept()
    own.close()
    peer.recv(1)
    peer.close()
"
analyze
"#
        ),
        expect: |report| {
            report.finding("local_ports_near_limit", &["127.0.0.1:8080", "of the 200"]).map(|_| ())
        },
    },
    Scenario {
        name: "a small process near its limit of open files",
        usual: true,
        script: r#"
for _ in $(seq 12); do
    timeout 20 python3 -c 'import time; held = b"x" * (20 << 20); time.sleep(20)' &
done
timeout 20 python3 -S -c '
import os, resource, time
resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
held = [os.open("/dev/null", os.O_RDONLY) for _ in range(188)]
time.sleep(20)
' &
sleep 1.5
analyze
"#,
        expect: |report| report.finding("open_files_process", &["of 200 files open"]).map(|_| ()),
    },
    Scenario {
        name: "a control group near its limit of processes",
        usual: false,
        script: r#"
group=/sys/fs/cgroup/$NAME
[ -d /sys/fs/cgroup/pids ] && group=/sys/fs/cgroup/pids/$NAME
need mkdir "$group"
[ -e "$group/pids.max" ] || cannot "the controller pids is not there"
echo 20 >"$group/pids.max"
for _ in $(seq 18); do
    sleep 20 &
    echo $! >"$group/cgroup.procs"
done
analyze
"#,
        expect: |report| {
            report.finding("group_tasks_near_limit", &["sutazai-injected-", "18 of the 20"]).map(|_| ())
        },
    },
    Scenario {
        name: "a user near the limit of processes",
        usual: true,
        script: r#"
need setpriv --reuid 54321 --clear-groups true
prlimit --nproc=60 setpriv --reuid 54321 --clear-groups \
    bash -c 'for _ in $(seq 52); do sleep 20 & done; wait' &
sleep 0.5
analyze
"#,
        expect: |report| report.finding("user_tasks_near_limit", &["user 54321", "of the 60"]).map(|_| ()),
    },
    Scenario {
        name: "a user near the limit of inotify instances",
        usual: true,
        script: r#"
most=$(cat /proc/sys/fs/inotify/max_user_instances) || cannot "the kernel has no inotify"
[ "$most" -le 4096 ] || cannot "a user may have $most instances"
timeout 20 prlimit --nofile=8192 python3 -c '
import ctypes, os, sys, time
os.setuid(54322)
libc = ctypes.CDLL(None)
for _ in range(int(sys.argv[1]) * 9 // 10):
    assert libc.inotify_init() >= 0
time.sleep(20)
' "$most" &
sleep 1
analyze
"#,
        expect: |report| report.finding("inotify_near_limit", &["user 54322", "instances"]).map(|_| ()),
    },
    Scenario {
        name: "zombies, and the process that left them",
        usual: true,
        script: r#"
timeout 20 python3 -c '
import os, time
for _ in range(15):
    if os.fork() == 0:
        os._exit(0)
open("/proc/self/comm", "w").write("rm -rf /")
time.sleep(20)
' &
sleep 0.5
analyze
"#,
        expect: |report| report.finding("zombies", &["15", "process rm -rf / ("]).map(|_| ()),
    },
    Scenario {
        name: "zombies that their parent collects at once",
        usual: true,
        script: r#"
# On a busy machine the parent would not run between two readings.
timeout 40 nice -n -15 python3 -c '
import os, time
while True:
    children = [os.fork() or os._exit(0) for _ in range(30)]
    time.sleep(0.02)
    for child in children:
        os.waitpid(child, 0)
' &
sleep 0.5
analyze
"#,
        expect: |report| {
            let seen = &report.json["metrics"]["host"]["value"]["processes"]["zombies"];
            if seen.as_u64().is_none_or(|seen| seen == 0) {
                return Err(format!("no zombie was seen: {seen}"));
            }
            report.lacks("zombies", "")
        },
    },
    Scenario {
        name: "processes that a mount without answers blocks",
        usual: false,
        script: r#"
hang /dev/fuse
for number in $(seq 8); do stat "$PLACE/hung/$number" >/dev/null 2>&1 3>&- & blocked+=($!); done
sleep 0.5
# A process that waits for an answer is not interrupted; one that was killed waits in state D.
kill -KILL "${blocked[@]}"
sleep 0.2
analyze
"#,
        expect: |report| {
            let found = report.finding("blocked_processes", &["processes are blocked in the kernel"])?;
            if found["severity"] == "warning" { Ok(()) } else { Err(format!("no warning: {found}")) }
        },
    },
    Scenario {
        name: "a process that grows",
        usual: true,
        script: r#"
available=$(awk '/^MemAvailable/ { print $2 * 1024 }' /proc/meminfo)
timeout 20 python3 -c '
import sys, time
# 5 MiB/s, or more on a machine whose memory would otherwise last for over two hours.
rate = max(5 << 20, int(float(sys.argv[1])) // 7200)
held, begun = [], time.monotonic()
while True:
    held.append(b"x" * (rate // 20))
    time.sleep(max(0, begun + len(held) / 20 - time.monotonic()))
' "$available" &
sleep 1
analyze
"#,
        expect: |report| {
            report.finding("process_grows", &["python3", "the available memory lasts for"]).map(|_| ())
        },
    },
    Scenario {
        name: "a file system that fills by 5 MiB a second",
        usual: true,
        script: r#"
ext4 256 filling defaults
timeout 20 python3 -c '
import sys, time
begun, written = time.monotonic(), 0
with open(sys.argv[1], "wb", buffering=0) as file:
    while True:
        file.write(bytes(256 << 10))
        written += 1
        time.sleep(max(0, begun + written / 20 - time.monotonic()))
' "$PLACE/filling/log" &
sleep 1
analyze
"#,
        expect: |report| {
            let found = report.finding("disk_trend_full", &["filling", "measured over"])?;
            let predicted = found["evidence"][0]["value"].as_f64().unwrap_or_default() * 3600.0;
            let left = available(report, "filling")? / (5 << 20) as f64;
            if (0.5..=2.0).contains(&(predicted / left)) {
                Ok(())
            } else {
                Err(format!("{predicted} s are predicted, and {left} s are left"))
            }
        },
    },
    Scenario {
        name: "processes that are frozen and stopped on purpose",
        usual: true,
        script: r#"
for _ in $(seq 8); do
    sleep 20 &
    kill -STOP $!
done
group=/sys/fs/cgroup/freezer/$NAME
if [ -d /sys/fs/cgroup/freezer ] && mkdir "$group" 2>/dev/null; then
    # A frozen process cannot be killed, and the end of its process namespace would wait for it.
    trap 'echo THAWED >"$group/freezer.state"' EXIT
    for _ in $(seq 8); do
        sleep 20 &
        echo $! >"$group/cgroup.procs"
    done
    echo FROZEN >"$group/freezer.state"
    sleep 0.2
fi
analyze
"#,
        expect: |report| {
            report.lacks("blocked_processes", "")?;
            let processes = &report.json["metrics"]["host"]["value"]["processes"];
            let frozen = processes["frozen"].as_u64().unwrap_or_default();
            if frozen >= 8 { Ok(()) } else { Err(format!("{frozen} are frozen: {processes}")) }
        },
    },
];

/// Returns the free bytes of the file system whose mount point ends with `end`.
fn available(report: &Report, end: &str) -> Result<f64, String> {
    let disks = report.json["metrics"]["host"]["value"]["disks"].as_array();
    let is_it = |disk: &&serde_json::Value| disk["mount"].as_str().is_some_and(|mount| mount.ends_with(end));
    let disk = disks.into_iter().flatten().find(is_it);
    disk.and_then(|disk| disk["available_bytes"].as_f64())
        .ok_or_else(|| format!("no disk {end} was measured"))
}
