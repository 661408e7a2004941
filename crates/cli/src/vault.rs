//! Vault passwords as Ansible takes them: files, programs, the terminal. Never from arguments, never printed.

use crate::args::VaultArgs;
use crate::failure::Failure;
use crate::{programs, secrets};
use overhaul_source::fleet::vault::{DEFAULT_LABEL, VaultKeys, decrypt_bytes, is_vault};
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The environment variable that names one more password file, as Ansible reads it.
const FILE_VARIABLE: &str = "ANSIBLE_VAULT_PASSWORD_FILE";

/// The source of a password that is asked for at the terminal.
const PROMPT: &str = "prompt";

/// Where one password comes from.
enum Source {
    Terminal,
    File(PathBuf),
}

/// The passwords that were given, each with its label.
///
/// # Errors
/// When a file, program or the terminal gives none, or others may read a file.
pub fn keys(args: &VaultArgs) -> Result<VaultKeys, Failure> {
    let mut keys = VaultKeys::default();
    for (label, source) in given(args, std::env::var_os(FILE_VARIABLE)) {
        let password = match source {
            Source::Terminal => {
                let whose = match label.as_str() {
                    DEFAULT_LABEL => "vault password".to_owned(),
                    label => format!("vault password ({label})"),
                };
                let secret = secrets::from_terminal(&whose, "--vault-password-file")?;
                Zeroizing::new(secret.reveal().trim().as_bytes().to_vec())
            }
            Source::File(path) => from_file(&path, &label, &keys)?,
        };
        if password.is_empty() {
            return Err(Failure::input(format!(
                "the vault password for the label `{label}` is empty"
            )));
        }
        keys.add(label, password);
    }
    Ok(keys)
}

/// What was named, in Ansible's order.
fn given(args: &VaultArgs, from_environment: Option<OsString>) -> Vec<(String, Source)> {
    let labelled = args.vault_id.iter().map(|id| {
        let (label, source) = id.split_once('@').unwrap_or((DEFAULT_LABEL, id));
        let label = if label.is_empty() {
            DEFAULT_LABEL
        } else {
            label
        };
        let source = match source {
            PROMPT => Source::Terminal,
            path => Source::File(PathBuf::from(path)),
        };
        (label.to_owned(), source)
    });
    let more = from_environment
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let files = args.vault_password_file.iter().cloned().chain(more);
    let unlabelled = files
        .map(Source::File)
        .chain(args.ask_vault_password.then_some(Source::Terminal))
        .map(|source| (DEFAULT_LABEL.to_owned(), source));
    labelled.chain(unlabelled).collect()
}

/// A file's text, or what a program says when the file is one. The text may be encrypted with a password that came before it.
fn from_file(path: &Path, label: &str, before: &VaultKeys) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let path = at_home(path);
    let found =
        std::fs::metadata(&path).map_err(|error| crate::failure::file(&path, "read", &error))?;
    if found.is_file() && found.permissions().mode() & 0o111 != 0 {
        return from_program(&path, label);
    }
    let text = secrets::whole_file(&path)?;
    let text = text.reveal().trim();
    if !is_vault(text) {
        return Ok(Zeroizing::new(text.as_bytes().to_vec()));
    }
    let plain = decrypt_bytes(text, before)
        .map_err(|error| Failure::input(format!("{}: {error}", path.display())))?;
    let ends = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let kept = plain
        .len()
        .saturating_sub(plain.iter().rev().take_while(|byte| ends(byte)).count());
    Ok(Zeroizing::new(
        plain.get(..kept).unwrap_or_default().to_vec(),
    ))
}

fn from_program(path: &Path, label: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let is_client = path
        .file_stem()
        .is_some_and(|stem| stem.to_string_lossy().ends_with("-client"));
    let arguments: &[&str] = if is_client {
        &["--vault-id", label]
    } else {
        &[]
    };
    let said = programs::said(&path.to_string_lossy(), arguments).map_err(|error| {
        Failure::input(format!(
            "no vault password from {}: {error}",
            path.display()
        ))
        .hint("if it is a file with a password, take its executable bit away: chmod 600")
    })?;
    let said = Zeroizing::new(said);
    Ok(Zeroizing::new(
        said.trim_matches(['\r', '\n']).as_bytes().to_vec(),
    ))
}

fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::var_os("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    /// Written by `ansible-vault` with the password `first`: `hello world`.
    const HELLO: &str = "$ANSIBLE_VAULT;1.1;AES256
37643134363933343236373466646636623136383232373736353964303630333537306631346137
3637663366316432336163623534313539376438363262320a636235663338656231376135626434
66316561306231346435653432373238326363353439613936303832386233633031363064336366
3764623237383033340a383066303333373739333833623762336633343837376530343765346461
6264
";

    fn file(folder: &Path, name: &str, text: &str, mode: u32) -> String {
        let path = folder.join(name);
        let mut file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
        path.display().to_string()
    }

    fn told(ids: &[String]) -> Result<VaultKeys, String> {
        let args = VaultArgs {
            vault_id: ids.to_vec(),
            ..VaultArgs::default()
        };
        keys(&args).map_err(|failure| failure.message)
    }

    #[test]
    fn passwords_come_from_files_and_programs() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let plain = file(at, "plain", " first \n", 0o600);
        let script = file(at, "script", "#!/bin/sh\necho first\n", 0o700);
        let client = file(
            at,
            "my-client.sh",
            "#!/bin/sh\n[ \"$1 $2\" = '--vault-id prod' ] && echo first\n",
            0o700,
        );
        for id in [plain.clone(), script, format!("prod@{client}")] {
            let found = decrypt_bytes(HELLO, &told(std::slice::from_ref(&id)).unwrap()).unwrap();
            assert_eq!(found.as_slice(), b"hello world", "{id}");
        }
        let sealed = file(at, "sealed", HELLO, 0o600);
        let both = told(&[plain, format!("inner@{sealed}")]).unwrap();
        assert_eq!(format!("{both:?}"), r#"["default", "inner"]"#);
    }

    #[test]
    fn what_gives_no_password_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        for (id, words) in [
            (file(at, "open", "first", 0o644), "others may read"),
            (file(at, "empty", "\n", 0o600), "is empty"),
            (
                file(at, "fails", "#!/bin/sh\nexit 2\n", 0o700),
                "no vault password from",
            ),
            (format!("x@{}/missing", at.display()), "missing"),
        ] {
            let message = told(std::slice::from_ref(&id)).unwrap_err();
            assert!(message.contains(words), "{id}: {message}");
        }
    }
}
