//! Quoting against the real shell.

use std::process::Command;

use overhaul_reach::ssh::{NulInArgument, command_line, quote};
use proptest::prelude::*;

#[test]
fn quotes_only_what_needs_it() {
    for (word, quoted) in [
        ("plain-word_1.2/3:4@5", "plain-word_1.2/3:4@5"),
        ("", "''"),
        ("two words", "'two words'"),
        ("it's", "'it'\\''s'"),
        ("$HOME", "'$HOME'"),
        ("a=b", "'a=b'"),
        ("~", "'~'"),
        ("line\nbreak", "'line\nbreak'"),
    ] {
        assert_eq!(quote(word), quoted);
    }
    assert_eq!(command_line(&["a", "b\0"]), Err(NulInArgument { index: 1 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn the_shell_gives_back_the_same_arguments(
        argv in prop::collection::vec(prop_oneof!["[^\0]{0,12}", "[ '\"\\\\$`!*?~#&;|<>(){}\n\t=-]{0,12}"], 1..5)
    ) {
        let line = command_line(&argv).unwrap();
        let output = Command::new("/bin/sh").arg("-c").arg(format!("printf '%s\\0' {line}")).output().unwrap();
        let wanted: String = argv.iter().map(|word| format!("{word}\0")).collect();
        prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), wanted);
    }
}
