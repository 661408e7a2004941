//! Listening TCP sockets by `sock_diag(7)`.
//!
//! `/proc/net/tcp` walks the table of all connections of the machine, which takes milliseconds on a host
//! with much memory even when there are none; the kernel can be asked for the listening ones alone.

use super::sockets::Socket;
use overhaul_model::facts::Listener;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
    sockopt,
};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// From `linux/sock_diag.h` and `linux/netlink.h`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_DUMP: u16 = 0x301;
/// Address families and protocol, and the set of states that holds `TCP_LISTEN` (10) alone.
pub(super) const AF_INET: u8 = 2;
pub(super) const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const LISTENING_ONLY: u32 = 1 << 10;

/// Sizes of `struct nlmsghdr` and of `struct inet_diag_req_v2`.
const HEADER_BYTES: usize = 16;
const REQUEST_BYTES: usize = 56;
/// The kernel sends at most 32 KiB at once.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Answers that are read: at 72 bytes a socket they hold more than a host can have.
const ANSWERS_MAX: usize = 1_024;
/// The kernel answers at once; a module for it may have to be loaded first.
const ANSWER_S_MAX: u64 = 5;

/// A socket in an answer.
pub(super) struct Found {
    address: String,
    port: u16,
    inode: u64,
    account: u32,
}

/// The listening sockets of `tcp` or `tcp6`; `None` for what is not asked for in this way.
///
/// # Errors
/// When the kernel does not know the question.
pub(super) fn listening(protocol: &str) -> Option<io::Result<Vec<Socket>>> {
    let family = match protocol {
        "tcp" => AF_INET,
        "tcp6" => AF_INET6,
        _ => return None,
    };
    Some(dump(family).map(|found| {
        let socket = |one: Found| Socket {
            listener: Listener {
                protocol: protocol.to_owned(),
                address: one.address,
                port: one.port,
                program: String::new(),
                unit: String::new(),
            },
            inode: one.inode,
            account: Some(one.account),
        };
        found.into_iter().map(socket).collect()
    }))
}

fn dump(family: u8) -> io::Result<Vec<Found>> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    let bound = Some(Duration::from_secs(ANSWER_S_MAX));
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, bound)?;
    send(&socket, &request(family), SendFlags::empty())?;
    let mut found = Vec::new();
    let mut buffer = vec![0_u8; ANSWER_BYTES_MAX];
    for _ in 0..ANSWERS_MAX {
        let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let answer = buffer.get(..length).unwrap_or_default();
        if take(family, answer, &mut found)? {
            return Ok(found);
        }
    }
    Err(broken())
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "sock_diag: not understood")
}

fn request(family: u8) -> Vec<u8> {
    let length = HEADER_BYTES.saturating_add(REQUEST_BYTES);
    let mut out = Vec::with_capacity(length);
    out.extend(u32::try_from(length).unwrap_or(0).to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(REQUEST_DUMP.to_ne_bytes());
    // Sequence number and port: ours alone is this socket.
    out.extend([0; 8]);
    out.extend([family, IPPROTO_TCP, 0, 0]);
    out.extend(LISTENING_ONLY.to_ne_bytes());
    out.resize(length, 0);
    out
}

/// Takes the messages of one answer; says whether it was the last.
pub(super) fn take(family: u8, mut answer: &[u8], found: &mut Vec<Found>) -> io::Result<bool> {
    while let Some((header, _)) = answer.split_at_checked(HEADER_BYTES) {
        let number = |at: usize| Some(u32::from_ne_bytes(four(header, at)?));
        let kind = number(4).and_then(|word| u16::try_from(word & 0xffff).ok());
        let length = number(0).and_then(|length| usize::try_from(length).ok());
        let (Some(kind), Some(length)) = (kind, length) else {
            return Err(broken());
        };
        let body = answer.get(HEADER_BYTES..length).ok_or_else(broken)?;
        match kind {
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => return Err(broken()),
            _ => found.push(local(family, body).ok_or_else(broken)?),
        }
        // Messages begin at multiples of four.
        let next = length.next_multiple_of(4).min(answer.len());
        answer = answer.get(next..).unwrap_or_default();
    }
    Ok(false)
}

/// Local address, port, account and inode of a `struct inet_diag_msg`.
fn local(family: u8, body: &[u8]) -> Option<Found> {
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let address = if family == AF_INET {
        Ipv4Addr::from(four(body, 8)?).to_string()
    } else {
        let bytes: [u8; 16] = body.get(8..24)?.try_into().ok()?;
        Ipv6Addr::from(bytes).to_string()
    };
    Some(Found {
        address,
        port,
        account: u32::from_ne_bytes(four(body, 64)?),
        inode: u32::from_ne_bytes(four(body, 68)?).into(),
    })
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::sockets;
    use std::net::TcpListener;

    #[test]
    fn the_kernel_says_the_same_as_its_table() {
        let mine = [
            TcpListener::bind("127.0.0.1:0"),
            TcpListener::bind("[::1]:0"),
        ];
        for (protocol, listener) in ["tcp", "tcp6"].into_iter().zip(&mine) {
            // A machine without IPv6 has one of them only.
            let Ok(listener) = listener else { continue };
            let at = listener.local_addr().unwrap();
            let table = std::fs::read_to_string(format!("/proc/net/{protocol}")).unwrap();
            let ours = |mut all: Vec<Socket>| {
                all.retain(|one| one.listener.port == at.port());
                all
            };
            let told = ours(listening(protocol).unwrap().unwrap());
            assert_eq!(told, ours(sockets::parse(protocol, &table)));
            assert_eq!(told.len(), 1, "{at}");
        }
        assert!(listening("udp").is_none());
    }

    #[test]
    fn torn_answers_are_refused() {
        let mut whole = request(AF_INET);
        // As long as a `struct inet_diag_msg` behind its header.
        whole.resize(88, 0);
        whole[..4].copy_from_slice(&88_u32.to_ne_bytes());
        assert!(take(AF_INET, &whole, &mut Vec::new()).is_ok());
        whole.truncate(30);
        assert!(take(AF_INET, &whole, &mut Vec::new()).is_err());
        let done = [&20_u32.to_ne_bytes()[..], &3_u16.to_ne_bytes(), &[0; 14]].concat();
        assert!(take(AF_INET, &done, &mut Vec::new()).unwrap());
        // A length of nothing must not be gone through for ever.
        assert!(take(AF_INET, &[0; 32], &mut Vec::new()).is_err());
    }
}
