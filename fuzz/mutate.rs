//! Inputs near those of a corpus, without coverage and with the same dice in each run: what tests give to readers of
//! foreign bytes. The search with coverage is `fuzz/run.sh`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest input.
const BYTES_MAX: usize = 64 * 1024;

/// A single input may take so long on a busy machine, without optimisation.
const INPUT_S_MAX: u64 = 10;

/// Pieces that readers look for.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\"",
    b"'",
    b"\\",
    b"{{",
    b"}}",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b"=",
    b"#",
    b"-1",
    b"18446744073709551616",
    b"1e999",
    b"null",
    b"\xff\xfe",
    b"\x1b[2J",
    b"../",
];

/// Dice that fall the same way each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        usize::try_from(x % u64::try_from(sides.max(1)).unwrap_or(1)).unwrap_or(0)
    }

    /// A piece of some bytes.
    fn piece<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let from = self.throw(bytes.len().saturating_add(1));
        let rest = bytes.get(from..).unwrap_or_default();
        let most = self.throw(6);
        let length = self.throw(rest.len().min(1 << (2 * most)).saturating_add(1));
        rest.get(..length).unwrap_or_default()
    }
}

/// One change.
fn change(bytes: &mut Vec<u8>, others: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.throw(bytes.len().saturating_add(1));
    match dice.throw(7) {
        0 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << dice.throw(8);
            }
        }
        1 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = u8::try_from(dice.throw(256)).unwrap_or(0);
            }
        }
        2 => {
            let length = dice.piece(bytes).len().min(bytes.len() - at);
            bytes.drain(at..at + length);
        }
        3 => {
            let piece = dice.piece(bytes).to_vec();
            bytes.splice(at..at, piece);
        }
        4 => {
            let word = WORDS
                .get(dice.throw(WORDS.len()))
                .copied()
                .unwrap_or_default();
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            let other = others
                .get(dice.throw(others.len()))
                .map_or(&[][..], Vec::as_slice);
            let piece = dice.piece(other).to_vec();
            bytes.splice(at..at, piece);
        }
        _ => bytes.truncate(at),
    }
    bytes.truncate(BYTES_MAX);
}

/// Shows the input that a reader did not survive.
struct Shown<'i>(&'i str, &'i [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{} broke by: b\"{}\"", self.0, self.1.escape_ascii());
        }
    }
}

/// Gives a target its corpus, and then so many inputs near it. `FUZZ_SEED` throws other dice, `FUZZ_TIMES` takes
/// so many times more inputs.
pub fn short(name: &str, run: fn(&[u8]), inputs: usize) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let mut dice = Dice(number("FUZZ_SEED").unwrap_or(1));
    let times = usize::try_from(number("FUZZ_TIMES").unwrap_or(1)).unwrap_or(1);
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
    let one = |input: &[u8]| {
        let _shown = Shown(name, input);
        let since = Instant::now();
        run(input);
        assert!(
            since.elapsed() < Duration::from_secs(INPUT_S_MAX),
            "it took {:?}",
            since.elapsed()
        );
    };
    corpus.iter().for_each(|input| one(input));
    for _ in 0..inputs.saturating_mul(times) {
        let mut input = corpus
            .get(dice.throw(corpus.len()))
            .cloned()
            .unwrap_or_default();
        for _ in 0..=dice.throw(4) {
            change(&mut input, &corpus, &mut dice);
        }
        one(&input);
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let above = |folder: &Path| folder.join("fuzz/corpus").join(name);
    let found = folder.ancestors().map(above).find(|folder| folder.is_dir());
    let Some(found) = found else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = fs::read_dir(found)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
        .iter()
        .filter_map(|file| fs::read(file).ok())
        .collect()
}
