//! What a provider script is told, what it answers, and how far that is believed (`docs/providers.md`).

use crate::near;
use crate::ssh::printable;
use crate::trusted::trusted;
use overhaul_model::definition::Provider;
use overhaul_model::machine::Machine;
use overhaul_model::primitive::{Exec, MachineAct, MachineOp};
use overhaul_model::receipt::VALUE_BYTES_MAX;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// The version of the contract, in every request.
pub(crate) const CONTRACT: u32 = 1;

/// The exit code by which a provider says that it changed nothing and that the same can be asked again.
pub(crate) const EXIT_NOT_BEGUN: i32 = 75;

/// A question without a change: interfaces of clouds answer within seconds, busy ones within a minute.
const DESCRIBE_S_MAX: u64 = 120;
/// What is shown of a provider's complaints.
const COMPLAINT_CHARS_MAX: usize = 400;
/// Longest identity, state or machine id: real ones are UUIDs and short words.
pub(crate) const WORD_BYTES_MAX: usize = 200;
/// Longest address: a name of the DNS has at most 253 characters.
pub(crate) const ADDRESS_BYTES_MAX: usize = 253;
/// Most host keys of one machine: sshd makes three or four.
const HOST_KEYS_MAX: usize = 16;
/// Longest host key line: one of RSA with 16,384 bits takes 2,800 characters.
const HOST_KEY_BYTES_MAX: usize = 4 * 1024;
/// Types of host keys that OpenSSH makes.
const KEY_TYPES: [&str; 5] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
];

/// What a provider knows of a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Answer {
    /// Its own name for it, which no other machine ever had.
    pub(crate) identity: String,
    /// Whether it runs.
    pub(crate) state: State,
    /// Where it answers, when not where the inventory says.
    #[serde(default)]
    pub(crate) address: Option<String>,
    /// Its host keys, `TYPE BASE64`.
    #[serde(default)]
    pub(crate) host_keys: Vec<String>,
    /// `/etc/machine-id` of the machine, where the provider knows it.
    #[serde(default)]
    pub(crate) machine_id: Option<String>,
    /// The UUID that its firmware shows, where the provider knows it.
    #[serde(default)]
    pub(crate) product_uuid: Option<String>,
    /// Whether it is protected against being ended.
    #[serde(default)]
    pub(crate) protected: bool,
}

/// The state of a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// It runs.
    Running,
    /// It is switched off, with all that is on it.
    Stopped,
    /// There is none under this name.
    #[default]
    Absent,
}

impl Answer {
    /// From what a provider said.
    ///
    /// # Errors
    /// In a sentence, when it is not in the form of the contract.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut answer: Self = parsed(text)?;
        let ids = [&answer.machine_id, &answer.product_uuid];
        for word in ids.into_iter().flatten().chain([&answer.identity]) {
            if !is_word(word, WORD_BYTES_MAX) {
                return Err("an identity in the provider's answer is no plain word".to_owned());
            }
        }
        if answer.identity.is_empty() && answer.state != State::Absent {
            return Err("the provider's answer names no identity of the machine".to_owned());
        }
        if let Some(address) = &answer.address
            && (address.is_empty()
                || address.starts_with('-')
                || !is_word(address, ADDRESS_BYTES_MAX))
        {
            return Err("the address in the provider's answer is no address".to_owned());
        }
        if answer.host_keys.len() > HOST_KEYS_MAX {
            return Err(format!(
                "the provider names more than {HOST_KEYS_MAX} host keys"
            ));
        }
        let keys: Option<Vec<_>> = answer.host_keys.iter().map(|key| host_key(key)).collect();
        answer.host_keys = keys.ok_or("a host key in the provider's answer is none")?;
        Ok(answer)
    }

    /// As it is remembered, with the machine id that was measured.
    pub(crate) fn machine(&self, machine_id: Option<String>) -> Machine {
        Machine {
            identity: Some(self.identity.clone()).filter(|identity| !identity.is_empty()),
            machine_id,
            address: self.address.clone(),
            host_keys: self.host_keys.clone(),
        }
    }
}

/// The form of an answer.
///
/// # Errors
/// In a sentence, when it has another one.
pub(crate) fn parsed<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        format!(
            "the provider's answer is not of the agreed form: {}",
            printable(error.to_string().as_bytes(), COMPLAINT_CHARS_MAX)
        )
    })
}

/// A plain word of no more than so many bytes.
pub(crate) fn is_word(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && text.chars().all(|c| c.is_ascii_graphic())
}

/// A public key without its comment, if it is one.
fn host_key(line: &str) -> Option<String> {
    let mut words = line.split_ascii_whitespace();
    let (kind, blob) = (words.next()?, words.next()?);
    let base64 = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
    let good = KEY_TYPES.contains(&kind)
        && line.len() <= HOST_KEY_BYTES_MAX
        && !line.contains(['\n', '\r'])
        && blob.bytes().all(base64);
    good.then(|| format!("{kind} {blob}"))
}

/// The one object that a provider reads.
pub(crate) fn request(
    provider: &Provider,
    op: MachineOp,
    act: &MachineAct,
    token: &str,
    known: Option<&Machine>,
) -> String {
    json!({
        "contract": CONTRACT,
        "op": op.word(),
        "token": token,
        "machine": act.machine,
        "to": act.other.as_ref().filter(|_| op == MachineOp::Rename),
        "image": act.image,
        "params": act.params,
        "expect": {
            "identity": known.and_then(|machine| machine.identity.clone()),
        },
        "config": provider.config,
    })
    .to_string()
}

/// The call of a provider, as work for the controller's helper.
pub(crate) fn exec(script: &Path, request: String) -> Exec {
    Exec {
        stdin: Some(request),
        ..Exec::argv([script.display().to_string()])
    }
}

/// Asks a provider what it knows of a machine.
///
/// # Errors
/// In a sentence, when it does not say, or nobody may rely on it.
pub(crate) async fn describe(
    provider: &Provider,
    act: &MachineAct,
    known: Option<&Machine>,
) -> Result<Answer, String> {
    let request = request(provider, MachineOp::Describe, act, "", known);
    Answer::parse(&told(provider, &request).await?)
}

/// What a provider says to a question that changes nothing.
///
/// # Errors
/// In a sentence, when it does not say, or nobody may rely on it.
pub(crate) async fn told(provider: &Provider, request: &str) -> Result<String, String> {
    let script = program(provider)?;
    let asked = ask(&script, request);
    let (ended, out, err) = timeout(Duration::from_secs(DESCRIBE_S_MAX), asked)
        .await
        .map_err(|_| format!("the provider did not answer within {DESCRIBE_S_MAX} s"))?
        .map_err(|error| format!("the provider cannot be asked: {error}"))?;
    if !ended.success() {
        let said = printable(&err, COMPLAINT_CHARS_MAX);
        return Err(format!("the provider cannot tell of it ({ended}): {said}"));
    }
    if out.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "the provider says more than {VALUE_BYTES_MAX} bytes"
        ));
    }
    String::from_utf8(out).map_err(|_| "the provider's answer is not UTF-8".to_owned())
}

/// The provider's program, if it may be run.
///
/// # Errors
/// In a sentence, when it may not.
pub(crate) fn program(provider: &Provider) -> Result<std::path::PathBuf, String> {
    let path = Path::new(&provider.script);
    if !path.is_absolute() {
        return Err(format!(
            "the provider's script {} is no absolute path",
            provider.script
        ));
    }
    trusted(path).map_err(|why| format!("the provider {}: {why}", provider.script))
}

async fn ask(
    script: &Path,
    request: &str,
) -> std::io::Result<(std::process::ExitStatus, Vec<u8>, Vec<u8>)> {
    let mut child = Command::new(script)
        .env_clear()
        .env("PATH", near::PATH)
        .env("LANG", "C.UTF-8")
        .envs(near::environment().filter(|(name, _)| name == "HOME"))
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let gone = || std::io::Error::other("its pipes are gone");
    let mut stdin = child.stdin.take().ok_or_else(gone)?;
    let stdout = child.stdout.take().ok_or_else(gone)?;
    let stderr = child.stderr.take().ok_or_else(gone)?;
    let feed = async move {
        // It may answer without having read all.
        let _unread = stdin.write_all(request.as_bytes()).await;
    };
    let capped = u64::try_from(VALUE_BYTES_MAX)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(capped), stderr.take(capped));
    let ((), read, complained) = tokio::join!(
        feed,
        stdout.read_to_end(&mut out),
        stderr.read_to_end(&mut err)
    );
    read?;
    complained?;
    // A child that still writes into a closed pipe ends by it.
    drop((stdout, stderr));
    Ok((child.wait().await?, out, err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_believed_in_their_form_only() {
        let good = r#"{"identity": "i-1", "state": "running", "address": "192.0.2.7",
            "host_keys": ["ssh-ed25519 AAAAC3Nz root@new"], "machine_id": "abc", "more": 1}"#;
        let answer = Answer::parse(good).unwrap();
        assert_eq!(answer.host_keys, ["ssh-ed25519 AAAAC3Nz"]);
        assert_eq!(answer.state, State::Running);
        for (text, why) in [
            ("", "agreed form"),
            (r#"{"identity": "i-1"}"#, "agreed form"),
            (r#"{"identity": "", "state": "running"}"#, "no identity"),
            (
                r#"{"identity": "a b", "state": "running"}"#,
                "no plain word",
            ),
            (
                r#"{"identity": "a\u001b[2J", "state": "running"}"#,
                "no plain word",
            ),
            (
                r#"{"identity": "a", "state": "running", "address": "-oProxyCommand=x"}"#,
                "no address",
            ),
            (
                r#"{"identity": "a", "state": "running", "address": "a b"}"#,
                "no address",
            ),
            (
                r#"{"identity": "a", "state": "running", "host_keys": ["* ssh-ed25519 A"]}"#,
                "host key",
            ),
            (
                r#"{"identity": "a", "state": "running", "host_keys": ["ssh-ed25519 A\n@cert-authority *"]}"#,
                "host key",
            ),
            (r#"{"identity": "a", "state": "melting"}"#, "agreed form"),
        ] {
            let error = Answer::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
