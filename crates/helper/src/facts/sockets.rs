//! Listening sockets, from `/proc/net`.

use overhaul_model::facts::Listener;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The kernel's number for a TCP socket that listens.
const TCP_LISTENS: &str = "0A";

/// The kernel's number for a UDP socket that talks with nobody in particular.
const UDP_OPEN: &str = "07";

/// A listener, and what its owner is found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) listener: Listener,
    /// 0 when it is not told.
    pub(super) inode: u64,
    /// The account that made it, when that is told.
    pub(super) account: Option<u32>,
}

/// Reads one of the files `tcp`, `tcp6`, `udp`, `udp6`.
pub(super) fn parse(protocol: &str, text: &str) -> Vec<Socket> {
    let wanted = if protocol.starts_with("tcp") {
        TCP_LISTENS
    } else {
        UDP_OPEN
    };
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let (address, port) = fields.get(1)?.split_once(':')?;
            (*fields.get(3)? == wanted).then_some(())?;
            let listener = Listener {
                protocol: protocol.to_owned(),
                address: self::address(address)?,
                port: u16::from_str_radix(port, 16).ok()?,
                program: String::new(),
                unit: String::new(),
            };
            let inode = fields.get(9).and_then(|field| field.parse().ok());
            Some(Socket {
                listener,
                inode: inode.unwrap_or(0),
                account: fields.get(7).and_then(|field| field.parse().ok()),
            })
        })
        .collect()
}

/// The kernel prints addresses as words of four bytes in the machine's own order.
fn address(hex: &str) -> Option<String> {
    let word = |at: usize| {
        let digits = hex.get(at..at.checked_add(8)?)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    if hex.len() == 8 {
        return Some(Ipv4Addr::from(word(0)?).to_string());
    }
    let mut bytes = [0_u8; 16];
    for (part, at) in bytes.chunks_mut(4).zip([0, 8, 16, 24]) {
        part.copy_from_slice(&word(at)?);
    }
    (hex.len() == 32).then(|| Ipv6Addr::from(bytes).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn recorded_tables_are_read() {
        let tcp = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105        0 1 1
   1: 0100007F:1538 0100007F:C350 01 00000000:00000000 00:00000000 00000000   105        0 2 1
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1
  junk
";
        let tcp6 =
            "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1538 00000000000000000000000000000000:0000 0A
";
        let udp = "  sl  local_address rem_address   st
   0: 00000000:0044 00000000:0000 07
   1: 0100007F:0044 0100007F:0043 01
";
        let read: Vec<String> = [("tcp", tcp), ("tcp6", tcp6), ("udp", udp)]
            .into_iter()
            .flat_map(|(protocol, text)| parse(protocol, text))
            .map(|one| {
                let (l, inode) = (one.listener, one.inode);
                let account = one.account.map_or("-".to_owned(), |id| id.to_string());
                format!("{} {} {} {inode} {account}", l.protocol, l.address, l.port)
            })
            .collect();
        assert_eq!(
            read,
            [
                "tcp 127.0.0.1 5432 1 105",
                "tcp 0.0.0.0 22 3 0",
                "tcp6 ::1 5432 0 -",
                "udp 0.0.0.0 68 0 -"
            ]
        );
    }
}
