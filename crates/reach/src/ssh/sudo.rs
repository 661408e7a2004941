//! Starting a program as another user, through sudo when need be.
//!
//! The program shares its standard input with sudo, which may want a password there first. So
//! nothing but an asked-for password is written until the program has said that it runs: it must
//! write something to standard output before it reads.

use std::time::Duration;

use rand::Rng as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::SshError;
use super::quote::{command_line, quote};
use super::secret::Secret;
use super::session::within;
use super::text::printable;
use crate::channel::{ExecChannel, Exit};
use crate::transport::Session;

/// Standard error kept while a program starts; sudo's lecture and a login message fit.
const START_STDERR_BYTES_MAX: usize = 16 << 10;
/// Longest text of the remote side that goes into an error.
const TEXT_CHARS_MAX: usize = 800;
/// Bytes read at a time while a program starts.
const READ_BYTES: usize = 8 << 10;
/// The shell's status for a command that is not there.
const NOT_FOUND: Exit = Exit::Code(127);

/// As whom a program runs.
#[derive(Debug, Clone)]
pub enum Become {
    /// As the account that is logged in.
    None,
    /// Through sudo.
    Sudo {
        /// The user to become, usually `root`.
        user: String,
        /// The password of the account that is logged in, if known.
        password: Option<Secret>,
    },
}

/// What to start.
#[derive(Debug, Clone)]
pub enum Program {
    /// A program and its arguments, quoted as needed.
    Argv(Vec<String>),
    /// Text for `sh -c`.
    Shell(String),
}

/// What is bounded here. Of its parts only the profile is the host's own doing, and nothing of it shows.
const STARTING: &str = "starting a program, and before it the profile of the account's shell,";

/// Starts `program` as `who` and waits, at most `bound`, until it has written its first byte to
/// standard output, which stays to be read. A program that ends before is an error.
pub async fn start_privileged(
    session: &Session,
    program: &Program,
    who: &Become,
    bound: Duration,
) -> Result<ExecChannel, SshError> {
    let argv = match program {
        Program::Argv(argv) => argv.clone(),
        Program::Shell(text) => vec!["sh".to_owned(), "-c".to_owned(), text.clone()],
    };
    let plain = command_line(&argv)?;
    within(session.host(), STARTING, bound, async {
        match who {
            Become::None => until_it_speaks(session, session.exec(&plain).await?).await,
            Become::Sudo { user, password } => {
                let prompt = prompt();
                // The locale makes sudo's refusals readable for us; `env` because the account's
                // shell may not know `NAME=value command`.
                let command = format!(
                    "env LC_ALL=C sudo -S -p {} -u {} -- {plain}",
                    quote(&prompt),
                    quote(user)
                );
                let channel = session.exec(&command).await?;
                let start = Start {
                    session,
                    channel,
                    prompt: Some(prompt),
                    out: Vec::new(),
                    err: Vec::new(),
                };
                start.ready(password.as_ref()).await
            }
        }
    })
    .await
}

/// Waits until a program that was started says more, which stays to be read. Its end is an error. Not bounded here.
pub(crate) async fn until_it_speaks(
    session: &Session,
    channel: ExecChannel,
) -> Result<ExecChannel, SshError> {
    Start {
        session,
        channel,
        prompt: None,
        out: Vec::new(),
        err: Vec::new(),
    }
    .ready(None)
    .await
}

/// A prompt that nothing else can print by chance or guess, without `%`, which sudo expands.
fn prompt() -> String {
    format!("[overhaul-{:032x}]", rand::rng().random::<u128>())
}

struct Start<'a> {
    session: &'a Session,
    channel: ExecChannel,
    /// What sudo prints when it wants a password; none without sudo.
    prompt: Option<String>,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Start<'_> {
    async fn ready(mut self, password: Option<&Secret>) -> Result<ExecChannel, SshError> {
        let (mut out, mut err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
        let (mut out_open, mut err_open, mut answered) = (true, true, false);
        while out_open || err_open {
            tokio::select! {
                // Standard error first: what stands there came before the end of output.
                biased;
                length = self.channel.stderr.read(&mut err), if err_open => {
                    let length = length.unwrap_or(0);
                    err_open = length > 0;
                    self.err.extend(err.iter().take(length));
                    // The end counts: a prompt and a reason come last.
                    let surplus = self.err.len().saturating_sub(START_STDERR_BYTES_MAX);
                    self.err.drain(..surplus);
                    if self.take_prompt() {
                        self.answer(password, answered).await?;
                        answered = true;
                    }
                }
                length = self.channel.stdout.read(&mut out), if out_open => {
                    let length = length.unwrap_or(0);
                    out_open = length > 0;
                    self.out.extend(out.iter().take(length));
                    if out_open {
                        self.channel.stdout.unread(self.out);
                        self.channel.stderr.unread(self.err);
                        return Ok(self.channel);
                    }
                }
            }
        }
        let exit = self.channel.exit().await?;
        Err(self.failure(&exit))
    }

    /// Cuts the prompt out of what was read of standard error; says whether it was there.
    fn take_prompt(&mut self) -> bool {
        let Some(prompt) = self.prompt.as_deref().map(str::as_bytes) else {
            return false;
        };
        let Some(at) = self
            .err
            .windows(prompt.len())
            .position(|window| window == prompt)
        else {
            return false;
        };
        self.err.drain(at..at + prompt.len());
        true
    }

    async fn answer(&mut self, password: Option<&Secret>, answered: bool) -> Result<(), SshError> {
        let (host, user) = (
            self.session.host().to_owned(),
            self.session.user().to_owned(),
        );
        // A second try with the same password would only help to lock the account.
        if answered {
            return Err(SshError::WrongSudoPassword { host, user });
        }
        let Some(password) = password else {
            return Err(SshError::SudoPasswordNeeded { host, user });
        };
        let mut line = Vec::with_capacity(password.expose().len() + 1);
        line.extend(password.expose());
        line.push(b'\n');
        let line = Secret::new(line);
        // If it ended in between, its exit tells more than this write.
        let _ended = self.channel.stdin.write_all(line.expose()).await;
        Ok(())
    }

    fn failure(&self, exit: &Exit) -> SshError {
        let host = self.session.host().to_owned();
        let text = printable(&self.err, TEXT_CHARS_MAX);
        let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
        if self.prompt.is_none() {
            return SshError::StartFailed {
                host,
                exit: exit.to_string(),
                text,
            };
        }
        if says(&["must have a tty", "a terminal is required"]) {
            return SshError::SudoTtyRequired { host, text };
        }
        if says(&[
            "is not in the sudoers file",
            "is not allowed to",
            "may not run sudo",
        ]) {
            return SshError::SudoDenied { host, text };
        }
        if says(&["incorrect password attempt"]) {
            return SshError::WrongSudoPassword {
                host,
                user: self.session.user().to_owned(),
            };
        }
        if *exit == NOT_FOUND && says(&["sudo"]) {
            return SshError::SudoMissing { host, text };
        }
        SshError::StartFailed {
            host,
            exit: exit.to_string(),
            text,
        }
    }
}
