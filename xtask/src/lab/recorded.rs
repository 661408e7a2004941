//! Facts of a lab fleet in the form in which they are kept: without what differs from one run to the next.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// The network that stands for whichever one an instance has.
const NETWORK: &str = "10.77.0.";
/// The time that stands for all times.
const MOMENT: &str = "2026-01-01T00:00:00Z";
/// Size and free space that stand for those of the machine that carries the lab.
const DISK: (u64, u64) = (100 << 30, 60 << 30);
/// Memory that stands for its.
const MEMORY_BYTES: u64 = 8 << 30;
/// The interface address that stands for all, which the kernel chose at random.
const MAC: &str = "02:00:00:00:00:01";
/// The kernel that stands for that of the machine that carries the lab.
const KERNEL: &str = "6.1.0-0-amd64";
/// Ports from here on are the kernel's choice (`net.ipv4.ip_local_port_range`).
const EPHEMERAL_PORT_MIN: u64 = 32_768;

/// The hosts of `overhaul facts --json`, by name, as they are kept; `network` is the beginning of the instance's addresses.
///
/// # Errors
/// When it is no such answer, or a host gave no facts.
pub fn kept(answer: &str, network: &str) -> Result<Map<String, Value>, String> {
    let answer = answer.replace(network, NETWORK);
    let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
    let rows = answer.pointer("/hosts").and_then(Value::as_array);
    let mut hosts = Map::new();
    for row in rows.ok_or("there is no list of hosts")? {
        let name = row.pointer("/host").and_then(Value::as_str);
        let name = name.ok_or("a host has no name")?;
        let trouble = row.pointer("/trouble").filter(|trouble| !trouble.is_null());
        if let Some(trouble) = trouble {
            return Err(format!("{name}: {trouble}"));
        }
        let facts = row.pointer("/facts").filter(|facts| facts.is_object());
        let mut facts = facts.ok_or_else(|| format!("{name} has no facts"))?.clone();
        fix(name, "", &mut facts);
        hosts.insert(name.to_owned(), facts);
    }
    Ok(renamed(&hosts))
}

/// Puts fixed values in the place of those that differ from run to run.
fn fix(host: &str, key: &str, value: &mut Value) {
    let id = |chars: usize| -> String {
        digest(&format!("{host} {key}"))
            .chars()
            .take(chars)
            .collect()
    };
    match (key, &mut *value) {
        ("at" | "gathered_at", Value::String(text)) => *text = MOMENT.to_owned(),
        ("boot_id", _) => *value = json!(uuid(&id(32))),
        ("init_started_ticks" | "pid", _) => *value = json!(1),
        ("replay_age_ms", Value::Number(_)) => *value = json!(0),
        ("mac", Value::String(_)) => *value = json!(MAC),
        ("kernel", Value::Object(_)) => {
            if let Some(running) = value.pointer_mut("/running/measured/value") {
                *running = json!(KERNEL);
            }
            fix_all(host, value);
        }
        ("machine_id" | "install_id", Value::Object(known)) => {
            if let Some(text @ Value::String(_)) =
                known.get_mut("measured").and_then(|m| m.get_mut("value"))
            {
                let length = text.as_str().map_or(0, str::len);
                *text = if length == 36 {
                    json!(uuid(&id(32)))
                } else {
                    json!(id(length))
                };
            }
            fix_all(host, value);
        }
        ("clock_offset_ms" | "memory_bytes" | "cpus", Value::Object(known)) => {
            let fixed = match key {
                "memory_bytes" => MEMORY_BYTES,
                "cpus" => 2,
                _ => 0,
            };
            if let Some(number) = known.get_mut("measured").and_then(|m| m.get_mut("value")) {
                *number = json!(fixed);
            }
            fix_all(host, value);
        }
        ("mounts", _) => {
            fix_all(host, value);
            let mounts = value
                .pointer_mut("/measured/value")
                .and_then(Value::as_array_mut);
            for mount in mounts
                .into_iter()
                .flatten()
                .filter_map(Value::as_object_mut)
            {
                mount.insert("size_bytes".to_owned(), json!(DISK.0));
                mount.insert("free_bytes".to_owned(), json!(DISK.1));
            }
        }
        _ => fix_all(host, value),
    }
}

fn fix_all(host: &str, value: &mut Value) {
    match value {
        Value::Object(map) => map
            .iter_mut()
            .for_each(|(key, value)| fix(host, key, value)),
        Value::Array(items) => items.iter_mut().for_each(|value| fix(host, "", value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn digest(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn uuid(hex: &str) -> String {
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    let parts = [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ];
    parts.join("-")
}

/// Ids that clusters chose at random get fixed ones, wherever they stand, so that members still agree.
fn renamed(hosts: &Map<String, Value>) -> Map<String, Value> {
    let mut text = Value::Object(hosts.clone()).to_string();
    for (host, facts) in hosts {
        for member in list(facts, "/clusters") {
            let word = |path: &str| member.pointer(path).and_then(Value::as_str);
            let (Some(kind), Some(id)) = (word("/kind"), word("/cluster/measured/value")) else {
                continue;
            };
            // A name may stand before the id; what has no digits in plenty is no random id.
            let Some(random) = id.split(' ').next_back().filter(|last| last.len() >= 16) else {
                continue;
            };
            let fixed = digest(&format!("{kind} {host}"));
            let fixed = match random {
                uuid_like if uuid_like.len() == 36 => uuid(&fixed),
                number if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let digits = fixed.bytes().map(|byte| char::from(b'0' + byte % 10));
                    digits
                        .take(number.len() - 1)
                        .fold("7".to_owned(), |all, digit| all + &digit.to_string())
                }
                other => fixed.chars().take(other.len()).collect(),
            };
            text = text.replace(random, &fixed);
        }
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(hosts)) => hosts,
        _ => hosts.clone(),
    }
}

fn list<'a>(facts: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let found = facts.pointer(&format!("{pointer}/measured/value"));
    found.and_then(Value::as_array).into_iter().flatten()
}

/// What must be the same in every run, host by host.
pub fn stable(hosts: &Map<String, Value>) -> Value {
    let one = |facts: &Value| {
        let value = |pointer: &str| facts.pointer(&format!("{pointer}/measured/value")).cloned();
        json!({
            "release": facts.pointer("/release/measured/value/codename"),
            "packages_broken": value("/packages_broken"),
            "packages_held": value("/packages_held"),
            "foreign_sources": value("/foreign_sources"),
            "services": services(facts, "running"),
            "services_failed": services(facts, "failed"),
            "listening": listening(facts),
            "postgresql": list(facts, "/postgresql").map(postgresql).collect::<Vec<_>>(),
            "clusters": list(facts, "/clusters").map(cluster).collect::<Vec<_>>(),
            "guests": value("/running/guests"),
            "shared": value("/storage/shared"),
            "unknown": unknown("", facts),
        })
    };
    let hosts: Map<String, Value> = hosts
        .iter()
        .map(|(name, facts)| (name.clone(), one(facts)))
        .collect();
    Value::Object(hosts)
}

fn services(facts: &Value, sub: &str) -> Vec<String> {
    let text =
        |unit: &Value, key: &str| unit.pointer(key).and_then(Value::as_str).map(str::to_owned);
    let mut names: Vec<String> = list(facts, "/units")
        .filter(|unit| text(unit, "/sub").as_deref() == Some(sub))
        .filter_map(|unit| text(unit, "/name"))
        // Sessions of whoever asks come and go.
        .filter(|name| name.ends_with(".service") && !name.starts_with("user@"))
        .collect();
    names.sort();
    names
}

fn listening(facts: &Value) -> Vec<String> {
    let mut lines: Vec<String> = list(facts, "/listening")
        .filter(|socket| {
            socket
                .pointer("/port")
                .and_then(Value::as_u64)
                .is_some_and(|port| port < EPHEMERAL_PORT_MIN)
        })
        .map(|socket| {
            let word = |key: &str| match socket.pointer(key) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => String::new(),
            };
            let words = ["/protocol", "/address", "/port", "/program"].map(word);
            words.join(" ").trim_end().to_owned()
        })
        .collect();
    lines.sort();
    lines.dedup();
    lines
}

fn postgresql(cluster: &Value) -> Value {
    let databases = cluster.pointer("/databases").and_then(Value::as_array);
    let names = databases
        .into_iter()
        .flatten()
        .map(|one| one.pointer("/name"));
    json!({
        "version": cluster.pointer("/version"),
        "name": cluster.pointer("/name"),
        "online": cluster.pointer("/online"),
        "databases": names.collect::<Vec<_>>(),
    })
}

fn cluster(member: &Value) -> Value {
    let mut out = Map::new();
    for key in ["kind", "instance", "data_paths"] {
        out.insert(
            key.to_owned(),
            member
                .pointer(&format!("/{key}"))
                .cloned()
                .unwrap_or_default(),
        );
    }
    for key in [
        "cluster",
        "member",
        "role",
        "state",
        "size_known",
        "size_alive",
        "quorate",
        "healthy",
    ] {
        let value = member.pointer(&format!("/{key}/measured/value")).cloned();
        out.insert(key.to_owned(), value.unwrap_or(json!("unknown")));
    }
    Value::Object(out)
}

/// Where something could not be measured.
fn unknown(path: &str, value: &Value) -> Vec<String> {
    let Value::Object(map) = value else {
        return Vec::new();
    };
    if let (1, Some(gap)) = (map.len(), map.get("unknown")) {
        let reason = gap.pointer("/reason").and_then(Value::as_str);
        return if reason == Some("not asked") {
            Vec::new()
        } else {
            vec![path.to_owned()]
        };
    }
    let deeper = map.iter().filter(|(key, _)| *key != "measured");
    deeper
        .flat_map(|(key, value)| unknown(format!("{path}/{key}").trim_start_matches('/'), value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(network: &str, random: &str, at: &str) -> String {
        json!({"fleet": "x", "hosts": [{"host": "a", "trouble": null, "facts": {
            "gathered_at": at,
            "machine_id": {"measured": {"value": random, "at": at}},
            "release": {"measured": {"value": {"codename": "bookworm"}, "at": at}},
            "packages_held": {"unknown": {"reason": "no dpkg"}},
            "postgresql": {"unknown": {"reason": "not asked"}},
            "listening": {"measured": {"value": [
                {"protocol": "tcp", "address": format!("{network}11"), "port": 22, "program": "sshd"},
                {"protocol": "udp", "address": "0.0.0.0", "port": 40_000, "program": "x"},
            ], "at": at}},
            "clusters": {"measured": {"value": [
                {"kind": "k", "cluster": {"measured": {"value": format!("orders {random}{random}"), "at": at}},
                 "evidence": [{"output": format!("id {random}{random}")}]},
            ], "at": at}},
        }}]})
        .to_string()
    }

    #[test]
    fn two_runs_are_kept_alike() {
        let one = kept(
            &answer("10.77.5.", "1234567a", "2026-02-02T02:02:02Z"),
            "10.77.5.",
        )
        .unwrap();
        let two = kept(
            &answer("10.77.88.", "abcdef01", "2026-03-03T03:03:03Z"),
            "10.77.88.",
        )
        .unwrap();
        assert_eq!(one, two);
        let text = Value::Object(one.clone()).to_string();
        assert!(
            text.contains("10.77.0.11") && !text.contains("1234567a"),
            "{text}"
        );
        let stable = stable(&one);
        assert_eq!(
            stable.pointer("/a/listening").unwrap(),
            &json!(["tcp 10.77.0.11 22 sshd"])
        );
        assert_eq!(
            stable.pointer("/a/unknown").unwrap(),
            &json!(["packages_held"])
        );
        assert!(
            stable
                .pointer("/a/clusters/0/cluster")
                .unwrap()
                .as_str()
                .unwrap()
                .starts_with("orders ")
        );
    }

    #[test]
    fn a_host_in_trouble_is_no_record() {
        let answer = json!({"hosts": [{"host": "a", "trouble": {"why": "away"}, "facts": null}]});
        assert!(kept(&answer.to_string(), "x").unwrap_err().contains("away"));
        assert!(kept("{}", "x").is_err());
    }
}
