//! Settings that our own client cannot honour and must not pass over.

use std::fmt;

/// A setting that decides whom we trust or how we log in, and that only the program `ssh` can carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The keyword, as `ssh -G` spells it.
    pub keyword: String,
    /// Its value.
    pub value: String,
    /// Why it stops us.
    pub why: &'static str,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.keyword, self.value, self.why)
    }
}

/// Says whether a setting stops our own client.
pub(super) fn obstacle(keyword: &str, value: &str) -> Option<Obstacle> {
    let yes = matches!(value, "yes" | "true");
    let why = match keyword {
        "pkcs11provider" if value != "none" => "keys in hardware",
        "securitykeyprovider" if value != "internal" => "keys in hardware",
        "knownhostscommand" if value != "none" => {
            "a command that names host keys, and may revoke some"
        }
        "preferredauthentications" if !value.split(',').any(|way| way == "publickey") => {
            "no login with a key"
        }
        "pubkeyauthentication" if !yes && !matches!(value, "unbound" | "host-bound") => {
            "no login with a key"
        }
        "proxyusefdpass" if yes => "a proxy that hands over its socket",
        "bindinterface" => "a source interface",
        "refuseconnection" => "the configuration refuses this connection",
        _ => return None,
    };
    Some(Obstacle {
        keyword: keyword.to_owned(),
        value: value.to_owned(),
        why,
    })
}
