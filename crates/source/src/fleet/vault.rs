//! Texts that `ansible-vault` encrypted: formats 1.1 and 1.2, AES256.
//!
//! The format: a header line `$ANSIBLE_VAULT;1.2;AES256;LABEL`, then hexadecimal lines. Decoded they are three hexadecimal lines of
//! their own: salt, HMAC-SHA256 of the ciphertext, ciphertext. PBKDF2-HMAC-SHA256 makes from password and salt the key for AES-256 in
//! counter mode, the key of the HMAC, and the first counter block.

use crate::read::FILE_BYTES_MAX;
use aes::Aes256;
use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use ctr::Ctr128BE;
use hmac::{Hmac, KeyInit as _, Mac as _};
use overhaul_model::secret::Secret;
use sha2::Sha256;
use std::fmt;
use zeroize::Zeroizing;

/// What every encrypted text begins with.
const MARK: &str = "$ANSIBLE_VAULT";

/// The label of a password that was given without one, and of a text that names none.
pub const DEFAULT_LABEL: &str = "default";

/// Rounds of PBKDF2, as the format has them.
const ROUNDS: u32 = 10_000;

/// Bytes of each of the two keys.
const KEY_BYTES: usize = 32;

/// Bytes of the first counter block, and of the blocks to which the plain text is filled up.
const BLOCK_BYTES: usize = 16;

/// Characters of a header's words that are shown: an honest word has a dozen.
const SHOWN_CHARS_MAX: usize = 40;

/// Why a text was not decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// It is not encrypted.
    #[error("this is no text of ansible-vault: it does not begin with `{MARK}`")]
    NotVault,
    /// Its version is not known.
    #[error("version `{0}` of ansible-vault's format is not known; 1.1 and 1.2 are")]
    Version(String),
    /// Its cipher is not known.
    #[error("the cipher `{0}` is not known; AES256 is. `ansible-vault rekey` writes it anew")]
    Cipher(String),
    /// There is no password at all.
    #[error("no vault password was given for the label `{0}`")]
    NoPassword(String),
    /// No password fits.
    #[error("no vault password fits a text with the label `{label}`, or the text was changed; tried: {}", tried.join(", "))]
    WrongPassword {
        /// The label in the text.
        label: String,
        /// The labels of the passwords that were tried, in their order.
        tried: Vec<String>,
    },
    /// It cannot be what ansible-vault wrote.
    #[error("the encrypted text is damaged: {0}")]
    Damaged(&'static str),
    /// What was encrypted is not text.
    #[error("what was encrypted is not text in UTF-8")]
    NotText,
}

/// Vault passwords with their labels. Nothing of a password is ever shown.
#[derive(Clone, Default)]
pub struct VaultKeys {
    list: Vec<(String, Zeroizing<Vec<u8>>)>,
}

impl VaultKeys {
    /// One more password, tried after those that are there.
    pub fn add(&mut self, label: impl Into<String>, password: Zeroizing<Vec<u8>>) {
        self.list.push((label.into(), password));
    }

    /// Whether there is no password.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Those that have the text's label, then all others: a label is a name, not a promise.
    fn in_order(&self, label: &str) -> impl Iterator<Item = &(String, Zeroizing<Vec<u8>>)> {
        let own = |fits: bool| {
            self.list
                .iter()
                .filter(move |(own, _)| (own == label) == fits)
        };
        own(true).chain(own(false))
    }
}

impl fmt::Debug for VaultKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.list.iter().map(|(label, _)| label))
            .finish()
    }
}

/// Whether a text is encrypted.
pub fn is_vault(text: &str) -> bool {
    text.starts_with(MARK) && text.is_ascii()
}

/// The plain text. Takes some milliseconds for each password that is tried, which is what keeps a password from being guessed.
///
/// # Errors
/// When the text is none of ansible-vault's, is damaged, or no password fits.
pub fn decrypt(text: &str, keys: &VaultKeys) -> Result<Secret, VaultError> {
    let plain = decrypt_bytes(text, keys)?;
    std::str::from_utf8(&plain)
        .map(Secret::new)
        .map_err(|_| VaultError::NotText)
}

/// The same for what need not be text, like a password.
///
/// # Errors
/// Those of [`decrypt`] but that for text.
pub fn decrypt_bytes(text: &str, keys: &VaultKeys) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let sealed = Sealed::read(text)?;
    if keys.is_empty() {
        return Err(VaultError::NoPassword(sealed.label));
    }
    for (_, password) in keys.in_order(&sealed.label) {
        if let Some(plain) = sealed.open(password)? {
            return Ok(plain);
        }
    }
    let tried = keys
        .in_order(&sealed.label)
        .map(|(label, _)| shown(label))
        .collect();
    Err(VaultError::WrongPassword {
        label: sealed.label,
        tried,
    })
}

/// An encrypted text, taken apart.
struct Sealed {
    label: String,
    salt: Vec<u8>,
    mac: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl Sealed {
    fn read(text: &str) -> Result<Self, VaultError> {
        if !is_vault(text) {
            return Err(VaultError::NotVault);
        }
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
            return Err(VaultError::Damaged(
                "it is larger than any file that is read",
            ));
        }
        let mut lines = text.lines();
        let header: Vec<&str> = lines
            .next()
            .unwrap_or_default()
            .split(';')
            .map(str::trim)
            .collect();
        let (version, cipher, label) = match header.as_slice() {
            [mark, version, cipher, rest @ ..] if *mark == MARK => (
                *version,
                *cipher,
                rest.first().copied().unwrap_or(DEFAULT_LABEL),
            ),
            _ => {
                return Err(VaultError::Damaged(
                    "its first line lacks version or cipher",
                ));
            }
        };
        if !["1.1", "1.2"].contains(&version) {
            return Err(VaultError::Version(shown(version)));
        }
        if cipher != "AES256" {
            return Err(VaultError::Cipher(shown(cipher)));
        }
        let body = unhex(lines.collect::<String>().as_bytes())?;
        let mut parts = body.splitn(3, |byte| *byte == b'\n').map(unhex);
        let mut part = || {
            parts
                .next()
                .unwrap_or(Err(VaultError::Damaged("it lacks its end")))
        };
        Ok(Self {
            label: shown(label),
            salt: part()?,
            mac: part()?,
            ciphertext: part()?,
        })
    }

    /// The plain text; none when the password is another.
    fn open(&self, password: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
        let mut derived = Zeroizing::new([0_u8; KEY_BYTES + KEY_BYTES + BLOCK_BYTES]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &self.salt, ROUNDS, derived.as_mut_slice());
        let (key, rest) = derived.split_at(KEY_BYTES);
        let (mac_key, counter) = rest.split_at(KEY_BYTES);
        let damaged = |_| VaultError::Damaged("its keys do not have the right length");
        let mut mac = Hmac::<Sha256>::new_from_slice(mac_key).map_err(damaged)?;
        mac.update(&self.ciphertext);
        // Compares in constant time.
        if mac.verify_slice(&self.mac).is_err() {
            return Ok(None);
        }
        let mut plain = Zeroizing::new(self.ciphertext.clone());
        Ctr128BE::<Aes256>::new_from_slices(key, counter)
            .map_err(damaged)?
            .apply_keystream(&mut plain);
        let filled = plain.last().copied().map_or(0, usize::from);
        let length = plain.len().checked_sub(filled);
        let fits = (1..=BLOCK_BYTES).contains(&filled)
            && plain
                .iter()
                .rev()
                .take(filled)
                .all(|byte| usize::from(*byte) == filled);
        match length.filter(|_| fits && plain.len().is_multiple_of(BLOCK_BYTES)) {
            Some(length) => {
                plain.truncate(length);
                Ok(Some(plain))
            }
            None => Err(VaultError::Damaged(
                "its last block is not filled up as it must be",
            )),
        }
    }
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, VaultError> {
    let damaged = VaultError::Damaged("it holds something else than pairs of hexadecimal digits");
    hex::decode(text).map_err(|_| damaged)
}

/// A word of the header: foreign, so it is cut and holds no control characters.
fn shown(word: &str) -> String {
    word.chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_CHARS_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `ansible-vault` of ansible-core 2.19 with the password `first`: `hello world`.
    const HELLO: &str = "$ANSIBLE_VAULT;1.1;AES256
37643134363933343236373466646636623136383232373736353964303630333537306631346137
3637663366316432336163623534313539376438363262320a636235663338656231376135626434
66316561306231346435653432373238326363353439613936303832386233633031363064336366
3764623237383033340a383066303333373739333833623762336633343837376530343765346461
6264
";

    /// The same with the label `prod` and the password `zweites é`: `größe: 1`.
    const LABELLED: &str = "$ANSIBLE_VAULT;1.2;AES256;prod
37623735663430653965393539653362313364633663373638313731306133663963633238663065
6534376464626432656135356163383832366531616463330a356465373237353166376539316462
30313264613331343638353936376336663736646661393163653032656435333635383764343338
6163316137326432360a336162626137633036383035336433656334616363326461633764343238
3836
";

    fn keys(list: &[(&str, &str)]) -> VaultKeys {
        let mut keys = VaultKeys::default();
        for (label, password) in list {
            keys.add(*label, Zeroizing::new(password.as_bytes().to_vec()));
        }
        keys
    }

    #[test]
    fn what_ansible_vault_wrote_is_read() {
        let both = keys(&[("default", "first"), ("prod", "zweites é")]);
        for (text, plain) in [(HELLO, "hello world"), (LABELLED, "größe: 1")] {
            assert_eq!(decrypt(text, &both).unwrap().reveal(), plain);
            assert_eq!(
                decrypt(&text.replace('\n', "\r\n"), &both)
                    .unwrap()
                    .reveal(),
                plain
            );
        }
        // A label is a name only: another one's password is tried too.
        assert_eq!(
            decrypt(LABELLED, &keys(&[("other", "zweites é")]))
                .unwrap()
                .reveal(),
            "größe: 1"
        );
    }

    #[test]
    fn faults_are_told_apart() {
        let both = keys(&[("default", "no"), ("prod", "nor this")]);
        let right = keys(&[("default", "first")]);
        let fault = |text: &str, keys: &VaultKeys| decrypt(text, keys).unwrap_err().to_string();
        let cases = [
            fault("hello", &both),
            fault("$ANSIBLE_VAULT", &both),
            fault("$ANSIBLE_VAULT;1.0;AES\n00", &both),
            fault("$ANSIBLE_VAULT;1.1;AES\n00", &both),
            fault("$ANSIBLE_VAULT;1.1;\x1b[31mX\n00", &both),
            fault(HELLO, &VaultKeys::default()),
            fault(LABELLED, &both),
            fault(&HELLO.replace("6264\n", "6265\n"), &right),
            fault(&HELLO.replace("6264\n", ""), &right),
            fault(&HELLO.replace("6264\n", "62\n"), &right),
            fault("$ANSIBLE_VAULT;1.1;AES256\n6162\n", &right),
            fault("$ANSIBLE_VAULT;1.1;AES256\nxyz\n", &right),
            fault("$ANSIBLE_VAULT;1.1;AES256\n", &right),
        ];
        insta::assert_snapshot!(cases.join("\n"));
        assert_eq!(format!("{both:?}"), r#"["default", "prod"]"#);
    }
}
