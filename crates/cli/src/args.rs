//! The command line. The help texts are the reference; `docs/cli.md` adds exit codes and examples.

pub use crate::run_args::{LeadingArgs, LimitArgs, ResumeArgs, RunArgs};
use crate::tracker_args::{ClassifyArgs, InitArgs, TrackedArgs};
use clap::{Args, Parser, Subcommand};
use overhaul_model::id::{RoleName, StepId};
use overhaul_model::span::Span;
use overhaul_model::strategy::Change;
use std::path::PathBuf;

/// Carries stateful machines across a major upgrade of their operating system.
///
/// Write down what to do once, look at the plan, run it. The run can be killed at any moment and continued with `overhaul resume`.
#[derive(Debug, Parser)]
#[command(name = "overhaul", version, max_term_width = 100)]
pub struct Cli {
    /// Folder for runs: journals, plans, copies of data. Created with mode 0700.
    ///
    /// By default `$XDG_STATE_HOME/overhaul`, else `~/.local/state/overhaul`.
    #[arg(long, value_name = "DIR", env = "OVERHAUL_STATE", global = true)]
    pub state: Option<PathBuf>,

    /// Print results as JSON on standard output; remarks go to standard error.
    #[arg(long, global = true)]
    pub json: bool,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look at one host: facts, the plan for it, and what the checker says
    ///
    /// Changes nothing on the host but the helper's own folder. Writes no run.
    Try(TryArgs),
    /// Gather what is known of the hosts of a fleet: a table, one host's page, or JSON
    ///
    /// Changes nothing on the hosts but the helper's own folder. What they tell is kept with its time; hosts that cannot be reached are rows of the table, and make the exit code 6.
    Facts(FactsArgs),
    /// Propose for every host how it changes, what becomes of its data, and when, with the reasons
    ///
    /// Changes nothing on the hosts. Proposals are kept in the tracker, a file that you edit; what you decided there is kept byte for byte. Hosts that cannot be reached are in it too, and make the exit code 6.
    Classify(ClassifyArgs),
    /// Show the tracker: how each host changes, how far it is, what it waits for; no host is reached
    Fleet(TrackedArgs),
    /// Draft a definition and a tracker from an inventory and facts; no file is overwritten
    Init(InitArgs),
    /// Compile a definition and a fleet into a plan, and print it
    Plan(PlanArgs),
    /// Compile and check; print the findings
    Check(CheckArgs),
    /// Gather facts, plan, check, and carry the plan out
    Run(RunArgs),
    /// Take up a run where it stands
    ///
    /// The stored plan is checked again with fresh facts. Where the journal cannot say whether a step was carried out, the host's receipts are asked.
    Resume(ResumeArgs),
    /// Show how a run stands, also while it goes on in another process
    Status(RunArg),
    /// Follow a run that goes on in another process, until it ends or stands; the exit code is the run's
    Watch(WatchArgs),
    /// Open a gate
    Approve(ApproveArgs),
    /// Begin a failed or unknown step again
    Retry(DecideArgs),
    /// Say that a failed or unknown step was done by hand; its verify must pass
    Done(DecideArgs),
    /// Leave out a failed, unknown or not yet begun step; or a postponed host with all its steps
    Skip(DecideArgs),
    /// Declare the effect of a failed or unknown step void; or a host's record of the authority over a dataset
    ///
    /// After a transfer both hosts keep on record who has the authority, and refuse what would write the old side or repeat the transfer, to every run. With --dataset and --host such a record is declared void; person and reason stay in it.
    Void(VoidArgs),
    /// Let nothing new begin; what is under way is brought to its end
    Pause(RunArg),
    /// Put another plan in the place of a run's plan, when no process has the run
    ///
    /// The definition is compiled again with the facts that the run's plan was made from, and checked with fresh ones for what remains. A step stays done or begun only when it is the same in all but its line; what must happen once and has begun must stay. Shown and asked for before it counts; the journal keeps who and why.
    Amend(AmendArgs),
    /// End a run: scopes are closed, hosts are freed, nothing else begins
    Abort(AbortArgs),
    /// Leave a host for later, take it up again, or change its day
    ///
    /// Turns of the host that were not begun wait until the date; the others go on without it. The run is not complete before the host was taken up, or left out for good with `overhaul skip HOST`.
    Postpone(PostponeArgs),
    /// Print the report of a run, from its journal alone
    Report(ReportArgs),
    /// Print the plan as a runbook that people can follow by hand; reaches no host
    ///
    /// Numbered steps with their reasons, the exact commands, conditions before and after, and what cannot be taken back. With --remaining: what is done, what nobody knows, what is left, and which scopes are open, for the day on which Overhaul itself cannot go on. A copy of the state folder is enough, also one that cannot be written.
    Export(ExportArgs),
    /// Tell whether what lies in the state folder is whole; keep what is whole of a damaged run
    ///
    /// Changes nothing: journals are looked at in copies. With --salvage, the whole rows of a damaged journal become a run of the same name in another state folder, where `overhaul resume` goes on from them. The exit code is 7 when a run is damaged.
    Doctor(DoctorArgs),
    /// List what a run has left behind; clear away what is named
    ///
    /// Without a name nothing is changed. Names are steps of the plan's stage `cleanup`, and copies on this machine. A copy that may be the only proven one is refused.
    Cleanup(CleanupArgs),
    /// Look into an archive that a run made of a host's files, or unpack it; reaches no host
    ///
    /// Archives are the copies that `carry` and `archive` make, in the folder `data` of a run. What an archive says is checked chunk by chunk, and nothing in it leads outside of the folder that it is unpacked into.
    #[command(subcommand)]
    Data(DataCommand),
    /// Print completions for a shell
    ///
    /// For example: `overhaul completions bash > /etc/bash_completion.d/overhaul`.
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page for each command into a folder
    ///
    /// For example: `overhaul man | man -l -`.
    Man(ManArgs),
    /// Open a shell on a host of the fleet, or run a command there
    ///
    /// Becomes the program `ssh`, with what the fleet says of the host: address, port, account, keys, known hosts, words of one's own. The host's key is checked strictly. The exit code is that of the shell or the command, and 255 when ssh does not get there. A run that is under way is not disturbed.
    Ssh(SshArgs),
}

/// How hosts are reached.
#[derive(Args, Clone, Debug, Default)]
pub struct HostArgs {
    /// Ask for the sudo password at the terminal; it counts for hosts that name none
    #[arg(long)]
    pub ask_sudo_password: bool,

    /// Read the sudo password from the first line of this file, which only you may read
    #[arg(long, value_name = "FILE", conflicts_with = "ask_sudo_password")]
    pub sudo_password_file: Option<PathBuf>,

    /// The helper program that goes to the hosts, instead of the one beside `overhaul`
    #[arg(long, value_name = "FILE", env = "OVERHAUL_HELPER")]
    pub helper: Option<PathBuf>,
}

/// `ssh`.
#[derive(Args, Debug)]
pub struct SshArgs {
    /// The host's name in the fleet
    #[arg(value_name = "HOST")]
    pub host: String,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Stay the account that logs in, also where the fleet says which one to become
    #[arg(long)]
    pub no_become: bool,

    /// Print the command line instead of running it
    #[arg(long)]
    pub print: bool,

    /// A command and its arguments, instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// How deep hosts are looked into.
#[derive(Args, Clone, Copy, Debug)]
pub struct DepthArgs {
    /// Also ask what takes minutes: what the new release takes away, and which files of packages were changed
    ///
    /// Each host fetches the new release's indexes with its own apt into a folder that is removed again, and reads most of /usr. Nothing is installed.
    #[arg(long)]
    pub thorough: bool,
}

/// `try`.
#[derive(Args, Debug)]
pub struct TryArgs {
    /// The host, as `[USER@]ADDRESS[:PORT]`
    #[arg(value_name = "HOST")]
    pub target: String,

    /// The release to go to: a code name like `trixie`, or a number like `13`
    #[arg(long, value_name = "RELEASE")]
    pub to: String,

    /// A private key for the login; by default the agent and the usual files
    #[arg(long, short, value_name = "FILE")]
    pub identity: Vec<PathBuf>,

    /// A file of known host keys; by default the usual ones
    #[arg(long, value_name = "FILE")]
    pub known_hosts: Vec<PathBuf>,

    /// Become root by sudo after the login
    #[arg(long)]
    pub sudo: bool,

    /// Kinds of release upgraders and of clusters of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    #[command(flatten)]
    pub depth: DepthArgs,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `facts`.
#[derive(Args, Debug)]
pub struct FactsArgs {
    /// Only this host, with everything that is known of it
    #[arg(value_name = "HOST")]
    pub host: Option<String>,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Only these hosts: a pattern as Ansible's `--limit` has it
    #[arg(long, short, value_name = "PATTERN")]
    pub limit: Option<String>,

    /// Take what is kept and younger than this, like `2h`; ask the other hosts
    #[arg(long, value_name = "MAX_AGE")]
    pub cached: Option<Span>,

    /// Ask no host: show what is kept
    #[arg(long)]
    pub offline: bool,

    /// Also what a release upgrade asks about: packages that no source has, changed configuration, names of disks and interfaces
    ///
    /// The page of one host has it in any case.
    #[arg(long)]
    pub upgrade: bool,

    /// Also where data is and how large, and every installed package
    #[arg(long)]
    pub stored: bool,

    #[command(flatten)]
    pub depth: DepthArgs,

    /// The release to go to, for --thorough: a code name like `trixie`, or a number like `13`
    #[arg(long, value_name = "RELEASE", requires = "thorough")]
    pub to: Option<String>,

    /// Kinds of clusters of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// Passwords for what `ansible-vault` encrypted; all that are given are tried. `ansible.cfg` is not read.
#[derive(Args, Clone, Debug, Default)]
pub struct VaultArgs {
    /// Take a vault password from this file, which only you may read, or from this program; the file that
    /// ANSIBLE_VAULT_PASSWORD_FILE names is taken too
    #[arg(long, visible_alias = "vault-pass-file", value_name = "FILE")]
    pub vault_password_file: Vec<PathBuf>,

    /// Take a vault password with a label: from a file, a program (one called NAME-client is given `--vault-id LABEL`), or `prompt`
    #[arg(long, value_name = "LABEL@SOURCE")]
    pub vault_id: Vec<String>,

    /// Ask for the vault password at the terminal
    #[arg(long, visible_alias = "ask-vault-pass")]
    pub ask_vault_password: bool,
}

/// Where hosts come from.
#[derive(Args, Clone, Debug, Default)]
pub struct FleetArgs {
    /// The hosts: our short YAML form, or whatever `ansible -i` takes; several are read one after the other
    #[arg(id = "fleet", long = "fleet", short = 'f', value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,

    #[command(flatten)]
    pub vault: VaultArgs,
}

/// A definition and its fleet.
#[derive(Args, Clone, Debug)]
pub struct InputArgs {
    /// What to do: `upgrade.yaml`
    #[arg(value_name = "DEFINITION")]
    pub definition: PathBuf,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Kinds of release upgraders and of clusters of your own: a folder of `*.yaml`
    #[arg(long, value_name = "DIR")]
    pub kinds: Option<PathBuf>,

    /// Switch how the machines of a role change, as in web=rebuild: in-place, rebuild or replace
    #[arg(long, value_name = "ROLE=CHANGE")]
    pub change: Vec<Switch>,
}

/// How the machines of a role change, instead of what the definition says.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The role.
    pub role: RoleName,
    /// The change.
    pub change: Change,
}

impl std::str::FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, change) = text
            .split_once('=')
            .ok_or("write it like web=rebuild: a role and how it changes")?;
        let words = Change::ALL.map(Change::word).join(", ");
        let change = Change::of_word(change)
            .ok_or_else(|| format!("a role changes in one of these ways: {words}"))?;
        Ok(Self {
            role: RoleName::new(role),
            change,
        })
    }
}

impl std::fmt::Display for Switch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.role, self.change.word())
    }
}

/// Where facts come from.
#[derive(Args, Clone, Debug)]
pub struct FactArgs {
    /// Take facts from this file instead of the hosts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["save_facts", "thorough"])]
    pub facts: Option<PathBuf>,

    /// Keep the gathered facts in this file
    #[arg(long, value_name = "FILE")]
    pub save_facts: Option<PathBuf>,

    #[command(flatten)]
    pub depth: DepthArgs,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `plan`.
#[derive(Args, Debug)]
pub struct PlanArgs {
    #[command(flatten)]
    pub input: InputArgs,

    #[command(flatten)]
    pub facts: FactArgs,

    /// Also where the expected length of every step comes from
    #[arg(long)]
    pub why: bool,

    /// Write the plan to this file, for `overhaul run FILE`
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Show what is different from this plan, or from the plan of this run, instead of the whole
    #[arg(long, value_name = "PLAN|RUN")]
    pub diff: Option<String>,
}

/// `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    #[command(flatten)]
    pub input: InputArgs,

    #[command(flatten)]
    pub facts: FactArgs,
}

/// `watch`.
#[derive(Args, Debug)]
pub struct WatchArgs {
    /// The run; by default the only one that is not over, else the latest
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    /// Also what happened before
    #[arg(long)]
    pub all: bool,
}

/// A run.
#[derive(Args, Debug)]
pub struct RunArg {
    /// The run; by default the only one that is not over
    #[arg(value_name = "RUN")]
    pub run: Option<String>,
}

/// `approve`.
#[derive(Args, Debug)]
pub struct ApproveArgs {
    /// The gate, as `status` shows it: `STEP` or `STEP@HOST`
    #[arg(value_name = "STEP")]
    pub step: String,

    /// Why, for the journal
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,

    /// The run; by default the only one that is not over
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// `void`.
#[derive(Args, Debug)]
pub struct VoidArgs {
    /// The step, as `status` shows it: `STEP` or `STEP@HOST`
    #[arg(value_name = "STEP", required_unless_present = "dataset")]
    pub step: Option<String>,

    /// Why, for the journal or for the host's record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,

    /// The run; by default the only one that is not over
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,

    /// Declare a host's record of the authority over this dataset void
    #[arg(long, value_name = "DATASET", requires_all = ["host", "fleet"], conflicts_with_all = ["step", "run"])]
    pub dataset: Option<String>,

    /// The host that keeps the record
    #[arg(long, value_name = "HOST", requires = "dataset")]
    pub host: Option<String>,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Do not ask before the record is declared void
    #[arg(long, short, requires = "dataset")]
    pub yes: bool,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `retry`, `done`, `skip`.
#[derive(Args, Debug)]
pub struct DecideArgs {
    /// The step, as `status` shows it: `STEP` or `STEP@HOST`
    #[arg(value_name = "STEP")]
    pub step: String,

    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: String,

    /// The run; by default the only one that is not over
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// `abort`.
#[derive(Args, Debug)]
pub struct AbortArgs {
    /// The run; by default the only one that is not over
    #[arg(value_name = "RUN", conflicts_with = "lost")]
    pub run: Option<String>,

    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: String,

    /// Free a host from a run whose journal is lost
    ///
    /// Person and reason are kept in the host's own store. Make sure first that no controller of that run is left.
    #[arg(long, requires_all = ["host", "fleet"])]
    pub lost: bool,

    /// The host to free
    #[arg(long, value_name = "HOST", requires = "lost")]
    pub host: Option<String>,

    #[command(flatten)]
    pub fleet: FleetArgs,

    /// Do not ask before the host is freed
    #[arg(long, short, requires = "lost")]
    pub yes: bool,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `postpone`.
#[derive(Args, Debug)]
pub struct PostponeArgs {
    /// The host
    #[arg(value_name = "HOST")]
    pub host: String,

    /// From then on the host is taken up: a date, a date with a time, or a span from now like `36h`
    #[arg(long, value_name = "DATE", required_unless_present = "now")]
    pub until: Option<String>,

    /// Take the postponed host up again
    #[arg(long, conflicts_with = "until")]
    pub now: bool,

    /// Why, for the journal
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        required_unless_present = "now"
    )]
    pub reason: String,

    /// The run; by default the only one that is not over
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// `export`.
#[derive(Args, Debug)]
pub struct ExportArgs {
    /// A plan that `overhaul plan -o` wrote, or a run; by default the only run that is not over, else the latest
    #[arg(value_name = "PLAN|RUN")]
    pub what: Option<String>,

    /// From the run's present state: what is done, what is under way, what is left
    #[arg(long)]
    pub remaining: bool,

    /// The form
    #[arg(long, value_name = "FORM", default_value = "markdown", value_parser = ["markdown"])]
    pub format: String,

    /// Write the runbook to this file
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `amend`.
#[derive(Args, Debug)]
pub struct AmendArgs {
    /// The run
    #[arg(value_name = "RUN")]
    pub run: String,

    #[command(flatten)]
    pub input: InputArgs,

    /// Why, for the journal
    #[arg(long, value_name = "TEXT")]
    pub reason: String,

    /// A step that was begun has a new name: ids as the plan has them
    #[arg(long, value_name = "NEW=OLD")]
    pub was: Vec<WasName>,

    #[command(flatten)]
    pub facts: FactArgs,

    /// Do not ask before the plan is amended; needed where nobody can be asked
    #[arg(long, short)]
    pub yes: bool,
}

/// A new name of a step, and the old one.
#[derive(Clone, Debug)]
pub struct WasName {
    /// Its id in the new plan.
    pub new: StepId,
    /// Its id in the run's plan.
    pub old: StepId,
}

impl std::str::FromStr for WasName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (new, old) = text
            .split_once('=')
            .filter(|(new, old)| !new.is_empty() && !old.is_empty())
            .ok_or("write it like upgrade/web/change/new-name=upgrade/web/change/old-name")?;
        Ok(Self {
            new: StepId::new(new),
            old: StepId::new(old),
        })
    }
}

/// `doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// The run; by default all
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    /// Keep what is whole of the run in this state folder, which must not have a run of that name
    #[arg(long, value_name = "DIR", requires = "run")]
    pub salvage: Option<PathBuf>,
}

/// `cleanup`.
#[derive(Args, Debug)]
pub struct CleanupArgs {
    /// What is cleared away, as the list names it; without a name, the list
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// The run; by default the latest
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,

    /// Do not ask before something is removed
    #[arg(long, short)]
    pub yes: bool,

    #[command(flatten)]
    pub fleet: FleetArgs,

    #[command(flatten)]
    pub hosts: HostArgs,
}

/// `data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// List what is in an archive, and verify all of it
    ///
    /// A line for each entry, as `ls -l` has it; a directory comes after what is in it. With --json a line of JSON for each.
    List(ArchiveArgs),
    /// Write the content of one file of an archive to standard output
    Cat(CatArgs),
    /// Unpack an archive into an empty folder, and read it back
    ///
    /// Its paths are made below that folder, as they were on their host: owners by number, modes, access lists, extended attributes, hard links, holes, devices. Owners and devices take root.
    Unpack(UnpackArgs),
}

/// An archive.
#[derive(Args, Debug)]
pub struct ArchiveArgs {
    /// The archive: a file, or with --run its name as `overhaul report` has it
    #[arg(value_name = "ARCHIVE")]
    pub archive: PathBuf,

    /// The run that made it
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
}

/// `data cat`.
#[derive(Args, Debug)]
pub struct CatArgs {
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// The file's absolute path, as it was on its host
    #[arg(value_name = "PATH")]
    pub path: std::ffi::OsString,
}

/// `data unpack`.
#[derive(Args, Debug)]
pub struct UnpackArgs {
    #[command(flatten)]
    pub archive: ArchiveArgs,

    /// The folder; made with mode 0700 where there is none, else it must be empty
    #[arg(long, value_name = "DIR")]
    pub into: PathBuf,
}

/// `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    pub shell: CompletionShell,
}

/// Shells for which there are completions.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum CompletionShell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// `man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write `overhaul.1` and one page for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// `report`.
#[derive(Args, Debug)]
pub struct ReportArgs {
    /// The run; by default the latest
    #[arg(value_name = "RUN")]
    pub run: Option<String>,

    /// Write the report to this file
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Set the run beside this one, its rehearsal, instead of reporting it alone
    ///
    /// Outages of services, and every step whose time changed, by the steps' ids: the rehearsal may have been held on other hosts.
    #[arg(long, value_name = "RUN")]
    pub compare: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_whole() {
        Cli::command().debug_assert();
    }
}
