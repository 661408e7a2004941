//! Which hosts a pattern means.

use super::error::{PatternError, PatternFault, Place};
use super::name::{Name, Sign, Subscript, Way};
use super::written::{Part, Pattern};
use crate::fleet::Membership;
use std::collections::{HashMap, HashSet};

/// Names that stand for the machine that the pattern is used on, also when no inventory names it.
const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];

/// The hosts that a pattern means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The hosts, each once.
    pub hosts: Vec<String>,
    /// Parts that matched no host and no group: a slip of the pen as a rule.
    pub unmatched: Vec<Unmatched>,
}

/// A part of a pattern that matched nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// The part as it was written.
    pub part: String,
    /// Where it stands.
    pub place: Place,
}

impl Pattern {
    /// The hosts that the pattern means, in the order in which `ansible PATTERN --list-hosts` names them.
    ///
    /// The local machine may be among them without being in the inventory, when the pattern names it.
    ///
    /// # Errors
    /// An index without a host, a regular expression that takes too long.
    pub fn select(&self, members: &Membership) -> Result<Selection, PatternError> {
        let mut search = Search::new(members);
        let mut found: Vec<&str> = Vec::new();
        let of = |sign| self.parts.iter().filter(move |part| part.name.sign == sign);
        let mut seen = HashSet::new();
        if of(Sign::Add).next().is_none() {
            found.extend(search.all());
            seen.extend(found.iter().copied());
        }
        for part in of(Sign::Add) {
            let more = self.matches(&mut search, part)?;
            found.extend(more.into_iter().filter(|host| seen.insert(*host)));
        }
        for part in of(Sign::Keep).chain(of(Sign::Drop)) {
            let these: HashSet<&str> = self.matches(&mut search, part)?.into_iter().collect();
            let keep = part.name.sign == Sign::Keep;
            found.retain(|host| these.contains(host) == keep);
        }
        Ok(Selection {
            hosts: found.into_iter().map(str::to_owned).collect(),
            unmatched: search.unmatched,
        })
    }

    /// The hosts of the inventory that this limit leaves, in the inventory's order.
    ///
    /// # Errors
    /// Those of [`Pattern::select`], and a limit that leaves no host.
    pub fn limit(&self, members: &Membership) -> Result<Selection, PatternError> {
        let meant = self.select(members)?;
        let left: HashSet<&str> = meant.hosts.iter().map(String::as_str).collect();
        let hosts: Vec<String> = Search::new(members)
            .all()
            .filter(|host| left.contains(host))
            .map(str::to_owned)
            .collect();
        if hosts.is_empty() {
            return Err(PatternError {
                pattern: self.text.clone(),
                place: Place::Text(0..self.text.len()),
                fault: PatternFault::NothingLeft,
            });
        }
        Ok(Selection {
            hosts,
            unmatched: meant.unmatched,
        })
    }

    fn matches<'a>(
        &'a self,
        search: &mut Search<'a>,
        part: &'a Part,
    ) -> Result<Vec<&'a str>, PatternError> {
        search.part(part).map_err(|fault| PatternError {
            pattern: self.text.clone(),
            place: part.place.clone(),
            fault,
        })
    }
}

/// What one evaluation knows.
struct Search<'a> {
    members: &'a Membership,
    /// The places of the hosts by name.
    hosts: HashMap<&'a str, &'a str>,
    /// The host that names of the local machine mean, once one of them is known.
    localhost: Option<&'a str>,
    unmatched: Vec<Unmatched>,
}

impl<'a> Search<'a> {
    fn new(members: &'a Membership) -> Self {
        let names = || members.hosts.iter().map(String::as_str);
        Self {
            members,
            hosts: names().map(|name| (name, name)).collect(),
            localhost: names().find(|name| LOCALHOST.contains(name)),
            unmatched: Vec::new(),
        }
    }

    fn group(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let members: &'a Membership = self.members;
        members
            .groups
            .get(name)
            .into_iter()
            .flatten()
            .map(String::as_str)
    }

    fn all(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.group("all")
    }

    fn part(&mut self, part: &'a Part) -> Result<Vec<&'a str>, PatternFault> {
        let name = &part.name;
        // A host's name means that host whatever it looks like.
        if let (Sign::Add, Some(host)) = (name.sign, self.hosts.get(name.whole.as_str())) {
            return Ok(vec![host]);
        }
        let (matches, any_group) = self.enumerate(name)?;
        if matches.is_empty() && !any_group {
            self.unmatched.push(Unmatched {
                part: name.whole.clone(),
                place: part.place.clone(),
            });
        }
        match &name.subscript {
            Some(subscript) if !matches.is_empty() => chosen(name, matches, subscript),
            _ => Ok(matches),
        }
    }

    /// All hosts that fit, one in several fitting groups as often, and whether a group fitted: indexes count them so.
    fn enumerate(&mut self, name: &'a Name) -> Result<(Vec<&'a str>, bool), PatternFault> {
        let members = self.members;
        let mut out: Vec<&str> = Vec::new();
        let mut any_group = false;
        if let Way::Exact = name.way {
            any_group = members.groups.contains_key(&name.base);
            out.extend(self.group(&name.base));
        } else {
            for (group, hosts) in &members.groups {
                if name.fits(group)? {
                    any_group = true;
                    out.extend(hosts.iter().map(String::as_str));
                }
            }
        }
        if !any_group || name.may_be_host_too() {
            if let Way::Exact = name.way {
                out.extend(self.hosts.get(name.base.as_str()));
            } else {
                for host in &members.hosts {
                    if name.fits(host)? {
                        out.push(host);
                    }
                }
            }
        }
        if out.is_empty() && LOCALHOST.contains(&name.base.as_str()) {
            out.push(self.localhost.get_or_insert(&name.base));
        }
        Ok((out, any_group))
    }
}

/// The matches that a subscript means.
fn chosen<'a>(
    name: &Name,
    matches: Vec<&'a str>,
    subscript: &Subscript,
) -> Result<Vec<&'a str>, PatternFault> {
    match subscript {
        Subscript::Slice { first, last } => {
            let end = last
                .map_or(matches.len(), |last| last.saturating_add(1))
                .min(matches.len());
            Ok(matches.get(*first..end).unwrap_or_default().to_vec())
        }
        Subscript::One(index) => {
            let place = if *index < 0 {
                usize::try_from(index.unsigned_abs())
                    .ok()
                    .and_then(|back| matches.len().checked_sub(back))
            } else {
                usize::try_from(*index).ok()
            };
            match place.and_then(|place| matches.get(place)) {
                Some(host) => Ok(vec![host]),
                None => Err(PatternFault::Index {
                    index: index.to_string(),
                    hosts: matches.len(),
                    base: name.base.clone(),
                }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Membership {
        let list = |names: &str| {
            names
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let groups = [
            ("all", "lone web-1 web-2 web-3 db.a db.b"),
            ("ungrouped", "lone"),
            ("web", "web-1 web-2 web-3"),
            ("db", "db.a db.b"),
            ("zone_a", "web-1 web-3 db.a"),
            ("empty", ""),
        ];
        Membership {
            hosts: list("lone web-1 web-2 web-3 db.a db.b"),
            groups: groups
                .into_iter()
                .map(|(name, hosts)| (name.to_owned(), list(hosts)))
                .collect(),
        }
    }

    fn shown(pattern: &str) -> String {
        let read = |file: &str| match file {
            "hosts" => Ok("web-2\n\n db.a \n".to_owned()),
            "bad" => Ok("web-2\n~(\n".to_owned()),
            other => Err(format!("{other}: no such file")),
        };
        match Pattern::parse_limit(pattern, read).and_then(|pattern| pattern.select(&members())) {
            Ok(found) => {
                let unmatched = found
                    .unmatched
                    .iter()
                    .map(|part| format!(" -{}", part.part));
                found.hosts.join(" ") + &unmatched.collect::<String>()
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn patterns_select() {
        let patterns = [
            "",
            "all",
            "*",
            "web",
            "web:&zone_a:!web-3",
            "!web",
            "&zone_a",
            "web[0]",
            "web[-1]",
            "web[0:1]",
            "web[1:]",
            "web[2:0]",
            "web[1-2]",
            "zone_a,web",
            "z*:w*",
            "[zw]*[3]",
            "db.*",
            "db.a",
            "~(web|db)[-.][1a]$",
            "~WEB",
            "~(?i)WEB",
            "localhost",
            "127.0.0.1,localhost",
            "nothing,web-1",
            "nothing[3]",
            "empty",
            "empty[0]",
            "ungrouped",
            "@hosts",
            "@hosts:!db",
            "all[0:0]",
            "web[5:9]",
            "web:1",
            "web[9]",
            "web[-4]",
            "!",
            "web,&",
            "web:~[",
            "@bad",
            "@none",
            "~(a|a)*$|(?=x)",
        ];
        let list: Vec<String> = patterns
            .iter()
            .map(|p| format!("{p}\n    {}", shown(p).replace('\n', "\n    ")))
            .collect();
        insta::assert_snapshot!(list.join("\n"));
    }

    #[test]
    fn a_limit_keeps_the_order_of_the_fleet_and_some_host() {
        let limit = |text: &str| Pattern::parse(text).unwrap().limit(&members());
        assert_eq!(limit("db.a,web-1").unwrap().hosts, ["web-1", "db.a"]);
        assert_eq!(
            limit("localhost,empty").unwrap_err().fault,
            PatternFault::NothingLeft
        );
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let fault = |text: &str| Pattern::parse(text).unwrap_err().fault;
        assert!(matches!(
            fault(&"a,".repeat(100_000)),
            PatternFault::TooLong(_)
        ));
        assert!(matches!(
            fault(&"a*,".repeat(2_000)),
            PatternFault::TooManySearches(_)
        ));
        let host = "a".repeat(100);
        let groups = [("all".to_owned(), vec![host.clone()])]
            .into_iter()
            .collect();
        let members = Membership {
            hosts: vec![host],
            groups,
        };
        let slow = Pattern::parse(r"~((a|aa)\2?)+b").unwrap();
        assert!(matches!(
            slow.select(&members).unwrap_err().fault,
            PatternFault::Backtracking(_)
        ));
    }
}
