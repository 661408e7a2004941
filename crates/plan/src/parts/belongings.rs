//! Volumes and addresses: known before anybody is disturbed, moved by a provider, mounted by the host.

use super::near::{name_of, settle_provider};
use super::new_machine::way;
use super::site::Site;
use crate::draft::Draft;
use crate::error::Wrong;
use crate::limits;
use crate::scripts;
use crate::slug::{literal, slug};
use overhaul_model::action::{Action, MoveOp, Repeat, Undo};
use overhaul_model::belonging::{
    Belonging, BelongingAct, BelongingOp, MountPoint, RoleVolume, Which,
};
use overhaul_model::definition::{Rebuild, WrittenAddress, WrittenStep, WrittenVolume};
use overhaul_model::id::ProviderName;
use overhaul_model::primitive::{Exec, Measure, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeMap;

/// Before anybody is disturbed: a volume that is not there would be found out with services down.
pub(super) fn volumes_known(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(provider) = provider(draft, site) else {
        return Vec::new();
    };
    let volumes = site.role.volumes.iter();
    let known = |volume: &RoleVolume| {
        let act = of_role(site, &provider, volume, BelongingOp::Describe);
        let title = format!("{provider} knows {}, and the machine has it", said(volume));
        let mut step = moved(site, &id("volume-known", volume), &title, act, None);
        step.why = "it moves while services are down".to_owned();
        step
    };
    volumes.map(known).collect()
}

/// From the machine, whose services are down.
pub(super) fn volumes_leave(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(provider) = provider(draft, site) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    // What is mounted last is taken away first.
    for volume in site.role.volumes.iter().rev() {
        let act = of_role(site, &provider, volume, BelongingOp::Detach);
        let title = format!("{} leaves the machine", said(volume));
        let why = "services are down, so nobody writes to it";
        let mut unmount = unmounted(site, &id("unmount", volume), &volume.mount);
        unmount.why = why.to_owned();
        let mut leaves = moved(
            site,
            &id("detach", volume),
            &title,
            act,
            Some(&volume.mount),
        );
        leaves.why = why.to_owned();
        steps.extend([unmount, leaves]);
    }
    steps
}

/// To the machine that stands under the host's name now.
pub(super) fn volumes_come(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let Some(provider) = provider(draft, site) else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for volume in &site.role.volumes {
        let act = of_role(site, &provider, volume, BelongingOp::Attach);
        let title = format!("{} comes to the machine", said(volume));
        let mut comes = moved(
            site,
            &id("attach", volume),
            &title,
            act,
            Some(&volume.mount),
        );
        comes.why = "the data goes with its volume".to_owned();
        let mut mount = mounted(site, &id("mount", volume), &volume.mount, &comes);
        mount.why = "services find their data where it was".to_owned();
        steps.extend([comes, mount]);
    }
    steps
}

/// Before anybody is disturbed: that the provider knows them.
pub(super) fn addresses_known(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    addresses(draft, site, BelongingOp::Describe)
}

/// Users come to the new machine from here on; the old one is off.
pub(super) fn addresses_move(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    addresses(draft, site, BelongingOp::Attach)
}

fn addresses(draft: &mut Draft<'_>, site: &Site<'_>, op: BelongingOp) -> Vec<Step> {
    if site.role.replace.addresses.is_empty() {
        return Vec::new();
    }
    let Some(provider) = provider(draft, site) else {
        return Vec::new();
    };
    let names = site.role.replace.addresses.iter().enumerate();
    let of = |(place, name): (usize, &String)| {
        let number = place.saturating_add(1);
        let (id, title, why) = match op {
            BelongingOp::Describe => (
                format!("address-known-{number}"),
                format!("{provider} knows the address {name}"),
                "it moves while services are down",
            ),
            _ => (
                format!("address-moves-{number}"),
                format!("the address {name} goes over to the new machine"),
                "the old machine is off, so that nobody else answers there",
            ),
        };
        let known = StepWord(format!("address-known-{number}"));
        let act = BelongingAct {
            provider: provider.clone(),
            kind: Belonging::Address,
            op,
            name: name.clone(),
            machine: name_of(site, Which::Own),
            which: Which::Own,
            from: None,
            expect: (op != BelongingOp::Describe).then(|| known.output("identity")),
            params: BTreeMap::new(),
        };
        let mut step = moved(site, &id, &title, act, None);
        step.why = why.to_owned();
        step
    };
    names.map(of).collect()
}

/// A volume, as a person wrote it: the provider's step, with those of the host before or after it.
pub(super) fn written_volume(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    volume: &WrittenVolume,
) -> Vec<Step> {
    settle_provider(draft, site, Some(&volume.provider));
    let name = slug(&written.name);
    let act = |op| BelongingAct {
        provider: volume.provider.clone(),
        kind: Belonging::Volume,
        op,
        name: volume.name.clone(),
        machine: machine(site, volume.machine.as_ref(), volume.which),
        which: volume.which,
        from: None,
        expect: None,
        params: volume.params.clone(),
    };
    let mount = volume.mount.as_ref();
    let mut steps = Vec::new();
    match volume.op {
        BelongingOp::Detach => {
            if let Some(mount) = mount {
                steps.push(unmounted(site, &format!("{name}-unmount"), mount));
            }
            let act = act(BelongingOp::Detach);
            steps.push(moved(site, &name, &written.name, act, mount));
        }
        BelongingOp::Attach | BelongingOp::Create | BelongingOp::Describe => {
            let comes = act(BelongingOp::Attach);
            let mut attach = moved(site, &name, &written.name, comes, mount);
            if volume.op == BelongingOp::Create {
                let act = act(BelongingOp::Create);
                let title = format!("the volume {} is made", volume.name);
                steps.push(moved(site, &format!("{name}-made"), &title, act, None));
                attach.title = format!("the volume {} comes to the machine", volume.name);
            }
            let device = &attach.clone();
            steps.push(attach);
            if let Some(format) = &volume.format {
                steps.push(formatted(site, &format!("{name}-format"), format, device));
            }
            if let Some(mount) = mount {
                steps.push(mounted(site, &format!("{name}-mount"), mount, device));
            }
        }
    }
    steps
}

/// An address, as a person wrote it.
pub(super) fn written_address(
    draft: &mut Draft<'_>,
    site: &Site<'_>,
    written: &WrittenStep,
    address: &WrittenAddress,
) -> Step {
    settle_provider(draft, site, Some(&address.provider));
    let act = BelongingAct {
        provider: address.provider.clone(),
        kind: Belonging::Address,
        op: BelongingOp::Attach,
        name: address.name.clone(),
        machine: machine(site, address.machine.as_ref(), address.which),
        which: address.which,
        from: address.from.clone(),
        expect: None,
        params: address.params.clone(),
    };
    moved(site, &slug(&written.name), &written.name, act, None)
}

fn machine(site: &Site<'_>, written: Option<&String>, which: Which) -> String {
    written.cloned().unwrap_or_else(|| name_of(site, which))
}

/// The provider that makes the role's machines: it has their volumes and addresses too.
fn provider(draft: &mut Draft<'_>, site: &Site<'_>) -> Option<ProviderName> {
    match way(draft, site)? {
        Rebuild::By { provider, .. } => {
            settle_provider(draft, site, Some(&provider));
            Some(provider)
        }
        Rebuild::Person { .. } => {
            draft.wrong(
                &site.role.origin,
                Wrong::NoProviderOfVolumes {
                    role: site.role.role.to_string(),
                },
                "write `rebuild: {provider: NAME, image: IMAGE}` in the role, or `data: carry`",
            );
            None
        }
    }
}

fn of_role(
    site: &Site<'_>,
    provider: &ProviderName,
    volume: &RoleVolume,
    op: BelongingOp,
) -> BelongingAct {
    let known = StepWord(id("volume-known", volume));
    BelongingAct {
        provider: provider.clone(),
        kind: Belonging::Volume,
        op,
        name: volume.name.clone(),
        machine: name_of(site, Which::Own),
        which: Which::Own,
        from: None,
        expect: (op != BelongingOp::Describe).then(|| known.output("identity")),
        params: BTreeMap::new(),
    }
}

/// A step as templates refer to it.
struct StepWord(String);

impl StepWord {
    fn output(&self, name: &str) -> String {
        let word = step_word(&self.0.as_str().into());
        format!("{{{{ steps.{word}.{name} }}}}")
    }
}

fn said(volume: &RoleVolume) -> String {
    format!("the volume of {}", volume.mount.path)
}

/// Names of volumes may be templates; no two of a role are mounted at one path.
fn id(verb: &str, volume: &RoleVolume) -> String {
    format!("{verb}-{}", slug(&volume.mount.path))
}

/// A provider's step.
fn moved(
    site: &Site<'_>,
    id: &str,
    title: &str,
    act: BelongingAct,
    mount: Option<&MountPoint>,
) -> Step {
    let (op, undo, repeat) = match act.op {
        BelongingOp::Describe => (MoveOp::Describe, Undo::Nothing, Repeat::Safe),
        BelongingOp::Create => (MoveOp::Create, by_provider(), Repeat::Person),
        // Looked at before each attempt: what is so already is not asked for again.
        BelongingOp::Attach => (MoveOp::Come, by_provider(), Repeat::Safe),
        BelongingOp::Detach => (MoveOp::Leave, by_provider(), Repeat::Safe),
    };
    let action = Action::Moves {
        kind: act.kind,
        name: act.name.clone(),
        op,
        mount: mount.map(|mount| mount.path.clone()),
    };
    let mut step = site.step(id, title, action, Primitive::Belonging(act));
    step.limits = limits::BELONGING;
    step.undo = undo;
    step.repeat = repeat;
    step
}

fn by_provider() -> Undo {
    Undo::None {
        way_back: "by the provider's own means".to_owned(),
    }
}

fn unmounted(site: &Site<'_>, id: &str, mount: &MountPoint) -> Step {
    let path = literal(&mount.path);
    let title = format!("{} is written out and unmounted", mount.path);
    let work = scripts::UNMOUNT.with([path.clone()]);
    let mut step = of_host(site, id, &title, MoveOp::Unmount, mount, work);
    step.check = Some(Measure::Command(scripts::UNMOUNTED.with([path])));
    step.verify.clone_from(&step.check);
    step.undo = Undo::By(Exec::argv(["mount", "--", mount.path.as_str()]));
    step
}

/// Mounts what a step has brought.
fn mounted(site: &Site<'_>, id: &str, mount: &MountPoint, comes: &Step) -> Step {
    let path = literal(&mount.path);
    let device = device(comes);
    let title = format!("{} is mounted", mount.path);
    let work = scripts::MOUNT.with([
        mount.by.word().to_owned(),
        device.clone(),
        path.clone(),
        literal(&mount.options),
    ]);
    let mut step = of_host(site, id, &title, MoveOp::Mount, mount, work);
    step.check = Some(Measure::Command(
        scripts::MOUNTED.with([device, path.clone()]),
    ));
    step.verify.clone_from(&step.check);
    step.undo = Undo::By(scripts::UNMOUNT.with([path]));
    step
}

fn formatted(site: &Site<'_>, id: &str, format: &str, comes: &Step) -> Step {
    let device = device(comes);
    let title = format!("an empty volume gets a file system of the type {format}");
    let arguments = [format.to_owned(), device];
    let action = Action::Moves {
        kind: Belonging::Volume,
        name: comes.title.clone(),
        op: MoveOp::Format,
        mount: None,
    };
    let work = Primitive::Exec(scripts::FORMAT.with(arguments.clone()));
    let mut step = site.step(id, &title, action, work);
    step.limits = limits::MOUNT;
    step.check = Some(Measure::Command(scripts::FORMATTED.with(arguments)));
    step.verify.clone_from(&step.check);
    step.repeat = Repeat::Safe;
    step
}

fn device(comes: &Step) -> String {
    StepWord(comes.id.as_str().to_owned()).output("device")
}

fn of_host(
    site: &Site<'_>,
    id: &str,
    title: &str,
    op: MoveOp,
    mount: &MountPoint,
    work: Exec,
) -> Step {
    let action = Action::Moves {
        kind: Belonging::Volume,
        name: mount.path.clone(),
        op,
        mount: Some(mount.path.clone()),
    };
    let mut step = site.step(id, title, action, Primitive::Exec(work));
    step.limits = limits::MOUNT;
    step.repeat = Repeat::Safe;
    step
}
