//! Why there is no plan.

use overhaul_model::definition::Origin;

/// A reason why there is no plan, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PlanError {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub what: Wrong,
    /// What to do about it.
    pub help: String,
}

/// What stands against a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// A role without hosts.
    #[error("no host of the fleet has the role `{role}`")]
    NoHosts {
        /// The role.
        role: String,
    },
    /// A host that would change twice.
    #[error("host `{host}` is in the roles `{first}` and `{second}`, and both change it")]
    ChangesTwice {
        /// The host.
        host: String,
        /// The role written first.
        first: String,
        /// The role written later.
        second: String,
    },
    /// A host without a zone, where zones decide.
    #[error("host `{host}` has no zone, and {asked_by} needs one")]
    NoZone {
        /// The host.
        host: String,
        /// What needs it.
        asked_by: &'static str,
    },
    /// A role whose machines are made anew, nobody knows how.
    #[error("the machines of role `{role}` are made anew, and nothing says by whom")]
    NoWayToRebuild {
        /// The role.
        role: String,
    },
    /// A role whose machines are replaced, and only a person makes them.
    #[error("the machines of role `{role}` are replaced, which a person cannot be asked for")]
    ReplaceByPerson {
        /// The role.
        role: String,
    },
    /// A volume of a role whose machines no provider makes.
    #[error("the volumes of role `{role}` move, and no provider is named for it")]
    NoProviderOfVolumes {
        /// The role.
        role: String,
    },
    /// Ends of a scope that do not match.
    #[error("scope `{scope}` opens with {opens} and closes with {closes} steps")]
    UnevenScope {
        /// The scope.
        scope: String,
        /// Steps that it opens with.
        opens: usize,
        /// Steps that it closes with.
        closes: usize,
    },
    /// A dataset whose service is not declared.
    #[error("dataset `{dataset}` belongs to `{service}`, which is no service")]
    NoService {
        /// The dataset.
        dataset: String,
        /// What it names.
        service: String,
    },
    /// A dataset that could be on several hosts.
    #[error("dataset `{dataset}` could be on {hosts} hosts; it has one authority at any time")]
    NoAuthority {
        /// The dataset.
        dataset: String,
        /// How many hosts its service runs on.
        hosts: usize,
    },
    /// An authority that does not run the service.
    #[error(
        "dataset `{dataset}` names `{host}` as its authority, on which its service `{service}` does not run"
    )]
    StrangeAuthority {
        /// The dataset.
        dataset: String,
        /// The host.
        host: String,
        /// The service.
        service: String,
    },
    /// Data that would go from a host to itself.
    #[error("step `{step}` would bring the dataset `{dataset}` from `{host}` to itself")]
    SameHost {
        /// The step.
        step: String,
        /// The dataset.
        dataset: String,
        /// The host.
        host: String,
    },
    /// Data that would go to several hosts.
    #[error(
        "step `{step}` would bring the dataset `{dataset}` to {hosts} hosts, and only one can have the authority over it"
    )]
    ManyReceive {
        /// The step.
        step: String,
        /// The dataset.
        dataset: String,
        /// How many.
        hosts: usize,
    },
    /// A way for databases, and files that are to go it.
    #[error(
        "step `{step}` says how a database comes, and the dataset `{dataset}` is of `kind: paths`"
    )]
    NoDatabaseComes {
        /// The step.
        step: String,
        /// The dataset.
        dataset: String,
    },
    /// A cluster that is none.
    #[error(
        "step `{step}` moves the dataset `{dataset}` to a new major version, and it is no database"
    )]
    NoDatabase {
        /// The step.
        step: String,
        /// The dataset.
        dataset: String,
    },
    /// A dataset that a role names but does not hold.
    #[error("role `{role}` names the dataset `{dataset}`, which none of its hosts holds")]
    ForeignDataset {
        /// The role.
        role: String,
        /// The dataset.
        dataset: String,
    },
    /// More than one cluster could be meant.
    #[error("host `{host}` has {count} PostgreSQL clusters `{cluster}`: {which}")]
    ManyClusters {
        /// The host.
        host: String,
        /// The cluster's name.
        cluster: String,
        /// How many.
        count: usize,
        /// Which.
        which: String,
    },
    /// The cluster is not there.
    #[error("host `{host}` has no PostgreSQL cluster `{cluster}`")]
    NoCluster {
        /// The host.
        host: String,
        /// The cluster's name.
        cluster: String,
    },
    /// An upgrader that nobody described.
    #[error("there is no upgrader `{0}`")]
    NoUpgrader(String),
    /// An upgrader that does not know the way.
    #[error("the upgrader `{upgrader}` does not go from {from} to {to}")]
    NoPath {
        /// The upgrader.
        upgrader: String,
        /// Before.
        from: String,
        /// After.
        to: String,
    },
    /// A code name that is no plain word.
    #[error("the code name `{0}` is not made of small letters and digits")]
    CodeName(String),
    /// A service without members on the role's hosts.
    #[error("`{service}` is no service of role `{role}` whose hosts form a cluster")]
    NoMembers {
        /// The service.
        service: String,
        /// The role.
        role: String,
    },
    /// A kind that does not say how.
    #[error("the kind `{kind}` does not say how a member does this: `{deed}`")]
    NoDeed {
        /// The kind.
        kind: String,
        /// What is lacking.
        deed: &'static str,
    },
    /// A dataset that lies on the host which changes first.
    #[error(
        "dataset `{dataset}` has its authority on `{host}`, which changes first and receives it from another"
    )]
    FirstHasIt {
        /// The dataset.
        dataset: String,
        /// The host.
        host: String,
    },
    /// More services than scopes can lie in each other.
    #[error("`quiesce` would stop {services} services of hosts of `{role}` and start them again")]
    ManyQuiet {
        /// The role.
        role: String,
        /// How many.
        services: usize,
    },
    /// A provider that nobody described.
    #[error("there is no provider `{0}`")]
    NoProvider(String),
    /// No program to run a playbook with.
    #[error("there is no `ansible-playbook` on this machine")]
    NoAnsible,
    /// A playbook that does not know its hosts.
    #[error("step `{step}` runs a playbook without an inventory")]
    NoInventory {
        /// The step.
        step: String,
    },
    /// A condition that cannot be decided.
    #[error("the condition of step `{step}` cannot be decided on host `{host}`: {why}")]
    Condition {
        /// The step.
        step: String,
        /// The host.
        host: String,
        /// Why not.
        why: String,
    },
    /// Two parts of the tree with one id.
    #[error("two parts of the plan would have the id `{0}`")]
    SameId(String),
    /// An upgrader whose description falls apart when its code names are filled in.
    #[error("the upgrader `{upgrader}` cannot be used: {why}")]
    Upgrader {
        /// The upgrader.
        upgrader: String,
        /// Why not.
        why: String,
    },
}

/// All reasons why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlanErrors(pub Vec<PlanError>);

impl std::fmt::Display for PlanErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, error) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}: {error}; {}", error.origin, error.help)?;
        }
        Ok(())
    }
}
