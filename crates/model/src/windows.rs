//! Outages of services, predicted or as the steps were really carried out, from effects and times alone.
//!
//! One schedule places every step in time; the windows of hosts follow from it, and from those the
//! windows of services: a service of several hosts is down only while none of them serves.

mod coverage;
mod hosts;
mod schedule;
#[cfg(test)]
pub(crate) mod tests;
mod turning;

pub use coverage::{Away, Coverage, Single, coverage};
pub use schedule::{Placement, critical_path, schedule};
pub use turning::{TurnBack, Way, WayStep, Ways, WindowTurn, back_length, turn_backs, ways};

use crate::id::{HostName, ServiceName, StepId};
use crate::plan::Plan;
use crate::span::Span;
use serde::{Deserialize, Serialize};

/// A span in which a service is expected to be down on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PredictedWindow {
    /// The service.
    pub service: ServiceName,
    /// The host.
    pub host: HostName,
    /// The step that opens it.
    pub from_step: StepId,
    /// The step at whose end it closes; the lane's last step when nothing closes it.
    pub to_step: StepId,
    /// Whether a step of the plan closes it.
    pub closes: bool,
    /// Whether the service is down for certain, not only perhaps.
    pub certain: bool,
    /// When it opens, after the run's begin.
    pub begins: Span,
    /// How long it is, waits for other lanes counted, failures and waits for people not.
    pub predicted: Span,
}

impl PredictedWindow {
    /// When it closes, after the run's begin.
    pub fn ends(&self) -> Span {
        self.begins.plus(self.predicted)
    }
}

/// A span in which no host serves a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceWindow {
    /// The step and host with which the last host goes.
    pub from_step: StepId,
    /// That host.
    pub from_host: HostName,
    /// The step with which the first host is back, or the last step when none is.
    pub to_step: StepId,
    /// That host.
    pub to_host: HostName,
    /// Whether a step of the plan closes it.
    pub closes: bool,
    /// Whether the service is down for certain, not only perhaps.
    pub certain: bool,
    /// When it opens, after the run's begin.
    pub begins: Span,
    /// How long it is.
    pub length: Span,
}

/// What is expected of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceForecast {
    /// The service.
    pub service: ServiceName,
    /// Its windows on each host.
    pub hosts: Vec<PredictedWindow>,
    /// Spans in which no host serves it.
    pub windows: Vec<ServiceWindow>,
    /// Spans in which a single one of several hosts serves it.
    pub single: Vec<Single>,
}

impl ServiceForecast {
    /// The longest window of the whole service.
    pub fn longest(&self) -> Span {
        let lengths = self.windows.iter().map(|window| window.length);
        lengths.max().unwrap_or_default()
    }

    /// How long it has no redundancy, in all.
    pub fn single_in_all(&self) -> Span {
        self.single
            .iter()
            .fold(Span::default(), |sum, single| sum.plus(single.length))
    }
}

/// What is expected of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    /// How long it takes.
    pub length: Span,
    /// Every service, by name.
    pub services: Vec<ServiceForecast>,
}

/// What is expected when nothing fails and nobody is waited for.
pub fn forecast(plan: &Plan) -> Forecast {
    let placements = schedule(plan);
    let length = placements.iter().map(|p| p.ends).max().unwrap_or_default();
    Forecast {
        services: of_services(plan, placements, length),
        length,
    }
}

/// The services of a plan whose steps were placed in time; nothing is known beyond `horizon`.
///
/// A certain stop opens a window of its host and the start closes it. A step that may disturb a running
/// service, or a reboot, is a window by itself; such steps that follow each other at once make one. A machine
/// that is destroyed takes its services with it until they are started, or until it is there again when no
/// step starts them.
pub fn of_services(
    plan: &Plan,
    placements: Vec<Placement<'_>>,
    horizon: Span,
) -> Vec<ServiceForecast> {
    let lanes = hosts::lanes(placements);
    let services = plan.services.iter().map(|(service, planned)| {
        let mut windows = Vec::new();
        for host in &planned.hosts {
            let lane = lanes.get(host).map(Vec::as_slice).unwrap_or_default();
            hosts::windows_of(service, host, lane, horizon, &mut windows);
        }
        let away = windows.iter().enumerate().map(|(index, window)| Away {
            host: &window.host,
            begins: window.begins,
            ends: match window.closes {
                true => window.ends(),
                false => window.ends().max(horizon),
            },
            certain: window.certain,
            index,
        });
        let covered = coverage(&planned.hosts, away.collect());
        let whole = covered.none.iter().filter_map(|none| {
            let (first, last) = (windows.get(none.opened_by)?, windows.get(none.closed_by)?);
            Some(ServiceWindow {
                from_step: first.from_step.clone(),
                from_host: first.host.clone(),
                to_step: last.to_step.clone(),
                to_host: last.host.clone(),
                closes: last.closes,
                certain: none.certain,
                begins: none.begins,
                length: none.length,
            })
        });
        ServiceForecast {
            service: service.clone(),
            windows: whole.collect(),
            single: covered.single,
            hosts: windows,
        }
    });
    services.collect()
}

/// The windows of every service on every host, by service, host and time.
pub fn predict(plan: &Plan) -> Vec<PredictedWindow> {
    let services = forecast(plan).services.into_iter();
    services.flat_map(|service| service.hosts).collect()
}
