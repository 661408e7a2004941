//! What the inventory says about the way to a host.

use super::error::ConfigError;

/// Options of `ssh` that take a value, as its own table has them (OpenSSH 9.2; `-P` since 9.4).
const WITH_VALUE: &str = "bceilmopBDEFIJLOPQRSWw";
/// Options of `ssh` without a value.
const FLAGS: &str = "1246afgknqstvxACGKMNTVXYy";

/// What one would write behind `ssh`: the host, and what the inventory says beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Asked {
    /// A name, an address, an alias of the configuration, `user@host` or a `ssh://` address.
    pub host: String,
    /// As `-p`.
    pub port: Option<u16>,
    /// As `-l`.
    pub user: Option<String>,
    /// As `-o IdentityFile`.
    pub identity_files: Vec<String>,
    /// Further words for `ssh`. What is said above wins over them, and they win over the files.
    pub args: Vec<String>,
}

/// One option and its value.
pub(super) type Flag = (char, Option<String>);

impl Asked {
    /// Just a host.
    pub fn host(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            ..Self::default()
        }
    }

    /// The words behind `ssh -G`. What the inventory names stands first, because OpenSSH takes the
    /// first value that it gets; Ansible builds its command lines so as well.
    pub(super) fn words(&self) -> Result<Vec<String>, ConfigError> {
        if self.host.is_empty() || self.host.starts_with('-') {
            return Err(ConfigError::NoHost {
                host: self.host.clone(),
            });
        }
        options(&self.args)?;
        let mut words = Vec::new();
        if let Some(port) = self.port {
            words.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = &self.user {
            words.extend(["-l".to_owned(), user.clone()]);
        }
        for file in &self.identity_files {
            words.extend(["-o".to_owned(), format!("IdentityFile={}", quoted(file))]);
        }
        words.extend(self.args.iter().cloned());
        words.extend(["--".to_owned(), self.host.clone()]);
        Ok(words)
    }

    /// The file that `-F` names: jump hosts are reached by the same one.
    pub(super) fn config_file(&self) -> Result<Option<String>, ConfigError> {
        let mut options = options(&self.args)?.into_iter().rev();
        let file = options.find(|(letter, _)| *letter == 'F');
        Ok(file.and_then(|(_, value)| value))
    }

    /// What `ssh` asks of the last jump host of a `ProxyJump` list: of the words, it hands on the
    /// configuration file alone, and the other jump hosts are on the way to that one.
    pub(crate) fn jump(&self, list: &str) -> Result<Self, ConfigError> {
        let (before, last) = match list.rsplit_once(',') {
            Some((before, last)) => (Some(before), last),
            None => (None, list),
        };
        let mut args = Vec::new();
        if let Some(file) = self.config_file()? {
            args.extend(["-F".to_owned(), file]);
        }
        if let Some(before) = before {
            args.extend(["-J".to_owned(), before.to_owned()]);
        }
        let (user, host, port) = destination(last);
        let host = host.to_owned();
        if host.is_empty() || host.starts_with('-') {
            return Err(ConfigError::NoHost { host });
        }
        Ok(Self {
            host,
            port,
            user: user.map(str::to_owned),
            identity_files: Vec::new(),
            args,
        })
    }
}

/// Takes `[ssh://][user@]host[:port]` apart; the host may be a number in brackets.
pub(super) fn destination(text: &str) -> (Option<&str>, &str, Option<u16>) {
    let text = text.trim();
    let text = text.strip_prefix("ssh://").unwrap_or(text);
    let text = text.strip_suffix('/').unwrap_or(text);
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    if let Some((host, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (
            user,
            host,
            after.strip_prefix(':').and_then(|port| port.parse().ok()),
        );
    }
    match rest.split_once(':') {
        // Several colons are an address of version 6.
        Some((host, port)) if !port.contains(':') => match port.parse() {
            Ok(port) => (user, host, Some(port)),
            Err(_) => (user, rest, None),
        },
        _ => (user, rest, None),
    }
}

/// The options in the words, read as `getopt` reads them.
pub(super) fn options(args: &[String]) -> Result<Vec<Flag>, ConfigError> {
    let mut found = Vec::new();
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let letters = match word.strip_prefix('-') {
            Some(letters) if !letters.is_empty() && letters != "-" => letters,
            _ => return Err(ConfigError::NoOption { word: word.clone() }),
        };
        for (at, letter) in letters.char_indices() {
            if FLAGS.contains(letter) {
                found.push((letter, None));
                continue;
            }
            if !WITH_VALUE.contains(letter) {
                return Err(ConfigError::NoOption { word: word.clone() });
            }
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            let value = if rest.is_empty() {
                words.next().cloned()
            } else {
                Some(rest.to_owned())
            };
            let value = value.ok_or(ConfigError::NoValue { letter })?;
            found.push((letter, Some(value)));
            break;
        }
    }
    Ok(found)
}

/// A word of a configuration line, whatever is in it.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::{Asked, ConfigError, destination, options};

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_taken_apart_as_getopt_does() {
        for (text, wanted) in [
            ("", "[]"),
            (
                "-4A -F f",
                r#"[('4', None), ('A', None), ('F', Some("f"))]"#,
            ),
            ("-4Ff", r#"[('4', None), ('F', Some("f"))]"#),
            (
                "-oPort=2 -o User=u",
                r#"[('o', Some("Port=2")), ('o', Some("User=u"))]"#,
            ),
            ("-p -4", r#"[('p', Some("-4"))]"#),
        ] {
            assert_eq!(
                format!("{:?}", options(&words(text)).unwrap()),
                wanted,
                "{text}"
            );
        }
        for (text, wanted) in [
            (
                "host",
                ConfigError::NoOption {
                    word: "host".into(),
                },
            ),
            ("-4 -- x", ConfigError::NoOption { word: "--".into() }),
            ("-", ConfigError::NoOption { word: "-".into() }),
            ("-z", ConfigError::NoOption { word: "-z".into() }),
            ("-4o", ConfigError::NoValue { letter: 'o' }),
        ] {
            assert_eq!(options(&words(text)), Err(wanted), "{text}");
        }
    }

    #[test]
    fn destinations_are_taken_apart() {
        for (text, wanted) in [
            ("h", (None, "h", None)),
            ("u@h:22", (Some("u"), "h", Some(22))),
            ("a@b@h", (Some("a@b"), "h", None)),
            ("[::1]:22", (None, "::1", Some(22))),
            ("u@[::1]", (Some("u"), "::1", None)),
            ("::1", (None, "::1", None)),
            ("ssh://u@h:22/", (Some("u"), "h", Some(22))),
            ("h:x", (None, "h:x", None)),
        ] {
            assert_eq!(destination(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_last_jump_host_is_reached_through_the_others() {
        let asked = Asked {
            port: Some(7),
            args: words("-o ProxyJump=a,b -F /f -i key"),
            ..Asked::host("h")
        };
        let jump = asked.jump("a,u@b:22").unwrap();
        let wanted = Asked {
            port: Some(22),
            user: Some("u".into()),
            args: words("-F /f -J a"),
            ..Asked::host("b")
        };
        assert_eq!(jump, wanted);
        assert_eq!(
            jump.jump("a").unwrap().words().unwrap(),
            words("-F /f -- a")
        );
        assert!(asked.jump("a,").is_err() && asked.jump("-oX=y").is_err());
    }
}
