//! Patterns and limits: a pattern, a line break, and names of hosts.

use overhaul_source::fleet::Membership;
use overhaul_source::fleet::pattern::Pattern;

pub fn run(bytes: &[u8]) {
    let text = super::text(bytes);
    let (pattern, names) = text.split_once('\n').unwrap_or((text, ""));
    let hosts: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    let groups = [("all", hosts.as_slice()), ("web", hosts.get(..2).unwrap_or_default())];
    let groups = groups.into_iter().map(|(name, hosts)| (name.to_owned(), hosts.to_vec())).collect();
    let members = Membership { hosts, groups };
    let read = |_: &str| Ok(names.to_owned());
    match Pattern::parse_limit(pattern, read) {
        Ok(pattern) => {
            if let Ok(found) = pattern.limit(&members) {
                assert!(found.hosts.iter().all(|host| members.hosts.contains(host)));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
