//! Dump requests to the kernel over netlink sockets (netlink(7)), which are answered by a list of messages.

use std::io;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};

/// Length of `struct nlmsghdr` in bytes.
const HEADER: usize = 16;
/// Flags of a dump request: `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Buffer size: the kernel fills its answers up to 32 KiB.
const BUFFER_BYTES: usize = 32 * 1024;
/// Time limit for an answer. The kernel answers at once, so this only bounds the effect of a fault.
const ANSWER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Sends a dump request and calls `each` with the payload of every message of the answer.
pub(super) fn dump(
    protocol: Option<Protocol>,
    kind: u16,
    body: &[u8],
    mut each: impl FnMut(&[u8]),
) -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_TIMEOUT))?;
    let mut request = Vec::with_capacity(HEADER + body.len());
    request.extend(((HEADER + body.len()) as u32).to_ne_bytes());
    request.extend(kind.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    request.extend(1_u32.to_ne_bytes());
    request.extend(0_u32.to_ne_bytes());
    request.extend(body);
    sendto(&socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0_u8; BUFFER_BYTES];
    loop {
        let (length, _) = recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        if rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while let (Some(length), Some(kind)) = (u32_at(rest, 0), u16_at(rest, 4)) {
            let length = length as usize;
            let Some(message) = rest.get(HEADER..length) else { break };
            match kind {
                DONE => return Ok(()),
                ERROR => return Err(io::Error::other("the kernel refused a netlink request")),
                _ => each(message),
            }
            rest = rest.get(aligned(length)..).unwrap_or_default();
        }
    }
}

/// Parses the attributes after the fixed part of a message into pairs of type and value.
pub(super) fn attributes(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    /// Mask of the attribute type; the two highest bits are flags.
    const TYPE_MASK: u16 = 0x3fff;
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        found.push((kind & TYPE_MASK, value));
        rest = rest.get(aligned(length)..).unwrap_or_default();
    }
    found
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_parsed_and_garbage_ends_the_list() {
        let mut bytes = vec![5, 0, 3, 0, b'x', 0, 0, 0, 8, 0, 35, 0x80, 7, 0, 0, 0];
        assert_eq!(attributes(&bytes), [(3, &b"x"[..]), (35, &[7, 0, 0, 0][..])]);
        bytes.extend([255, 0, 1, 0]);
        assert_eq!(attributes(&bytes).len(), 2, "a length that reaches beyond the end");
        assert_eq!(attributes(&[0, 0, 0, 0]), [], "a length of nothing");
    }
}
