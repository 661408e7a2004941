//! The bridge of an instance, and cutting a host off from it.

use std::net::Ipv4Addr;

use serde::Deserialize;

use super::command::{bounded, output_of, succeeds};
use super::error::{LabError, Result, malformed};
use super::instance::{Id, Instance, choose_octet, overlaps};

/// Any `ip` command is done in milliseconds.
const IP_S_MAX: u64 = 10;

#[derive(Deserialize)]
struct Interface {
    ifindex: u32,
    ifname: String,
    #[serde(default)]
    link_index: Option<u32>,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    addr_info: Vec<AddressInfo>,
}

#[derive(Deserialize)]
struct AddressInfo {
    local: Option<Ipv4Addr>,
    prefixlen: u8,
}

fn ip(args: &[&str]) -> Result<String> {
    output_of(bounded(IP_S_MAX, "ip").args(args))
}

fn parse_interfaces(json: &str) -> Result<Vec<Interface>> {
    serde_json::from_str(json).map_err(|error| malformed("answer of ip", error))
}

/// An octet whose addresses no interface of this machine has.
pub fn free_octet(id: &Id) -> Result<u8> {
    let interfaces = parse_interfaces(&ip(&["-j", "-4", "address"])?)?;
    let is_used = |octet: u8| {
        interfaces
            .iter()
            .flat_map(|interface| &interface.addr_info)
            .any(|info| {
                info.local
                    .is_some_and(|local| overlaps(octet, local, info.prefixlen))
            })
    };
    choose_octet(id, is_used).ok_or_else(|| {
        LabError::State("this machine's interfaces leave no free 10.77.X.0/24".into())
    })
}

/// Makes the bridge, or completes one that a killed command left half made.
pub fn ensure_bridge(instance: &Instance) -> Result<()> {
    let bridge = instance.bridge();
    if !succeeds(bounded(IP_S_MAX, "ip").args(["link", "show", &bridge])) {
        // Without an address of its own a bridge takes one from its ports, and forgets all neighbours whenever that changes.
        let hardware_address = format!("02:00:0a:4d:{:02x}:01", instance.octet);
        ip(&[
            "link",
            "add",
            &bridge,
            "address",
            &hardware_address,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ])?;
    }
    // A bridge without any port has no carrier, and this machine then knows at once that nobody is there; a real network does not tell.
    let anchor = format!("{bridge}a");
    if !succeeds(bounded(IP_S_MAX, "ip").args(["link", "show", &anchor])) {
        ip(&[
            "link",
            "add",
            &anchor,
            "type",
            "veth",
            "peer",
            "name",
            &format!("{bridge}b"),
        ])?;
    }
    for end in ["a", "b"] {
        ip(&["link", "set", &format!("{bridge}{end}"), "up"])?;
    }
    ip(&["link", "set", &anchor, "master", &bridge])?;
    let address = format!("{}/24", instance.gateway());
    ip(&["address", "replace", &address, "dev", &bridge])?;
    ip(&["link", "set", &bridge, "up"])?;
    Ok(())
}

/// Removes the bridge; that there is none is fine.
pub fn remove_bridge(instance: &Instance) -> Result<()> {
    let bridge = instance.bridge();
    for link in [format!("{bridge}a"), bridge] {
        if succeeds(bounded(IP_S_MAX, "ip").args(["link", "show", &link])) {
            ip(&["link", "delete", &link])?;
        }
    }
    Ok(())
}

/// A host's network card: its end on this machine and its hardware address.
struct Card {
    outside: String,
    hardware_address: String,
}

fn card(instance: &Instance, host: &str) -> Result<Card> {
    let leader = instance
        .member_group(host)?
        .leader()
        .ok_or_else(|| LabError::State(format!("{host} is not running")))?;
    let missing = || malformed(format!("network card of {host}"), "not found");
    let inside = output_of(bounded(IP_S_MAX, "nsenter").args([
        "-t",
        &leader.to_string(),
        "-n",
        "ip",
        "-j",
        "link",
        "show",
        "host0",
    ]))?;
    let inside = parse_interfaces(&inside)?
        .into_iter()
        .next()
        .ok_or_else(missing)?;
    let outside = parse_interfaces(&ip(&["-j", "link"])?)?
        .into_iter()
        .find(|interface| Some(interface.ifindex) == inside.link_index)
        .ok_or_else(missing)?;
    Ok(Card {
        outside: outside.ifname,
        hardware_address: inside.address.ok_or_else(missing)?,
    })
}

/// Takes a host off the bridge. Both sides keep a working link and hear nothing any more, as behind a broken switch.
pub fn cut(instance: &Instance, host: &str) -> Result<()> {
    let card = card(instance, host)?;
    let address = instance.address(instance.host(host)?).to_string();
    // A fixed neighbour entry makes packets vanish; without it this machine would soon say "no route to host", which is the milder fault.
    ip(&[
        "neighbour",
        "replace",
        &address,
        "lladdr",
        &card.hardware_address,
        "nud",
        "permanent",
        "dev",
        &instance.bridge(),
    ])?;
    ip(&["link", "set", &card.outside, "nomaster"])?;
    Ok(())
}

/// Puts a host back on the bridge; for one that was not cut off this changes nothing.
pub fn heal(instance: &Instance, host: &str) -> Result<()> {
    let address = instance.address(instance.host(host)?).to_string();
    let bridge = instance.bridge();
    ip(&[
        "link",
        "set",
        &card(instance, host)?.outside,
        "master",
        &bridge,
    ])?;
    // The entry is absent when nothing was cut.
    succeeds(bounded(IP_S_MAX, "ip").args(["neighbour", "delete", &address, "dev", &bridge]));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_ip_are_read() {
        let json = r#"[{"ifindex":4,"link_index":2,"ifname":"host0","flags":[],"address":"aa:bb:cc:dd:ee:ff","addr_info":[{"family":"inet","local":"10.77.5.11","prefixlen":24}]}]"#;
        let interfaces = parse_interfaces(json).unwrap();
        let interface = interfaces.first().unwrap();
        assert_eq!((interface.ifindex, interface.link_index), (4, Some(2)));
        assert_eq!(
            interface.addr_info[0].local,
            Some(Ipv4Addr::new(10, 77, 5, 11))
        );
        assert!(parse_interfaces("nonsense").is_err());
    }
}
