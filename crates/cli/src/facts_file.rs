//! A file of facts, as `--save-facts` writes and `--facts` reads it: the facts of all hosts under their names.
//!
//! A large fleet's file has some gigabytes. It is cut between hosts while it is read, and the parts are parsed on all
//! processors, so that its text never stands in memory as a whole. Where a part is wrong, the file is read
//! once more in one piece: only then are line and column of the fault known.

use crate::failure::{Failure, file};
use crate::inputs::{check_format, parse, write_file};
use overhaul_model::facts::{FleetFacts, HostFacts};
use overhaul_model::id::HostName;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write as _};
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
const PART_BYTES: usize = 256 * 1024;

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
    let around = |frame: &[u8]| serde_json::from_slice::<StoredFacts>(frame);
    match read.map_err(wrong)? {
        Some((frame, hosts)) if around(&frame).is_ok_and(|f| f.format <= FACTS_FORMAT) => Ok(hosts),
        Some(_) | None => {
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
    write_file(path, |out| {
        write!(out, "{{\"format\":{FACTS_FORMAT},\"hosts\":{{")?;
        for (place, (host, facts)) in facts.iter().enumerate() {
            out.write_all(if place == 0 { b"\n" } else { b",\n" })?;
            serde_json::to_writer(&mut *out, host)?;
            out.write_all(b":")?;
            serde_json::to_writer(&mut *out, facts)?;
        }
        out.write_all(b"\n}}\n")
    })
}

/// The hosts, and the text around them with none in it; `None` where a part is not one.
fn in_parts(
    text: impl Read,
    part_bytes: usize,
    workers: usize,
) -> io::Result<Option<(Vec<u8>, FleetFacts)>> {
    let (parts, queue) = sync_channel(workers.saturating_mul(2));
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| scope.spawn(|| parse_parts(&queue)))
            .collect();
        let frame = cut(text, part_bytes, parts)?;
        let mut done = BTreeMap::new();
        for worker in workers {
            match worker.join() {
                Ok(Some(parsed)) => done.extend(parsed),
                Ok(None) | Err(_) => return Ok(None),
            }
        }
        let hosts = done.into_values().flat_map(|part| part.0);
        Ok(Some((frame, by_name(hosts.collect()))))
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

/// Of two hosts with one name the last one counts. The map is made of all at once: its nodes are full then, and
/// half empty when hosts come one by one.
fn by_name(mut hosts: Vec<(HostName, HostFacts)>) -> FleetFacts {
    hosts.reverse();
    hosts.sort_by(|(one, _), (other, _)| one.cmp(other));
    hosts.dedup_by(|(one, _), (other, _)| one == other);
    hosts.into_iter().collect()
}

/// Reads the text to its end and hands its parts over, numbered. Gives what stands around the hosts.
fn cut(
    mut text: impl Read,
    part_bytes: usize,
    parts: SyncSender<(usize, Vec<u8>)>,
) -> io::Result<Vec<u8>> {
    let mut cutter = Cutter::default();
    let mut piece = vec![0; part_bytes];
    let mut number = 0_usize;
    loop {
        let length = match text.read(&mut piece) {
            Ok(0) => return Ok(cutter.frame),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = piece.get(..length).unwrap_or_default();
        cutter.take(piece, &mut |part| {
            // Workers go on until the last part was handed over.
            let _ = parts.send((number, part));
            number = number.saturating_add(1);
        });
    }
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

/// How deep in brackets the hosts stand: `{"hosts": {`.
const HOSTS_DEPTH: u32 = 2;

/// Cuts the text between hosts, by counting brackets outside of strings. Each part is an object of its own.
#[derive(Default)]
struct Cutter {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// Everything that stands around the hosts.
    frame: Vec<u8>,
    /// The hosts since the last cut.
    part: Vec<u8>,
    /// Whether a part ended at a comma.
    was_cut: bool,
}

impl Cutter {
    /// Takes a piece of the text, and hands over what is whole with it.
    fn take(&mut self, piece: &[u8], done: &mut impl FnMut(Vec<u8>)) {
        let between = |from: usize, to: usize| piece.get(from..to).unwrap_or_default();
        let (mut from, mut comma) = (0, None);
        for (at, byte) in piece.iter().enumerate() {
            if self.in_string {
                self.pass_string(*byte);
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    if self.depth == HOSTS_DEPTH {
                        self.frame.extend(between(from, at.saturating_add(1)));
                        from = at.saturating_add(1);
                    }
                }
                b'}' | b']' => {
                    if self.depth == HOSTS_DEPTH {
                        self.part.extend(between(from, at));
                        self.hand_over(false, done);
                        (from, comma) = (at, None);
                    }
                    self.depth = self.depth.saturating_sub(1);
                }
                b',' if self.depth == HOSTS_DEPTH => comma = Some(at),
                _ => {}
            }
        }
        if self.depth < HOSTS_DEPTH {
            self.frame.extend(between(from, piece.len()));
            return;
        }
        if let Some(comma) = comma {
            self.part.extend(between(from, comma));
            self.hand_over(true, done);
            from = comma.saturating_add(1);
        }
        self.part.extend(between(from, piece.len()));
    }

    fn pass_string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    fn hand_over(&mut self, at_comma: bool, done: &mut impl FnMut(Vec<u8>)) {
        let part = std::mem::take(&mut self.part);
        // Nothing before or behind a comma is no object, and must not be taken for an empty one.
        let nothing = part.iter().all(u8::is_ascii_whitespace);
        let lacking = nothing && (at_comma || self.was_cut);
        self.was_cut = at_comma;
        done(match lacking {
            true => Vec::new(),
            false => [b"{", part.as_slice(), b"}"].concat(),
        });
    }
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

    fn parts(text: &str, part_bytes: usize) -> Option<FleetFacts> {
        let (frame, hosts) = in_parts(text.as_bytes(), part_bytes, 2).unwrap()?;
        serde_json::from_slice::<StoredFacts>(&frame).ok()?;
        Some(hosts)
    }

    fn text(reasons: &[(String, String)], pretty: bool) -> String {
        let hosts = reasons.iter().map(|(name, reason)| {
            let facts = HostFacts::unknown(Timestamp::UNIX_EPOCH, reason);
            (HostName::new(name), facts)
        });
        let stored = StoredFacts {
            format: FACTS_FORMAT,
            hosts: hosts.collect(),
        };
        match pretty {
            true => serde_json::to_string_pretty(&stored).unwrap(),
            false => serde_json::to_string(&stored).unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parts_give_what_the_whole_gives(
            reasons in prop::collection::vec((r#"[a-z"{}\\\[\],:]{0,4}"#, r#"["{}\\\[\],: é]{0,6}"#), 0..6),
            pretty: bool,
            part_bytes in 1_usize..3000,
        ) {
            let text = text(&reasons, pretty);
            prop_assert_eq!(parts(&text, part_bytes), whole(&text));
        }

        #[test]
        fn a_damaged_text_is_refused_as_the_whole_is(
            place: prop::sample::Index,
            by in r#"[ "{}\\\[\],:a0]?"#,
            part_bytes in 1_usize..3000,
        ) {
            let mut text = text(&[("a".into(), "x".into()), ("b".into(), "y".into())], false);
            let at = place.index(text.len());
            text.replace_range(at..=at, &by);
            prop_assert_eq!(parts(&text, part_bytes), whole(&text), "{}", text);
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
            r#"{{"format":2,"hosts":{{"b":{old},"a":{old},"b":{new},"c":{old},"a":{new}}}}}"#
        );
        let read = parts(&text, 100).unwrap();
        assert_eq!(Some(&read), whole(&text).as_ref());
        let reasons: Vec<_> = read.values().map(|facts| facts.release.gap()).collect();
        assert_eq!(reasons, [Some("new"), Some("new"), Some("old")]);
    }

    #[test]
    fn commas_without_hosts_and_other_frames_are_refused() {
        for text in [
            r#"{"format":2,"hosts":{,}}"#,
            r#"{"format":2,"hosts":{"#,
            r#"{"format":2,"hosts":[]}"#,
            r#"{"format":2,"hosts":{},"more":{}}"#,
            r#"{"format":2,"hosts":{}} x"#,
            r#"{"format":2}"#,
            "",
        ] {
            for part_bytes in [1, 7, 1000] {
                assert_eq!(parts(text, part_bytes), None, "{text}");
            }
        }
        assert_eq!(
            parts(r#"{"hosts": { }, "format": 2}"#, 3),
            Some(FleetFacts::new())
        );
    }
}
