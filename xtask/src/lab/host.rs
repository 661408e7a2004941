//! One host: its disk, what makes it different from the others, and its power.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::command::{bounded, output_of};
use super::error::{LabError, Named, Result};
use super::images::{Images, in_tree};
use super::instance::{HostRecord, Instance};
use super::paths;
use super::process::Record;
use super::sources::Mirror;
use super::ssh;
use super::topology::SourcesFormat;

/// Writing a few files into a tree takes a tenth of a second.
const SEED_S_MAX: u64 = 60;
/// Making an RSA key takes a second of processor time; on a machine whose processors many others want, one took more than 30 s.
const KEYGEN_S_MAX: u64 = 300;
/// A launcher that has not written itself down by then has failed.
const LAUNCH_WAIT_S_MAX: u64 = 20;
/// Units of a database host that was cut off need a few seconds of recovery before they count as started.
const SETTLE_S_MAX: u64 = 60;
/// Completing a whole upgrade took 30 s on two cores.
const RESCUE_S_MAX: u64 = 600;
/// How often it is looked whether it has.
const LAUNCH_POLL_MS: u64 = 10;
/// Kinds of host keys, as Debian's ssh server makes them.
const KEY_KINDS: [&str; 3] = ["rsa", "ecdsa", "ed25519"];
/// How much of a launcher's log an error shows.
const LOG_BYTES_MAX: usize = 2_000;

/// What all hosts of an instance get alike.
#[derive(Debug)]
pub struct Common<'a> {
    /// The machine's mirror, for the hosts' package sources.
    pub mirror: &'a Mirror,
    /// The password of the account `admin`.
    pub admin_password: &'a str,
}

/// Makes a host's disk, unless it has one.
pub fn ensure_disk(
    instance: &mut Instance,
    images: &Images,
    common: &Common<'_>,
    name: &str,
) -> Result<()> {
    let folder = instance.host_folder(name);
    let done = folder.join("disk-made");
    if done.exists() {
        return Ok(());
    }
    for part in ["tree", "work"] {
        paths::remove_tree(&folder.join(part))?;
    }
    let spec = instance.host(name)?.spec.clone();
    let lowers = images.ensure(&spec.release, &spec.layers)?;
    if let Some(record) = instance.hosts.get_mut(name) {
        record.lowers.clone_from(&lowers);
    }
    instance.save()?;
    let record = instance.host(name)?;
    let seed = write_seed(instance, common, name, record)?;
    let script = paths::data().join("images/host-setup.sh");
    let mut command = in_tree(SEED_S_MAX, &lowers, &folder, &[script])?;
    output_of(command.env("LAB_SEED", &seed))?;
    // The password need not lie there any longer than its use.
    let password = seed.join("chpasswd");
    fs::remove_file(&password).named(&password)?;
    let identity = format!("{}-{}\n", instance.machine_name(name), random_hex()?);
    paths::write_private(&folder.join("identity"), identity.as_bytes())?;
    paths::write_private(&done, b"")
}

/// Throws a host's disk away; address and host keys stay, as with a machine that somebody installed anew.
pub fn remove_disk(instance: &Instance, name: &str) -> Result<()> {
    let folder = instance.host_folder(name);
    let done = folder.join("disk-made");
    if done.exists() {
        fs::remove_file(&done).named(&done)?;
    }
    for part in ["tree", "work"] {
        paths::remove_tree(&folder.join(part))?;
    }
    Ok(())
}

fn write_seed(
    instance: &Instance,
    common: &Common<'_>,
    name: &str,
    record: &HostRecord,
) -> Result<PathBuf> {
    let seed = instance.host_folder(name).join("seed");
    paths::make_private_folder(&seed)?;
    for kind in KEY_KINDS {
        ensure_key(&seed.join(format!("ssh_host_{kind}_key")), kind, name)?;
    }
    let write = |file: &str, text: &str| paths::write_private(&seed.join(file), text.as_bytes());
    let authorized = instance.file("ssh_key.pub");
    write(
        "authorized_keys",
        &fs::read_to_string(&authorized).named(&authorized)?,
    )?;
    write("hostname", &format!("{name}\n"))?;
    write("machine-id", &format!("{}\n", random_hex()?))?;
    write("hosts", &hosts_file(instance))?;
    write(
        "host0.network",
        &format!(
            "[Match]\nName=host0\n\n[Network]\nAddress={}/24\nGateway={}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n",
            instance.address(record),
            instance.gateway()
        ),
    )?;
    write("chpasswd", &format!("admin:{}\n", common.admin_password))?;
    let release = &record.spec.release;
    match record.spec.sources {
        SourcesFormat::OneLine => write("sources.list", &common.mirror.one_line(release))?,
        SourcesFormat::Deb822 => write("debian.sources", &common.mirror.deb822(release))?,
    }
    Ok(seed)
}

fn hosts_file(instance: &Instance) -> String {
    let mut text = format!(
        "127.0.0.1 localhost\n::1 localhost\n{} mirror.lab\n",
        instance.gateway()
    );
    for (name, record) in &instance.hosts {
        text.push_str(&format!("{} {name}\n", instance.address(record)));
    }
    for (name, address) in instance.moving_addresses() {
        text.push_str(&format!("{address} {name}\n"));
    }
    text
}

/// Makes a key pair, unless it is there. It is made beside its place: the `ssh-keygen` of a killed command may still be at work.
pub fn ensure_key(path: &Path, kind: &str, comment: &str) -> Result<()> {
    let public = path.with_extension("pub");
    if path.exists() && public.exists() {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("/"));
    let making = tempfile::Builder::new()
        .prefix(".key-")
        .tempdir_in(folder)
        .named(folder)?;
    let fresh = making.path().join("key");
    let mut command = bounded(KEYGEN_S_MAX, "ssh-keygen");
    command
        .args(["-q", "-t", kind, "-N", "", "-C", comment, "-f"])
        .arg(&fresh);
    output_of(&mut command)?;
    fs::rename(fresh.with_extension("pub"), &public).named(&public)?;
    fs::rename(&fresh, path).named(path)
}

/// The host keys of a host, each `TYPE BASE64`.
pub fn public_keys(instance: &Instance, name: &str) -> Result<Vec<String>> {
    let key = |kind: &&str| {
        let path = instance
            .host_folder(name)
            .join(format!("seed/ssh_host_{kind}_key.pub"));
        let text = fs::read_to_string(&path).named(&path)?;
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        Ok(words.join(" "))
    };
    KEY_KINDS.iter().map(key).collect()
}

/// The lines of `known_hosts` for a host, by address.
pub fn known_host_lines(instance: &Instance, name: &str) -> Result<String> {
    let address = instance.address(instance.host(name)?);
    let keys = public_keys(instance, name)?;
    Ok(keys
        .iter()
        .map(|key| format!("{address} {key}\n"))
        .collect())
}

/// The name of a host's machine, another one for each disk.
pub fn identity(instance: &Instance, name: &str) -> Result<String> {
    instance.host(name)?;
    let path = instance.host_folder(name).join("identity");
    Ok(fs::read_to_string(&path).named(&path)?.trim().to_owned())
}

/// The machine id that a host's disk was made with.
pub fn machine_id(instance: &Instance, name: &str) -> Result<String> {
    instance.host(name)?;
    let path = instance.host_folder(name).join("seed/machine-id");
    Ok(fs::read_to_string(&path).named(&path)?.trim().to_owned())
}

/// 128 random bits in hexadecimal digits, as in `/etc/machine-id`.
pub fn random_hex() -> Result<String> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 16];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .named(path)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether the host's launcher is at work.
pub fn is_launched(instance: &Instance, name: &str) -> bool {
    Record::alive(&instance.host_folder(name).join("launcher.json")).is_some()
}

/// Switches a host on, unless it is on; does not wait for its ssh server.
pub fn power_on(instance: &Instance, name: &str) -> Result<()> {
    if is_launched(instance, name) {
        return Ok(());
    }
    let folder = instance.host_folder(name);
    spawn_detached(&folder.join("launcher.log"), &["launch", name], instance)?;
    let deadline = Instant::now() + Duration::from_secs(LAUNCH_WAIT_S_MAX);
    while !is_launched(instance, name) {
        if Instant::now() > deadline {
            return Err(LabError::State(format!(
                "the launcher of {name} did not start: {}",
                launcher_log(instance, name)
            )));
        }
        thread::sleep(Duration::from_millis(LAUNCH_POLL_MS));
    }
    Ok(())
}

/// Waits until a host that was switched on can be worked with: ssh answers, and its units have been started.
pub fn wait_until_up(instance: &Instance, name: &str) -> Result<()> {
    ssh::wait(instance, name, || {
        if is_launched(instance, name) {
            return Ok(());
        }
        Err(LabError::State(format!(
            "{name} went off while booting: {}",
            launcher_log(instance, name)
        )))
    })?;
    // A host that stays `degraded` or is still starting is as up as it gets; what is wrong there is not the lab's affair.
    let line = format!("timeout {SETTLE_S_MAX} systemctl is-system-running --wait; true");
    ssh::run(instance, name, SETTLE_S_MAX + SEED_S_MAX, &line)?;
    Ok(())
}

/// Cuts the power: every process of the host ends at once, nothing is told, the disk stays as it is.
pub fn power_cut(instance: &Instance, name: &str) -> Result<()> {
    let group = instance.member_group(name)?;
    group.kill()?;
    group.remove()
}

/// Completes an interrupted upgrade on the disk of a host that is off; returns what was said.
pub fn rescue(instance: &Instance, name: &str) -> Result<String> {
    if is_launched(instance, name) {
        return Err(LabError::State(format!(
            "{name} is on: a disk in use cannot be rescued"
        )));
    }
    let script = paths::data().join("rescue.sh");
    let lowers = &instance.host(name)?.lowers;
    output_of(&mut in_tree(
        RESCUE_S_MAX,
        lowers,
        &instance.host_folder(name),
        &[script],
    )?)
}

fn launcher_log(instance: &Instance, name: &str) -> String {
    let text =
        fs::read_to_string(instance.host_folder(name).join("launcher.log")).unwrap_or_default();
    let from = text
        .char_indices()
        .rev()
        .nth(LOG_BYTES_MAX)
        .map_or(0, |(index, _)| index);
    text.get(from..).unwrap_or_default().trim().to_owned()
}

/// Starts a part of this program that outlives the command which needs it.
pub fn spawn_detached(log: &Path, words: &[&str], instance: &Instance) -> Result<()> {
    let program = std::env::current_exe().named(Path::new("/proc/self/exe"))?;
    let out = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .named(log)?;
    let errors = out.try_clone().named(log)?;
    let mut command = Command::new("setsid");
    command
        .arg(&program)
        .args(["lab", "--id", instance.id.as_str()])
        .args(words)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors);
    command.spawn().map_err(|source| LabError::Start {
        program: "setsid".into(),
        source,
    })?;
    Ok(())
}
