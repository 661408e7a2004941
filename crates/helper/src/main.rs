//! The binary that is uploaded to targets.

use overhaul_helper::{VERSION, carry, serve, supervise, transfer};
use overhaul_model::wire::PROTOCOL;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str =
    "overhaul-helper works for Overhaul on a target; people have no need to start it.

  overhaul-helper serve --state DIR   serve requests on standard input and output
  overhaul-helper version             print its version and that of its protocol
";

/// Exit code for arguments that make no sense.
const EXIT_USAGE: u8 = 2;

/// Exit code when serving or supervising failed; the reason was sent, or is on standard error.
const EXIT_FAILED: u8 = 1;

enum Mode {
    Serve(PathBuf),
    Supervise(PathBuf),
    Pack(PathBuf),
    Unpack(PathBuf, PathBuf),
    Send(PathBuf),
    Offer(PathBuf),
    Receive(PathBuf, PathBuf),
    Version,
}

fn mode(arguments: &[OsString]) -> Option<Mode> {
    let words: Vec<Option<&str>> = arguments.iter().map(|word| word.to_str()).collect();
    match words.as_slice() {
        [Some("version" | "--version")] => Some(Mode::Version),
        [Some("serve"), Some("--state"), _] => arguments.get(2).map(|dir| Mode::Serve(dir.into())),
        [Some("supervise"), _] => arguments.get(1).map(|dir| Mode::Supervise(dir.into())),
        [Some("pack"), _] => arguments.get(1).map(|dir| Mode::Pack(dir.into())),
        [Some("unpack"), _, _] => match arguments {
            [_, dir, store] => Some(Mode::Unpack(dir.into(), store.into())),
            _ => None,
        },
        [Some("send"), _] => arguments.get(1).map(|dir| Mode::Send(dir.into())),
        [Some("offer"), _] => arguments.get(1).map(|dir| Mode::Offer(dir.into())),
        [Some("receive"), _, _] => match arguments {
            [_, dir, store] => Some(Mode::Receive(dir.into(), store.into())),
            _ => None,
        },
        _ => None,
    }
}

// A build with deliberate faults gives no program.
const _: () = assert!(!overhaul_model::planted::AVAILABLE);

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = match mode(&arguments) {
        Some(Mode::Version) => {
            let line = format!("overhaul-helper {VERSION} protocol {PROTOCOL}\n");
            io::stdout()
                .write_all(line.as_bytes())
                .map_err(|e| e.to_string())
        }
        Some(Mode::Serve(dir)) => serve::serve(&dir).map_err(|e| e.to_string()),
        Some(Mode::Supervise(dir)) => supervise::run(&dir).map_err(|e| e.to_string()),
        Some(Mode::Pack(dir)) => carry::run_pack(&dir).map_err(|e| e.to_string()),
        Some(Mode::Unpack(dir, store)) => {
            carry::run_unpack(&dir, &store).map_err(|e| e.to_string())
        }
        Some(Mode::Send(dir)) => transfer::run_send(&dir).map_err(|e| e.to_string()),
        Some(Mode::Offer(dir)) => transfer::run_offer(&dir).map_err(|e| e.to_string()),
        Some(Mode::Receive(dir, store)) => {
            transfer::run_receive(&dir, &store).map_err(|e| e.to_string())
        }
        None => {
            // When even standard error is closed, the exit code has to say it.
            let _ = io::stderr().write_all(USAGE.as_bytes());
            return ExitCode::from(EXIT_USAGE);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = io::stderr().write_all(format!("overhaul-helper: {why}\n").as_bytes());
            ExitCode::from(EXIT_FAILED)
        }
    }
}
