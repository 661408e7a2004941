//! Facts and measures of the machine that runs the tests.
mod common;

use common::{Host, facts_request};
use overhaul_model::facts::{FactsWanted, HostFacts, Known};
use overhaul_model::primitive::{Measure, Measurement, UnitState};
use overhaul_model::span::Span;
use overhaul_model::wire::{RequestBody, ResponseBody};

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
