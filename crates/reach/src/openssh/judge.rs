//! From what a master said to why the connection failed.
//!
//! `ssh` returns 255 for everything; the rest is in its words, which are those of OpenSSH 8 to 10
//! and of no other language. What they do not tell apart stays as they are.

use std::path::PathBuf;

use super::log::Lines;
use super::target::Target;
use crate::ssh::{KnownKey, Place, SshError};

/// Longest text of `ssh` that goes into an error.
const TEXT_CHARS_MAX: usize = 400;

/// Why no connection came about.
pub(super) fn failure(target: &Target, lines: &Lines) -> SshError {
    let judge = Judge { target, lines };
    judge
        .host_key()
        .or_else(|| judge.refused())
        .or_else(|| judge.unreachable())
        .or_else(|| judge.early())
        .unwrap_or_else(|| SshError::Openssh {
            host: target.name.clone(),
            text: judge.last_words(),
        })
}

/// Why a connection that stood was lost.
pub(super) fn loss(host: &str, lines: &Lines) -> SshError {
    let said = |part: &str| lines.complaints().find(|line| line.contains(part));
    let reason = if said("not responding").is_some() {
        "no answer to keep-alives".to_owned()
    } else if said("closed by remote host").is_some() {
        "closed by the other side".to_owned()
    } else {
        let last = lines
            .complaints()
            .next_back()
            .unwrap_or("the ssh program ended");
        last.chars().take(TEXT_CHARS_MAX).collect()
    };
    SshError::Lost {
        host: host.to_owned(),
        reason,
    }
}

/// Whether the host is past the key exchange and now decides about us.
pub(super) fn is_authenticating(lines: &Lines) -> bool {
    lines.doings().any(|doing| {
        doing.contains("SSH2_MSG_SERVICE_ACCEPT") || doing.starts_with("Authentications that can")
    })
}

/// The account that is logged in, as `ssh` tells it.
pub(super) fn account(lines: &Lines) -> Option<String> {
    let line = lines
        .doings()
        .rfind(|doing| doing.starts_with("Authenticating to "))?;
    let (_, quoted) = line.split_once(" as '")?;
    quoted.strip_suffix('\'').map(str::to_owned)
}

struct Judge<'a> {
    target: &'a Target,
    lines: &'a Lines,
}

impl Judge<'_> {
    fn host(&self) -> String {
        self.target.name.clone()
    }

    fn complaint(&self, part: &str) -> Option<&str> {
        self.lines.complaints().find(|line| line.contains(part))
    }

    fn last_words(&self) -> String {
        let mut lines: Vec<_> = self.lines.complaints().rev().take(3).collect();
        lines.reverse();
        let text = match lines.is_empty() {
            true => "it ended without a word".to_owned(),
            false => lines.join("; "),
        };
        text.chars().take(TEXT_CHARS_MAX).collect()
    }

    fn host_key(&self) -> Option<SshError> {
        self.complaint("Host key verification failed")?;
        let shown = self
            .lines
            .doings()
            .rfind(|doing| doing.starts_with("Server host key: "));
        let mut shown = shown.unwrap_or_default().split(' ').skip(3);
        let mut next = || {
            shown
                .next()
                .unwrap_or("of a kind that ssh did not tell")
                .to_owned()
        };
        let (key_type, fingerprint) = (next(), next());
        let host = self.host();
        if self.complaint("revoked").is_some() {
            return Some(SshError::HostKeyRevoked {
                host,
                fingerprint,
                place: None,
            });
        }
        if self.complaint("HAS CHANGED").is_some() {
            let known = self.lines.complaints().filter_map(offending).collect();
            return Some(SshError::HostKeyChanged {
                host,
                key_type,
                fingerprint,
                known,
            });
        }
        if self.complaint("key is known for").is_some() {
            let files = self.target.known_hosts.iter().map(PathBuf::from).collect();
            return Some(SshError::HostKeyUnknown {
                host,
                key_type,
                fingerprint,
                files,
            });
        }
        None
    }

    fn refused(&self) -> Option<SshError> {
        let denied = self.complaint("Permission denied (");
        let had_enough = self.complaint("Too many authentication failures");
        let line = had_enough.or(denied)?;
        let mut note = match line.split_once("Permission denied (") {
            Some((_, methods)) => {
                let methods = methods.trim_end_matches([')', '.']).replace(',', ", ");
                match self
                    .lines
                    .doings()
                    .any(|doing| doing.contains("partial success"))
                {
                    true => format!("the key is right, but the server wants {methods} as well"),
                    false => format!("the server takes {methods}"),
                }
            }
            None => line.to_owned(),
        };
        if let Some(why) = self.kerberos() {
            note += &format!("; Kerberos: {why}");
        }
        for why in self
            .lines
            .complaints()
            .filter(|line| is_about_a_key_file(line))
        {
            note += &format!("; {why}");
        }
        let tried = self.lines.doings().filter_map(offered).collect();
        let user = self.target.user.clone().or_else(|| account(self.lines));
        Some(SshError::AuthRefused {
            host: self.host(),
            user: user.unwrap_or_else(|| "(as ssh_config says)".to_owned()),
            tried,
            note: note.chars().take(TEXT_CHARS_MAX).collect(),
        })
    }

    /// What the library for Kerberos says; it stands on the line after.
    fn kerberos(&self) -> Option<&str> {
        let causes = ["Unspecified GSS failure", "No credentials were supplied"];
        causes.iter().find_map(|cause| self.lines.after(cause))
    }

    fn unreachable(&self) -> Option<SshError> {
        let (host, bound) = (self.host(), self.target.connect_timeout);
        let timed_out = [
            "timed out during banner exchange",
            "port 65535: Connection timed out",
        ];
        let connect = self.complaint("ssh: connect to host ");
        let waited = connect.is_some_and(|line| line.ends_with("Connection timed out"));
        if waited || timed_out.iter().any(|part| self.complaint(part).is_some()) {
            return Some(SshError::TimedOut {
                host,
                what: "connecting",
                bound,
            });
        }
        let beyond = "open failed: connect failed: ";
        if let Some((_, reason)) = self
            .complaint(beyond)
            .and_then(|line| line.split_once(beyond))
        {
            return Some(SshError::Unreachable {
                host,
                address: format!("{} from its jump host", self.target.address),
                reason: reason.to_owned(),
            });
        }
        let line = connect.or_else(|| self.complaint("Could not resolve hostname"))?;
        let line = line.trim_start_matches("ssh: ");
        let (at, reason) = line.rsplit_once(": ").unwrap_or(("", line));
        let address = at
            .trim_start_matches("connect to host ")
            .trim_start_matches("Could not resolve hostname ");
        Some(SshError::Unreachable {
            host,
            address: address.to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn early(&self) -> Option<SshError> {
        let host = self.host();
        let protocol = [
            "Unable to negotiate",
            "banner line contains",
            "Bad packet",
            "exceeded",
        ];
        if let Some(line) = protocol.iter().find_map(|part| self.complaint(part)) {
            return Some(SshError::Protocol {
                host,
                reason: line.to_owned(),
            });
        }
        let closed = [
            "kex_exchange_identification",
            "Connection closed",
            "Connection reset",
        ];
        let line = closed.iter().find_map(|part| self.complaint(part))?;
        let reason = line.to_owned();
        Some(match is_authenticating(self.lines) {
            true => SshError::Lost { host, reason },
            false => SshError::ClosedEarly { host, reason },
        })
    }
}

/// `Offending ED25519 key in /etc/ssh/ssh_known_hosts:12`
fn offending(line: &str) -> Option<KnownKey> {
    let (key_type, place) = line.strip_prefix("Offending ")?.split_once(" key in ")?;
    let (file, line) = place.rsplit_once(':')?;
    // As known hosts files have it, where that is certain.
    let key_type = match key_type {
        "ED25519" => "ssh-ed25519",
        "RSA" => "ssh-rsa",
        other => other,
    };
    Some(KnownKey {
        key_type: key_type.to_owned(),
        place: Place {
            file: file.into(),
            line: line.parse().ok()?,
        },
    })
}

/// What was offered: `Offering public key: FILE TYPE FINGERPRINT SOURCE`, or another method.
fn offered(doing: &str) -> Option<String> {
    if let Some(key) = doing.strip_prefix("Offering public key: ") {
        return Some(key.to_owned());
    }
    let method = doing.strip_prefix("Next authentication method: ")?;
    (method != "publickey").then(|| method.to_owned())
}

fn is_about_a_key_file(line: &str) -> bool {
    ["Load key ", "no such identity: ", "Warning: Identity file "]
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::log::Lines;
    use super::super::target::Target;
    use super::{account, failure, loss};

    fn judged(text: &str) -> String {
        let target = Target {
            name: "web-1".to_owned(),
            address: "web".to_owned(),
            words: Vec::new(),
            user: None,
            known_hosts: vec!["/srv/known".to_owned()],
            connect_timeout: Duration::from_secs(20),
            keepalive_interval: Duration::from_secs(15),
            keepalive_max: 3,
        };
        failure(&target, &Lines::of(text)).to_string()
    }

    #[test]
    fn what_ssh_says_becomes_what_our_own_client_says() {
        let shown = "debug1: Server host key: ssh-ed25519 SHA256:AbC\n";
        let failed = "Host key verification failed.\n";
        let cases = [
            format!("{shown}No ED25519 host key is known for [web]:22 and you have requested strict checking.\n{failed}"),
            format!("{shown}@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending ED25519 key in /srv/known:7\n{failed}"),
            format!("{shown}ED25519 host key for [web]:22 was revoked and you have requested strict checking.\n{failed}"),
            "debug1: Authenticating to web:22 as 'ops'\ndebug1: Offering public key: id ED25519 SHA256:x explicit\n\
             debug1: Next authentication method: gssapi-with-mic\ndebug1: Unspecified GSS failure.  Minor code may provide more information\n\
             Ticket expired\n\nops@web: Permission denied (publickey,gssapi-with-mic).\n".to_owned(),
            "ssh: connect to host web port 22: Connection refused\n".to_owned(),
            "ssh: connect to host web port 22: Connection timed out\n".to_owned(),
            "ssh: Could not resolve hostname web: Name or service not known\n".to_owned(),
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 192.0.2.1 port 22\n".to_owned(),
            "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed\nkex_exchange_identification: Connection closed by remote host\n".to_owned(),
            "Unable to negotiate with 192.0.2.1 port 22: no matching host key type found. Their offer: ssh-dss\n".to_owned(),
            "/etc/ssh/ssh_config: line 3: Bad configuration option: nonsense\n/etc/ssh/ssh_config: terminating, 1 bad configuration options\n".to_owned(),
            String::new(),
        ];
        insta::assert_snapshot!(cases.map(|text| judged(&text)).join("\n"));
    }

    #[test]
    fn losses_and_accounts_are_read() {
        for (text, reason) in [
            (
                "Timeout, server web not responding.",
                "no answer to keep-alives",
            ),
            (
                "Connection to web closed by remote host.",
                "closed by the other side",
            ),
            (
                "debug1: x\nclient_loop: send disconnect: Broken pipe",
                "client_loop: send disconnect: Broken pipe",
            ),
            ("", "the ssh program ended"),
        ] {
            let expected = format!("web-1: connection lost: {reason}");
            assert_eq!(loss("web-1", &Lines::of(text)).to_string(), expected);
        }
        let lines = Lines::of(
            "debug1: Authenticating to jump:22 as 'a'\ndebug1: Authenticating to web:22 as 'ops'",
        );
        assert_eq!(account(&lines).as_deref(), Some("ops"));
    }
}
