//! Bringing an instance up, telling how it is, and taking it down, from whatever state an earlier command left.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::boot::MIRROR_MEMBER;
use super::disk;
use super::error::{LabError, Named, Result, malformed};
use super::host::{self, Common};
use super::images::Images;
use super::instance::{Id, Instance};
use super::inventory;
use super::network;
use super::paths;
use super::process::Record;
use super::setup;
use super::sources;
use super::ssh;
use super::topology::Topology;

/// The mirror listens as soon as it runs.
const MIRROR_WAIT_S_MAX: u64 = 20;
/// How often it is looked whether it does.
const MIRROR_POLL_MS: u64 = 10;
/// The kernel's default of 128 is enough for about 13 hosts; without room, ssh servers do not start.
pub const INOTIFY_INSTANCES: u32 = 8192;
/// Where that limit is.
pub const INOTIFY_LIMIT: &str = "/proc/sys/fs/inotify/max_user_instances";
/// Choosing addresses is a matter of the whole machine.
const MACHINE_LOCK: &str = "/run/overhaul-lab.lock";

/// Brings all hosts of a topology up; what is already there stays. Hosts that are named with megabytes get a disk of that size.
pub fn up(id: &Id, topology: Option<&str>, disks: &[(String, u64)]) -> Result<Instance> {
    let folder = paths::instance(id.as_str())?;
    paths::make_private_folder(&folder)?;
    let _lock = paths::lock(&folder.join("lock"))?;
    let images = Images::open()?;
    let instance = with_disks(id, &folder, &images, topology, disks)?;
    for image in instance.images.values() {
        images.ensure(&image.release, &image.layers)?;
    }
    inventory::write(&instance)?;
    raise_inotify_limit()?;
    ensure_mirror(&instance)?;
    for name in instance.hosts.keys() {
        host::power_on(&instance, name)?;
    }
    for name in instance.hosts.keys() {
        host::wait_until_up(&instance, name)?;
    }
    setup::all(&instance, &ensure_password(&instance)?)?;
    Ok(instance)
}

/// An instance whose hosts have disks and are off: for machines that are switched on in another way.
///
/// # Errors
/// When images cannot be built or there is no such topology.
pub fn disks_alone(id: &Id, topology: &str) -> Result<Instance> {
    let folder = paths::instance(id.as_str())?;
    paths::make_private_folder(&folder)?;
    let _lock = paths::lock(&folder.join("lock"))?;
    with_disks(id, &folder, &Images::open()?, Some(topology), &[])
}

fn with_disks(
    id: &Id,
    folder: &Path,
    images: &Images,
    topology: Option<&str>,
    disks: &[(String, u64)],
) -> Result<Instance> {
    let mirror = sources::of_this_machine()?;
    let mut instance = ensure_instance(id, folder, topology)?;
    host::ensure_key(&instance.file("ssh_key"), "ed25519", "lab")?;
    let admin_password = ensure_password(&instance)?;
    let common = Common {
        mirror: &mirror,
        admin_password: &admin_password,
    };
    for (name, megabytes) in disks {
        instance.host(name)?;
        paths::make_private_folder(&instance.host_folder(name))?;
        disk::limit(&instance.host_folder(name), *megabytes)?;
    }
    let names: Vec<String> = instance.hosts.keys().cloned().collect();
    for name in &names {
        paths::make_private_folder(&instance.host_folder(name))?;
        host::ensure_disk(&mut instance, images, &common, name)?;
    }
    Ok(instance)
}

/// The instance, with its bridge; a new one takes addresses that nothing on this machine has.
fn ensure_instance(id: &Id, folder: &Path, topology: Option<&str>) -> Result<Instance> {
    let _machine = paths::lock(Path::new(MACHINE_LOCK))?;
    let instance = match Instance::load(id, folder)? {
        Some(instance) => {
            if let Some(wanted) = topology.filter(|wanted| *wanted != instance.topology) {
                return Err(LabError::State(format!(
                    "instance {} has topology {}, not {wanted}: take it down first",
                    id.as_str(),
                    instance.topology
                )));
            }
            instance
        }
        None => {
            let name = topology.unwrap_or("one-host");
            let read = Topology::named(&paths::data().join("topologies"), name)?;
            let octet = network::free_octet(id)?;
            let instance = Instance::new(id.clone(), folder.to_path_buf(), octet, name, read);
            instance.save()?;
            instance
        }
    };
    network::ensure_bridge(&instance)?;
    Ok(instance)
}

/// An instance that exists.
pub fn existing(id: &Id) -> Result<Instance> {
    let folder = paths::instance(id.as_str())?;
    Instance::load(id, &folder)?.ok_or_else(|| {
        LabError::State(format!(
            "there is no lab instance {}: begin with `up`",
            id.as_str()
        ))
    })
}

/// An instance that exists, and the right to change it.
pub fn existing_for_change(id: &Id) -> Result<(Instance, fs::File)> {
    let instance = existing(id)?;
    let lock = paths::lock(&instance.file("lock"))?;
    Ok((instance, lock))
}

fn ensure_password(instance: &Instance) -> Result<String> {
    let path = instance.file("admin_password");
    if !path.exists() {
        paths::write_private(&path, format!("{}\n", host::random_hex()?).as_bytes())?;
    }
    Ok(fs::read_to_string(&path).named(&path)?.trim().to_owned())
}

fn raise_inotify_limit() -> Result<()> {
    let path = Path::new(INOTIFY_LIMIT);
    let text = fs::read_to_string(path).named(path)?;
    let limit: u32 = text
        .trim()
        .parse()
        .map_err(|error| malformed(INOTIFY_LIMIT, error))?;
    if limit < INOTIFY_INSTANCES {
        fs::write(path, INOTIFY_INSTANCES.to_string()).named(path)?;
    }
    Ok(())
}

fn ensure_mirror(instance: &Instance) -> Result<()> {
    let record = instance.file("mirror.json");
    if Record::alive(&record).is_some() {
        return Ok(());
    }
    let log = instance.file("mirror.log");
    host::spawn_detached(&log, &["mirror"], instance)?;
    let deadline = Instant::now() + Duration::from_secs(MIRROR_WAIT_S_MAX);
    while Record::alive(&record).is_none() {
        if Instant::now() > deadline {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(LabError::State(format!(
                "the mirror did not start: {}",
                said.trim()
            )));
        }
        thread::sleep(Duration::from_millis(MIRROR_POLL_MS));
    }
    Ok(())
}

/// Ends everything of an instance and removes it. Also ends what a killed `up` left: groups are found by name, not by memory.
pub fn down(id: &Id) -> Result<()> {
    let folder = paths::instance(id.as_str())?;
    if !folder.exists() {
        return Ok(());
    }
    let lock = paths::lock(&folder.join("lock"))?;
    if let Some(instance) = Instance::load(id, &folder)? {
        let group = instance.group()?;
        group.kill()?;
        group.remove()?;
        network::remove_bridge(&instance)?;
        for name in instance.hosts.keys() {
            disk::unlimit(&instance.host_folder(name))?;
        }
        disk::let_go(&folder.join("volumes"))?;
    }
    paths::remove_tree(&folder)?;
    drop(lock);
    Ok(())
}

/// Takes down every instance of this cache.
pub fn down_all() -> Result<()> {
    let folder = paths::cache()?.join("instances");
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder).named(&folder)? {
        let name = entry.named(&folder)?.file_name();
        down(&Id::new(&name.to_string_lossy())?)?;
    }
    Ok(())
}

/// Switches a host off and on again with a fresh disk.
pub fn reinstall(id: &Id, name: &str) -> Result<()> {
    let (mut instance, _lock) = existing_for_change(id)?;
    instance.host(name)?;
    host::power_cut(&instance, name)?;
    host::remove_disk(&instance, name)?;
    let images = Images::open()?;
    let admin_password = ensure_password(&instance)?;
    let mirror = sources::of_this_machine()?;
    let common = Common {
        mirror: &mirror,
        admin_password: &admin_password,
    };
    host::ensure_disk(&mut instance, &images, &common, name)?;
    host::power_on(&instance, name)?;
    host::wait_until_up(&instance, name)?;
    setup::host(&instance, &admin_password, name)
}

/// What a provider of machines knows of one.
#[derive(Debug, serde::Serialize)]
pub struct Described {
    /// The provider's own name for the machine, which no other ever had.
    pub identity: String,
    /// Its machine id, as it was put into it.
    pub machine_id: String,
    /// Whether it is switched on.
    pub on: bool,
    /// Where it answers.
    pub address: String,
    /// Its host keys, as they were put into it.
    pub host_keys: Vec<String>,
}

/// What is known of a host's machine.
///
/// # Errors
/// When there is no such host.
pub fn describe(instance: &Instance, name: &str) -> Result<Described> {
    Ok(Described {
        identity: host::identity(instance, name)?,
        machine_id: host::machine_id(instance, name)?,
        on: host::is_launched(instance, name),
        address: instance.address(instance.host(name)?).to_string(),
        host_keys: host::public_keys(instance, name)?,
    })
}

/// Makes a host anew from an image of its topology; what was on its disk is gone. The operator's known hosts stay as they are: only whoever asks
/// here learns the new keys. With the token of the last time that came to its end nothing is done again.
///
/// # Errors
/// When there is no such host or image, or the host does not come up.
pub fn rebuild(id: &Id, name: &str, image: &str, token: Option<&str>) -> Result<Described> {
    let (mut instance, _lock) = existing_for_change(id)?;
    instance.host(name)?;
    let done = instance.host_folder(name).join("token");
    if token.is_some_and(|token| fs::read_to_string(&done).is_ok_and(|last| last == token)) {
        return describe(&instance, name);
    }
    let wanted = instance.images.get(image).cloned().ok_or_else(|| {
        let known: Vec<&str> = instance.images.keys().map(String::as_str).collect();
        LabError::State(format!("no image {image}; there are: {}", known.join(", ")))
    })?;
    host::power_cut(&instance, name)?;
    host::remove_disk(&instance, name)?;
    paths::remove_tree(&instance.host_folder(name).join("seed"))?;
    if let Some(record) = instance.hosts.get_mut(name) {
        record.spec.release = wanted.release;
        record.spec.layers = wanted.layers;
    }
    let images = Images::open()?;
    let admin_password = ensure_password(&instance)?;
    let mirror = sources::of_this_machine()?;
    let common = Common {
        mirror: &mirror,
        admin_password: &admin_password,
    };
    host::ensure_disk(&mut instance, &images, &common, name)?;
    inventory::write_own_keys(&instance)?;
    host::power_on(&instance, name)?;
    if let Some(token) = token {
        paths::write_private(&done, token.as_bytes())?;
    }
    describe(&instance, name)
}

/// One line of `status`.
#[derive(Debug, serde::Serialize)]
pub struct HostStatus {
    /// The host.
    pub name: String,
    /// Its address.
    pub address: String,
    /// Whether its power is on.
    pub on: bool,
    /// Whether it lets root in.
    pub ssh: bool,
    /// What it says of its release, its units and its boot.
    pub says: String,
}

/// How long a host may take for the few words of `status`.
const STATUS_S_MAX: u64 = 15;
/// What `status` asks: the release, the state of systemd and the id of the boot.
const STATUS_LINE: &str = "cat /etc/debian_version; systemctl is-system-running; cat /proc/sys/kernel/random/boot_id; true";

/// How all hosts are.
pub fn status(instance: &Instance) -> Vec<HostStatus> {
    let of = |(name, record): (&String, &super::instance::HostRecord)| {
        let on = host::is_launched(instance, name);
        let ssh = on && ssh::answers(instance, name);
        let says = if ssh {
            ssh::run(instance, name, STATUS_S_MAX, STATUS_LINE).unwrap_or_default()
        } else {
            String::new()
        };
        HostStatus {
            name: name.clone(),
            address: instance.address(record).to_string(),
            on,
            ssh,
            says: says.split_whitespace().collect::<Vec<_>>().join(" "),
        }
    };
    instance.hosts.iter().map(of).collect()
}

/// Takes the mirror away for so many seconds: connections break, and new ones are refused.
pub fn mirror_away(instance: &Instance, seconds: u64) -> Result<()> {
    instance.member_group(MIRROR_MEMBER)?.kill()?;
    thread::sleep(Duration::from_secs(seconds));
    ensure_mirror(instance)
}

/// Whether the instance's mirror runs.
pub fn mirror_runs(instance: &Instance) -> bool {
    Record::alive(&instance.file("mirror.json")).is_some()
        && instance.member_group(MIRROR_MEMBER).is_ok()
}
