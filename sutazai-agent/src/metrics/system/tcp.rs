//! TCP of this network namespace: counters (`/proc/net/snmp`, `/proc/net/netstat`, proc_net(5)), listening sockets and
//! local ports (sock_diag(7)).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use rustix::net::netlink::SOCK_DIAG;
use sutazai_core::domain::{KernelLimit, LimitUse, TcpMetrics};

use super::super::missing::Missing;
use super::limits::{number, over_half};
use super::netlink::{dump, u16_at, u32_at};

const SOCK_DIAG_BY_FAMILY: u16 = 20;
const IPPROTO_TCP: u8 = 6;
const FAMILIES: [u8; 2] = [2, 10];
/// Bit masks of states (`include/net/tcp_states.h`): all except LISTEN and CLOSE hold a local port.
const LISTEN: u32 = 1 << 10;
const HOLDING: u32 = !(LISTEN | 1 << 7) & 0x1fff;

/// Waiting connections and accept-queue limit, by listening port.
pub(super) type Listeners = BTreeMap<u16, (u32, u32)>;

/// Reads the counters; `None` if none of them can be read.
pub(super) fn count(proc: &Path, missing: &mut Missing) -> Option<TcpMetrics> {
    let snmp = missing.read(&["host.tcp.segments_sent", "host.tcp.retransmitted"], &proc.join("net/snmp"));
    let netstat = missing.read(&["host.tcp.listen_overflows"], &proc.join("net/netstat"));
    let of_protocol = |name| named(snmp.as_deref()?, "Tcp:", name);
    let metrics = TcpMetrics {
        segments_sent: of_protocol("OutSegs"),
        retransmitted: of_protocol("RetransSegs"),
        listen_overflows: netstat.and_then(|netstat| named(&netstat, "TcpExt:", "ListenOverflows")),
    };
    let is_known = metrics.segments_sent.or(metrics.retransmitted).or(metrics.listen_overflows).is_some();
    is_known.then_some(metrics)
}

/// Finds a number in a file that has a line of names and a line of numbers for each protocol.
fn named(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(protocol));
    let (names, numbers) = (lines.next()?, lines.next()?);
    let at = names.split_whitespace().position(|one| one == name)?;
    numbers.split_whitespace().nth(at)?.parse().ok()
}

/// Lists the ports with waiting connections; of several sockets on one port, the one with the fullest queue.
pub(super) fn listeners(missing: &mut Missing) -> Listeners {
    let mut found = Listeners::new();
    for family in FAMILIES {
        let listed = sockets(family, LISTEN, |socket| {
            if socket.queued > 0 {
                let own = (socket.queued, socket.limit);
                let kept = found.entry(socket.port).or_insert(own);
                if f64::from(own.0) * f64::from(kept.1) > f64::from(kept.0) * f64::from(own.1) {
                    *kept = own;
                }
            }
        });
        note_unlisted("host.limits[listen_queue]", family, listed, missing);
    }
    found
}

/// Adds a limit whose sockets could not be listed. A kernel without IPv6 refuses to list its sockets, and has none.
fn note_unlisted(figure: &str, family: u8, listed: std::io::Result<()>, missing: &mut Missing) {
    if let Err(e) = listed
        && family == FAMILIES[0]
    {
        missing.add(&[figure], format!("the sockets cannot be listed (sock_diag): {e}"));
    }
}

/// Lists the accept queues that are at least half full.
pub(super) fn listen_queues(listeners: &Listeners) -> Vec<LimitUse> {
    let queue = |(port, (waiting, limit)): (&u16, &(u32, u32))| {
        over_half(KernelLimit::ListenQueue, Some(port.to_string()), (*waiting).into(), (*limit).into())
    };
    listeners.iter().filter_map(queue).collect()
}

/// Returns the use of TIME_WAIT slots and of local ports for outgoing connections. All sockets are listed only if there
/// are enough of them to use half of the ports.
pub(super) fn ports(proc: &Path, missing: &mut Missing) -> Vec<LimitUse> {
    const TIME_WAIT: &str = "host.limits[time_wait_connections]";
    const PORTS: &str = "host.limits[ephemeral_ports]";
    let stat = |text: &str, name: &str, figure: &str| {
        let mut words = text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace();
        words.find(|word| *word == figure)?;
        words.next()?.parse::<u64>().ok()
    };
    let Some(sockets) = missing.read(&[TIME_WAIT, PORTS], &proc.join("net/sockstat")) else {
        return Vec::new();
    };
    // A kernel without IPv6 has no such file.
    let sockets_6 = missing.read_if_exists(&[PORTS], &proc.join("net/sockstat6")).unwrap_or_default();
    let waiting = stat(&sockets, "TCP:", "tw").unwrap_or(0);
    let in_use =
        stat(&sockets, "TCP:", "inuse").unwrap_or(0) + stat(&sockets_6, "TCP6:", "inuse").unwrap_or(0);
    let mut found = Vec::new();
    let most = missing.read(&[TIME_WAIT], &proc.join("sys/net/ipv4/tcp_max_tw_buckets"));
    if let Some(most) = most.as_deref().and_then(number) {
        found.extend(over_half(KernelLimit::TimeWaitConnections, None, waiting, most));
    }
    let range = missing.read(&[PORTS], &proc.join("sys/net/ipv4/ip_local_port_range")).unwrap_or_default();
    let mut ends = range.split_whitespace().filter_map(|end| end.parse::<u16>().ok());
    if let (Some(first), Some(last)) = (ends.next(), ends.next())
        && first <= last
    {
        let ports = u64::from(last - first) + 1;
        if (waiting + in_use) * 2 >= ports {
            found.extend(used_ports(first, last, ports, missing));
        }
    }
    found
}

/// Returns the remote end to which most local ports are in use.
fn used_ports(first: u16, last: u16, ports: u64, missing: &mut Missing) -> Option<LimitUse> {
    let mut by_remote: HashMap<(IpAddr, u16), HashSet<u16>> = HashMap::new();
    for family in FAMILIES {
        let listed = sockets(family, HOLDING, |socket| {
            if (first..=last).contains(&socket.port) {
                by_remote.entry(socket.remote).or_default().insert(socket.port);
            }
        });
        note_unlisted("host.limits[ephemeral_ports]", family, listed, missing);
    }
    let ((address, port), used) = by_remote.into_iter().max_by_key(|(_, used)| used.len())?;
    let of = match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    };
    over_half(KernelLimit::EphemeralPorts, Some(of), used.len() as u64, ports)
}

/// Socket, from the fields of `struct inet_diag_msg`.
struct Socket {
    port: u16,
    remote: (IpAddr, u16),
    /// For a listening socket: the waiting connections and their limit.
    queued: u32,
    limit: u32,
}

fn sockets(family: u8, states: u32, mut each: impl FnMut(Socket)) -> std::io::Result<()> {
    // `struct inet_diag_req_v2`, with an empty socket id.
    let mut request = vec![family, IPPROTO_TCP, 0, 0];
    request.extend(states.to_ne_bytes());
    request.extend([0; 48]);
    dump(Some(SOCK_DIAG), SOCK_DIAG_BY_FAMILY, &request, |message| each_socket(family, message, &mut each))
}

fn each_socket(family: u8, message: &[u8], each: &mut impl FnMut(Socket)) {
    let port = |at| u16_at(message, at).map(u16::from_be);
    let address = || {
        let bytes: [u8; 16] = *message.get(24..)?.first_chunk()?;
        let [a, b, c, d, ..] = bytes;
        let six = Ipv6Addr::from(bytes);
        let plain = six.to_ipv4_mapped().map_or(IpAddr::V6(six), IpAddr::V4);
        Some(if family == FAMILIES[0] { IpAddr::V4(Ipv4Addr::new(a, b, c, d)) } else { plain })
    };
    if let (Some(port), Some(remote_port), Some(address)) = (port(4), port(6), address())
        && let (Some(queued), Some(limit)) = (u32_at(message, 56), u32_at(message, 60))
    {
        each(Socket { port, remote: (address, remote_port), queued, limit });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn numbers_are_found_by_name() {
        let text = "Ip: A\nIp: 1\nTcp: OutSegs RetransSegs\nTcp: 100 7\n";
        assert_eq!(named(text, "Tcp:", "RetransSegs"), Some(7));
        assert_eq!(named(text, "Tcp:", "Other"), None);
        assert_eq!(named("Tcp: OutSegs\n", "Tcp:", "OutSegs"), None);
        assert!(count(Path::new("/proc"), &mut Missing::default()).is_some());
        assert_eq!(count(Path::new("/no/such/place"), &mut Missing::default()), None);
    }

    #[test]
    fn waiting_connections_are_counted_by_port() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let listeners = || listeners(&mut Missing::default());
        assert_eq!(listeners().get(&port), None);
        let _waiting = [(); 3].map(|()| TcpStream::connect(("127.0.0.1", port)).unwrap());
        assert_eq!(listeners().get(&port).map(|(waiting, _)| *waiting), Some(3));
    }

    #[test]
    fn ports_are_counted_by_remote_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let remote = listener.local_addr().unwrap();
        let _open = [(); 4].map(|()| TcpStream::connect(remote).unwrap());
        let used_ports = |ports| used_ports(1, u16::MAX, ports, &mut Missing::default());
        let used = used_ports(4).unwrap();
        assert!(used.used >= 4, "{used:?}");
        assert_eq!(used_ports(u64::MAX), None, "less than half");
    }

    #[test]
    fn half_full_queue_is_listed() {
        let listeners = Listeners::from([(80, (64, 128)), (81, (63, 128)), (82, (1, 0))]);
        let ports: Vec<_> = listen_queues(&listeners).into_iter().filter_map(|one| one.of).collect();
        assert_eq!(ports, ["80"]);
    }
}
