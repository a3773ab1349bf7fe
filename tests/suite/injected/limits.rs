//! Limits of the whole machine that are nearly reached.

use super::Scenario;
use super::network::in_namespace;

/// Scenarios about limits of the machine.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "a connection tracking table that is nearly full",
        usual: true,
        script: in_namespace!(
            r#"
# The rule makes the kernel track connections in this namespace, which has a table of its own.
need iptables -A OUTPUT -m conntrack --ctstate NEW
tracking=/proc/sys/net/netfilter
[ -r $tracking/nf_conntrack_max ] || cannot "the kernel does not track connections"
most=$(cat $tracking/nf_conntrack_max)
[ "$most" -le 1000000 ] || cannot "the table has space for $most connections"
echo 120 >$tracking/nf_conntrack_udp_timeout
timeout 40 python3 -c "
import socket, sys
for connection in range(int(sys.argv[1]) * 8 // 10):
    if connection % 60000 == 0:
        out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        out.bind((\"127.0.0.1\", 0))
    out.sendto(b\"\", (\"127.0.0.1\", 1025 + connection % 60000))
" "$most" || exit 1
analyze
"#
        ),
        expect: |report| report.finding("connection_tracking_near_limit", &["80 %"]).map(drop),
    },
    Scenario {
        // Since Linux 6.14, each process namespace has a `pid_max` of its own. On an older kernel, a lower limit
        // would be that of the whole machine, so the analyzer reads one from a file that hides the setting. The
        // numbers below 300 are not used a second time, so the limit leaves some for the commands of the script.
        name: "a machine near its limit of processes",
        usual: true,
        script: r#"
limit=/proc/sys/kernel/pid_max
own=$(printf '%s\n' 6.14 "$(uname -r)" | sort -V | head -n 1)
[ "$own" = 6.14 ] && echo 2000 >$limit || {
    echo 2000 >"$PLACE/limit"
    need mount --bind "$PLACE/limit" $limit
}
timeout 20 python3 -c '
import sys, threading, time
threading.stack_size(1 << 16)
for _ in range(1650):
    threading.Thread(target=time.sleep, args=(20,), daemon=True).start()
open(sys.argv[1], "w").close()
time.sleep(20)
' "$PLACE/ready" &
until [ -e "$PLACE/ready" ]; do kill -0 $! || exit 1; sleep 0.05; done
analyze
"#,
        expect: |report| report.finding("machine_tasks_near_limit", &["of the 2000"]).map(drop),
    },
    Scenario {
        name: "reserved huge pages that take memory and serve nobody",
        usual: false,
        script: r#"
pages=/proc/sys/vm/nr_hugepages
[ -w $pages ] || cannot "the kernel has no huge pages, or this user may not reserve them"
kib() { awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo; }
wanted=$(( $(kib MemTotal) * 13 / 100 / $(kib Hugepagesize) ))
[ $(( $(kib MemAvailable) * 100 / $(kib MemTotal) )) -ge 40 ] || cannot "less than 40 % of memory is available"
# The guard reserves as many as before once this script has ended.
echo $(( $(cat $pages) + wanted )) >$pages || exit 1
[ "$(awk '$1 == "HugePages_Free:" { print $2 }' /proc/meminfo)" -ge $wanted ] ||
    cannot "memory is too fragmented for $wanted huge pages"
analyze
"#,
        expect: |report| report.finding("huge_pages_unused", &["reserved for huge pages"]).map(drop),
    },
];
