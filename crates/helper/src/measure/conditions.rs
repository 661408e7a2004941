//! Each sort of condition.

use super::packages;
use crate::facts;
use crate::files;
use crate::process::{self, plain, run_bounded};
use overhaul_model::primitive::{EditFile, Exec, Measure, Measurement, UnitState, WriteFile};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

/// Output of a measuring command that is read.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// Characters of its last line that are kept as evidence.
const EVIDENCE_CHARS_MAX: usize = 300;

/// Exit codes of a shell for a command that cannot be started and for one that is not found.
const NOT_RUN: [i32; 2] = [126, 127];

/// Measures a condition within a bound. What cannot be measured is unknown, never good.
pub fn measure(measure: &Measure, within: Duration) -> Measurement {
    let since = Instant::now();
    let left = || within.saturating_sub(since.elapsed());
    match measure {
        Measure::Command(exec) => command(exec, within),
        Measure::Unit { unit, state } => unit_is(unit, *state, within),
        Measure::Release { os, version } => release(os, version),
        Measure::PackagesClean => packages::clean(within),
        Measure::PackagesInstalled { names } => packages::installed(names, within),
        Measure::FileIs(file) => file_is(file),
        Measure::FileEdited(file) => file_edited(file),
        Measure::Http { .. } | Measure::Tcp { .. } => {
            unknown("this is measured from the controller".to_owned())
        }
        Measure::Member(member) => facts::membership(member, within),
        Measure::All(parts) => {
            Measurement::all(parts.iter().map(|part| self::measure(part, left())))
        }
    }
}

fn so(evidence: String) -> Measurement {
    Measurement::So { evidence }
}

fn not_so(evidence: String) -> Measurement {
    Measurement::NotSo { evidence }
}

fn unknown(reason: String) -> Measurement {
    Measurement::Unknown { reason }
}

fn command(exec: &Exec, within: Duration) -> Measurement {
    let command = match process::command(exec) {
        Ok(command) => command,
        Err(error) => return unknown(error.to_string()),
    };
    let done = match run_bounded(command, within, OUTPUT_BYTES_MAX) {
        Ok(done) => done,
        Err(gone) => return unknown(gone.to_string()),
    };
    let line: String = done.last_line().chars().take(EVIDENCE_CHARS_MAX).collect();
    match done.status.code() {
        None => unknown(format!(
            "it was ended by signal {}",
            done.status.signal().unwrap_or(0)
        )),
        Some(code) if exec.success.contains(&code) => so(with_code(&line, code)),
        Some(code) if NOT_RUN.contains(&code) => {
            unknown(format!("it cannot be run: {}", with_code(&line, code)))
        }
        Some(code) => not_so(with_code(&line, code)),
    }
}

fn with_code(line: &str, code: i32) -> String {
    if line.is_empty() {
        format!("exit code {code}")
    } else {
        format!("{line} (exit code {code})")
    }
}

fn unit_is(unit: &str, state: UnitState, within: Duration) -> Measurement {
    if unit.is_empty() || unit.starts_with('-') {
        return unknown(format!("{unit:?} is no unit's name"));
    }
    let arguments = [
        "show",
        "-p",
        "LoadState,ActiveState,UnitFileState",
        "--",
        unit,
    ];
    let done = match run_bounded(plain("systemctl", arguments), within, OUTPUT_BYTES_MAX) {
        Ok(done) => done,
        Err(gone) => return unknown(format!("systemctl: {gone}")),
    };
    if !done.status.success() {
        let line = done.last_line();
        return unknown(format!("systemctl: {line} ({})", done.status));
    }
    judge_unit(&String::from_utf8_lossy(&done.out), state)
}

fn judge_unit(shown: &str, wanted: UnitState) -> Measurement {
    let field = |name: &str| {
        shown
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let (load, active, file) = (
        field("LoadState"),
        field("ActiveState"),
        field("UnitFileState"),
    );
    if load.is_empty() || active.is_empty() {
        return unknown("systemctl shows no state".to_owned());
    }
    let masked = load == "masked" || file == "masked" || file == "masked-runtime";
    let stopped = active == "inactive" || active == "failed";
    let enabled = matches!(
        file,
        "enabled" | "enabled-runtime" | "static" | "alias" | "generated"
    );
    let holds = match wanted {
        UnitState::Active => active == "active",
        UnitState::Stopped => stopped,
        UnitState::Held => masked && stopped,
        UnitState::Startable => !masked && load != "not-found",
        UnitState::Enabled => enabled,
        UnitState::Disabled => !enabled,
    };
    let evidence = format!(
        "{load}, {active}, {}",
        if file.is_empty() {
            "no unit file"
        } else {
            file
        }
    );
    if holds {
        so(evidence)
    } else {
        not_so(evidence)
    }
}

fn release(os: &str, version: &str) -> Measurement {
    match facts::os_release() {
        Ok(found) if found.os == os && found.version == version => so(found.pretty),
        Ok(found) => not_so(found.pretty),
        Err(reason) => unknown(reason),
    }
}

fn file_is(file: &WriteFile) -> Measurement {
    match files::differs(file) {
        Ok(None) => so("it is so".to_owned()),
        Ok(Some(difference)) => not_so(difference.to_owned()),
        Err(error) => unknown(error.to_string()),
    }
}

fn file_edited(file: &EditFile) -> Measurement {
    match files::edited_text(file) {
        Ok((_, old, new)) if old == new => so("it is so".to_owned()),
        Ok(_) => not_so("edits are lacking".to_owned()),
        Err(error) => unknown(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_secs(5);

    fn shown(load: &str, active: &str, file: &str) -> String {
        format!("LoadState={load}\nActiveState={active}\nUnitFileState={file}\n")
    }

    #[test]
    fn a_unit_is_judged_by_all_its_states() {
        use UnitState::{Active, Disabled, Enabled, Held, Startable, Stopped};
        for (shown, holding) in [
            (
                shown("loaded", "active", "enabled"),
                vec![Active, Startable, Enabled],
            ),
            (
                shown("loaded", "inactive", "disabled"),
                vec![Stopped, Startable, Disabled],
            ),
            (
                shown("loaded", "activating", "enabled"),
                vec![Startable, Enabled],
            ),
            (
                shown("masked", "inactive", "masked"),
                vec![Stopped, Held, Disabled],
            ),
            (shown("masked", "active", "masked"), vec![Active, Disabled]),
            (shown("not-found", "inactive", ""), vec![Stopped, Disabled]),
        ] {
            for wanted in [Active, Stopped, Held, Startable, Enabled, Disabled] {
                let measured = judge_unit(&shown, wanted);
                assert_eq!(
                    measured.is_so(),
                    holding.contains(&wanted),
                    "{shown}{wanted:?}"
                );
            }
        }
        assert!(matches!(
            judge_unit("", Stopped),
            Measurement::Unknown { .. }
        ));
    }

    #[test]
    fn a_command_measures_by_its_exit_code() {
        for (script, expected) in [
            ("echo yes", "So { evidence: \"yes (exit code 0)\" }"),
            ("true", "So { evidence: \"exit code 0\" }"),
            (
                "echo no >&2; exit 3",
                "NotSo { evidence: \"no (exit code 3)\" }",
            ),
            (
                "exit 126",
                "Unknown { reason: \"it cannot be run: exit code 126\" }",
            ),
            (
                "kill -9 $$",
                "Unknown { reason: \"it was ended by signal 9\" }",
            ),
        ] {
            let measured = measure(&Measure::Command(Exec::shell(script)), WITHIN);
            assert_eq!(format!("{measured:?}"), expected);
        }
        let absent = measure(&Measure::Command(Exec::argv(["/no/such"])), WITHIN);
        assert!(
            absent.words().starts_with("it cannot be started"),
            "{absent:?}"
        );
        let slow = Measure::Command(Exec::argv(["sleep", "32.1"]));
        let slow = measure(&slow, Duration::from_millis(50));
        assert!(matches!(slow, Measurement::Unknown { .. }), "{slow:?}");
    }

    #[test]
    fn all_are_one_answer() {
        let ok = Measure::Command(Exec::argv(["true"]));
        let bad = Measure::Command(Exec::argv(["false"]));
        let far = Measure::Tcp {
            address: "localhost:1".to_owned(),
        };
        assert!(measure(&Measure::All(vec![ok.clone(), ok.clone()]), WITHIN).is_so());
        let mixed = measure(&Measure::All(vec![ok.clone(), far.clone(), bad]), WITHIN);
        assert!(matches!(mixed, Measurement::NotSo { .. }));
        let open = measure(&Measure::All(vec![ok, far]), WITHIN);
        assert!(matches!(open, Measurement::Unknown { .. }));
    }
}
