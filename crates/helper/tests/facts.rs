//! Facts and measures of the machine that runs the tests.

#![expect(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected shall stop there"
)]

mod common;

use common::{Host, facts_request};
use overhaul_model::facts::{FactsWanted, HostFacts, Known, NOT_ASKED};
use overhaul_model::primitive::{Measure, Measurement, UnitState};
use overhaul_model::span::Span;
use overhaul_model::wire::{RequestBody, ResponseBody};
use std::collections::BTreeSet;

#[track_caller]
fn facts(answer: ResponseBody) -> HostFacts {
    match answer {
        ResponseBody::Facts(facts) => *facts,
        other => {
            assert!(format!("{other:?}").is_empty(), "no facts, but {other:?}");
            HostFacts::unknown(jiff::Timestamp::now(), "")
        }
    }
}

/// Each fact is measured, or says why not.
#[track_caller]
fn told<T: std::fmt::Debug>(fact: &Known<T>) {
    if let Known::Unknown { reason } = fact {
        assert!(!reason.is_empty());
    }
}

#[test]
fn every_fact_is_measured_or_says_why_not() {
    let host = Host::new();
    let mut client = host.connect();
    let found = facts(client.ask(facts_request()));
    let ResponseBody::Hello {
        install_id, boot, ..
    } = &client.hello
    else {
        panic!("{:?}", client.hello);
    };
    assert_eq!(found.install_id.value(), Some(install_id));
    assert_eq!(found.boot.value(), Some(boot));
    assert!(!found.release.value().unwrap().os.is_empty());
    assert_eq!(found.architecture.value().unwrap(), std::env::consts::ARCH);
    assert!(found.clock_offset_ms.value().unwrap().abs() < 60_000);
    let mounts = found.mounts.value().unwrap();
    assert!(
        mounts
            .iter()
            .any(|mount| mount.path == "/" && mount.size_bytes > 0)
    );
    assert!(found.listening.value().is_some());
    told(&found.machine_id);
    told(&found.packages_broken);
    told(&found.packages_held);
    told(&found.foreign_sources);
    told(&found.units);
    assert_eq!(found.postgresql, Known::not_asked());
    let wanted = FactsWanted {
        postgresql: true,
        ..FactsWanted::default()
    };
    let asked = facts(client.ask(RequestBody::Facts {
        wanted,
        controller_now: jiff::Timestamp::now(),
    }));
    assert_ne!(asked.postgresql, Known::not_asked());
}

/// Everything that can be asked for but what reaches for the network or reads all of `/usr`.
fn asked_for_all() -> HostFacts {
    let wanted = FactsWanted {
        postgresql: true,
        upgrade: true,
        stored: true,
        ..FactsWanted::default()
    };
    facts(Host::new().connect().ask(RequestBody::Facts {
        wanted,
        controller_now: jiff::Timestamp::now(),
    }))
}

/// What a program of this machine prints, whatever its exit code says.
fn printed(program: &str, arguments: &[&str]) -> String {
    let out = std::process::Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap();
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn nothing_is_gathered_unasked_and_everything_when_asked() {
    let found = facts(Host::new().connect().ask(facts_request()));
    let unasked: Vec<&str> = found
        .packages
        .gaps()
        .into_iter()
        .chain(found.names.gaps())
        .chain(found.storage.gaps())
        .chain(found.running.gaps())
        .filter(|(_, reason)| *reason == NOT_ASKED)
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        unasked,
        [
            "installed",
            "obsolete",
            "set_aside",
            "conffiles_changed",
            "files_changed",
            "alternatives_by_hand",
            "next_release",
            "interfaces",
            "naming",
            "kernel_disk_names",
            "data",
            "old_code",
        ]
    );
    let asked = asked_for_all();
    for (name, reason) in asked.packages.gaps() {
        let by_itself = ["files_changed", "next_release"].contains(&name);
        assert_eq!(reason == NOT_ASKED, by_itself, "{name}: {reason}");
    }
    assert!(asked.kernel.running.value().is_some());
    assert!(asked.machine.memory_bytes.value().unwrap() > &0);
    assert!(asked.machine.cpus.value().unwrap() > &0);
    let people = asked.running.people.value().unwrap();
    assert!(people.iter().any(|account| account.uid == 0));
}

/// The real programs say the same of this machine.
#[test]
fn packages_are_as_dpkg_and_apt_tell_them() {
    let found = asked_for_all();
    let format = "--showformat=${db:Status-Abbrev} ${binary:Package} ${Version}\n";
    let listed = printed("dpkg-query", &["--show", format]);
    let with = |state: &str| -> Vec<String> {
        let mut names: Vec<String> = listed
            .lines()
            .filter_map(|line| line.strip_prefix(state))
            .map(|rest| rest.trim().to_owned())
            .collect();
        names.sort();
        names
    };
    let mut installed: Vec<String> = found
        .packages
        .installed
        .value()
        .unwrap()
        .iter()
        .map(|package| format!("{} {}", package.name, package.version))
        .collect();
    installed.sort();
    // dpkg also names the own architecture of packages of which several may be installed.
    let native = printed("dpkg", &["--print-architecture"]);
    let own = format!(":{} ", native.trim());
    let mut expected: Vec<String> = with("ii")
        .into_iter()
        .chain(with("hi"))
        .map(|line| line.replace(&own, " "))
        .collect();
    expected.sort();
    assert_eq!(installed, expected);
    let removed = found.packages.removed_not_purged.value().unwrap();
    assert_eq!(removed.len(), with("rc").len());
    // `?obsolete` wants indexes, and so do we.
    if let Some(obsolete) = found.packages.obsolete.value() {
        let mut ours: Vec<&str> = obsolete.iter().map(|p| p.name.as_str()).collect();
        ours.sort_unstable();
        let listed = printed("apt", &["-qq", "list", "?obsolete"]);
        let mut theirs: Vec<&str> = listed
            .lines()
            .filter_map(|line| line.split('/').next())
            .collect();
        theirs.sort_unstable();
        theirs.dedup();
        assert_eq!(ours, theirs);
    } else {
        let reason = found.packages.obsolete.gap().unwrap();
        assert!(reason.contains("index"), "{reason}");
    }
}

/// What dpkg has on record, compared by `md5sum`.
#[test]
fn changed_configuration_files_are_as_dpkg_and_md5sum_tell_them() {
    let found = asked_for_all();
    let records = printed(
        "dpkg-query",
        &["--show", "--showformat=${db:Status-Abbrev}\n${Conffiles}\n"],
    );
    let mut installed = false;
    let mut theirs = BTreeSet::new();
    for line in records.lines() {
        if !line.starts_with(" /") {
            installed = line.starts_with("ii ") || line.starts_with("hi ");
        }
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        if let ([path, md5], true) = (fields.as_slice(), installed && line.starts_with(" /")) {
            let summed = printed("md5sum", &[path]);
            if !summed.starts_with(*md5) && *md5 != "newconffile" {
                theirs.insert((*path).to_owned());
            }
        }
    }
    let changed = found.packages.conffiles_changed.value().unwrap();
    let of_ucf = std::fs::read_to_string("/var/lib/ucf/hashfile").unwrap_or_default();
    let ours: BTreeSet<String> = changed
        .iter()
        .map(|file| file.path.clone())
        .filter(|path| theirs.contains(path) || !of_ucf.contains(path.as_str()))
        .collect();
    assert_eq!(ours, theirs);
}

#[test]
fn who_listens_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let found = asked_for_all();
    let program = std::fs::read_to_string("/proc/self/comm").unwrap();
    let sockets = found.listening.value().unwrap();
    let ours = sockets.iter().find(|socket| socket.port == port).unwrap();
    assert_eq!(ours.program, program.trim());
}

#[test]
fn a_listening_socket_is_seen() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let found = facts(Host::new().connect().ask(facts_request()));
    let seen = found.listening.value().unwrap().iter().any(|socket| {
        (
            socket.protocol.as_str(),
            socket.address.as_str(),
            socket.port,
        ) == ("tcp", "127.0.0.1", port)
    });
    assert!(seen);
}

#[test]
fn conditions_are_measured_over_the_wire() {
    let host = Host::new();
    let mut client = host.connect();
    let mut measured = |measure: Measure| {
        let within = Span::from_s(20);
        match client.ask(RequestBody::Measure { measure, within }) {
            ResponseBody::Measured(measured) => measured,
            other => Measurement::Unknown {
                reason: format!("{other:?}"),
            },
        }
    };
    let other = measured(Measure::Release {
        os: "plan9".to_owned(),
        version: "4".to_owned(),
    });
    assert!(matches!(other, Measurement::NotSo { .. }), "{other:?}");
    let far = measured(Measure::Http {
        url: "http://localhost/".to_owned(),
        status: 200,
    });
    assert!(matches!(far, Measurement::Unknown { .. }), "{far:?}");
    let option = measured(Measure::Unit {
        unit: "--help".to_owned(),
        state: UnitState::Active,
    });
    assert!(matches!(option, Measurement::Unknown { .. }), "{option:?}");
    if std::path::Path::new("/var/lib/dpkg/status").exists() {
        let names = vec!["dpkg".to_owned()];
        let there = measured(Measure::PackagesInstalled { names });
        assert!(there.is_so(), "{there:?}");
        let names = vec!["dpkg".to_owned(), "no-such-package-here".to_owned()];
        let absent = measured(Measure::PackagesInstalled { names });
        assert!(matches!(absent, Measurement::NotSo { .. }), "{absent:?}");
        let clean = measured(Measure::PackagesClean);
        assert!(!clean.words().is_empty());
    }
}
