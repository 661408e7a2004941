//! When an upgrade may run: dates, freezes, how long pre-work counts.

use crate::node::{Node, shortened};
use crate::problem::Sink;
use crate::reader::{self, Fields};
use crate::shape::{Kind, Shape, may, must};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use overhaul_model::span::Span;
use overhaul_model::timing::{Calendar, Freeze, Moment};

/// How a date is written.
const DATE_HELP: &str = "write it like 2026-03-31, 2026-03-31 22:00, or 2026-03-31T22:00+02:00";

/// A freeze.
static FREEZE: Shape = Shape {
    id: "freeze",
    what: "an entry of `freeze`",
    keys: &[&[
        must(
            "from",
            Kind::Text,
            "the first moment; a day means its beginning",
        ),
        must("to", Kind::Text, "the last moment; a day means its end"),
        must("reason", Kind::Text, "why nothing may be under way"),
    ]],
    later: &[],
    one_of: &[],
};

/// The dates between which everything happens.
pub(super) static CALENDAR: Shape = Shape {
    id: "calendar",
    what: "`calendar`",
    keys: &[&[
        may(
            "time_zone",
            Kind::Text,
            "the zone of all dates that name no offset, like Europe/Berlin",
        ),
        may(
            "not_before",
            Kind::Text,
            "nothing begins before it; a day means its beginning",
        ),
        may(
            "not_after",
            Kind::Text,
            "all is over by then; a day means its end",
        ),
        may(
            "freeze",
            Kind::List(&Kind::Object(&FREEZE)),
            "spans in which nothing may be under way",
        ),
    ]],
    later: &[],
    one_of: &[],
};

/// What is done ahead of the outage.
pub(super) static PREWORK: Shape = Shape {
    id: "prework",
    what: "`prework`",
    keys: &[&[must(
        "valid_for",
        Kind::Span,
        "how long the stage `prepare` of a host counts before its stage `upgrade` begins",
    )]],
    later: &[],
    one_of: &[],
};

/// Which moment of a day a date without a time means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edge {
    Begin,
    End,
}

pub(super) fn prework(sink: &Sink, node: &Node) -> Option<Span> {
    let fields = Fields::open(sink, node, &PREWORK)?;
    let valid_for = fields.span_of_time("valid_for");
    fields.done();
    valid_for
}

pub(super) fn calendar(sink: &Sink, node: &Node) -> Option<Calendar> {
    let fields = Fields::open(sink, node, &CALENDAR)?;
    let zone = fields.get("time_zone").map(|node| zone(sink, node));
    // A zone that was refused is one problem, and none of each date.
    let known = zone.clone().map(|zone| zone.unwrap_or(TimeZone::UTC));
    let moment = |key, edge| {
        fields
            .get(key)
            .and_then(|node| moment(sink, node, known.as_ref(), edge))
    };
    let not_before = moment("not_before", Edge::Begin);
    let not_after = moment("not_after", Edge::End);
    if let (Some(from), Some(to), Some(node)) = (&not_before, &not_after, fields.get("not_after")) {
        in_order(sink, node, from, to, "`not_before`");
    }
    let freeze = fields
        .get("freeze")
        .map(|node| reader::list(sink, node, |node| freeze(sink, node, known.as_ref())));
    fields.done();
    Some(Calendar {
        not_before,
        not_after,
        freeze: freeze.unwrap_or_default(),
    })
}

fn freeze(sink: &Sink, node: &Node, zone: Option<&TimeZone>) -> Option<Freeze> {
    let fields = Fields::open(sink, node, &FREEZE)?;
    let moment = |key, edge| {
        fields
            .get(key)
            .and_then(|node| moment(sink, node, zone, edge))
    };
    let (from, to) = (moment("from", Edge::Begin), moment("to", Edge::End));
    let reason = fields.text("reason");
    if let (Some(from), Some(to), Some(node)) = (&from, &to, fields.get("to")) {
        in_order(sink, node, from, to, "`from`");
    }
    fields.done();
    Some(Freeze {
        from: from?,
        to: to?,
        reason: reason?,
    })
}

fn in_order(sink: &Sink, node: &Node, from: &Moment, to: &Moment, first: &str) {
    if to.at <= from.at {
        let message = format!("{to} does not come after {first}, {from}");
        sink.add_with_help(
            &node.span,
            message,
            "exchange the two, or correct one of them",
        );
    }
}

fn zone(sink: &Sink, node: &Node) -> Option<TimeZone> {
    let name = reader::text(sink, node)?;
    let zone = TimeZone::get(&name)
        .ok()
        .filter(|zone| zone.iana_name().is_some());
    if zone.is_none() {
        let message = format!(
            "`{}` is no time zone that this machine knows",
            shortened(&name)
        );
        let help = "write it like Europe/Berlin or UTC; zones come with the package tzdata";
        sink.add_with_help(&node.span, message, help);
    }
    zone
}

fn moment(sink: &Sink, node: &Node, zone: Option<&TimeZone>, edge: Edge) -> Option<Moment> {
    let written = reader::text(sink, node)?;
    if let Ok(at) = written.parse::<Timestamp>() {
        return Some(Moment { at, written });
    }
    let Some((local, is_day)) = civil(&written, edge) else {
        let message = format!("`{}` is no date", shortened(&written));
        sink.add_with_help(&node.span, message, DATE_HELP);
        return None;
    };
    let Some(zone) = zone else {
        let message = format!("`{written}` names no time zone");
        let help = "write `time_zone` beside it, like Europe/Berlin, or the date with its offset, like 2026-03-31T22:00+02:00";
        sink.add_with_help(&node.span, message, help);
        return None;
    };
    let name = zone.iana_name().unwrap_or_default();
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let twice = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some("does not exist: clocks are put forward over it"),
        AmbiguousOffset::Fold { .. } => Some("is there twice: clocks are put back over it"),
    };
    if let Some(twice) = twice {
        let message = format!("`{written}` {twice} in {name}");
        sink.add_with_help(
            &node.span,
            message,
            "write the date with its offset, like 2026-03-31T22:00+02:00",
        );
        return None;
    }
    let at = ambiguous.unambiguous().ok()?;
    let written = match (is_day, edge) {
        (true, Edge::End) => format!("the end of {written} {name}"),
        _ => format!("{written} {name}"),
    };
    Some(Moment { at, written })
}

/// A date with its time, and whether a day was written.
fn civil(written: &str, edge: Edge) -> Option<(DateTime, bool)> {
    if written.len() > "2026-03-31".len() {
        return written.parse().ok().map(|local| (local, false));
    }
    let day: Date = written.parse().ok()?;
    let day = match edge {
        Edge::Begin => day,
        Edge::End => day.tomorrow().ok()?,
    };
    Some((day.to_datetime(Time::midnight()), true))
}
