//! The documented exit codes. `docs/cli.md` lists them; a test holds the two together.

use std::process::ExitCode;

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was asked for was done; of a run: it is complete.
    Ok = 0,
    /// A fault of the program itself, or of the machine that it runs on.
    Internal = 1,
    /// The command line or a file that was given is wrong; nothing was changed.
    BadInput = 2,
    /// The checker's findings do not let the plan run; nothing was changed.
    Findings = 3,
    /// The run stands until a person decides: a gate, a failed step, an unknown outcome.
    NeedsPerson = 4,
    /// The run is paused.
    Paused = 5,
    /// A host could not be worked with: unreachable, unknown key, login or sudo refused.
    HostTrouble = 6,
    /// The journal or its storage cannot be used: newer format, broken chain, disk full.
    StoreTrouble = 7,
    /// Another controller or another run holds what is needed.
    Held = 8,
    /// The run ended by a person's `abort`.
    Aborted = 9,
    /// What the limits of this sitting allow is done; the rest waits.
    Limited = 10,
    /// Only hosts that were postponed are left.
    Postponed = 11,
    /// Left by a second Ctrl-C: work on hosts goes on; `resume` takes it up.
    Left = 130,
}

impl Exit {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::Internal,
        Self::BadInput,
        Self::Findings,
        Self::NeedsPerson,
        Self::Paused,
        Self::HostTrouble,
        Self::StoreTrouble,
        Self::Held,
        Self::Aborted,
        Self::Limited,
        Self::Postponed,
        Self::Left,
    ];

    /// The number.
    pub fn code(self) -> u8 {
        // A field-less enum with a representation: the cast is its number.
        self as u8
    }

    /// One word for JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Internal => "internal",
            Self::BadInput => "bad-input",
            Self::Findings => "findings",
            Self::NeedsPerson => "needs-person",
            Self::Paused => "paused",
            Self::HostTrouble => "host-trouble",
            Self::StoreTrouble => "store-trouble",
            Self::Held => "held",
            Self::Aborted => "aborted",
            Self::Limited => "limited",
            Self::Postponed => "postponed",
            Self::Left => "left",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_lists_every_exit_code_and_no_other() {
        let manual = include_str!("../../../docs/cli.md");
        let listed: Vec<(String, String)> = manual
            .lines()
            .skip_while(|line| !line.starts_with("## Exit codes"))
            .filter_map(|line| {
                let mut cells = line.strip_prefix("| ")?.split(" | ");
                let code: u8 = cells.next()?.parse().ok()?;
                Some((code.to_string(), cells.next()?.trim_matches('`').to_owned()))
            })
            .collect();
        let ours: Vec<_> = Exit::ALL
            .iter()
            .map(|exit| (exit.code().to_string(), exit.word().to_owned()))
            .collect();
        assert_eq!(listed, ours);
    }
}
