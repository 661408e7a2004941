//! `overhaul postpone`: a host is left for later, or taken up again.

use super::decide::put;
use crate::args::PostponeArgs;
use crate::console::Console;
use crate::failure::{Failure, Outcome};
use crate::runs;
use crate::text;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use overhaul_model::event::Choice;
use overhaul_model::id::HostName;
use overhaul_model::span::Span;
use std::path::Path;

/// Puts the request into the run's inbox.
pub fn postpone(args: &PostponeArgs, state: Option<&Path>, console: Console) -> Outcome {
    let now = Timestamp::now();
    let host = HostName::new(args.host.as_str());
    let choice = match &args.until {
        None => Choice::TakeUp { host },
        Some(written) => {
            let until = moment(written, now)?;
            if until <= now {
                return Err(Failure::input(format!(
                    "{} is over; nothing was decided",
                    text::moment(until)
                ))
                .hint("a postponed host is taken up again with --now"));
            }
            Choice::Postpone { host, until }
        }
    };
    let store = runs::open_store(state)?;
    let told = runs::unfinished(&store, args.run.as_deref())?;
    put(&told, choice, &args.reason, console)
}

/// A moment as people write it; a day alone begins at midnight of this machine's time zone.
fn moment(written: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let local = |time: DateTime| {
        time.to_zoned(TimeZone::system())
            .ok()
            .map(|z| z.timestamp())
    };
    let found = written
        .parse::<Timestamp>()
        .ok()
        .or_else(|| local(written.parse::<DateTime>().ok()?))
        .or_else(|| local(written.parse::<Date>().ok()?.into()))
        .or_else(|| Some(written.parse::<Span>().ok()?.after(now)));
    found.ok_or_else(|| {
        Failure::input(format!("`{written}` is no date")).hint(
            "write 2026-12-01, 2026-12-01T06:00, 2026-12-01T06:00:00Z, or a span from now like 36h",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let utc = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let local = |text: &str| {
            let time: DateTime = text.parse().unwrap();
            Some(time.to_zoned(TimeZone::system()).unwrap().timestamp())
        };
        for (written, meant) in [
            ("2026-12-01T06:00:00Z", utc("2026-12-01T06:00:00Z")),
            ("2026-12-01T06:00:00+02:00", utc("2026-12-01T04:00:00Z")),
            ("2026-12-01", local("2026-12-01T00:00")),
            ("2026-12-01T06:00", local("2026-12-01T06:00")),
            ("2026-12-01 06:00", local("2026-12-01T06:00")),
            ("36h", utc("2026-11-23T00:00:00Z")),
            ("tomorrow", None),
            ("", None),
        ] {
            assert_eq!(moment(written, now).ok(), meant, "{written}");
        }
    }
}
