//! Known issues: who has them, and what is done about it.

use super::packages::list;
use crate::rule::Complaint;
use crate::view::View;
use overhaul_model::id::HostName;
use overhaul_model::knowledge::{Concerned, KnownIssue, Remedy, Way};
use overhaul_model::primitive::{Command, Measure};

pub(super) fn look(view: &View<'_>) -> Vec<Complaint> {
    let issues = view.plan.knowledge.known_issues.iter();
    issues.flat_map(|issue| of_issue(view, issue)).collect()
}

fn of_issue(view: &View<'_>, issue: &KnownIssue) -> Vec<Complaint> {
    let way = Way {
        from: &view.plan.from,
        to: &view.plan.to,
        versions: &view.plan.knowledge.versions,
    };
    let (mut concerned, mut unknown) = (Vec::new(), Vec::new());
    for &name in &view.fresh {
        let Some(host) = view.plan.hosts.get(name) else {
            continue;
        };
        match issue.concerns(host, view.facts.get(name), way) {
            Concerned::Yes => concerned.push(name),
            Concerned::No => {}
            Concerned::Unknown(why) => unknown.push(format!("{name} ({why})")),
        }
    }
    let subject = format!("issue:{}", issue.id);
    let mut out = Vec::new();
    if !unknown.is_empty() {
        let sentence = format!("whether they have it is not known: {}", list(unknown));
        let help =
            "gather facts again: installed packages are asked for when a definition speaks of them";
        out.push(Complaint::error(subject.clone(), sentence, help));
    }
    if !concerned.is_empty() {
        out.push(told(view, issue, subject, &concerned));
    }
    out
}

fn told(view: &View<'_>, issue: &KnownIssue, subject: String, hosts: &[&HostName]) -> Complaint {
    let names = |hosts: &[&HostName]| list(hosts.iter().map(ToString::to_string).collect());
    let sentence = format!("{}, on {}", issue.says, names(hosts));
    let look = issue.check.as_ref().and_then(command);
    let look = look.map(|command| format!("; `{command}` succeeds where it is not so"));
    let look = look.unwrap_or_default();
    match &issue.remedy {
        Remedy::Unknown => {
            let help = format!("no remedy is known{look}");
            Complaint::warning(subject, sentence, &help)
        }
        Remedy::ByPerson(remedy) => {
            Complaint::warning(subject, sentence, &format!("{remedy}{look}"))
        }
        Remedy::Step { slug, .. } => {
            let without = |host: &&&HostName| {
                let steps = view.lanes.get(**host).into_iter().flatten();
                !steps.into_iter().any(|step| step.id.last() == slug)
            };
            let without: Vec<&HostName> = hosts.iter().filter(without).copied().collect();
            if without.is_empty() {
                let help = format!("the step {slug} is its remedy");
                return Complaint::note(subject, sentence, &help);
            }
            let sentence = format!(
                "{}, and its remedy, the step {slug}, is not planned for {}",
                issue.says,
                names(&without)
            );
            Complaint::error(subject, sentence, "compile the plan anew")
        }
    }
}

/// What a person would type to look.
fn command(measure: &Measure) -> Option<String> {
    match measure {
        Measure::Command(exec) => Some(match &exec.command {
            Command::Argv(argv) => argv.join(" "),
            Command::Shell(script) => script.trim().to_owned(),
        }),
        _ => None,
    }
}
