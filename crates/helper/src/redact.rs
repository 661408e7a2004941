//! Replaces secrets in a stream of bytes, also where a secret lies across the border of two chunks.

/// What stands in place of a secret.
pub const REDACTED: &[u8] = b"[redacted]";

/// A streaming replacer. Output does not depend on how the input was cut into chunks, and at most the
/// longest secret's length less one byte is held back.
#[derive(Debug)]
pub struct Redactor {
    secrets: Vec<Vec<u8>>,
    /// Which bytes a secret can begin with: most of a stream is decided by one look here.
    first: Vec<bool>,
    held: Vec<u8>,
    /// How many of the next bytes lie in an occurrence that was replaced already.
    covered: usize,
}

impl Redactor {
    /// A replacer of these secrets; empty ones are left out.
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let mut secrets: Vec<Vec<u8>> = secrets
            .into_iter()
            .map(|secret| secret.as_ref().to_vec())
            .filter(|secret| !secret.is_empty())
            .collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        let first = (0..=u8::MAX)
            .map(|byte| secrets.iter().any(|secret| secret.first() == Some(&byte)))
            .collect();
        Self {
            secrets,
            first,
            held: Vec::new(),
            covered: 0,
        }
    }

    /// The next bytes of the stream; what is certain to be no secret comes back.
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        if self.secrets.is_empty() {
            return chunk.to_vec();
        }
        self.held.extend_from_slice(chunk);
        self.advance(false)
    }

    /// The stream is over; the rest comes back.
    pub fn finish(&mut self) -> Vec<u8> {
        self.advance(true)
    }

    /// A whole text at once.
    pub fn whole<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>, text: &[u8]) -> Vec<u8> {
        let mut redactor = Self::new(secrets);
        let mut out = redactor.push(text);
        out.extend(redactor.finish());
        out
    }

    /// A whole text at once, as text.
    pub fn text<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>, text: &str) -> String {
        String::from_utf8_lossy(&Self::whole(secrets, text.as_bytes())).into_owned()
    }

    fn advance(&mut self, last: bool) -> Vec<u8> {
        let held = std::mem::take(&mut self.held);
        let mut out = Vec::with_capacity(held.len());
        let mut rest = held.as_slice();
        while let Some((byte, after)) = rest.split_first() {
            if self.may_begin_here(*byte) {
                // A longer secret may still come true here, so that nothing is decided yet.
                if !last && self.may_grow_to_a_secret(rest) {
                    break;
                }
                if let Some(secret) = self.secrets.iter().find(|s| rest.starts_with(s)) {
                    // Overlapping occurrences are one hole: their parts are secret, too.
                    if self.covered == 0 {
                        out.extend_from_slice(REDACTED);
                    }
                    self.covered = self.covered.max(secret.len());
                }
            }
            if self.covered == 0 {
                out.push(*byte);
            } else {
                self.covered = self.covered.saturating_sub(1);
            }
            rest = after;
        }
        self.held = rest.to_vec();
        out
    }

    fn may_begin_here(&self, byte: u8) -> bool {
        self.first.get(usize::from(byte)).copied().unwrap_or(false)
    }

    fn may_grow_to_a_secret(&self, rest: &[u8]) -> bool {
        self.secrets
            .iter()
            .any(|secret| secret.len() > rest.len() && secret.starts_with(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn in_chunks(secrets: &[&str], chunks: &[&str]) -> String {
        let mut redactor = Redactor::new(secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend(redactor.push(chunk.as_bytes()));
        }
        out.extend(redactor.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_become_holes() {
        for (secrets, chunks, expected) in [
            (vec!["hunter2"], vec!["pw=hunter2\n"], "pw=[redacted]\n"),
            (
                vec!["hunter2"],
                vec!["pw=hun", "ter", "2\n"],
                "pw=[redacted]\n",
            ),
            (vec!["hunter2"], vec!["pw=hunt", "ing"], "pw=hunting"),
            (vec!["hunter2"], vec!["hunter"], "hunter"),
            (vec!["ab", "abcd"], vec!["abc", "x"], "[redacted]cx"),
            (vec!["ab", "abcd"], vec!["abc", "d"], "[redacted]"),
            (vec!["aba", "bab"], vec!["ab", "ab."], "[redacted]."),
            (vec!["xx"], vec!["xxxx"], "[redacted]"),
            (vec!["xy"], vec!["xyxy"], "[redacted][redacted]"),
            (vec![""], vec!["left alone"], "left alone"),
            (vec![], vec!["left", " alone"], "left alone"),
        ] {
            assert_eq!(
                in_chunks(&secrets, &chunks),
                expected,
                "{secrets:?} {chunks:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_a_secret_is_not_held_back() {
        let mut redactor = Redactor::new(["a secret that is long"]);
        assert_eq!(redactor.push(b"Continue? [Y/n] "), b"Continue? [Y/n] ");
    }

    proptest! {
        #[test]
        fn no_cut_lets_a_secret_through(
            secrets in prop::collection::vec("[xyz]{1,5}", 0..4),
            chunks in prop::collection::vec("[xyz]{0,7}", 0..12),
        ) {
            let mut redactor = Redactor::new(&secrets);
            let mut out = Vec::new();
            let longest = secrets.iter().map(String::len).max().unwrap_or(1);
            for chunk in &chunks {
                out.extend(redactor.push(chunk.as_bytes()));
                prop_assert!(redactor.held.len() < longest);
            }
            out.extend(redactor.finish());
            prop_assert_eq!(&out, &Redactor::whole(&secrets, chunks.concat().as_bytes()));
            let out = String::from_utf8(out).unwrap();
            for secret in &secrets {
                prop_assert!(!out.contains(secret.as_str()), "{secret} in {out}");
            }
        }
    }
}
