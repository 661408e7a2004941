//! Who is at the keyboard, as the operating system knows them. Never taken from an argument.

use overhaul_model::id::Person;
use std::process::Command;

/// The login name of the real user; a number where the account has no name.
pub fn person() -> Person {
    let uid = rustix::process::getuid().as_raw();
    Person::new(name_of(uid).unwrap_or_else(|| format!("uid {uid}")))
}

/// The name of an account: from the local file, else from the name service.
fn name_of(uid: u32) -> Option<String> {
    let local = std::fs::read_to_string("/etc/passwd").ok();
    local
        .and_then(|text| find(&text, uid))
        .or_else(|| find(&ask_name_service(uid)?, uid))
}

fn ask_name_service(uid: u32) -> Option<String> {
    let output = Command::new("getent")
        .args(["passwd", &uid.to_string()])
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()
}

fn find(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# remark\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(find(passwd, 1000).as_deref(), Some("ada"));
        assert_eq!(find(passwd, 0).as_deref(), Some("root"));
        assert_eq!(find(passwd, 7), None);
    }
}
