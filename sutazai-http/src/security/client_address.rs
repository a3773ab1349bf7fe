//! Client address of a request. Behind a trusted proxy it is the address that the proxy reports in `Forwarded` (RFC
//! 7239) or `X-Forwarded-For`; from any other peer these headers are ignored, because anyone can set them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, Request};
use axum::http::header::{FORWARDED, HOST, HeaderName};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Extensions, HeaderMap, Uri};
use ipnet::IpNet;
use sutazai_core::Error;

use crate::server::OverTls;

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Networks of proxies whose forwarded addresses are trusted; none by default. As text: networks or addresses,
/// separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl FromStr for TrustedProxies {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let network = |part: &str| {
            part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                let expected = "expected networks such as 10.0.0.0/8 or ::1, separated by commas";
                Error::invalid("trusted_proxies", format!("{expected}, got {part:?}"))
            })
        };
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TrustedProxies {
    /// Returns the address that the client of this request is counted by: its IPv4 address, or the first address of
    /// its IPv6 /64, which is what one customer gets (RFC 6177). Without a known peer address, all clients share one
    /// key.
    pub(crate) fn counted(&self, request: &Request) -> IpAddr {
        self.counted_by(request.extensions(), request.headers())
    }

    /// Like [`counted`](Self::counted), for the parts of a request.
    pub(crate) fn counted_by(&self, extensions: &Extensions, headers: &HeaderMap) -> IpAddr {
        let client = peer(extensions).map(|peer| self.client(peer, headers));
        Self::network(client.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
    }

    /// Returns the client address of this request; `None` when the server did not record the peer.
    pub(crate) fn address(&self, request: &Request) -> Option<IpAddr> {
        peer(request.extensions()).map(|peer| self.client(peer, request.headers()))
    }

    /// Returns the peer if it sent a forwarded address but is not a trusted proxy.
    pub(crate) fn untrusted_proxy(&self, request: &Request) -> Option<IpAddr> {
        let headers = request.headers();
        let names = headers.contains_key(&X_FORWARDED_FOR) || headers.contains_key(FORWARDED);
        peer(request.extensions()).filter(|peer| names && !self.trusts(*peer))
    }

    /// Returns the address that represents all addresses counted together with this one.
    pub(crate) fn network(address: IpAddr) -> IpAddr {
        match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        }
    }

    /// Returns the scheme that the client used, `https` or `http`: that of the connection, or the one a trusted proxy
    /// reports.
    pub(crate) fn scheme(&self, request: &Request) -> &'static str {
        self.scheme_by(request.extensions(), request.headers())
    }

    /// Like [`scheme`](Self::scheme), for the parts of a request.
    pub(crate) fn scheme_by(&self, extensions: &Extensions, headers: &HeaderMap) -> &'static str {
        let over_tls = extensions.get::<OverTls>().is_some();
        let told = || self.is_proxied(extensions) && is_told_https(headers);
        if over_tls || told() { "https" } else { "http" }
    }

    /// Returns the host and port that the client addressed: those of the request, or the ones a trusted proxy reports.
    pub(crate) fn authority(&self, request: &Parts) -> Option<Authority> {
        let told = self.is_proxied(&request.extensions).then(|| told_host(&request.headers)).flatten();
        told.or_else(|| addressed(&request.uri, &request.headers))
    }

    fn is_proxied(&self, extensions: &Extensions) -> bool {
        peer(extensions).is_some_and(|peer| self.trusts(peer))
    }

    /// Returns the first address, starting from the server, that is not a trusted proxy.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let values = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
        let standard = values(&FORWARDED).flat_map(|value| value.split(',')).map(forwarded_for);
        let usual = values(&X_FORWARDED_FOR).flat_map(|value| value.split(',')).map(node);
        let (standard, usual): (Vec<_>, Vec<_>) = (standard.collect(), usual.collect());
        match (standard.is_empty(), usual.is_empty()) {
            (true, _) => self.nearest_stranger(peer, &usual),
            (_, true) => self.nearest_stranger(peer, &standard),
            // A proxy sets one of the two headers and may pass on the client's own copy of the other. If they
            // disagree, either could be forged, so the peer itself is used.
            _ => {
                let told = self.nearest_stranger(peer, &standard);
                if told == self.nearest_stranger(peer, &usual) { told } else { peer }
            }
        }
    }

    fn nearest_stranger(&self, peer: IpAddr, hops: &[Option<IpAddr>]) -> IpAddr {
        let mut nearest = peer;
        for hop in hops.iter().rev() {
            match hop {
                Some(address) => nearest = *address,
                // Not an address: entries beyond it were written by someone unknown.
                None => break,
            }
            if !self.trusts(nearest) {
                break;
            }
        }
        nearest
    }

    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical())
}

/// Returns the host and port in the request itself. The request target takes precedence over the header (RFC 9112,
/// 3.2.2).
pub(crate) fn addressed(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let in_header = || headers.get(HOST)?.to_str().ok()?.parse().ok();
    uri.authority().cloned().or_else(in_header)
}

/// Returns the host that the nearest proxy was called by, as it reports. If the two headers disagree, one of them may
/// be the client's own, so neither counts.
fn told_host(headers: &HeaderMap) -> Option<Authority> {
    let standard = last(headers, &FORWARDED).and_then(|element| parameter(element, "host"));
    let standard = standard.map(|host| host.trim_matches('"'));
    let told = match (standard, last(headers, &X_FORWARDED_HOST)) {
        (Some(standard), Some(usual)) => Some(standard).filter(|host| host.eq_ignore_ascii_case(usual)),
        (standard, usual) => standard.or(usual),
    };
    told?.parse().ok()
}

/// Returns the last element of a header that is a list: the nearest proxy appended it.
fn last<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let value = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    value.rsplit(',').next().map(str::trim)
}

/// Returns whether the nearest proxy reports that it was called over TLS. If the two headers disagree, one of
/// them may be the client's own, so the answer is no.
fn is_told_https(headers: &HeaderMap) -> bool {
    let is_https = |proto: &str| proto.trim_matches('"').eq_ignore_ascii_case("https");
    let standard = last(headers, &FORWARDED).and_then(|element| parameter(element, "proto"));
    match (standard.map(is_https), last(headers, &X_FORWARDED_PROTO).map(is_https)) {
        (Some(standard), Some(usual)) => standard && usual,
        (standard, usual) => standard.or(usual).unwrap_or(false),
    }
}

/// Returns a parameter of one element of `Forwarded`.
fn parameter<'e>(element: &'e str, name: &str) -> Option<&'e str> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut of = pairs.filter(|(other, _)| other.trim().eq_ignore_ascii_case(name));
    Some(of.next()?.1.trim())
}

/// Returns the address in the `for` parameter of one element of `Forwarded`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    node(parameter(element, "for")?.trim_matches('"'))
}

/// Parses an address with or without a port.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    address.or_else(with_port).or_else(in_brackets).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, lines: &[(&'static str, &str)]) -> String {
        let proxies: TrustedProxies = proxies.parse().unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn no_proxy_is_trusted_by_default() {
        for lines in [&[("x-forwarded-for", "1.2.3.4")][..], &[("forwarded", "for=1.2.3.4")], &[]] {
            assert_eq!(client("", "192.0.2.1", lines), "192.0.2.1");
            assert_eq!(client("10.0.0.0/8", "192.0.2.1", lines), "192.0.2.1");
        }
    }

    #[test]
    fn nearest_address_that_is_no_proxy_applies() {
        let own = "10.0.0.0/8,fd00::/8";
        for (told, expected) in [
            ("1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
            ("nonsense", "10.0.0.1"),
            ("1.2.3.4:5678", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("", "10.0.0.1"),
        ] {
            assert_eq!(client(own, "10.0.0.1", &[("x-forwarded-for", told)]), expected, "{told}");
        }
        let two_lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(client(own, "10.0.0.1", &two_lines), "1.2.3.4");
        for (told, expected) in [
            ("for=1.2.3.4;proto=https;by=10.0.0.1", "1.2.3.4"),
            ("for=6.6.6.6, For=\"1.2.3.4:80\"", "1.2.3.4"),
            ("for=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=\"[2001:db8::1]\"", "2001:db8::1"),
            ("for=6.6.6.6, for=_hidden", "10.0.0.1"),
            ("for=6.6.6.6, proto=https", "10.0.0.1"),
        ] {
            assert_eq!(client(own, "10.0.0.1", &[("forwarded", told)]), expected, "{told}");
        }
    }

    #[test]
    fn scheme_comes_from_the_connection_or_a_trusted_proxy() {
        let scheme = |proxies: &str, over_tls: bool, lines: &[(&'static str, &str)]| {
            let mut request = Request::default();
            let peer = SocketAddr::new("10.0.0.1".parse().unwrap(), 1);
            request.extensions_mut().insert(ConnectInfo(peer));
            if over_tls {
                request.extensions_mut().insert(OverTls);
            }
            for (name, value) in lines {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            proxies.parse::<TrustedProxies>().unwrap().scheme(&request)
        };
        let told = [("x-forwarded-proto", "https")];
        assert_eq!(scheme("", false, &[]), "http");
        assert_eq!(scheme("", true, &[]), "https");
        assert_eq!(scheme("", false, &told), "http", "anybody may say so");
        let own = "10.0.0.0/8";
        for (lines, expected) in [
            (&[][..], "http"),
            (&told, "https"),
            (&[("x-forwarded-proto", "https, http")], "http"),
            (&[("x-forwarded-proto", "http"), ("x-forwarded-proto", "HTTPS")], "https"),
            (&[("forwarded", "for=1.2.3.4;proto=https;by=10.0.0.1")], "https"),
            (&[("forwarded", "proto=https, for=1.2.3.4;proto=http")], "http"),
            (&[("forwarded", "for=1.2.3.4"), ("x-forwarded-proto", "https")], "https"),
            (&[("forwarded", "proto=http"), ("x-forwarded-proto", "https")], "http"),
            (&[("x-forwarded-proto", "gopher")], "http"),
        ] {
            assert_eq!(scheme(own, false, lines), expected, "{lines:?}");
            assert_eq!(scheme(own, true, lines), "https");
        }
    }

    #[test]
    fn addressed_host_comes_from_the_request_or_a_trusted_proxy() {
        let authority = |proxies: &str, lines: &[(&'static str, &str)]| {
            let mut request: Request = Request::default();
            let peer = SocketAddr::new("10.0.0.1".parse().unwrap(), 1);
            request.extensions_mut().insert(ConnectInfo(peer));
            for (name, value) in lines {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            let proxies: TrustedProxies = proxies.parse().unwrap();
            proxies.authority(&request.into_parts().0).map_or_else(String::new, |host| host.to_string())
        };
        let own = ("host", "inner:8000");
        let told = [own, ("x-forwarded-host", "app.example.org:8443")];
        assert_eq!(authority("", &told), "inner:8000", "anybody may say so");
        assert_eq!(authority("", &[]), "");
        for (lines, expected) in [
            (&[own][..], "inner:8000"),
            (&told, "app.example.org:8443"),
            (&[own, ("x-forwarded-host", "evil.example, app.example.org")], "app.example.org"),
            (
                &[own, ("x-forwarded-host", "evil.example"), ("x-forwarded-host", "app.example.org")],
                "app.example.org",
            ),
            (&[own, ("forwarded", "for=1.2.3.4;host=\"app.example.org:8443\"")], "app.example.org:8443"),
            (
                &[own, ("forwarded", "host=evil.example"), ("x-forwarded-host", "app.example.org")],
                "inner:8000",
            ),
            (&[own, ("x-forwarded-host", "not a host")], "inner:8000"),
        ] {
            assert_eq!(authority("10.0.0.0/8", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn two_stories_are_none() {
        let both = |standard, usual| [("forwarded", standard), ("x-forwarded-for", usual)];
        assert_eq!(client("10.0.0.1", "10.0.0.1", &both("for=6.6.6.6", "1.2.3.4")), "10.0.0.1");
        assert_eq!(client("10.0.0.1", "10.0.0.1", &both("for=1.2.3.4", "6.6.6.6, 1.2.3.4")), "1.2.3.4");
    }

    #[test]
    fn ipv6_is_counted_by_the_network_of_one_customer() {
        let key = |address: &str| {
            let mut request = Request::default();
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(address.parse().unwrap(), 1)));
            TrustedProxies::default().counted(&request)
        };
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::"), key("2001:db8:1:3::"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
    }

    #[test]
    fn networks_are_parsed_and_invalid_ones_are_named() {
        let text = "10.0.0.0/8, 192.0.2.1,2001:db8::/32";
        let proxies: TrustedProxies = text.parse().unwrap();
        let networks: Vec<_> = proxies.0.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]);
        let e = "10.0.0.0/8,proxy".parse::<TrustedProxies>().unwrap_err();
        assert!(e.to_string().contains("got \"proxy\""), "{e}");
    }
}
