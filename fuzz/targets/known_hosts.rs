//! Known hosts files, and files of revoked keys. The first byte says which: `r` is the latter.

use overhaul_reach::ssh::{KnownHosts, LookupName, RevokedKeys, fingerprint};
use std::path::Path;

pub fn run(bytes: &[u8]) {
    let Some((which, text)) = bytes.split_first() else {
        return;
    };
    if *which == b'r' {
        if let Err(why) = RevokedKeys::parse(Path::new("revoked"), text) {
            assert!(!why.is_empty());
        }
        return;
    }
    let mut known = KnownHosts::default();
    known.add(Path::new("known_hosts"), text);
    assert!(known.bad_lines().iter().all(|bad| !bad.to_string().is_empty()));
    for (address, port) in [("web1.example", 22), ("web1.example", 2222), ("10.0.0.1", 22), ("fe80::1", 22)] {
        let view = known.view(&LookupName::new(address, port, None));
        let _ = (view.algorithms(), view.certificate_algorithms(), view.places());
        let _ = view.check("ssh-ed25519", text);
    }
    assert!(fingerprint(text).starts_with("SHA256:"));
}
