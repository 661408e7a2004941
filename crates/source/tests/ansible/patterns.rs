//! Compares what patterns and limits mean.

use crate::case::Placed;
use crate::reference::{Said, SaidHosts, SaidPattern};
use crate::tally::Tally;
use overhaul_source::fleet::Membership;
use overhaul_source::fleet::pattern::{Pattern, PatternError, PatternFault, Selection};

/// Compares all patterns that ansible-core was asked for, evaluated on these hosts and groups.
pub fn compare(case: &Placed, said: &Said, members: &Membership, tally: &mut Tally) {
    for asked in &said.patterns {
        tally.patterns += 1;
        let what = if asked.limit { "limit" } else { "pattern" };
        match (&asked.said, ours(asked, members)) {
            (SaidHosts::Error(_), Err(_)) => {}
            (SaidHosts::Hosts(hosts), Ok(found)) if *hosts == found.hosts => {}
            // A limit that leaves nothing is an error of the program around the inventory there.
            (SaidHosts::Hosts(hosts), Err(error))
                if hosts.is_empty() && error.fault == PatternFault::NothingLeft => {}
            (SaidHosts::Hosts(hosts), Ok(found)) => {
                tally.differs(
                    &case.case.name,
                    format!(
                        "{what} {:?}: {hosts:?} there, {:?} here",
                        asked.pattern, found.hosts
                    ),
                );
            }
            (SaidHosts::Hosts(hosts), Err(error)) => {
                tally.differs(
                    &case.case.name,
                    format!(
                        "{what} {:?}: {hosts:?} there, refused here: {error}",
                        asked.pattern
                    ),
                );
            }
            (SaidHosts::Error(error), Ok(found)) => {
                tally.differs(
                    &case.case.name,
                    format!(
                        "{what} {:?}: {error} there, {:?} here",
                        asked.pattern, found.hosts
                    ),
                );
            }
        }
    }
}

fn ours(asked: &SaidPattern, members: &Membership) -> Result<Selection, PatternError> {
    if asked.limit {
        let read = |path: &str| std::fs::read_to_string(path).map_err(|error| error.to_string());
        Pattern::parse_limit(&asked.pattern, read)?.limit(members)
    } else {
        Pattern::parse(&asked.pattern)?.select(members)
    }
}
