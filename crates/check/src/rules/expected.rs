//! What is expected is expected until a day, and is about something that is there.

use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::HostName;
use overhaul_model::knowledge::{Expected, Unusual, is_unit};

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let mut out = Vec::new();
    for expected in &view.plan.knowledge.expected {
        let (word, name) = match &expected.what {
            Unusual::StaysDown(name) => ("stays_down", name),
            Unusual::FailedUnit(name) => ("failed_unit", name),
            Unusual::LogLine(text) => ("log_line", text),
        };
        let subject = format!("expected:{name}");
        if expected.until < view.today {
            let sentence = format!("`{word}` was expected until {}", expected.until);
            let help = "mend it; or decide again until when it is expected, and why";
            out.push(Complaint::error(subject, sentence, help));
        } else if word != "log_line" && is_nowhere(view, expected, name) {
            let sentence = format!("no host that it is about has a service or unit {name}");
            let help = "write it as `systemctl list-units --all` shows it, or take it out";
            out.push(Complaint::warning(subject, sentence, help));
        }
    }
    for name in &view.plan.knowledge.retired {
        if !is_service(view, name) && !is_on_a_host(view, name, |_| true) {
            let sentence = "it is retired, and no host has such a service or unit".to_owned();
            let help = "write it as `systemctl list-units --all` shows it, or take it out";
            out.push(Complaint::warning(
                format!("retired:{name}"),
                sentence,
                help,
            ));
        }
    }
    out
}

fn is_nowhere(view: &View<'_>, expected: &Expected, name: &str) -> bool {
    !is_service(view, name)
        && !is_on_a_host(view, name, |host| {
            let host = view.plan.hosts.get(host);
            host.is_some_and(|host| expected.concerns(&host.roles))
        })
}

fn is_service(view: &View<'_>, name: &str) -> bool {
    view.plan
        .services
        .keys()
        .any(|service| service.as_str() == name)
}

/// Whether a host has the unit; one whose units nobody knows may have it.
fn is_on_a_host(view: &View<'_>, name: &str, concerned: impl Fn(&HostName) -> bool) -> bool {
    let mut hosts = view.lanes.keys().filter(|host| concerned(host));
    hosts.any(|host| {
        let units = view.facts.get(*host).and_then(|facts| facts.units.value());
        units.is_none_or(|units| {
            let mut there = units.iter().filter(|unit| unit.load != "not-found");
            there.any(|unit| is_unit(name, &unit.name))
        })
    })
}
