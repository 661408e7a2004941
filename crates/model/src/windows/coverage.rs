//! From spans in which single hosts are away to spans in which none, or a single one, of them is there.

use crate::id::HostName;
use crate::span::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A span in which a host does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away<'a> {
    /// The host.
    pub host: &'a HostName,
    /// When it goes.
    pub begins: Span,
    /// When it is back.
    pub ends: Span,
    /// Whether it is away for certain, not only perhaps.
    pub certain: bool,
    /// The caller's number of it.
    pub index: usize,
}

/// A span in which no host serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoneServes {
    /// When the last host goes.
    pub begins: Span,
    /// How long no host serves.
    pub length: Span,
    /// Whether all hosts are away for certain at one moment of it.
    pub certain: bool,
    /// The number of the span with which the last host goes.
    pub opened_by: usize,
    /// The number of the span with which the first one is back.
    pub closed_by: usize,
}

/// A span in which a single one of several hosts serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Single {
    /// The host that serves.
    pub host: HostName,
    /// Since when, after the run's begin.
    pub begins: Span,
    /// How long.
    pub length: Span,
    /// Whether all others are away for certain at one moment of it.
    pub certain: bool,
}

/// What the hosts of a service are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Spans in which no host serves.
    pub none: Vec<NoneServes>,
    /// Spans in which a single one of several serves.
    pub single: Vec<Single>,
}

/// What spans of single hosts come to in all. A host that comes back at the moment at which another one
/// goes is there first. Spans without length count for nothing.
pub fn coverage(hosts: &[HostName], away: Vec<Away<'_>>) -> Coverage {
    let mut edges: Vec<(Span, bool, &Away<'_>)> = Vec::new();
    for span in away.iter().filter(|span| span.begins < span.ends) {
        edges.push((span.begins, true, span));
        edges.push((span.ends, false, span));
    }
    edges.sort_by_key(|(at, goes, span)| (*at, *goes, span.index));
    let mut sweep = Sweep {
        hosts,
        away: BTreeMap::new(),
        none: None,
        single: None,
        out: Coverage::default(),
    };
    for (at, goes, span) in edges {
        sweep.cross(at, goes, span);
    }
    sweep.out
}

struct Sweep<'a> {
    hosts: &'a [HostName],
    /// Hosts that are away now, each with how many spans say so, and how many of those for certain.
    away: BTreeMap<&'a HostName, (usize, usize)>,
    none: Option<NoneServes>,
    single: Option<Single>,
    out: Coverage,
}

impl<'a> Sweep<'a> {
    fn cross(&mut self, at: Span, goes: bool, span: &Away<'a>) {
        let count = self.away.entry(span.host).or_default();
        let certain = usize::from(span.certain);
        if goes {
            *count = (count.0.saturating_add(1), count.1.saturating_add(certain));
        } else {
            *count = (count.0.saturating_sub(1), count.1.saturating_sub(certain));
            if count.0 == 0 {
                self.away.remove(span.host);
            }
        }
        let there: Vec<&HostName> = match self.hosts.len().saturating_sub(self.away.len()) {
            0 | 1 => self.there(),
            _ => vec![],
        };
        let left = self.hosts.len().saturating_sub(self.away.len());
        let certain = self.away.values().all(|(_, certain)| *certain > 0);
        self.none_serves(at, left == 0, certain, span.index);
        let alone = there.first().filter(|_| left == 1 && self.hosts.len() > 1);
        self.one_serves(at, alone.map(|host| (*host).clone()), certain);
    }

    fn there(&self) -> Vec<&'a HostName> {
        let there = self
            .hosts
            .iter()
            .filter(|host| !self.away.contains_key(host));
        there.collect()
    }

    fn none_serves(&mut self, at: Span, so: bool, certain: bool, index: usize) {
        match &mut self.none {
            None if so => {
                self.none = Some(NoneServes {
                    begins: at,
                    length: Span::default(),
                    certain,
                    opened_by: index,
                    closed_by: index,
                });
            }
            Some(none) if so => none.certain |= certain,
            Some(_) => {
                let ended = self.none.take().map(|none| NoneServes {
                    length: at.less(none.begins),
                    closed_by: index,
                    ..none
                });
                self.out
                    .none
                    .extend(ended.filter(|none| none.length > Span::default()));
            }
            None => {}
        }
    }

    fn one_serves(&mut self, at: Span, host: Option<HostName>, certain: bool) {
        if let (Some(single), Some(host)) = (&mut self.single, &host)
            && single.host == *host
        {
            single.certain |= certain;
            return;
        }
        let ended = self.single.take().map(|single| Single {
            length: at.less(single.begins),
            ..single
        });
        self.out
            .single
            .extend(ended.filter(|single| single.length > Span::default()));
        self.single = host.map(|host| Single {
            host,
            begins: at,
            length: Span::default(),
            certain,
        });
    }
}
