//! A file of facts, as `--save-facts` writes and `--facts` reads it: the facts of all hosts under their names.
//!
//! A large fleet's file has some gigabytes. It is written with each host on a line, and no text of JSON holds a line end: so
//! it is cut behind lines while it is read, without a look at what stands in them, and the parts are parsed on all
//! processors. Its text never stands in memory as a whole. A file that something else has laid out, and one with a fault,
//! is read once more in one piece: only then are line and column of the fault known.

use crate::failure::{Failure, file};
use crate::inputs::{check_format, parse, write_file};
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::id::HostName;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

/// The version of the stored facts. In 1 there were fewer; what is not there is read as unknown.
const FACTS_FORMAT: u32 = 2;

/// Largest file: 100,000 hosts with 40 KB each.
const FACTS_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes that are read and parsed at once: enough that handing them over costs nothing, few enough that all
/// processors have some to do with a small fleet too.
const PART_BYTES: u64 = 256 * 1024;

/// Longest first line, which has nothing but the format in it.
const HEAD_BYTES_MAX: u64 = 1024;

/// What closes the hosts and the whole.
const END: &[u8] = b"}}";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFacts {
    format: u32,
    hosts: FleetFacts,
}

/// Facts that `--save-facts` wrote.
///
/// # Errors
/// When they cannot be read, or come from a newer program.
pub fn stored_facts(path: &Path) -> Result<FleetFacts, Failure> {
    let wrong = |error| file(path, "read", &error);
    let open = || Ok(std::fs::File::open(path)?.take(FACTS_BYTES_MAX));
    let workers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let read = open().and_then(|opened| in_parts(opened, PART_BYTES, workers));
    match read.map_err(wrong)? {
        Some(hosts) => Ok(hosts),
        None => {
            let mut text = String::new();
            let read = open().and_then(|mut opened| opened.read_to_string(&mut text));
            read.map_err(wrong)?;
            check_format(path, &text, "facts", 0..=FACTS_FORMAT)?;
            Ok(parse::<StoredFacts>(path, &text, "a file of facts")?.hosts)
        }
    }
}

/// Keeps facts for `--facts`: each host on a line, so that the file can be searched and compared.
///
/// # Errors
/// When the file cannot be written.
pub fn save_facts(path: &Path, facts: &FleetFacts) -> Result<(), Failure> {
    write_file(path, |out| in_lines(facts, out))
}

fn in_lines(facts: &FleetFacts, out: &mut impl Write) -> io::Result<()> {
    write!(out, "{{\"format\":{FACTS_FORMAT},\"hosts\":{{")?;
    for (place, (host, facts)) in facts.iter().enumerate() {
        out.write_all(if place == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, host)?;
        out.write_all(b":")?;
        serde_json::to_writer(&mut *out, facts)?;
    }
    out.write_all(b"\n}}\n")
}

/// The hosts; `None` where the text is not laid out as it is written here, or something in it is wrong.
fn in_parts(text: impl Read, part_bytes: u64, workers: usize) -> io::Result<Option<FleetFacts>> {
    let (parts, queue) = sync_channel(workers.saturating_mul(2));
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| scope.spawn(|| parse_parts(&queue)))
            .collect();
        if !cut(text, part_bytes, parts)? {
            return Ok(None);
        }
        let mut done = BTreeMap::new();
        for worker in workers {
            match worker.join() {
                Ok(Some(parsed)) => done.extend(parsed),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
        let hosts = done.into_values().flat_map(|part| part.0);
        // Of two hosts with one name the last one counts, as in every map.
        Ok(Some(hosts.collect()))
    })
}

/// Hosts as they stand in a part, in their order.
struct Part(Vec<(HostName, HostFacts)>);

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Hosts;
        impl<'de> Visitor<'de> for Hosts {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the facts of hosts under their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Part, A::Error> {
                let mut hosts = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    hosts.push(entry);
                }
                Ok(Part(hosts))
            }
        }
        deserializer.deserialize_map(Hosts)
    }
}

/// Reads the text to its end and hands over its hosts, in numbered parts of whole lines, each an object of its own. Gives
/// whether the first line is one with which hosts begin.
///
/// No cut goes wrong unseen: one at another comma than between hosts leaves a part with brackets that are not closed.
fn cut(text: impl Read, part_bytes: u64, parts: SyncSender<(usize, Vec<u8>)>) -> io::Result<bool> {
    let mut text = BufReader::new(text);
    let mut head = Vec::new();
    let mut first = text.by_ref().take(HEAD_BYTES_MAX);
    first.read_until(b'\n', &mut head)?;
    if !is_head(&head) {
        return Ok(false);
    }
    for number in 0.. {
        let mut part = vec![b'{'];
        text.by_ref().take(part_bytes).read_to_end(&mut part)?;
        text.read_until(b'\n', &mut part)?;
        let is_last = !part.ends_with(b",\n");
        if is_last {
            text.read_to_end(&mut part)?;
            let closed = part.trim_ascii_end().strip_suffix(END);
            part.truncate(closed.map_or(0, <[u8]>::len));
        } else {
            part.truncate(part.len().saturating_sub(",\n".len()));
        }
        // Nothing before or behind a comma is no object, and must not be taken for an empty one.
        let is_blank = part
            .get(1..)
            .is_none_or(|hosts| hosts.trim_ascii().is_empty());
        if is_blank && (number, is_last) != (0, true) {
            part.clear();
        }
        part.push(b'}');
        // Workers go on until the last part was handed over.
        let _ = parts.send((number, part));
        if is_last {
            break;
        }
    }
    Ok(true)
}

/// Whether a line is all that stands before the hosts of a file that this program can read.
fn is_head(line: &[u8]) -> bool {
    let closed = serde_json::from_slice::<StoredFacts>(&[line, END].concat());
    line.ends_with(b"\n")
        && closed.is_ok_and(|around| around.hosts.is_empty() && around.format <= FACTS_FORMAT)
}

/// What one processor makes of the parts that it gets; `None` when one of them is wrong.
fn parse_parts(queue: &Mutex<Receiver<(usize, Vec<u8>)>>) -> Option<Vec<(usize, Part)>> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let mut done = Some(Vec::new());
    while let Ok((number, part)) = next() {
        let parsed = serde_json::from_slice::<Part>(&part);
        done = match (done, parsed) {
            (Some(mut done), Ok(facts)) => {
                done.push((number, facts));
                Some(done)
            }
            _ => None,
        };
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn whole(text: &str) -> Option<FleetFacts> {
        serde_json::from_str::<StoredFacts>(text)
            .ok()
            .map(|stored| stored.hosts)
    }

    fn parts(text: &str, part_bytes: u64) -> Option<FleetFacts> {
        in_parts(text.as_bytes(), part_bytes, 2).unwrap()
    }

    fn facts(reasons: &[(String, String)]) -> FleetFacts {
        let hosts = reasons.iter().map(|(name, reason)| {
            let facts = HostFacts::unknown(Timestamp::UNIX_EPOCH, reason);
            (HostName::new(name), facts)
        });
        hosts.collect()
    }

    fn lines(facts: &FleetFacts) -> String {
        let mut out = Vec::new();
        in_lines(facts, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_give_what_was_written(
            reasons in prop::collection::vec((r#"[a-z"{}\\\[\],:\n]{0,4}"#, r#"["{}\\\[\],:\n é]{0,6}"#), 0..6),
            part_bytes in 1_u64..3000,
        ) {
            let facts = facts(&reasons);
            prop_assert_eq!(parts(&lines(&facts), part_bytes), Some(facts));
        }

        /// Another layout may be left to who reads it in one piece, and is never read wrongly.
        #[test]
        fn another_layout_is_left_or_read_as_the_whole_is(
            reasons in prop::collection::vec((r#"[a-z"{}\\\[\],:]{0,4}"#, r#"["{}\\\[\],: é]{0,6}"#), 0..4),
            part_bytes in 1_u64..3000,
        ) {
            let hosts = facts(&reasons);
            let stored = StoredFacts { format: FACTS_FORMAT, hosts: hosts.clone() };
            let compact = serde_json::to_string(&stored).unwrap();
            let pretty = serde_json::to_string_pretty(&stored).unwrap();
            let broken = lines(&hosts).replace("},", "},\n").replace(":{", ":{\n");
            for text in [compact, pretty, broken] {
                let read = parts(&text, part_bytes);
                prop_assert!(read.is_none_or(|read| read == hosts), "{}", text);
            }
        }

        #[test]
        fn a_damaged_text_is_never_read_as_more_than_the_whole_is(
            place: prop::sample::Index,
            by in r#"[ "{}\\\[\],:a0\n]?"#,
            part_bytes in 1_u64..3000,
        ) {
            let mut text = lines(&facts(&[("a".into(), "x".into()), ("b".into(), "y".into())]));
            let at = place.index(text.len());
            text.replace_range(at..=at, &by);
            if let Some(read) = parts(&text, part_bytes) {
                prop_assert_eq!(Some(read), whole(&text), "{}", text);
            }
        }
    }

    #[test]
    fn of_two_hosts_with_one_name_the_last_one_counts() {
        let host = |reason: &str| {
            let facts = HostFacts::unknown(Timestamp::UNIX_EPOCH, reason);
            serde_json::to_string(&facts).unwrap()
        };
        let (old, new) = (host("old"), host("new"));
        let text = format!(
            "{{\"format\":2,\"hosts\":{{\n\"b\":{old},\n\"a\":{old},\n\"b\":{new},\n\"c\":{old},\n\"a\":{new}\n}}}}\n"
        );
        for part_bytes in [1, 100, 10_000, 100_000] {
            let read = parts(&text, part_bytes).unwrap();
            assert_eq!(Some(&read), whole(&text).as_ref());
            let reasons: Vec<_> = read.values().map(|facts| facts.release.gap()).collect();
            assert_eq!(reasons, [Some("new"), Some("new"), Some("old")]);
        }
    }

    #[test]
    fn commas_without_hosts_and_other_frames_are_refused() {
        let host = serde_json::to_string(&HostFacts::unknown(Timestamp::UNIX_EPOCH, "x")).unwrap();
        let around = |hosts: &str| format!("{{\"format\":2,\"hosts\":{{\n{hosts}\n}}}}\n");
        for text in [
            around(","),
            around(&format!("\"a\":{host},")),
            around(&format!(",\n\"a\":{host}")),
            around(&format!("\"a\":{host},\n,\n\"b\":{host}")),
            around(&format!("\"a\":{host},\n\"b\":{host}\n}}")),
            format!("{{\"format\":2,\"hosts\":{{\n\"a\":{host}\n"),
            format!("{{\"format\":2,\"hosts\":{{\"a\":{host},\n\"b\":{host}\n}}}}\n"),
            "{\"format\":2,\"hosts\":[\n]}".to_owned(),
            "{\"format\":2,\"hosts\":{\n},\"more\":{}}".to_owned(),
            "{\"format\":2,\"hosts\":{\n}} x".to_owned(),
            "{\"format\":2\n}}".to_owned(),
            "{\"format\":2}".to_owned(),
            String::new(),
        ] {
            for part_bytes in [1, 7, 100_000] {
                assert_eq!(parts(&text, part_bytes), None, "{text}");
            }
        }
        let spaced = "{\"format\": 2, \"hosts\": { \n\n }}\n";
        assert_eq!(parts(spaced, 3), Some(FleetFacts::new()));
        assert_eq!(parts(&around(""), 3), Some(FleetFacts::new()));
    }
}
