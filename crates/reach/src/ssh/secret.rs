//! A value that must not be seen: passwords and passphrases.

use std::fmt;
use std::hint::black_box;

/// Holds a password or passphrase; never printed, never serialized, overwritten when dropped.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the value. The caller should drop other copies of it.
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        Self(value.into())
    }

    /// The bytes themselves, for the one place that hands them over.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Keeps the compiler from dropping a write to memory that is freed next.
        black_box(&self.0);
    }
}
