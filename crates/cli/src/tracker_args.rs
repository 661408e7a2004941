//! The command lines of `classify`, `fleet` and `init`.

use crate::args::{FleetArgs, HostArgs, VaultArgs};
use clap::Args;
use std::path::PathBuf;

/// `classify`.
#[derive(Args, Debug)]
pub struct ClassifyArgs {
    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Only these hosts: a pattern as Ansible's `--limit` has it
    #[arg(long, short, value_name = "PATTERN")]
    pub limit: Option<String>,

    /// The tracker; by default `tracker.yaml` beside the inventory
    #[arg(long, value_name = "FILE")]
    pub tracker: Option<PathBuf>,

    /// Take facts from this file instead of the hosts
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,

    /// Keep the gathered facts in this file
    #[arg(long, value_name = "FILE", conflicts_with = "facts")]
    pub save_facts: Option<PathBuf>,

    /// Show what would be written, and write nothing
    #[arg(long, visible_alias = "check")]
    pub dry_run: bool,

    /// Kinds of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `fleet`.
#[derive(Args, Debug)]
pub struct TrackedArgs {
    /// Only this host, with everything that the tracker says of it
    #[arg(value_name = "HOST")]
    pub host: Option<String>,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// The tracker; by default `tracker.yaml` beside the inventory, if it is there
    #[arg(long, value_name = "FILE")]
    pub tracker: Option<PathBuf>,

    /// Facts that were kept, for releases and for warnings about decisions
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,
}

/// `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// The hosts: our short YAML form, or an Ansible inventory
    #[arg(long, value_name = "FILE")]
    pub from_inventory: PathBuf,

    #[command(flatten)]
    pub vault: VaultArgs,

    /// The release to go to: a code name like `trixie`, or a number like `13`; by default the next one
    #[arg(long, value_name = "RELEASE")]
    pub to: Option<String>,

    /// Where `upgrade.yaml` and `tracker.yaml` are written; by default beside the inventory
    #[arg(long, short, value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// Take facts from this file instead of the hosts
    #[arg(long, value_name = "FILE")]
    pub facts: Option<PathBuf>,

    /// Kinds of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    #[command(flatten)]
    pub hosts: HostArgs,
}
