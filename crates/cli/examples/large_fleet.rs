//! Writes a large fleet for `bench/plan` and `bench/resume`: a definition, a fleet, and facts as `--save-facts` writes
//! them. Each host is a recorded one of the lab with names, sizes, ids and times of its own; one in a hundred has
//! one thing that the checker must find.
//!
//!     cargo run --release -p overhaul-cli --example large_fleet -- DIR HOSTS [PORT [ORDER]]

use jiff::{Timestamp, ToSpan as _};
use overhaul_model::facts::{
    BootLoader, BootProof, FleetFacts, HostFacts, InstalledKernel, Interface, InterfaceNaming,
    Known, Mount, NamedBy, NamedPlace, PackageState, Unit, Virtualisation,
};
use overhaul_model::id::{HostName, InstallId};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Groups of hosts that change in the same way.
const ROLES: usize = 200;
/// Failure domains.
const ZONES: usize = 20;
/// The same seed gives the same files, but for the times in them.
const SEED: u64 = 1;
/// One host of so many has something to be found.
const FINDING_EVERY: usize = 100;

/// A host of the lab with all its units.
const RECORDED: &str = include_str!("../../../lab/recorded/six/facts.json");
const TEMPLATE: &str = "web1";

#[derive(Deserialize)]
struct Recorded {
    hosts: FleetFacts,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: large_fleet DIR HOSTS [PORT [in-turn|at-once]]";
    let dir = args.next().ok_or(usage)?;
    let hosts: usize = args.next().ok_or(usage)?.parse()?;
    let port: u16 = args.next().map_or(Ok(22), |port| port.parse())?;
    let at_once = match args.next().as_deref() {
        None | Some("in-turn") => false,
        Some("at-once") => true,
        Some(_) => return Err(usage.into()),
    };
    let dir = Path::new(&dir);
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("upgrade.yaml"), definition(at_once))?;
    std::fs::write(dir.join("fleet.yaml"), fleet(hosts, port))?;
    let mut out = BufWriter::new(std::fs::File::create(dir.join("facts.json"))?);
    let found = facts(&mut out, hosts)?;
    out.flush()?;
    writeln!(std::io::stdout(), "{found}")?;
    Ok(())
}

/// All roles in turn, each zone by zone; or all hosts of all roles at once, which no checker lets pass.
fn definition(at_once: bool) -> String {
    let mut out = String::from(
        "# A large fleet: every role has a service with a minimum, zones go one at a time.\n\
         upgrade: large\n\
         from: {os: debian, release: \"12\"}\n\
         to: {os: debian, release: \"13\"}\n\
         zones: one-at-a-time\n\
         services:\n",
    );
    for role in 0..ROLES {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "  s{role:03}: {{on: r{role:03}, unit: app{role:03}, healthy: {{tcp: \"{{{{ host.address }}}}:8080\"}}, keep: 1, window: {{budget: 12h}}}}"
        );
    }
    if at_once {
        out.push_str("stages: {all: {slots: [prepare, drain, backup, stop, export, change, restore, configure, migrate, start, verify, undrain, finish], roles: at-once}}\n");
    }
    let order = match at_once {
        true => "{all: {at_once: 1000}}",
        false => "{zone-by-zone: {batches: [1, 50%]}}",
    };
    out.push_str("roles:\n");
    for role in 0..ROLES {
        let _ = writeln!(
            out,
            "  r{role:03}:\n    strategy: in-place\n    order: {order}"
        );
        for (slot, count) in [
            ("prepare", 3),
            ("drain", 2),
            ("configure", 3),
            ("undrain", 2),
        ] {
            let _ = writeln!(out, "    {slot}:");
            for step in 1..=count {
                let _ = writeln!(
                    out,
                    "      - {{name: {slot} part {step}, check: {{shell: \"test -e /var/lib/app{role:03}/{slot}-{step}\"}}, shell: \"touch /var/lib/app{role:03}/{slot}-{step} && logger {{{{ rack }}}}\", repeat: safe, touches: nothing}}"
                );
            }
        }
    }
    out
}

fn name(host: usize) -> String {
    format!("h{host:06}")
}

fn fleet(hosts: usize, port: u16) -> String {
    let mut out =
        format!("fleet: large\ndefaults: {{user: admin, become: sudo, port: {port}}}\nhosts:\n");
    for host in 0..hosts {
        let (role, zone) = (host % ROLES, host / ROLES % ZONES);
        let _ = writeln!(
            out,
            "  {}: {{address: {}, roles: [r{role:03}], zone: z{zone:02}, vars: {{rack: k{:03}}}}}",
            name(host),
            address(host),
            host % 977
        );
    }
    out
}

/// An address of this machine, so that a listening socket is all that `bench/resume` needs.
fn address(host: usize) -> String {
    let (high, middle, low) = (1 + (host >> 16), host >> 8 & 255, host & 255);
    format!("127.{high}.{middle}.{low}")
}

/// Writes the facts; tells how many findings there must be.
fn facts(out: &mut impl Write, hosts: usize) -> Result<usize, Box<dyn Error>> {
    let mut recorded: Recorded = serde_json::from_str(RECORDED)?;
    let template = recorded.hosts.remove(&HostName::new(TEMPLATE));
    let template = upgraded(template.ok_or("the recorded host is not there")?);
    let mut random = StdRng::seed_from_u64(SEED);
    // A few minutes ago, so that nothing is too old.
    let gathered = Timestamp::now().checked_sub(10.minutes())?;
    let mut found = 0;
    write!(out, "{{\"format\":2,\"hosts\":{{")?;
    for host in 0..hosts {
        let at = gathered.checked_add(random.random_range(0..60_000).milliseconds())?;
        let mut facts = distinct(&template, host, at, &mut random);
        if host % FINDING_EVERY == FINDING_EVERY / 2 {
            trouble(&mut facts, host / FINDING_EVERY, at);
            found += 1;
        }
        let comma = if host == 0 { "" } else { "," };
        write!(out, "{comma}\n\"{}\":", name(host))?;
        serde_json::to_writer(&mut *out, &facts)?;
    }
    write!(out, "\n}}}}\n")?;
    Ok(found)
}

/// The recorded host as a virtual machine of which everything was asked that an upgrade asks.
fn upgraded(mut facts: HostFacts) -> HostFacts {
    let at = facts.gathered_at;
    let known = |value| Known::Measured { value, at };
    facts.packages.installed = Known::not_asked();
    facts.packages.obsolete = known(Vec::new());
    facts.packages.pins = Known::Measured {
        value: Vec::new(),
        at,
    };
    facts.packages.conffiles_changed = Known::Measured {
        value: Vec::new(),
        at,
    };
    facts.packages.set_aside = Known::Measured {
        value: Vec::new(),
        at,
    };
    facts.names.kernel_disk_names = Known::Measured {
        value: Vec::new(),
        at,
    };
    facts.names.naming = Known::Measured {
        value: InterfaceNaming {
            scheme: None,
            kernel_names: false,
            rules: vec!["/etc/systemd/network/10-lan.link".to_owned()],
        },
        at,
    };
    facts.kernel.boot_loader = Known::Measured {
        value: BootLoader {
            packages: vec!["grub-efi-amd64".to_owned()],
            uefi: true,
            grub_devices: Vec::new(),
        },
        at,
    };
    facts.machine.virtualisation = Known::Measured {
        value: Virtualisation::Machine {
            by: "KVM".to_owned(),
        },
        at,
    };
    facts.clusters = Known::Measured {
        value: Vec::new(),
        at,
    };
    facts
}

fn distinct(template: &HostFacts, host: usize, at: Timestamp, random: &mut StdRng) -> HostFacts {
    let mut facts = template.clone();
    let mut hex = |digits: usize| -> String {
        let word = format!("{:032x}", random.random::<u128>());
        word.chars().take(digits).collect()
    };
    let (machine, boot, install) = (hex(32), hex(32), hex(32));
    let mac = format!("52:54:00:{}:{}:{}", hex(2), hex(2), hex(2));
    let known = |value: String| Known::Measured { value, at };
    facts.gathered_at = at;
    facts.machine_id = known(machine);
    facts.install_id = Known::Measured {
        value: InstallId::new(install),
        at,
    };
    facts.boot = Known::Measured {
        value: BootProof {
            boot_id: boot,
            init_started_ticks: random.random_range(1..100_000),
        },
        at,
    };
    let build = random.random_range(10..=47);
    let release = format!("6.1.0-{build}-amd64");
    facts.kernel.running = known(release.clone());
    facts.kernel.installed = Known::Measured {
        value: vec![InstalledKernel {
            package: format!("linux-image-{release}"),
            release,
        }],
        at,
    };
    facts.kernel.metapackages = Known::Measured {
        value: vec!["linux-image-amd64".to_owned()],
        at,
    };
    facts.clock_offset_ms = Known::Measured {
        value: random.random_range(-800..800),
        at,
    };
    facts.names.interfaces = Known::Measured {
        value: vec![interface(mac)],
        at,
    };
    if let Known::Measured { value: mounts, .. } = &mut facts.mounts {
        for mount in mounts.iter_mut().filter(|mount| !mount.read_only) {
            mount.free_bytes = random.random_range(20..90) * (1 << 30);
        }
        mounts.push(Mount {
            path: "/boot".into(),
            source: "/dev/vda2".into(),
            kind: "ext4".into(),
            size_bytes: 1 << 30,
            free_bytes: random.random_range(400_000_000..900_000_000),
            exec: true,
            read_only: false,
        });
    }
    if let Known::Measured { value: units, .. } = &mut facts.units {
        units.push(Unit::new(
            &format!("app{:03}.service", host % ROLES),
            "loaded",
            "active",
            "running",
        ));
    }
    facts
}

/// What a machine of a cloud has, named by a file of its administrator.
fn interface(mac: String) -> Interface {
    Interface {
        name: "lan0".to_owned(),
        mac,
        driver: "virtio_net".to_owned(),
        bus_path: "0000:00:03.0".to_owned(),
        named_by: NamedBy::Rule,
        used_in: vec![NamedPlace {
            file: "/etc/network/interfaces".to_owned(),
            line: 12,
            name: "lan0".to_owned(),
        }],
    }
}

/// Something that gives one finding.
fn trouble(facts: &mut HostFacts, which: usize, at: Timestamp) {
    match which % 5 {
        0 => {
            facts.packages_broken = Known::Measured {
                value: vec![PackageState {
                    name: "libc6".to_owned(),
                    status: "install ok half-configured".to_owned(),
                }],
                at,
            };
        }
        1 => {
            facts.packages_held = Known::Measured {
                value: vec!["nginx".to_owned()],
                at,
            };
        }
        2 => {
            facts.clock_offset_ms = Known::Measured { value: 900_000, at };
        }
        3 => {
            if let Known::Measured { value: mounts, .. } = &mut facts.mounts {
                for mount in mounts.iter_mut().filter(|mount| mount.path == "/boot") {
                    // Enough for what the upgrader asks for, and less than is good.
                    mount.free_bytes = 200_000_000;
                }
            }
        }
        _ => {
            facts.kernel.reboot_wanted_by = Known::Measured {
                value: vec!["linux-image-amd64".to_owned()],
                at,
            };
        }
    }
}
