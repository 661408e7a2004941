//! What `ssh -G` prints, and files of ssh_config(5) as our own reader takes them. The first byte says which: `G` is the former.

use overhaul_reach::ssh::{Account, Asked, Files, Resolved};
use std::path::PathBuf;
use std::sync::LazyLock;

/// A home with a folder for the file, so that an `Include` finds it again.
static HOME: LazyLock<PathBuf> = LazyLock::new(|| {
    let home = std::env::temp_dir().join(format!("ssh-config-{}", std::process::id()));
    std::fs::create_dir_all(home.join(".ssh")).expect("a folder for temporary files");
    home
});

pub fn run(bytes: &[u8]) {
    let Some((which, text)) = bytes.split_first() else {
        return;
    };
    if *which == b'G' {
        if let Err(error) = Resolved::parse("ada@web1", text) {
            assert!(!error.to_string().is_empty());
        }
        return;
    }
    // An Include may lead nowhere but into the home.
    let lower = text.to_ascii_lowercase();
    let leads = lower.windows(7).any(|word| word == b"include");
    if leads && lower.iter().any(|byte| b"/~$%.".contains(byte)) {
        return;
    }
    let file = HOME.join(".ssh/config");
    std::fs::write(&file, text).expect("the file is ours");
    let account = Account {
        name: Some("ada".to_owned()),
        home: Some(HOME.clone()),
        uid: Some(1000),
    };
    match Files::load(&account, file.to_str()) {
        Ok(files) => {
            let nothing = files.say_nothing();
            match files.resolve(&Asked::host("web1"), &account) {
                Ok(found) => assert!(!nothing || found.port == 22, "who says nothing changes nothing"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
