use super::*;

fn record(stand: AuthorityStand) -> AuthorityRecord {
    AuthorityRecord {
        about: Subject {
            fleet: "office".to_owned(),
            dataset: "files".into(),
            paths: vec!["/srv/files".to_owned()],
            units: vec!["share.service".to_owned()],
        },
        stand,
        moved: Moved {
            run: RunId::new("run-1"),
            position: Position::on("upgrade/x".into(), "b".into()),
            digest: "d".to_owned(),
            at: Timestamp::UNIX_EPOCH,
        },
    }
}

fn held() -> AuthorityStand {
    AuthorityStand::Held { from: "a".into() }
}

fn given() -> AuthorityStand {
    AuthorityStand::Given { to: "b".into() }
}

fn voided() -> AuthorityStand {
    AuthorityStand::Voided {
        person: "ada".into(),
        reason: "b is gone".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        before: Box::new(given()),
    }
}

/// `write PATH`, `start UNIT`, `change DATASET`, `receive DATASET PATH FROM`, `send DATASET PATH`.
fn claim(text: &str) -> Claim {
    let list = |text: &str| vec![text.to_owned()];
    let writes = |dataset: Option<&str>, paths, units| Claim::Writes {
        dataset: dataset.map(Into::into),
        paths,
        units,
    };
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["write", path] => writes(None, list(path), Vec::new()),
        ["start", unit] => writes(None, Vec::new(), list(unit)),
        ["change", dataset] => writes(Some(dataset), Vec::new(), Vec::new()),
        ["receive", dataset, path, from] => Claim::Receives {
            dataset: dataset.into(),
            paths: list(path),
            from: from.into(),
        },
        ["send", dataset, path] => Claim::Sends {
            dataset: dataset.into(),
            paths: list(path),
        },
        _ => panic!("{text}"),
    }
}

#[test]
fn the_old_side_is_not_written_and_the_transfer_not_repeated_until_the_record_is_void() {
    for (fleet, text, by_holder, by_giver) in [
        ("office", "write /srv/files/x", true, false),
        ("office", "write /srv", true, false),
        ("office", "write /srv/files2", true, true),
        ("office", "start share", true, false),
        ("office", "start share.service", true, false),
        ("office", "start other.service", true, true),
        ("office", "change files", true, false),
        // Another fleet's dataset of that name is another one; its paths are the same host's.
        ("home", "change files", true, true),
        ("home", "write /srv/files", true, false),
        ("office", "send files /srv/files", true, false),
        ("office", "send other /srv/other", true, true),
        ("office", "receive files /srv/files a", false, false),
        ("office", "receive other /srv/files/below c", false, false),
        // From the one that has it by now it comes back.
        ("office", "receive files /srv/files b", false, true),
        ("office", "receive other /srv/other a", true, true),
    ] {
        let judged = |stand| judge(&[record(stand)], fleet, &[claim(text)]).is_ok();
        assert_eq!(judged(held()), by_holder, "{text} at the holder");
        assert_eq!(judged(given()), by_giver, "{text} at the giver");
        assert!(judged(voided()), "{text} when it is void");
    }
    let both = [claim("write /etc/motd"), claim("start share")];
    assert_eq!(
        judge(&[record(given())], "office", &both).unwrap_err(),
        "the authority over files went to b at 1970-01-01T00:00:00Z (run run-1); a person who knows better voids that \
         record: overhaul void --dataset files --host HOST --reason TEXT"
    );
}
