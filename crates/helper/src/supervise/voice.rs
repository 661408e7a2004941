//! A command's standard output on its way to becoming a value.

use crate::redact::Redactor;
use overhaul_model::receipt::{Said, VALUE_BYTES_MAX};

/// Collects standard output, redacted, up to the length of a value.
pub(super) struct Voice {
    redactor: Redactor,
    /// One byte more than a value may have, so that what is too long shows.
    head: Vec<u8>,
}

impl Voice {
    pub(super) fn new(redact: &[String]) -> Self {
        Self {
            redactor: Redactor::new(redact),
            head: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        let clean = self.redactor.push(piece);
        self.keep(&clean);
    }

    pub(super) fn finish(mut self) -> Said {
        let rest = self.redactor.finish();
        self.keep(&rest);
        if self.head.len() > VALUE_BYTES_MAX {
            return Said::TooLong;
        }
        let Ok(text) = String::from_utf8(self.head) else {
            return Said::NoText;
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        Said::Text(line.strip_suffix('\r').unwrap_or(line).to_owned())
    }

    fn keep(&mut self, clean: &[u8]) {
        let room = (VALUE_BYTES_MAX + 1).saturating_sub(self.head.len());
        self.head.extend(clean.iter().take(room));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_whole_bounded_and_clean() {
        let secret = ["hush".to_owned()];
        for (pieces, expected) in [
            (vec!["a\nb\n"], Said::Text("a\nb".into())),
            (vec!["x\r\n"], Said::Text("x".into())),
            (
                vec!["say hu", "sh now\n"],
                Said::Text("say [redacted] now".into()),
            ),
            (vec![], Said::Text(String::new())),
        ] {
            let mut voice = Voice::new(&secret);
            for piece in &pieces {
                voice.push(piece.as_bytes());
            }
            assert_eq!(voice.finish(), expected, "{pieces:?}");
        }
        let mut long = Voice::new(&[]);
        long.push(&[b'x'; VALUE_BYTES_MAX]);
        long.push(b"y");
        assert_eq!(long.finish(), Said::TooLong);
        let mut bytes = Voice::new(&[]);
        bytes.push(&[0xff]);
        assert_eq!(bytes.finish(), Said::NoText);
    }
}
