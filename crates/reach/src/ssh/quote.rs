//! From a list of arguments to one command string for the remote shell.

/// An argument holds a NUL byte, which no program can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("argument {index} holds a NUL byte, which no program can receive")]
pub struct NulInArgument {
    /// Place in the list, from 0.
    pub index: usize,
}

/// Quotes one word for a POSIX shell; plain words stay as they are, so that a command stays
/// readable in the target's process list and logs.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for c in word.chars() {
        match c {
            '\'' => quoted.push_str("'\\''"),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    quoted
}

/// Joins arguments into one command string that a POSIX shell splits into just these again.
pub fn command_line<S: AsRef<str>>(argv: &[S]) -> Result<String, NulInArgument> {
    let mut line = String::new();
    for (index, word) in argv.iter().enumerate() {
        if word.as_ref().contains('\0') {
            return Err(NulInArgument { index });
        }
        if index > 0 {
            line.push(' ');
        }
        line.push_str(&quote(word.as_ref()));
    }
    Ok(line)
}
