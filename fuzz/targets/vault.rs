//! Encrypted texts, without and with a password.

use overhaul_source::fleet::vault::{VaultError, VaultKeys, decrypt, is_vault};
use zeroize::Zeroizing;

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let none = decrypt(text, &VaultKeys::default());
    assert!(none.is_err());
    assert_eq!(matches!(none, Err(VaultError::NotVault)), !is_vault(text));
    // A password costs thousands of rounds, so that it is tried on what is whole alone.
    if matches!(none, Err(VaultError::NoPassword(_))) {
        let mut keys = VaultKeys::default();
        keys.add("default", Zeroizing::new(b"first".to_vec()));
        let _ = decrypt(text, &keys);
    }
}
