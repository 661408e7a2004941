//! The digest of a file's content, the same however its zeros lie on the disk.

/// Zeros are told from data in pieces of this size: the block of most file systems, so that a hole
/// costs neither a read nor a hash.
pub(crate) const PIECE_BYTES: usize = 4096;

/// Takes a file's content from its start to its end; pieces of nothing but zeros count as not there.
pub(crate) struct Content {
    data: blake3::Hasher,
    layout: blake3::Hasher,
    /// The run of pieces that is under way: from, to.
    run: Option<(u64, u64)>,
}

impl Content {
    pub(crate) fn new() -> Self {
        Self {
            data: blake3::Hasher::new(),
            layout: blake3::Hasher::new(),
            run: None,
        }
    }

    /// Bytes at an offset that is a multiple of [`PIECE_BYTES`]; only the file's last piece is shorter.
    pub(crate) fn update(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let data = leading(rest, |piece| !is_zero(piece));
            if let Some((run, after)) = rest.split_at_checked(data) {
                self.take(at, run);
                at = at.saturating_add(run.len() as u64);
                rest = after;
            }
            let zeros = leading(rest, is_zero);
            at = at.saturating_add(zeros as u64);
            rest = rest.get(zeros..).unwrap_or_default();
        }
    }

    fn take(&mut self, at: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let end = at.saturating_add(bytes.len() as u64);
        self.run = match self.run {
            Some((from, to)) if to == at => Some((from, end)),
            other => {
                self.note(other);
                Some((at, end))
            }
        };
        self.data.update(bytes);
    }

    fn note(&mut self, run: Option<(u64, u64)>) {
        if let Some((from, to)) = run {
            self.layout.update(&from.to_le_bytes());
            self.layout.update(&to.to_le_bytes());
        }
    }

    /// The digest of a file of that size.
    pub(crate) fn finish(mut self, size: u64) -> [u8; 32] {
        let last = self.run.take();
        self.note(last);
        let mut whole = blake3::Hasher::new();
        whole.update(&size.to_le_bytes());
        whole.update(self.layout.finalize().as_bytes());
        whole.update(self.data.finalize().as_bytes());
        *whole.finalize().as_bytes()
    }
}

/// How many leading bytes are pieces of that sort.
fn leading(bytes: &[u8], sort: impl Fn(&[u8]) -> bool) -> usize {
    let pieces = bytes.chunks(PIECE_BYTES).take_while(|piece| sort(piece));
    pieces.map(<[u8]>::len).sum()
}

fn is_zero(piece: &[u8]) -> bool {
    let mut words = piece.chunks_exact(16);
    // Data betrays itself in its first bytes mostly.
    words.all(|word| word == [0; 16]) && words.remainder().iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(parts: &[(u64, &[u8])], size: u64) -> [u8; 32] {
        let mut content = Content::new();
        for (offset, bytes) in parts {
            content.update(*offset, bytes);
        }
        content.finish(size)
    }

    #[test]
    fn zeros_count_the_same_read_or_skipped_and_places_count() {
        let mut whole = vec![0_u8; 5 * PIECE_BYTES];
        whole[PIECE_BYTES] = 1;
        whole[4 * PIECE_BYTES + 9] = 2;
        let size = whole.len() as u64;
        let piece = PIECE_BYTES as u64;
        let read = digest(&[(0, &whole)], size);
        let parts = [
            (piece, &whole[PIECE_BYTES..2 * PIECE_BYTES]),
            (4 * piece, &whole[4 * PIECE_BYTES..]),
        ];
        assert_eq!(digest(&parts, size), read);
        let split: Vec<_> = whole.chunks(PIECE_BYTES).collect();
        let split: Vec<_> = (0..).map(|n| n * piece).zip(split).collect();
        assert_eq!(digest(&split, size), read);
        let moved = [(piece * 2, parts[0].1), parts[1]];
        assert_ne!(digest(&moved, size), read);
        assert_ne!(digest(&parts, size + 1), read);
    }
}
