//! The command lines of `run` and `resume`.

use crate::args::{FleetArgs, HostArgs, Switch};
use clap::Args;
use std::path::PathBuf;

/// Who is called when a run needs people.
#[derive(Args, Clone, Debug, Default)]
pub struct HookArgs {
    /// Programs and addresses to call when something is asked, held, stalled, failed or over, and when a window runs out
    #[arg(
        id = "hooks_file",
        long = "hooks",
        value_name = "FILE",
        env = "OVERHAUL_HOOKS"
    )]
    pub file: Option<PathBuf>,
}

impl HookArgs {
    /// The hooks, ready to be called.
    pub fn ready(&self) -> Result<Vec<crate::hooks::Ready>, crate::failure::Failure> {
        let read = self.file.as_deref().map(crate::hooks::read);
        read.unwrap_or_else(|| Ok(Vec::new()))
    }
}

/// How a controller leads a run, whether it begins it or takes it up.
#[derive(Args, Clone, Debug, Default)]
pub struct LeadingArgs {
    #[command(flatten)]
    pub limits: LimitArgs,

    /// Stay when only a person can make the run go on, instead of ending with exit code 4
    #[arg(long)]
    pub wait: bool,

    /// Go on as a service of systemd, so that this terminal may close; `overhaul watch` follows it
    #[arg(long)]
    pub detach: bool,

    #[command(flatten)]
    pub hooks: HookArgs,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `run`.
#[derive(Args, Debug)]
pub struct RunArgs {
    /// What to do: `upgrade.yaml` together with `--fleet`, or a plan that `overhaul plan -o` wrote
    #[arg(value_name = "DEFINITION|PLAN")]
    pub input: PathBuf,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Kinds of release upgraders and of clusters of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    /// Switch how the machines of a role change, as in web=rebuild: in-place, rebuild or replace
    #[arg(long, value_name = "ROLE=CHANGE")]
    pub change: Vec<Switch>,

    /// Do not ask before the run begins; needed where nobody can be asked
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub leading: LeadingArgs,

    #[command(flatten)]
    pub simulation: SimulationArgs,
}

/// A run against hosts that are not there.
#[derive(Args, Clone, Debug, Default)]
pub struct SimulationArgs {
    /// Play the plan against simulated hosts, with virtual time: no host is reached, and nothing of it is a run
    #[arg(
        long,
        requires = "simulated_facts",
        conflicts_with_all = ["yes", "detach", "wait", "limit", "until", "stage", "ask_sudo_password", "sudo_password_file"]
    )]
    pub simulate: bool,

    /// Facts from which simulated hosts are made, as `overhaul plan --save-facts` keeps them
    #[arg(
        id = "simulated_facts",
        long = "facts",
        value_name = "FILE",
        requires = "simulate"
    )]
    pub facts: Option<PathBuf>,

    /// Throw the simulation's dice like this; by default a number that is printed
    #[arg(long, value_name = "N", requires = "simulate")]
    pub seed: Option<u64>,

    /// Let so many things go wrong, chosen by the seed
    #[arg(long, value_name = "N", default_value_t = 0, requires = "simulate", value_parser = clap::value_parser!(u8).range(0..=20))]
    pub faults: u8,
}

/// What this sitting may begin. The order of the plan stays: what needs something outside is not reached.
#[derive(Args, Clone, Debug, Default)]
pub struct LimitArgs {
    /// Begin steps of these hosts only: names, roles, zones; a pattern as Ansible's `--limit` has it
    #[arg(long, short, value_name = "PATTERN")]
    pub limit: Option<String>,

    /// Begin nothing behind this stage, slot, block or step; a scope around it is brought to its end
    #[arg(long, value_name = "STAGE|SLOT|STEP")]
    pub until: Option<String>,

    /// Begin steps of this stage only
    #[arg(long, value_name = "STAGE")]
    pub stage: Option<String>,
}

/// `resume`.
#[derive(Args, Debug)]
pub struct ResumeArgs {
    /// The run; by default the only one that is not over
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    #[command(flatten)]
    pub fleet: FleetArgs,

    #[command(flatten)]
    pub leading: LeadingArgs,
}
