//! The report of a run as text.

use crate::text;
use overhaul_machine::report::{NoRedundancy, Outage, Report, ServiceRow, StepStanding};
use overhaul_model::event::{ProbeTally, Verdict};
use overhaul_model::span::Span;
use std::fmt::Write as _;

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut out = head(report);
    services(report, &mut out);
    decisions(report, &mut out);
    troubles(report, &mut out);
    noticed(report, &mut out);
    leftovers(report, &mut out);
    timeline(report, &mut out);
    out
}

/// How the run ended, in a few lines.
pub fn summary(report: &Report) -> String {
    let mut out = head(report);
    services(report, &mut out);
    noticed(report, &mut out);
    leftovers(report, &mut out);
    out
}

fn verdict(report: &Report) -> &'static str {
    match report.verdict {
        Some(Verdict::Complete) => "complete",
        Some(Verdict::Aborted) => "aborted by a person",
        None => "NOT OVER",
    }
}

// Writing to a String cannot fail, so that its results are dropped in this file.

fn head(report: &Report) -> String {
    let mut out = String::new();
    let run = report
        .run
        .as_ref()
        .map_or("(not begun)", |run| run.as_str());
    let _ = writeln!(out, "run {run}: {}", verdict(report));
    let _ = writeln!(
        out,
        "  {} on fleet {}, {} to {}",
        report.upgrade, report.fleet, report.from, report.to
    );
    if let Some(plan) = &report.plan {
        let _ = writeln!(out, "  plan {plan}");
    }
    if let (Some(began), Some(person)) = (report.began, &report.person) {
        let _ = writeln!(out, "  begun {} by {person}", text::moment(began));
        if let Some(until) = report.ended.or(report.last_row) {
            let word = if report.ended.is_some() {
                "over "
            } else {
                "last event"
            };
            let _ = writeln!(
                out,
                "  {word} {} after {} (predicted {} without failures and waits)",
                text::moment(until),
                text::span(Span::between(began, until)),
                text::span(report.predicted),
            );
        }
    }
    let counts: Vec<String> = report
        .counts
        .iter()
        .map(|(standing, count)| format!("{count} {}", standing_word(*standing)))
        .collect();
    let _ = writeln!(out, "  steps: {}", counts.join(", "));
    for controller in &report.controllers {
        if let Some(gap) = controller.not_observed {
            let _ = writeln!(
                out,
                "  controller {} took over at {}, by {}; not observed for {} before it (since {})",
                controller.counter,
                text::moment(controller.took),
                controller.person,
                text::span(gap.length),
                text::clock(gap.from),
            );
        }
    }
    out
}

fn standing_word(standing: StepStanding) -> &'static str {
    match standing {
        StepStanding::Waiting => "waiting",
        StepStanding::Held => "held",
        StepStanding::Asked => "asked",
        StepStanding::Running => "running",
        StepStanding::Done => "done",
        StepStanding::Skipped => "skipped",
        StepStanding::Failed => "failed",
        StepStanding::Unknown => "unknown",
        StepStanding::Voided => "voided",
    }
}

fn services(report: &Report, out: &mut String) {
    if report.services.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nservices");
    for row in &report.services {
        let _ = writeln!(out, "  {}: {}", row.service, downtime(row));
        for window in &row.predicted {
            let perhaps = if window.certain { "" } else { "perhaps " };
            let _ = writeln!(
                out,
                "    predicted on {}: {perhaps}down for {}, {} to {}{}",
                window.host,
                text::span(window.predicted),
                window.from_step,
                window.to_step,
                if window.closes {
                    ""
                } else {
                    ", and not started again"
                },
            );
        }
        for window in row
            .predicted_down
            .iter()
            .filter(|_| row.no_redundancy.is_some())
        {
            let perhaps = if window.certain { "" } else { "perhaps " };
            let _ = writeln!(
                out,
                "    predicted on all hosts at once: {perhaps}down for {}, {} to {}",
                text::span(window.length),
                window.from_step,
                window.to_step,
            );
        }
        for outage in &row.outages {
            let _ = writeln!(out, "    measured{}", outage_text(outage));
        }
        if row.down != row.outages {
            for outage in &row.down {
                let _ = writeln!(
                    out,
                    "    measured on all hosts at once{}",
                    outage_text(outage)
                );
            }
        }
        if let Some(single) = &row.no_redundancy {
            let _ = writeln!(out, "    {}", redundancy(single));
        }
        for probe in &row.probes {
            let _ = writeln!(out, "    {}", probed(probe));
        }
        if let Some(resolution) = row.resolution {
            let from = match resolution.asked_from {
                overhaul_machine::report::Observer::Controller => "from the controller",
                overhaul_machine::report::Observer::Host => "on the host",
            };
            let _ = writeln!(
                out,
                "    resolution: asked {from} every {}; no answer within {} counts as down",
                resolution.every, resolution.limit
            );
        }
    }
}

fn redundancy(single: &NoRedundancy) -> String {
    let probes = match single.by_probes {
        Some(span) => format!("{} measured", text::span(span)),
        None => "not measured (one address for all hosts)".to_owned(),
    };
    format!(
        "served by a single host for {probes}, {} by the steps, {} predicted",
        text::span(single.by_steps),
        text::span(single.predicted)
    )
}

fn probed(probe: &ProbeTally) -> String {
    let on = probe.host.as_ref();
    let on = on.map(|host| format!(" on {host}")).unwrap_or_default();
    format!(
        "asked{on} {} times, {} without a good answer; longest time between two good ones {}",
        probe.asked, probe.failed, probe.longest_gap
    )
}

fn downtime(row: &ServiceRow) -> String {
    if row.resolution.is_none() {
        return format!(
            "not measured (no `healthy`); predicted {}",
            text::span(row.predicted_longest)
        );
    }
    let agreed = match (row.budget, row.within_budget) {
        (Some(budget), Some(true)) => format!(", within the window of {}", text::span(budget)),
        (Some(budget), _) => format!(", OVER the window of {}", text::span(budget)),
        (None, _) => ", no window agreed on".to_owned(),
    };
    format!(
        "longest outage {} measured, {} predicted{agreed}",
        text::span(row.measured_longest),
        text::span(row.predicted_longest)
    )
}

fn outage_text(outage: &Outage) -> String {
    let host = outage
        .host
        .as_ref()
        .map(|h| format!(" on {h}"))
        .unwrap_or_default();
    let ended = match outage.ended {
        Some(ended) => format!("to {}", text::clock(ended)),
        None => "and still down at the last event".to_owned(),
    };
    let gap = if outage.not_observed == Span::default() {
        String::new()
    } else {
        format!(", {} of it not observed", text::span(outage.not_observed))
    };
    format!(
        "{host}: down for {}, {} {ended}{gap} ({})",
        text::span(outage.length),
        text::clock(outage.began),
        text::one_line(&outage.seen, 80),
    )
}

fn amendments(report: &Report, out: &mut String) {
    for row in &report.amendments {
        let (at, reason) = (text::moment(row.at), text::one_line(&row.reason, 400));
        let _ = writeln!(
            out,
            "  {at} the plan was amended by {}: {reason} ({} over or begun stayed so, {} dropped, {} anew)",
            row.person,
            text::count(row.steps.kept, "step"),
            row.steps.dropped.len(),
            row.steps.anew.len(),
        );
    }
}

fn decisions(report: &Report, out: &mut String) {
    let nothing = report.decisions.is_empty()
        && report.limits.is_empty()
        && report.amendments.is_empty()
        && report.postponed.is_empty()
        && report.cleanups.is_empty();
    if !nothing {
        let _ = writeln!(out, "\ndecisions");
    }
    for row in &report.decisions {
        let about = row
            .position
            .as_ref()
            .map(ToString::to_string)
            .or_else(|| row.host.as_ref().map(ToString::to_string))
            .map(|about| format!(" {about}"))
            .unwrap_or_default();
        let reason = match row.reason.as_str() {
            "" => String::new(),
            reason => format!(": {}", text::one_line(reason, 400)),
        };
        let _ = writeln!(
            out,
            "  {} {} by {}{about}{reason}",
            text::moment(row.at),
            row.choice,
            row.person
        );
    }
    amendments(report, out);
    for row in &report.limits {
        let at = text::moment(row.at);
        let _ = writeln!(out, "  {at} limited: {}", text::one_line(&row.words, 400));
    }
    for (host, postponed) in &report.postponed {
        let _ = writeln!(
            out,
            "  {host} is postponed until {}",
            text::moment(postponed.until)
        );
    }
    for row in &report.cleanups {
        let (at, what) = (text::moment(row.at), text::clean(&row.what.join(", ")));
        let _ = writeln!(out, "  {at} cleared away by {}: {what}", row.person);
    }
    for row in &report.declined {
        let why = text::one_line(&row.why, 400);
        let _ = writeln!(
            out,
            "  {} a request was declined: {why}",
            text::moment(row.at)
        );
    }
    if !report.waivers.is_empty() || !report.warnings.is_empty() {
        let _ = writeln!(out, "\nbegun in spite of");
    }
    for waiver in &report.waivers {
        let _ = writeln!(
            out,
            "  {} of {}, waived by {} until {}: {}",
            waiver.rule,
            waiver.subject,
            waiver.person,
            waiver.expires,
            text::one_line(&waiver.reason, 400)
        );
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "  {}", text::one_line(warning, 400));
    }
}

fn troubles(report: &Report, out: &mut String) {
    if !report.retries.is_empty() {
        let _ = writeln!(out, "\nattempts after the first");
    }
    for row in &report.retries {
        let because = text::one_line(&row.because, 200);
        let _ = writeln!(
            out,
            "  {} {} attempt {}, after: {because}",
            text::clock(row.at),
            row.position,
            row.attempt
        );
    }
    if !report.unknowns.is_empty() {
        let _ = writeln!(out, "\nnobody could say");
    }
    for row in &report.unknowns {
        let reason = text::one_line(&row.reason, 200);
        let _ = writeln!(out, "  {} {}: {reason}", text::clock(row.at), row.position);
    }
    for host in report
        .hosts
        .iter()
        .filter(|host| host.install_ids.len() > 1)
    {
        let _ = writeln!(
            out,
            "  {}: {} receipt stores were seen; the host was made anew in between",
            host.host,
            host.install_ids.len()
        );
    }
}

fn noticed(report: &Report, out: &mut String) {
    if report.noticed.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nseen on the hosts");
    for row in &report.noticed {
        let host = row.host.as_ref().map_or("controller", |host| host.as_str());
        let _ = writeln!(out, "  {host}: {}", text::one_line(&row.what, 400));
    }
}

fn leftovers(report: &Report, out: &mut String) {
    let _ = writeln!(out, "\nleft behind");
    if report.leftovers.is_empty() {
        let _ = writeln!(out, "  nothing");
    }
    for row in &report.leftovers {
        let host = row.host.as_ref().map_or("controller", |host| host.as_str());
        let _ = writeln!(out, "  {host}: {}", text::one_line(&row.what, 400));
        if let Some(sha256) = &row.sha256 {
            let _ = writeln!(out, "    sha256 {}", text::one_line(sha256, 80));
        }
        let _ = writeln!(out, "    {}", text::one_line(&row.way, 400));
    }
}

fn timeline(report: &Report, out: &mut String) {
    if !report.timeline.is_empty() {
        let _ = writeln!(out, "\ntimeline");
    }
    for row in &report.timeline {
        let length = row.length.map(text::span).unwrap_or_default();
        let attempts = match row.attempts {
            0 | 1 => String::new(),
            more => format!(", {more} attempts"),
        };
        let how = match row.how.as_str() {
            "" => String::new(),
            how => format!(" ({})", text::one_line(how, 120)),
        };
        let _ = writeln!(
            out,
            "  {} {length:>7} {:<8} {}{attempts}{how}",
            text::clock(row.began),
            standing_word(row.standing),
            row.position,
        );
        for line in text::clean(&row.tail).lines() {
            let _ = writeln!(out, "                   | {}", line.trim_end());
        }
    }
}
