//! The commands of the lab and what they print.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::Subcommand;

use crate::say::{complain, say};

use super::boot;
use super::check_facts;
use super::client;
use super::database;
use super::definition;
use super::disk;
use super::error::{LabError, Result};
use super::host;
use super::images::Images;
use super::instance::Id;
use super::lifecycle::{self, existing, existing_for_change};
use super::manifest;
use super::network;
use super::paths;
use super::probe;
use super::proof;
use super::ssh;
use super::topology::Topology;

/// Longer cuts than an hour are not tests any more.
const CUT_S_MAX: u64 = 3_600;

/// Arguments of `xtask lab`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which lab instance; by default one that follows from this checkout's path.
    #[arg(long, global = true, env = "OVERHAUL_LAB_ID")]
    id: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try in ten seconds whether this machine can carry the lab, and name what is lacking.
    Probe,
    /// Build the images of a topology now; with CI=true from nothing.
    Images {
        /// The topology whose images are wanted.
        #[arg(default_value = "one-host")]
        topology: String,
        /// Remove all images and kept packages first.
        #[arg(long)]
        fresh: bool,
        /// Also download what an upgrade to the next release will ask for.
        #[arg(long)]
        with_upgrade_cache: bool,
    },
    /// Bring an instance up and wait for ssh; what is there already stays.
    Up {
        /// The topology of a new instance; `one-host` when none is named.
        topology: Option<String>,
        /// A new host's disk has so many megabytes and is kept in memory: HOST=MEGABYTES.
        #[arg(long, value_parser = disk_size)]
        disk: Vec<(String, u64)>,
    },
    /// Tell how the hosts are.
    Status {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the folder with fleet.yaml, ssh_key, known_hosts and admin_password.
    Dir,
    /// Log in on a host.
    Ssh {
        /// The host.
        host: String,
        /// The account: root, admin or ops.
        #[arg(long, default_value = "root")]
        user: String,
    },
    /// Run a command on a host through ssh; its status is this command's.
    Exec {
        /// The host.
        host: String,
        /// The account: root, admin or ops.
        #[arg(long, default_value = "root")]
        user: String,
        /// The command, passed on as ssh passes it on.
        #[arg(last = true, required = true)]
        words: Vec<String>,
    },
    /// Cut a host's power: everything on it ends at once.
    PowerCut {
        /// The host.
        host: String,
        /// Switch it on again and wait for ssh.
        #[arg(long)]
        restart: bool,
    },
    /// Cut a host off from the network; packets vanish.
    CutNetwork {
        /// The host.
        host: String,
        /// Heal after so many seconds; otherwise only `heal-network` or a reboot heals.
        #[arg(long = "for", value_parser = clap::value_parser!(u64).range(1..=CUT_S_MAX))]
        seconds: Option<u64>,
    },
    /// End a network cut.
    HealNetwork {
        /// The host.
        host: String,
    },
    /// Fill the disk of a host that was brought up with `--disk`.
    FillDisk {
        /// The host.
        host: String,
        /// Make room again after so many seconds.
        #[arg(long = "for", value_parser = clap::value_parser!(u64).range(1..=CUT_S_MAX))]
        seconds: u64,
    },
    /// Take the package mirror of the instance away.
    MirrorAway {
        /// Bring it back after so many seconds.
        #[arg(long = "for", value_parser = clap::value_parser!(u64).range(1..=CUT_S_MAX))]
        seconds: u64,
    },
    /// Give a host a fresh disk; address and host keys stay.
    Reinstall {
        /// The host.
        host: String,
    },
    /// Make a host anew from an image, as a provider of machines does: other disk, machine id and host keys, the same name and address. Prints what
    /// the provider knows of the new machine.
    Rebuild {
        /// The host.
        host: String,
        /// An image of the topology.
        #[arg(long)]
        image: String,
        /// A word of the one who asks: the same word again does nothing again.
        #[arg(long)]
        token: Option<String>,
    },
    /// Print what a provider of machines knows of a host: its identity, power, address and host keys.
    Describe {
        /// The host.
        host: String,
    },
    /// Print the process id of a host's first process.
    Leader {
        /// The host.
        host: String,
    },
    /// Switch a host off; its disk stays.
    PowerOff {
        /// The host.
        host: String,
    },
    /// Switch a host on; waits for no ssh.
    PowerOn {
        /// The host.
        host: String,
    },
    /// Write a workflow's definition with the lab as its provider of machines into the instance's folder, and print its path.
    Definition {
        /// The workflow's definition.
        file: PathBuf,
    },
    /// Complete an interrupted upgrade on the disk of a host that is off, as from a rescue system.
    Rescue {
        /// The host.
        host: String,
    },
    /// Fill the database `shop` with rows that are the same each time.
    LoadPostgres {
        /// The host.
        host: String,
        /// The size of the database.
        #[arg(long, default_value_t = 200)]
        mb: u64,
    },
    /// Print the digest of all rows of `shop`.
    RowDigest {
        /// The host.
        host: String,
    },
    /// Bring a fleet up, compare its facts with the recorded ones, and take it down.
    CheckFacts(check_facts::Args),
    /// List a tree of a host in all respects that a copy must keep.
    Manifest {
        /// The host.
        host: String,
        /// The tree.
        path: PathBuf,
    },
    /// Write down what an upgrade must leave alone: rows and trees.
    Remember {
        /// Where to.
        file: PathBuf,
    },
    /// Prove that it is the same, and that every host ended well on the new release.
    Prove(proof::Args),
    /// Ask a web site at a steady rate from one address, and tell how many requests failed.
    Client(client::Args),
    /// End everything of an instance and remove it.
    Down,
    /// Be the power supply of a host.
    #[command(hide = true)]
    Launch {
        /// The host.
        host: String,
    },
    /// Be the package mirror of an instance.
    #[command(hide = true)]
    Mirror,
}

/// Runs a lab command.
pub fn run(args: Args) -> ExitCode {
    let result = match args.id {
        Some(text) => Id::new(&text),
        None => Ok(Id::of_checkout(&paths::checkout())),
    }
    .and_then(|id| dispatch(&id, args.command));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("lab: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(id: &Id, command: Command) -> Result<()> {
    match command {
        Command::Probe => probe::probe(),
        Command::Images {
            topology,
            fresh,
            with_upgrade_cache,
        } => images(&topology, fresh || paths::in_ci(), with_upgrade_cache),
        Command::Up { topology, disk } => up(id, topology.as_deref(), &disk),
        Command::Status { json } => status(id, json),
        Command::Dir => {
            say(format_args!("{}", existing(id)?.folder().display()));
            Ok(())
        }
        Command::Ssh { host, user } => become_ssh(id, &user, &host, &[]),
        Command::Exec { host, user, words } => become_ssh(id, &user, &host, &words),
        Command::PowerCut { host, restart } => power_cut(id, &host, restart),
        Command::CutNetwork { host, seconds } => cut_network(id, &host, seconds),
        Command::HealNetwork { host } => network::heal(&existing(id)?, &host),
        Command::FillDisk { host, seconds } => disk::fill(&existing(id)?, &host, seconds),
        Command::MirrorAway { seconds } => lifecycle::mirror_away(&existing(id)?, seconds),
        Command::Reinstall { host } => lifecycle::reinstall(id, &host),
        Command::Rebuild { host, image, token } => {
            described(&lifecycle::rebuild(id, &host, &image, token.as_deref())?)
        }
        Command::Describe { host } => described(&lifecycle::describe(&existing(id)?, &host)?),
        Command::Leader { host } => leader(id, &host),
        Command::PowerOff { host } => power_cut(id, &host, false),
        Command::PowerOn { host } => {
            let (instance, _lock) = existing_for_change(id)?;
            instance.host(&host)?;
            host::power_on(&instance, &host)
        }
        Command::Definition { file } => {
            let path = definition::write(&existing(id)?, &file)?;
            say(path.display());
            Ok(())
        }
        Command::Rescue { host } => rescue(id, &host),
        Command::LoadPostgres { host, mb } => load_postgres(id, &host, mb),
        Command::RowDigest { host } => {
            say(format_args!("{}", database::digest(&existing(id)?, &host)?));
            Ok(())
        }
        Command::CheckFacts(args) => check_facts::check(id, &args),
        Command::Manifest { host, path } => {
            let text = manifest::of_host(&existing(id)?, &host, &path)?;
            say(text.trim_end());
            Ok(())
        }
        Command::Remember { file } => proof::remember(&existing(id)?, &file),
        Command::Prove(args) => proof::prove(&existing(id)?, &args),
        Command::Client(args) => client::run(&args),
        Command::Down => lifecycle::down(id),
        Command::Launch { host } => boot::launch(&existing(id)?, &host),
        Command::Mirror => boot::serve_mirror(&existing(id)?),
    }
}

fn images(topology: &str, fresh: bool, with_upgrade_cache: bool) -> Result<()> {
    let images = Images::open()?;
    if fresh {
        // What a run that was cut off left here may neither help nor hinder the next.
        if paths::in_ci() {
            lifecycle::down_all()?;
        }
        images.empty()?;
    }
    let topology = Topology::named(&paths::data().join("topologies"), topology)?;
    for host in topology.hosts.values() {
        let lowers = images.ensure(&host.release, &host.layers)?;
        if with_upgrade_cache {
            images.warm_upgrade(&lowers)?;
        }
    }
    for image in topology.images.values() {
        images.ensure(&image.release, &image.layers)?;
    }
    Ok(())
}

fn disk_size(text: &str) -> std::result::Result<(String, u64), String> {
    let wrong = || format!("{text:?}: write HOST=MEGABYTES");
    let (host, size) = text.split_once('=').ok_or_else(wrong)?;
    Ok((host.to_owned(), size.parse().map_err(|_| wrong())?))
}

fn up(id: &Id, topology: Option<&str>, disks: &[(String, u64)]) -> Result<()> {
    let began = Instant::now();
    let instance = lifecycle::up(id, topology, disks)?;
    let file = |name: &str| instance.file(name).display().to_string();
    say(format_args!(
        "lab {} is up after {:.1} s",
        id.as_str(),
        began.elapsed().as_secs_f64()
    ));
    for (name, record) in &instance.hosts {
        say(format_args!("  {name} {}", instance.address(record)));
    }
    for name in ["fleet.yaml", "ssh_key", "known_hosts", "admin_password"] {
        say(format_args!("  {}", file(name)));
    }
    Ok(())
}

fn status(id: &Id, json: bool) -> Result<()> {
    let instance = existing(id)?;
    let hosts = lifecycle::status(&instance);
    if json {
        let value = serde_json::json!({
            "id": instance.id,
            "topology": instance.topology,
            "folder": instance.folder(),
            "bridge": instance.bridge(),
            "mirror": lifecycle::mirror_runs(&instance),
            "hosts": hosts,
        });
        say(format_args!("{value:#}"));
        return Ok(());
    }
    say(format_args!(
        "lab {} ({}), bridge {}, mirror {}, in {}",
        id.as_str(),
        instance.topology,
        instance.bridge(),
        if lifecycle::mirror_runs(&instance) {
            "runs"
        } else {
            "is off"
        },
        instance.folder().display()
    ));
    for host in hosts {
        let power = if host.on { "on" } else { "off" };
        let ssh = if host.ssh { "ssh" } else { "no ssh" };
        say(format_args!(
            "  {} {} {power}, {ssh} {}",
            host.name, host.address, host.says
        ));
    }
    Ok(())
}

/// Becomes ssh, so that terminal, signals and status are its own.
fn become_ssh(id: &Id, user: &str, host: &str, words: &[String]) -> Result<()> {
    let mut command = ssh::interactive(&existing(id)?, user, host, words)?;
    std::io::stdout().flush().unwrap_or_default();
    Err(LabError::Start {
        program: "ssh".into(),
        source: command.exec(),
    })
}

fn power_cut(id: &Id, host: &str, restart: bool) -> Result<()> {
    let (instance, _lock) = existing_for_change(id)?;
    instance.host(host)?;
    host::power_cut(&instance, host)?;
    if restart {
        host::power_on(&instance, host)?;
        host::wait_until_up(&instance, host)?;
    }
    Ok(())
}

fn described(machine: &lifecycle::Described) -> Result<()> {
    let text = serde_json::to_string(machine)
        .map_err(|error| super::error::malformed("the machine", error))?;
    say(text);
    Ok(())
}

fn leader(id: &Id, host: &str) -> Result<()> {
    let group = existing(id)?.member_group(host)?;
    let off = || LabError::State(format!("{host} is not running"));
    say(group.leader().ok_or_else(off)?);
    Ok(())
}

fn rescue(id: &Id, host: &str) -> Result<()> {
    let (instance, _lock) = existing_for_change(id)?;
    say(format_args!("{}", host::rescue(&instance, host)?));
    Ok(())
}

fn cut_network(id: &Id, host: &str, seconds: Option<u64>) -> Result<()> {
    let instance = existing(id)?;
    network::cut(&instance, host)?;
    if let Some(seconds) = seconds {
        thread::sleep(Duration::from_secs(seconds));
        network::heal(&instance, host)?;
    }
    Ok(())
}

fn load_postgres(id: &Id, host: &str, megabytes: u64) -> Result<()> {
    let began = Instant::now();
    let instance = existing(id)?;
    let size = database::load(&instance, host, megabytes)?;
    say(format_args!(
        "shop on {host}: {size} in {:.1} s",
        began.elapsed().as_secs_f64()
    ));
    say(format_args!(
        "digest of its rows: {}",
        database::digest(&instance, host)?
    ));
    say(format_args!(
        "the same by hand on the host: {}",
        database::DIGEST_LINE
    ));
    Ok(())
}
