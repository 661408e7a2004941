//! Getting the helper onto a host and running there.
//!
//! One shell script finds the helper below the state folder, has the host's own tools verify it
//! (`b2sum`, which takes half the time, or `sha256sum` where that is lacking), and becomes it: one
//! round trip when it is there. Where it is lacking the script asks for it, reads it from its standard
//! input, verifies it and becomes it: one login, one sudo. It comes packed where the host has `gzip`,
//! and in parts, each of which the script acknowledges. Its exit status says what went wrong. It
//! needs a POSIX shell and coreutils, no interpreter; it stands on one line because not every
//! account's shell takes a line end within quotes.

use crate::client::{ClientError, HelperClient};
use crate::error::{ReachError, SetupError};
use crate::ssh::{
    Become, ExecChannel, ExecReader, Exit, Program, SshError, quote, start_privileged,
    until_it_speaks, within,
};
use crate::transport::Session;
use crate::turns::Turns;
use blake2::{Blake2b512, Digest as _};
use flate2::Compression;
use flate2::read::GzEncoder;
use overhaul_model::id::Digest;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

/// Largest helper program: a release build has a few megabytes, a debug build with symbols some ten.
const HELPER_BYTES_MAX: u64 = 128 << 20;
/// From the start command to the greeting: a login, sudo with a slow name service, and a digest
/// of a few megabytes on a host that swaps.
const START_S_MAX: u64 = 60;
/// Upload and verification: 5 MB over a line of 256 kbit/s take 160 s.
const UPLOAD_S_MAX: u64 = 300;
/// Bytes of an upload that are handed to the connection at a time. It takes up to ten pieces and more before it
/// has sent the first, and keeps the memory for them as long as it stands: with whole packets of 32 KiB each
/// uploaded host held half a megabyte for the rest of the run.
const UPLOAD_PIECE_BYTES: usize = 8 << 10;
/// Bytes of a part of an upload. The server of OpenSSH takes what its window of 2 MB lets in, whether or not the
/// script has time to read it, and copies all of it whenever its buffer grows by a packet: on hosts without
/// processors to spare that cost 270 ms of them for 3.3 MB.
const PART_BYTES: usize = 256 << 10;
/// Parts that are on their way before the first is acknowledged: one travels while the host takes up the other.
const PARTS_AHEAD: usize = 2;
/// Of the word for the way in which the program is unpacked.
const UNPACKER_BYTES_MAX: u64 = 16;
/// What the script says when it wants the program, before the name of what unpacks it. A helper's greeting begins
/// with the length of a frame, whose first byte is none of these.
const LACKING: &str = "overhaul-helper-lacking";

/// Exit statuses of the scripts, outside of what shells and the helper use themselves.
const WRONG_DIGEST: u32 = 41;
const NO_SHA256SUM: u32 = 42;
const OTHER_MACHINE: u32 = 43;
const UNSAFE_FOLDER: u32 = 44;
const NOT_WRITTEN: u32 = 45;
/// The shell's status for a file that may not be executed.
const NOT_EXECUTABLE: u32 = 126;

/// Where root keeps things that outlive a boot.
const STATE_DIR_OF_ROOT: &str = "/var/lib/overhaul";

/// Why the helper does not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// Files there may not be executed.
    #[error(
        "the helper {path} may not be executed; is its filesystem mounted noexec? \
         Name another folder as overhaul_state_dir ({text})"
    )]
    NoExec {
        /// The helper on the host.
        path: String,
        /// What the host said.
        text: String,
    },
    /// It was uploaded and still is not what was sent.
    #[error("the helper {path} does not have the digest of the one that was uploaded")]
    DigestWrong {
        /// The helper on the host.
        path: String,
    },
    /// The host cannot verify it.
    #[error(
        "the host has neither b2sum nor sha256sum, with which the helper is verified before every start"
    )]
    NoSha256sum,
    /// Another kind of processor.
    #[error("the host is a {theirs} machine and this helper is for {ours}")]
    OtherMachine {
        /// As `uname -m` has it on the host.
        theirs: String,
        /// The same for the helper.
        ours: &'static str,
    },
    /// Somebody else could put another program there.
    #[error(
        "{path} or a folder above it in the state folder belongs to another account, can be written \
         by others, or is a symbolic link"
    )]
    UnsafeFolder {
        /// The helper on the host.
        path: String,
    },
    /// The upload failed, as on a full disk.
    #[error("the helper {path} cannot be written: {text}")]
    NotWritten {
        /// The helper on the host.
        path: String,
        /// What the host said.
        text: String,
    },
    /// It ended before its greeting.
    #[error("the helper does not start ({exit}): {text}")]
    Ended {
        /// Its end.
        exit: String,
        /// What the host said.
        text: String,
    },
}

impl StartError {
    /// Whether the same try can succeed later with nothing changed by a person.
    pub fn is_transient(&self) -> bool {
        false
    }
}

/// The program that goes to the hosts, held once for all of them.
#[derive(Clone)]
pub struct HelperBinary {
    bytes: Arc<Vec<u8>>,
    /// The same as `gzip` packs it, made when the first host asks for it.
    packed: Arc<OnceLock<Vec<u8>>>,
    /// SHA-256, by which its folder is named.
    digest: Digest,
    /// BLAKE2b with 512 bits, as hexadecimal digits.
    blake2b: String,
    machine: Option<&'static str>,
    /// The file that it was read from.
    path: Option<PathBuf>,
}

impl std::fmt::Debug for HelperBinary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HelperBinary")
            .field("bytes", &self.bytes.len())
            .field("digest", &self.digest)
            .field("machine", &self.machine)
            .finish()
    }
}

impl HelperBinary {
    /// Reads the program.
    ///
    /// # Errors
    /// When it cannot be read or is no such program.
    pub fn load(path: &Path) -> Result<Self, SetupError> {
        let wrong = |why: String| SetupError::Helper {
            path: path.to_owned(),
            why,
        };
        let mut bytes = Vec::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(HELPER_BYTES_MAX + 1).read_to_end(&mut bytes))
            .map_err(|error| wrong(error.to_string()))?;
        if bytes.len() as u64 > HELPER_BYTES_MAX {
            return Err(wrong(format!("larger than {HELPER_BYTES_MAX} bytes")));
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Err(wrong("not a program for Linux".to_owned()));
        }
        // A child is started in another folder.
        let path = std::path::absolute(path).ok();
        Ok(Self {
            path,
            ..Self::from_bytes(bytes)
        })
    }

    fn from_bytes(bytes: Vec<u8>) -> Self {
        Self {
            digest: Digest::of(&bytes),
            blake2b: hex::encode(Blake2b512::digest(&bytes)),
            machine: machine(&bytes),
            bytes: Arc::new(bytes),
            packed: Arc::default(),
            path: None,
        }
    }

    /// What goes over the line.
    fn for_the_line(&self, unpacker: Unpacker) -> &[u8] {
        match unpacker {
            Unpacker::Cat => &self.bytes,
            Unpacker::Gzip => self.packed.get_or_init(|| packed(&self.bytes)),
        }
    }

    /// The file that it was read from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its digest.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Its size in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// As `gzip -1` packs it: half the size after 50 ms. More would take longer than it saves on a usual line.
fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    // A reader of memory does not fail; a host would refuse what is cut off by its digest.
    let _length = GzEncoder::new(bytes, Compression::fast()).read_to_end(&mut packed);
    packed
}

/// What the host unpacks the program with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unpacker {
    /// `gzip -dc`
    Gzip,
    /// Nothing is packed.
    Cat,
}

/// `uname -m` of the machines that an ELF file is for.
fn machine(elf: &[u8]) -> Option<&'static str> {
    match elf.get(18..20)? {
        [62, 0] => Some("x86_64"),
        [183, 0] => Some("aarch64"),
        _ => None,
    }
}

/// What is needed to start a helper on one host.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) helper: HelperBinary,
    pub(crate) who: Become,
    /// `None`: [`STATE_DIR_OF_ROOT`], or a folder in the account's home.
    pub(crate) state_dir: Option<String>,
}

impl Starter {
    /// Starts a helper over a channel of its own, which takes the program first where it is lacking or wrong.
    pub(crate) async fn serve(
        &self,
        session: &Session,
        turns: &Turns,
    ) -> Result<HelperClient, ReachError> {
        let host = session.host();
        let mut channel = self.start(session).await?;
        let bound = Duration::from_secs(START_S_MAX);
        let asks = asks_for_the_program(&mut channel.stdout);
        if let Some(unpacker) = within(host, "starting the helper", bound, asks).await? {
            channel = turns
                .upload(self.upload(session, channel, unpacker))
                .await?;
        }
        let ExecChannel {
            stdin,
            stdout,
            stderr,
            exit: _,
        } = channel;
        HelperClient::start(stdout, stdin, stderr, Duration::from_secs(START_S_MAX))
            .await
            .map_err(|error| match error {
                ClientError::Lost { why } if session.is_open() => ReachError::Start {
                    host: host.to_owned(),
                    error: StartError::Ended {
                        exit: "before its greeting".to_owned(),
                        text: why,
                    },
                },
                error => ReachError::Client {
                    host: host.to_owned(),
                    error,
                },
            })
    }

    async fn start(&self, session: &Session) -> Result<ExecChannel, ReachError> {
        let program = Program::Shell(self.start_script());
        let bound = Duration::from_secs(START_S_MAX);
        start_privileged(session, &program, &self.who, bound)
            .await
            .map_err(|error| self.judge(error))
    }

    fn judge(&self, error: SshError) -> ReachError {
        let (host, exit, text) = match &error {
            SshError::StartFailed { host, exit, text } => (host.clone(), exit, text.clone()),
            _ => return error.into(),
        };
        let is = |code: u32| *exit == Exit::Code(code).to_string();
        let path = self.shown_path();
        // The same status for a file that the kernel does not take for a program.
        let no_program = text.contains("format error");
        let error = if is(WRONG_DIGEST) {
            StartError::DigestWrong { path }
        } else if is(NOT_EXECUTABLE) && !no_program {
            StartError::NoExec { path, text }
        } else if is(NO_SHA256SUM) {
            StartError::NoSha256sum
        } else if is(OTHER_MACHINE) {
            StartError::OtherMachine {
                theirs: text,
                ours: self.helper.machine.unwrap_or("another machine"),
            }
        } else if is(UNSAFE_FOLDER) {
            StartError::UnsafeFolder { path }
        } else if is(NOT_WRITTEN) {
            StartError::NotWritten { path, text }
        } else {
            StartError::Ended {
                exit: exit.clone(),
                text,
            }
        };
        ReachError::Start { host, error }
    }

    /// Gives the script the program that it asked for, and waits until the helper or its failure is heard.
    async fn upload(
        &self,
        session: &Session,
        mut channel: ExecChannel,
        unpacker: Unpacker,
    ) -> Result<ExecChannel, ReachError> {
        let bound = Duration::from_secs(UPLOAD_S_MAX);
        let sent = async {
            // Its end says better than this why it stopped reading.
            let _ended = in_parts(&mut channel, self.helper.for_the_line(unpacker)).await;
            until_it_speaks(session, channel).await
        };
        within(session.host(), "uploading the helper", bound, sent)
            .await
            .map_err(|error| self.judge(error))
    }

    /// The helper's path for a person; the home folder is the host's to know.
    fn shown_path(&self) -> String {
        let state = match (&self.state_dir, &self.who) {
            (Some(dir), _) => dir.as_str(),
            (None, Become::Sudo { user, .. }) if user == "root" => STATE_DIR_OF_ROOT,
            (None, _) => "~/.overhaul",
        };
        format!("{state}/bin/{}/overhaul-helper", self.helper.digest)
    }

    /// Sets `d` (state folder), `b` (the version's folder), `f` (the helper) and `w` (its digest).
    fn locate(&self) -> String {
        let state = match &self.state_dir {
            Some(dir) => format!("d={}", quote(dir)),
            None => format!(
                "if [ \"$(id -u)\" = 0 ]; then d={STATE_DIR_OF_ROOT}; else d=${{HOME:?}}/.overhaul; fi"
            ),
        };
        format!(
            "umask 077; {state}; w={}; b=$d/bin/$w; f=$b/overhaul-helper",
            self.helper.digest
        )
    }

    /// Finds the host's own tool for a digest: `t` and the digest `v` that it must tell.
    fn tool(&self) -> String {
        format!(
            "if command -v b2sum >/dev/null 2>&1; then t=b2sum; v={}; \
             elif command -v sha256sum >/dev/null 2>&1; then t=sha256sum; v=$w; \
             else exit {NO_SHA256SUM}; fi",
            self.helper.blake2b
        )
    }

    /// Refuses folders in which somebody else could put another program at any time.
    fn guard() -> String {
        format!(
            "for x in \"$d\" \"$d/bin\" \"$b\"; do if [ -L \"$x\" ] || ! [ -O \"$x\" ]; then exit {UNSAFE_FOLDER}; fi; done; \
             [ -z \"$(find \"$d\" \"$d/bin\" \"$b\" -prune -perm /022)\" ] || exit {UNSAFE_FOLDER}"
        )
    }

    fn start_script(&self) -> String {
        let machine = self.helper.machine.map_or_else(String::new, |machine| {
            // The file saves a process where the kernel has it (since 6.1).
            format!("{{ read -r m </proc/sys/kernel/arch; }} 2>/dev/null || m=$(uname -m); [ \"$m\" = {machine} ] || {{ echo \"$m\" >&2; exit {OTHER_MACHINE}; }}; ")
        });
        format!(
            "{}; {machine}{}; s=; g() {{ {}; }}; if [ -f \"$f\" ]; then g; s=$($t <\"$f\"); fi; \
             if [ \"${{s%% *}}\" != \"$v\" ]; then {}; {}; fi; exec \"$f\" serve --state \"$d\"",
            self.locate(),
            self.tool(),
            Self::guard(),
            Self::take(),
            Self::tidy(),
        )
    }

    /// Asks for the program and reads exactly its bytes: what comes behind them is for the helper. First comes how many
    /// whole parts there are and how many bytes are left over.
    fn take() -> String {
        format!(
            "mkdir -p \"$b\" || exit {NOT_WRITTEN}; g; chmod 700 \"$d/bin\" \"$b\" || exit {NOT_WRITTEN}; \
             n=$b/.new.$$; trap 'rm -f \"$n\"' EXIT; \
             if command -v gzip >/dev/null 2>&1; then z='gzip -dc'; else z=cat; fi; \
             exec 3>&1; echo \"{LACKING} ${{z%% *}}\"; read -r k l; \
             {{ while [ \"$k\" -gt 0 ]; do head -c {PART_BYTES} && echo >&3 || exit; k=$((k - 1)); done; head -c \"$l\"; }} 2>/dev/null | \
             $z >\"$n\" 3>&- || exit {NOT_WRITTEN}; exec 3>&-; \
             s=$($t <\"$n\") && [ \"${{s%% *}}\" = \"$v\" ] || exit {WRONG_DIGEST}; \
             chmod 700 \"$n\" && mv -f \"$n\" \"$f\" || exit {NOT_WRITTEN}"
        )
    }

    /// Takes away other versions, which may still run, and what broken uploads left an hour ago. Untidiness is no
    /// reason not to work with the host.
    fn tidy() -> &'static str {
        "( cd \"$d/bin\" && for x in *; do if [ ${#x} = 64 ] && [ \"$x\" != \"$w\" ]; then rm -rf \"./$x\"; fi; done; \
         find \"$b\" -name '.new.*' -mmin +60 -exec rm -f {} + ) </dev/null >/dev/null 2>&1"
    }
}

/// How the script wants the program, if it asks for it; whatever else was said stays to be read.
async fn asks_for_the_program(said: &mut ExecReader) -> Result<Option<Unpacker>, SshError> {
    let asked = format!("{LACKING} ").into_bytes();
    let mut heard = Vec::new();
    while heard.len() < asked.len() && asked.starts_with(&heard) {
        // The end of what it says, and a loss, are met again by who reads on.
        match said.read_u8().await {
            Ok(byte) => heard.push(byte),
            Err(_) => break,
        }
    }
    if heard != asked {
        said.unread(heard);
        return Ok(None);
    }
    let mut unpacker = String::new();
    let mut line = BufReader::with_capacity(1, said).take(UNPACKER_BYTES_MAX);
    let _length = line.read_line(&mut unpacker).await;
    Ok(Some(match unpacker.trim_end() {
        "gzip" => Unpacker::Gzip,
        _ => Unpacker::Cat,
    }))
}

/// Sends this with no more than [`PARTS_AHEAD`] on the way, as long as the host acknowledges what it has taken.
async fn in_parts(channel: &mut ExecChannel, bytes: &[u8]) -> std::io::Result<()> {
    let (stdin, stdout) = (&mut channel.stdin, &mut channel.stdout);
    let whole = bytes.len() / PART_BYTES;
    let counts = format!("{whole} {}\n", bytes.len() % PART_BYTES);
    stdin.write_all(counts.as_bytes()).await?;
    let mut acknowledged = 0;
    for (number, part) in bytes.chunks(PART_BYTES).enumerate() {
        if number >= PARTS_AHEAD {
            stdout.read_u8().await?;
            acknowledged += 1;
        }
        for piece in part.chunks(UPLOAD_PIECE_BYTES) {
            stdin.write_all(piece).await?;
        }
    }
    stdin.flush().await?;
    for _ in acknowledged..whole {
        stdout.read_u8().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_quote_what_a_person_named() {
        let starter = Starter {
            helper: HelperBinary::from_bytes(b"\x7fELF".to_vec()),
            who: Become::None,
            state_dir: Some("/srv/it's a folder".to_owned()),
        };
        insta::assert_snapshot!(starter.start_script());
        let usual = Starter {
            state_dir: None,
            ..starter
        };
        assert!(
            usual
                .start_script()
                .contains("then d=/var/lib/overhaul; else d=${HOME:?}/.overhaul; fi")
        );
    }

    /// What the start script says, with these tools of coreutils alone and what else is named.
    fn start_with(more: &[&str]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let tools = dir.path().join("bin");
        std::fs::create_dir(&tools).unwrap();
        let usual = [
            "b2sum", "chmod", "find", "head", "id", "mkdir", "mv", "rm", "uname",
        ];
        for tool in usual.iter().chain(["cat", "sh"].iter()).chain(more) {
            std::os::unix::fs::symlink(format!("/usr/bin/{tool}"), tools.join(tool)).unwrap();
        }
        let mut program = b"#!/bin/sh\necho \"$1\"; cat; exit\n".to_vec();
        program.resize(3 * PART_BYTES + 5, b'#');
        let starter = Starter {
            helper: HelperBinary::from_bytes(program),
            who: Become::None,
            state_dir: Some(dir.path().join("state").display().to_string()),
        };
        let unpacker = match more {
            ["gzip"] => Unpacker::Gzip,
            _ => Unpacker::Cat,
        };
        let sent = starter.helper.for_the_line(unpacker);
        let counts = format!("{} {}\n", sent.len() / PART_BYTES, sent.len() % PART_BYTES);
        let input = dir.path().join("input");
        std::fs::write(
            &input,
            [counts.as_bytes(), sent, b"for the helper"].concat(),
        )
        .unwrap();
        let said = std::process::Command::new("/bin/sh")
            .args(["-c", &starter.start_script()])
            .env("PATH", &tools)
            .stdin(std::fs::File::open(&input).unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(said.stderr).unwrap(), "");
        String::from_utf8(said.stdout).unwrap()
    }

    #[test]
    fn the_program_comes_packed_where_the_host_can_unpack_it() {
        // A line for each whole part; behind its bytes stands what the helper reads.
        assert_eq!(
            start_with(&["gzip"]),
            "overhaul-helper-lacking gzip\nserve\nfor the helper"
        );
        assert_eq!(
            start_with(&[]),
            "overhaul-helper-lacking cat\n\n\n\nserve\nfor the helper"
        );
    }
}
