//! Memberships in clusters: kinds say what to look for and what to ask, this runs it within bounds.

use crate::process::{PATH, plain, run_bounded};
use jiff::Timestamp;
use overhaul_model::cluster::{ClusterMember, Evidence};
use overhaul_model::cluster_kind::{Ask, ClusterKind, Detect, INSTANCES};
use overhaul_model::facts::{Known, Listener, Unit};
use overhaul_model::membership::Membership;
use overhaul_model::primitive::{self, Measurement};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Longest that all kinds together may take: some hang where a cluster has lost its majority, and the
/// other facts wait for them.
const CLUSTERS_S_MAX: u64 = 40;

/// Output of one command that is read.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// Most instances of one kind on a host.
const INSTANCES_MAX: usize = 32;

/// What was gathered before and detection asks about.
pub(super) struct Seen<'a> {
    pub(super) units: &'a Known<Vec<Unit>>,
    pub(super) listening: &'a Known<Vec<Listener>>,
}

/// The memberships of this host.
pub(super) fn members(kinds: &[ClusterKind], seen: &Seen<'_>) -> Vec<ClusterMember> {
    let until = Instant::now() + Duration::from_secs(CLUSTERS_S_MAX);
    kinds
        .iter()
        .filter(|kind| fits(&kind.detect, seen))
        .flat_map(|kind| of_kind(kind, until))
        .collect()
}

/// Whether this host does its work in its cluster, asked now.
pub(crate) fn membership(wanted: &Membership, within: Duration) -> Measurement {
    let until = Instant::now() + within.min(Duration::from_secs(CLUSTERS_S_MAX));
    wanted.judge(&of_kind(&wanted.kind, until))
}

/// What could not be looked at does not speak against a kind.
fn fits(detect: &Detect, seen: &Seen<'_>) -> bool {
    let some = |empty: bool, found: bool| empty || found;
    let unit = |name: &String| {
        let units = seen.units.value();
        units.is_none_or(|all| {
            all.iter()
                .any(|u| u.load == "loaded" && like(name, &u.name))
        })
    };
    let port = |port: &u16| {
        let all = seen.listening.value();
        all.is_none_or(|all| all.iter().any(|l| is_tcp(l) && l.port == *port))
    };
    some(detect.units.is_empty(), detect.units.iter().any(unit))
        && some(detect.ports.is_empty(), detect.ports.iter().any(port))
        && some(
            detect.programs.is_empty(),
            detect.programs.iter().any(|name| is_program(name)),
        )
        && some(
            detect.files.is_empty(),
            detect.files.iter().any(|path| may_exist(path)),
        )
}

fn is_tcp(listener: &Listener) -> bool {
    listener.protocol.starts_with("tcp")
}

/// Whether a name is that of a pattern with at most one `*`.
fn like(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, end)) => {
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        }
    }
}

fn is_program(name: &str) -> bool {
    PATH.split(':')
        .any(|folder| Path::new(folder).join(name).is_file())
}

fn may_exist(path: &str) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn of_kind(kind: &ClusterKind, until: Instant) -> Vec<ClusterMember> {
    let Some(instances) = &kind.instances else {
        return Vec::from_iter(asked(kind, "", until));
    };
    let listed = evidence(INSTANCES, instances, &[], until);
    let lines = listed.output.lines().filter(|line| !line.trim().is_empty());
    let lines: Vec<&str> = lines.collect();
    if listed.fault.is_some() || lines.len() > INSTANCES_MAX {
        let several = format!("{} instances, more than {INSTANCES_MAX}", lines.len());
        let fault = listed.fault.clone().or(Some(several));
        // A member of which nothing is known: it may not be taken for none.
        let unknown = vec![Evidence { fault, ..listed }];
        return Vec::from_iter(kind.member("", unknown, Timestamp::now()));
    }
    let member = |line: &&str| asked(kind, line, until);
    lines.iter().filter_map(member).collect()
}

fn asked(kind: &ClusterKind, instance: &str, until: Instant) -> Option<ClusterMember> {
    let words: Vec<&str> = instance.split_ascii_whitespace().collect();
    let ask = |(name, ask): (&String, &Ask)| evidence(name, ask, &words, until);
    let answers = kind.ask.iter().map(ask).collect();
    kind.member(instance, answers, Timestamp::now())
}

/// What a command prints, and why it counts for nothing if so.
fn evidence(name: &str, ask: &Ask, words: &[&str], until: Instant) -> Evidence {
    let left = until.saturating_duration_since(Instant::now());
    let within = ask.timeout.as_duration().min(left);
    let told = |fault, output| Evidence {
        ask: name.to_owned(),
        fault,
        output,
    };
    if within.is_zero() {
        let why = format!("not asked: all clusters together have {CLUSTERS_S_MAX} s");
        return told(Some(why), String::new());
    }
    let done = match run_bounded(command(ask, words), within, OUTPUT_BYTES_MAX) {
        Ok(done) => done,
        Err(gone) => return told(Some(gone.to_string()), String::new()),
    };
    let fault = if !done.status.success() {
        Some(format!("{} ({})", done.last_line(), done.status))
    } else if done.cut {
        Some(format!("it printed more than {OUTPUT_BYTES_MAX} bytes"))
    } else {
        None
    };
    told(fault, String::from_utf8_lossy(&done.out).into_owned())
}

/// The words of an instance follow as arguments, so that no text of the host is ever read as a script.
fn command(ask: &Ask, words: &[&str]) -> Command {
    let mut command = match &ask.command {
        primitive::Command::Argv(argv) => match argv.split_first() {
            Some((program, arguments)) => plain(program, arguments),
            // Readers let no empty list through; the system then says that there is no such program.
            None => plain::<&str>("", []),
        },
        primitive::Command::Shell(script) => plain("/bin/sh", ["-eu", "-c", script, "sh"]),
    };
    command.args(words);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use overhaul_model::cluster_kind::{Answer, Condition, Deeds, Place, Readings, RoleReading};
    use overhaul_model::primitive::Command as Written;
    use overhaul_model::span::Span;
    use std::collections::BTreeMap;

    fn place(at: &str) -> Place {
        Place {
            of: "state".to_owned(),
            at: at.to_owned(),
        }
    }

    fn shell(script: &str, timeout_ms: u64) -> Ask {
        Ask {
            command: Written::Shell(script.to_owned()),
            timeout: Span::from_ms(timeout_ms),
            answer: Answer::Lines,
        }
    }

    fn kind(script: &str, instances: Option<&str>, detect: Detect) -> ClusterKind {
        let healthy = Condition {
            place: place("fit"),
            is: vec!["yes".to_owned()],
        };
        ClusterKind {
            name: "k".to_owned(),
            describes: String::new(),
            detect,
            instances: instances.map(|script| shell(script, 5_000)),
            ask: BTreeMap::from([("state".to_owned(), shell(script, 2_000))]),
            member_when: Vec::new(),
            owns: Vec::new(),
            no_mix: Vec::new(),
            no_feed: Vec::new(),
            deeds: Deeds::default(),
            read: Readings {
                cluster: place("cluster"),
                member: place("member"),
                role: RoleReading {
                    place: place("state"),
                    words: BTreeMap::new(),
                    otherwise: None,
                },
                members: None,
                known: None,
                alive: None,
                quorate: Vec::new(),
                healthy: vec![healthy],
                lag: None,
                data: None,
                version: None,
            },
        }
    }

    fn here(kind: &ClusterKind) -> Vec<String> {
        let units = Known::Measured {
            value: vec![Unit::new("db@a.service", "loaded", "active", "running")],
            at: Timestamp::UNIX_EPOCH,
        };
        let seen = Seen {
            units: &units,
            listening: &Known::not_asked(),
        };
        let told = |member: ClusterMember| match (&member.member, &member.healthy) {
            (Known::Measured { value, .. }, Known::Measured { value: fit, .. }) => {
                format!("{} {value} {fit}", member.instance)
            }
            (_, Known::Unknown { reason }) => format!("{} ? {reason}", member.instance),
            (Known::Unknown { reason }, _) => reason.clone(),
        };
        let members = members(std::slice::from_ref(kind), &seen);
        members.into_iter().map(told).collect()
    }

    #[test]
    fn instances_are_asked_one_by_one_and_their_words_are_no_script() {
        let listing = "echo 'one 1'; echo; echo 'two;echo 2'";
        let ask = "printf 'member\\t%s\\nfit\\tyes\\n' \"$1+$2\"";
        assert_eq!(
            here(&kind(ask, Some(listing), Detect::default())),
            ["one 1 one+1 true", "two;echo 2 two;echo+2 true"]
        );
        assert!(here(&kind(ask, Some("true"), Detect::default())).is_empty());
    }

    #[test]
    fn what_hangs_fails_or_floods_is_a_member_of_which_nothing_is_known() {
        for (script, why) in [
            (
                "sleep 60",
                " ? state: it took longer than 2 s and was ended",
            ),
            ("echo no >&2; exit 4", " ? state: no (exit status: 4)"),
            (
                "head -c 70000 /dev/zero",
                " ? state: it printed more than 65536 bytes",
            ),
            ("echo garbage", " ? state does not tell `fit`"),
        ] {
            assert_eq!(here(&kind(script, None, Detect::default())), [why]);
        }
        let lost = kind("true", Some("echo lost >&2; exit 1"), Detect::default());
        assert_eq!(here(&lost), [" ? instances: lost (exit status: 1)"]);
    }

    #[test]
    fn a_membership_is_measured_now_and_what_hangs_is_unknown() {
        let measured = |script: &str, instances: Option<&str>| {
            let kind = kind(script, instances, Detect::default());
            let cluster = Some("c".to_owned());
            let wanted = Membership {
                kind,
                cluster,
                beyond: None,
            };
            match membership(&wanted, Duration::from_secs(5)) {
                Measurement::So { evidence } => format!("so: {evidence}"),
                Measurement::NotSo { evidence } => format!("not so: {evidence}"),
                Measurement::Unknown { reason } => format!("? {reason}"),
            }
        };
        let says = |fit: &str, of: &str| {
            let lines = format!("member\\tm\\nstate\\ton\\nfit\\t{fit}\\ncluster\\t{of}\\n");
            measured(&format!("printf '{lines}'"), None)
        };
        assert_eq!(says("yes", "c"), "so: m: on");
        assert_eq!(says("no", "c"), "not so: m does not do its work: on");
        assert_eq!(says("yes", "d"), "not so: m belongs to `d`, not to `c`");
        assert_eq!(
            measured("sleep 60", None),
            "? state: it took longer than 2 s and was ended"
        );
        assert_eq!(
            measured("true", Some("true")),
            "not so: it is no member of a k cluster"
        );
    }

    #[test]
    fn a_kind_is_asked_only_where_each_of_its_lists_fits() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        for (units, programs, files, asked) in [
            (
                ["db@*.service"].as_slice(),
                [].as_slice(),
                [].as_slice(),
                true,
            ),
            (&["dc@*.service"], &[], &[], false),
            (&["no", "db@a.service"], &["no-such", "sh"], &["/etc"], true),
            (&["db@a.service"], &["no-such"], &["/etc"], false),
            (&[], &["sh"], &["/no/such"], false),
        ] {
            let detect = Detect {
                units: texts(units),
                // Sockets were not looked at, which speaks against nothing.
                ports: vec![1],
                programs: texts(programs),
                files: texts(files),
            };
            let kind = kind("echo", None, detect);
            assert_eq!(!here(&kind).is_empty(), asked, "{:?}", kind.detect);
        }
    }
}
