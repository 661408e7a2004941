//! Why it is not known how a host is reached.

use std::path::PathBuf;
use std::time::Duration;

use crate::ssh::error::Place;

/// Why it is not known how a host is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named in each message")]
pub enum ConfigError {
    /// A word that `ssh` would take for a host or a command.
    #[error("the words for ssh: {word:?} is no option")]
    NoOption { word: String },
    /// An option without its value.
    #[error("the words for ssh: option -{letter} lacks its value")]
    NoValue { letter: char },
    /// An option that only the program knows what to do with.
    #[error(
        "the words for ssh: option -{letter} is understood by the program ssh only, which is not installed \
         (package openssh-client)"
    )]
    OptionNotOurs { letter: char },
    /// Nothing that can be reached.
    #[error("{host:?} is no host name")]
    NoHost { host: String },
    /// `ssh -G` ended with an error; the text is its own.
    #[error("ssh refuses its configuration: {text}")]
    Refused { text: String },
    /// `ssh -G` cannot be started.
    #[error("ssh -G: {reason}")]
    Program { reason: String },
    /// `ssh -G` takes too long: a `Match exec` or a name look-up hangs.
    #[error(
        "ssh -G took longer than {bound:?}: is there a Match exec or a name look-up that hangs?"
    )]
    TimedOut { bound: Duration },
    /// The output of `ssh -G` is not what we know.
    #[error("the output of ssh -G is not understood: {reason}")]
    Odd { reason: String },
    /// A configuration file cannot be read.
    #[error("{}: {reason}", .path.display())]
    Unreadable { path: PathBuf, reason: String },
    /// A line that our own reader does not know, and no program `ssh` to ask.
    #[error(
        "{place}: {line:?}: {reason}; the program ssh would know, but is not installed (package openssh-client)"
    )]
    NotOurs {
        place: Place,
        line: String,
        reason: String,
    },
    /// A name with `%` or `${` that cannot be completed.
    #[error("{text:?}: {reason}")]
    Token { text: String, reason: String },
    /// Each jump host is reached through another one, and there is no end.
    #[error("more than {max} jump hosts behind each other: is there a circle in ProxyJump?")]
    TooManyJumps { max: usize },
}
