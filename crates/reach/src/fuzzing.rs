//! The reader of what a provider says, for fuzzing alone.

use crate::provider::Answer;

/// Gives a text to the reader.
///
/// # Panics
/// When it breaks a promise.
pub fn provider(text: &str) {
    match Answer::parse(text) {
        Err(why) => assert!(!why.is_empty() && !why.contains('\u{1b}'), "{why}"),
        Ok(answer) => {
            let machine = answer.machine(None);
            for word in [&machine.identity, &machine.address].into_iter().flatten() {
                assert!(word.chars().all(|c| c.is_ascii_graphic()), "{word}");
            }
            assert!(machine.host_keys.iter().all(|key| !key.contains('\n')));
        }
    }
}

#[cfg(test)]
#[path = "../../../fuzz/mutate.rs"]
mod mutate;

#[cfg(test)]
mod tests {
    use super::{mutate, provider};

    #[test]
    fn what_providers_say_never_breaks_its_reader() {
        let run = |bytes: &[u8]| provider(&String::from_utf8_lossy(bytes));
        mutate::short("provider", run, 20_000);
    }
}
