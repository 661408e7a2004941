//! What the passes work on: the input, the plan so far, and what is wrong.

use crate::error::{PlanError, PlanErrors, Wrong};
use crate::upgraders::Way;
use overhaul_model::definition::{Definition, Origin, RoleUpgrade};
use overhaul_model::facts::{FleetFacts, PostgresCluster};
use overhaul_model::fleet::{Fleet, Host};
use overhaul_model::id::{DatasetName, HostName, RoleName, ServiceName, StepId};
use overhaul_model::knowledge::Knowledge;
use overhaul_model::plan::{Block, PLAN_FORMAT, Plan, PlanKind, Turns};
use overhaul_model::timing::Timing;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) struct Draft<'a> {
    pub definition: &'a Definition,
    pub fleet: &'a Fleet,
    pub facts: &'a FleetFacts,
    pub plan: Plan,
    /// The fleet's hosts by role, in the order of their names.
    pub by_role: BTreeMap<&'a RoleName, Vec<&'a Host>>,
    /// The services that run on each host.
    pub services_on: BTreeMap<&'a HostName, BTreeSet<&'a ServiceName>>,
    /// The turns of each role's hosts.
    pub turns: BTreeMap<RoleName, Turns>,
    /// The upgrader of each role, ready for its hosts.
    pub ways: BTreeMap<RoleName, Way>,
    /// The measured cluster of each PostgreSQL dataset; absent while it is unknown.
    pub clusters: BTreeMap<DatasetName, PostgresCluster>,
    pub errors: Vec<PlanError>,
}

impl<'a> Draft<'a> {
    pub fn new(definition: &'a Definition, fleet: &'a Fleet, facts: &'a FleetFacts) -> Self {
        let plan = Plan {
            format: PLAN_FORMAT,
            kind: PlanKind::Upgrade,
            parent: None,
            upgrade: definition.name.clone(),
            fleet: fleet.name.clone(),
            from: definition.from.clone(),
            to: definition.to.clone(),
            hosts: BTreeMap::new(),
            rolls: BTreeMap::new(),
            services: BTreeMap::new(),
            datasets: BTreeMap::new(),
            space: Vec::new(),
            failure_budget: 0,
            one_zone_at_a_time: definition.one_zone_at_a_time,
            providers: BTreeMap::new(),
            machines: BTreeMap::new(),
            roles: BTreeMap::new(),
            knowledge: knowledge(definition),
            waivers: definition.waivers.clone(),
            timing: Timing::default(),
            root: Block::Sequence {
                id: StepId::new(""),
                title: format!(
                    "{}: from {} to {}",
                    definition.name, definition.from, definition.to
                ),
                blocks: Vec::new(),
            },
        };
        let mut by_role: BTreeMap<&RoleName, Vec<&Host>> = BTreeMap::new();
        for host in fleet.hosts.values() {
            for role in &host.roles {
                by_role.entry(role).or_default().push(host);
            }
        }
        Self {
            definition,
            fleet,
            facts,
            plan,
            by_role,
            services_on: BTreeMap::new(),
            turns: BTreeMap::new(),
            ways: BTreeMap::new(),
            clusters: BTreeMap::new(),
            errors: Vec::new(),
        }
    }

    pub fn wrong(&mut self, origin: &Origin, what: Wrong, help: impl Into<String>) {
        let error = PlanError {
            origin: origin.clone(),
            what,
            help: help.into(),
        };
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// The hosts of the fleet that have a role, in the order of their names.
    pub fn of_role(&self, role: &RoleName) -> &[&'a Host] {
        self.by_role.get(role).map_or(&[], Vec::as_slice)
    }

    /// The hosts of a role, in the order of their turns.
    pub fn hosts_of(&self, role: &RoleUpgrade) -> Vec<&'a Host> {
        self.turns
            .get(&role.role)
            .into_iter()
            .flat_map(|turns| turns.batches.iter().flatten())
            .filter_map(|name| self.fleet.hosts.get(name))
            .collect()
    }

    /// The names of a role's hosts.
    pub fn names_of(&self, role: &RoleUpgrade) -> BTreeSet<HostName> {
        self.hosts_of(role).iter().map(|h| h.name.clone()).collect()
    }

    /// The host with authority over a dataset, if it is one of the role's. When it is not, an error says so,
    /// unless one was told already.
    pub fn authority(
        &mut self,
        role: &RoleUpgrade,
        dataset: &DatasetName,
        origin: &Origin,
    ) -> Option<HostName> {
        let planned = self.plan.datasets.get(dataset);
        let told = planned.is_none() && self.definition.datasets.contains_key(dataset);
        let own = self.names_of(role);
        let authority = planned
            .map(|dataset| dataset.authority.clone())
            .filter(|host| own.contains(host));
        if authority.is_none() && !told {
            self.wrong(
                origin,
                Wrong::ForeignDataset {
                    role: role.role.to_string(),
                    dataset: dataset.to_string(),
                },
                "name a dataset whose service runs on a host of this role",
            );
        }
        authority
    }

    /// Where the upgrade as a whole was written: its first role's file.
    pub fn origin(&self) -> Origin {
        self.definition
            .roles
            .first()
            .map(|role| Origin {
                file: role.origin.file.clone(),
                line: 1,
            })
            .unwrap_or_default()
    }

    pub fn finish(self) -> Result<Plan, PlanErrors> {
        if self.errors.is_empty() {
            Ok(self.plan)
        } else {
            Err(PlanErrors(self.errors))
        }
    }
}

/// What the definition and the upgraders of its roles know.
fn knowledge(definition: &Definition) -> Knowledge {
    let mut out = definition.knowledge.clone();
    for (name, upgrader) in &definition.upgraders {
        let users = definition
            .roles
            .iter()
            .filter(|role| role.upgrader == *name);
        let roles: BTreeSet<RoleName> = users.map(|role| role.role.clone()).collect();
        for issue in &upgrader.known_issues {
            // One that the definition knows too was decided there.
            if out.known_issues.iter().all(|own| own.id != issue.id) {
                let mut issue = issue.clone();
                issue.roles.clone_from(&roles);
                out.known_issues.push(issue);
            }
        }
    }
    out
}
