//! The `%` tokens, `${NAME}` and `~` in names of files and in commands.

use std::path::{Path, PathBuf};

use super::account::Account;
use super::error::ConfigError;
use super::resolved::Resolved;

/// Longest text that completing may make: longer than any path or command that the system takes.
const EXPANDED_BYTES_MAX: usize = 128 << 10;

/// What the tokens stand for.
#[derive(Debug, Clone)]
pub(crate) struct Tokens<'a> {
    pub(crate) account: &'a Account,
    pub(crate) resolved: &'a Resolved,
}

impl Tokens<'_> {
    /// A file that the configuration names.
    pub(crate) fn path(&self, text: &str) -> Result<PathBuf, ConfigError> {
        let text = self.expand(&environment(text)?)?;
        home(&text, self.account)
    }

    /// A file whose tokens are completed already.
    pub(crate) fn home(&self, text: &str) -> Result<PathBuf, ConfigError> {
        home(text, self.account)
    }

    /// A text with its tokens completed, and nothing else.
    pub(crate) fn expand(&self, text: &str) -> Result<String, ConfigError> {
        let wrong = |reason: String| ConfigError::Token {
            text: text.to_owned(),
            reason,
        };
        let mut out = String::new();
        let mut letters = text.chars();
        while let Some(letter) = letters.next() {
            if letter != '%' {
                out.push(letter);
                continue;
            }
            let token = letters
                .next()
                .ok_or_else(|| wrong("ends with %".to_owned()))?;
            let value = self.value(token);
            out.push_str(&value.ok_or_else(|| wrong(format!("%{token} is not known")))?);
            if out.len() > EXPANDED_BYTES_MAX {
                return Err(wrong("becomes too long".to_owned()));
            }
        }
        Ok(out)
    }

    fn value(&self, token: char) -> Option<String> {
        let way = self.resolved;
        Some(match token {
            '%' => "%".to_owned(),
            'h' => way.hostname.clone(),
            'n' => way.host.clone(),
            'p' => way.port.to_string(),
            'r' => way.user.clone(),
            'k' => way
                .host_key_alias
                .clone()
                .unwrap_or_else(|| way.host.clone()),
            'j' => way.jump_host(),
            'u' => self.account.name.clone()?,
            'i' => self.account.uid?.to_string(),
            'd' => self.account.home.as_ref()?.to_str()?.to_owned(),
            'l' => local_host()?,
            'L' => local_host()?.split('.').next()?.to_owned(),
            _ => return None,
        })
    }
}

/// Completes `~` and `~/`.
pub(super) fn home(text: &str, account: &Account) -> Result<PathBuf, ConfigError> {
    let wrong = |reason: &str| ConfigError::Token {
        text: text.to_owned(),
        reason: reason.to_owned(),
    };
    match text.strip_prefix('~') {
        None => Ok(PathBuf::from(text)),
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = account.home.as_deref();
            let home = home.ok_or_else(|| wrong("the home of this account is not known"))?;
            Ok(match rest.strip_prefix('/') {
                Some(rest) => home.join(rest.trim_start_matches('/')),
                None => home.to_owned(),
            })
        }
        Some(_) => Err(wrong(
            "homes of other accounts are not looked up: write the path out",
        )),
    }
}

/// Completes `${NAME}`.
fn environment(text: &str) -> Result<String, ConfigError> {
    let wrong = |reason: String| ConfigError::Token {
        text: text.to_owned(),
        reason,
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| wrong("lacks a closing }".to_owned()))?;
        let value = std::env::var(name);
        out.push_str(before);
        out.push_str(&value.map_err(|_| wrong(format!("{name} is not in the environment")))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn local_host() -> Option<String> {
    let name = std::fs::read_to_string(Path::new("/proc/sys/kernel/hostname")).ok()?;
    Some(name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Account, Resolved, Tokens};
    use std::path::PathBuf;

    #[test]
    fn tokens_are_completed() {
        let account = Account {
            name: Some("me".into()),
            home: Some(PathBuf::from("/home/me")),
            uid: Some(7),
        };
        let resolved = Resolved {
            hostname: "web.example".into(),
            user: "admin".into(),
            port: 2222,
            ..Resolved::plain("web")
        };
        let tokens = Tokens {
            account: &account,
            resolved: &resolved,
        };
        for (text, wanted) in [
            ("nc %h %p", "nc web.example 2222"),
            ("~/k-%n-%r", "/home/me/k-web-admin"),
            ("%d/a%%b", "/home/me/a%b"),
            ("~", "/home/me"),
            ("%u %i %k", "me 7 web"),
        ] {
            assert_eq!(tokens.path(text).unwrap(), PathBuf::from(wanted), "{text}");
        }
        for text in ["%", "%C", "~other/x", "${NO_SUCH_NAME_HERE}", "${x"] {
            assert!(tokens.path(text).is_err(), "{text}");
        }
    }
}
