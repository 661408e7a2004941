//! The words behind `ssh` that a host's connection means.

use overhaul_model::fleet::Connection;

/// Options with a value, by letter, that say which way leads to a host and how to be let in.
const KEPT_WITH_VALUE: &str = "oFilpJbBcmI";
/// The same without a value.
const KEPT: &str = "46CK";
/// Options that concern a session of a person or forwardings, which there are none of here.
const LEFT_OUT_WITH_VALUE: &str = "eDELRw";
/// The same without a value.
const LEFT_OUT: &str = "aAgknqtTvxXyY";

/// Words for `ssh` that cannot be taken along.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// The option makes another program of `ssh`.
    #[error(
        "the words for ssh hold -{0}, which changes what ssh does, not how the host is reached: take it out"
    )]
    OtherRole(char),
    /// No such option.
    #[error("the words for ssh hold -{0}, an option that is not known: is it for another program?")]
    NoOption(char),
    /// No option at all.
    #[error("the words for ssh hold {0:?}, which is no option: ssh would take it for the host")]
    NotAnOption(String),
    /// The last option lacks its value.
    #[error("the words for ssh end with -{0}, whose value is missing")]
    NoValue(char),
    /// ssh would replace what stands in braces by a variable.
    #[error(
        "{0}: ssh would replace ${{...}} in this file name by a variable: name the file otherwise"
    )]
    Variable(String),
    /// No program can be given this.
    #[error("{0:?} holds a line end or a NUL byte")]
    Control(String),
}

/// The words that a host's connection means, without a program and without the host: port, account,
/// identity, known hosts, and the operator's own words, those that say how the host is reached.
/// The keys of hosts are always checked strictly.
///
/// # Errors
/// When the operator's own words are none that can be taken along.
pub fn login_words(connection: &Connection) -> Result<Vec<String>, WordError> {
    let mut words = option("StrictHostKeyChecking=yes");
    if let Some(port) = connection.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    if let Some(user) = &connection.user {
        words.extend(["-l".to_owned(), user.clone()]);
    }
    for file in &connection.identity_files {
        words.extend(["-i".to_owned(), file_name(file)?]);
    }
    if !connection.known_hosts.is_empty() {
        let files = connection.known_hosts.iter().map(|file| quoted(file));
        let files = files.collect::<Result<Vec<_>, _>>()?.join(" ");
        words.extend(option(&format!("UserKnownHostsFile={files}")));
        // Files that are named are the only ones, as with our own client.
        words.extend(option("GlobalKnownHostsFile=/dev/null"));
    }
    words.extend(own_words(&connection.ssh_args)?);
    match words.iter().find(|word| word.contains(['\0', '\n'])) {
        Some(word) => Err(WordError::Control(word.clone())),
        None => Ok(words),
    }
}

pub(super) fn option(text: &str) -> Vec<String> {
    vec!["-o".to_owned(), text.to_owned()]
}

/// The configuration file that the operator's words name instead of the usual ones.
pub(super) fn named_config(words: &[String]) -> Option<&str> {
    // Of several the last counts.
    let at = words.iter().rposition(|word| word == "-F")?;
    words.get(at + 1).map(String::as_str)
}

/// ssh expands `%` in names of files.
fn file_name(file: &str) -> Result<String, WordError> {
    match file.contains("${") {
        true => Err(WordError::Variable(file.to_owned())),
        false => Ok(file.replace('%', "%%")),
    }
}

fn quoted(file: &str) -> Result<String, WordError> {
    let escaped = file_name(file)?.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(format!("\"{escaped}\""))
}

/// Takes words apart as ssh does: letters may stand together, a value may touch its letter.
fn own_words(words: &[String]) -> Result<Vec<String>, WordError> {
    let mut kept = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            return Err(WordError::NotAnOption(word.clone()));
        };
        let mut rest = letters.chars();
        while let Some(letter) = rest.next() {
            if KEPT.contains(letter) {
                kept.push(format!("-{letter}"));
            } else if KEPT_WITH_VALUE.contains(letter) || LEFT_OUT_WITH_VALUE.contains(letter) {
                let touching = rest.as_str().to_owned();
                let value = match touching.is_empty() {
                    true => words.next().ok_or(WordError::NoValue(letter))?.clone(),
                    false => touching,
                };
                if KEPT_WITH_VALUE.contains(letter) {
                    kept.extend([format!("-{letter}"), value]);
                }
                break;
            } else if !LEFT_OUT.contains(letter) {
                return Err(match "fGMNOQsSVW".contains(letter) {
                    true => WordError::OtherRole(letter),
                    false => WordError::NoOption(letter),
                });
            }
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::{WordError, login_words};
    use overhaul_model::fleet::Connection;

    fn words(ssh_args: &[&str]) -> Result<String, WordError> {
        let connection = Connection {
            ssh_args: ssh_args.iter().map(|word| (*word).to_owned()).collect(),
            ..Connection::to("web-1")
        };
        Ok(login_words(&connection)?.join(" "))
    }

    #[test]
    fn the_operators_words_come_last_and_only_those_about_the_way() {
        let strict = "-o StrictHostKeyChecking=yes";
        for (given, kept) in [
            (&["-o", "ProxyJump=bastion"][..], " -o ProxyJump=bastion"),
            (&["-oProxyJump=bastion", "-C"], " -o ProxyJump=bastion -C"),
            (&["-4CqFmine", "-v"], " -4 -C -F mine"),
            (
                &["-L8080:x:80", "-tt", "-E", "log", "-p", "2222"],
                " -p 2222",
            ),
            (&[], ""),
        ] {
            assert_eq!(
                words(given).unwrap(),
                format!("{strict}{kept}"),
                "{given:?}"
            );
        }
    }

    #[test]
    fn what_makes_another_program_of_ssh_is_refused() {
        for (given, why) in [
            (&["-f"][..], WordError::OtherRole('f')),
            (&["-CS", "socket"], WordError::OtherRole('S')),
            (&["-Z"], WordError::NoOption('Z')),
            (&["--", "host"], WordError::NoOption('-')),
            (&["host"], WordError::NotAnOption("host".to_owned())),
            (&["-o"], WordError::NoValue('o')),
            (&["-oUser=a\nb"], WordError::Control("User=a\nb".to_owned())),
        ] {
            assert_eq!(words(given).unwrap_err(), why, "{given:?}");
        }
    }

    #[test]
    fn all_that_a_connection_says_is_there() {
        let connection = Connection {
            port: Some(2222),
            user: Some("ops".to_owned()),
            identity_files: vec!["~/.ssh/50% key".to_owned()],
            known_hosts: vec!["/srv/my \"hosts\"".to_owned(), "b".to_owned()],
            ..Connection::to("web-1")
        };
        insta::assert_snapshot!(
            login_words(&connection).unwrap().join("\n"),
            @r#"
        -o
        StrictHostKeyChecking=yes
        -p
        2222
        -l
        ops
        -i
        ~/.ssh/50%% key
        -o
        UserKnownHostsFile="/srv/my \"hosts\"" "b"
        -o
        GlobalKnownHostsFile=/dev/null
        "#
        );
        let connection = Connection {
            identity_files: vec!["${HOME}/key".to_owned()],
            ..Connection::to("web-1")
        };
        assert!(login_words(&connection).is_err());
    }
}
