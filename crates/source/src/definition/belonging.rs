//! Volumes, addresses, and machines beside the host's.

use super::belonging_shapes::{ADDRESS, INSTANCE, MOUNT, REPLACE, ROLE_VOLUME, VOLUME};
use super::near::{named, values};
use super::root::Names;
use super::strategy::is_plain;
use crate::node::{Node, Tree, shortened};
use crate::reader::{self, Fields};
use crate::templates::Desk;
use overhaul_model::belonging::{BelongingOp, MountPoint, MountedBy, Replace, RoleVolume, Which};
use overhaul_model::definition::{WrittenAction, WrittenAddress, WrittenMachine, WrittenVolume};
use overhaul_model::primitive::{MachineAct, MachineOp};

const WHICH: [(&str, Which); 3] = [
    ("own", Which::Own),
    ("beside", Which::Beside),
    ("old", Which::Old),
];

/// The machines that a volume or an address can come to.
const PLACES: [(&str, Which); 2] = [("own", Which::Own), ("beside", Which::Beside)];

/// The volumes of a role.
pub(super) fn volumes(desk: &Desk, node: &Node) -> Vec<RoleVolume> {
    if matches!(&node.tree, Tree::List(items) if items.is_empty()) {
        let help = "write them like `volumes: [{name: orders, mount: /srv/orders}]`";
        desk.sink
            .add_with_help(&node.span, "`volumes` names none", help);
    }
    let mut taken: Vec<String> = Vec::new();
    let read = |node: &Node| {
        let fields = Fields::open(desk.sink, node, &ROLE_VOLUME)?;
        let name = fields.get("name").and_then(|node| desk.template(node));
        let mount = fields.get("mount").and_then(|node| mount(desk, node));
        fields.done();
        let mount = mount?;
        if taken.contains(&mount.path) {
            let message = format!("two volumes are mounted at `{}`", shortened(&mount.path));
            desk.sink.add(&node.span, message);
        }
        taken.push(mount.path.clone());
        Some(RoleVolume { name: name?, mount })
    };
    reader::list(desk.sink, node, read)
}

/// A path alone, or with how it is mounted.
fn mount(desk: &Desk, node: &Node) -> Option<MountPoint> {
    let whole = matches!(node.tree, Tree::Map(_));
    let fields = match whole {
        true => Some(Fields::open(desk.sink, node, &MOUNT)?),
        false => None,
    };
    let place = match &fields {
        Some(fields) => fields.get("path"),
        None => Some(node),
    };
    let by = [("fstab", MountedBy::Fstab), ("unit", MountedBy::Unit)];
    let by = fields.as_ref().and_then(|fields| fields.word("by", &by));
    let options = fields.as_ref().and_then(|fields| fields.get("options"));
    let options = options.map(|node| options_of(desk, node));
    let path = place.and_then(|node| Some((reader::text(desk.sink, node)?, node.span.clone())));
    if let Some(fields) = fields {
        fields.done();
    }
    let (path, span) = path?;
    // What a line of fstab cannot hold is no place for a volume.
    if !is_plain(&path) || path.contains(char::is_whitespace) {
        let message = format!("`{}` is no place for a volume", shortened(&path));
        let help = "write a folder like /srv/orders: absolute, without `.` and `..`, not the root";
        desk.sink.add_with_help(&span, message, help);
        return None;
    }
    let options = match options {
        Some(options) => options?,
        None => MountPoint::OPTIONS_DEFAULT.to_owned(),
    };
    Some(MountPoint {
        path,
        by: by.unwrap_or_default(),
        options,
    })
}

/// Options are one word of fstab.
fn options_of(desk: &Desk, node: &Node) -> Option<String> {
    let options = reader::text(desk.sink, node)?;
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.,=:/@%+".contains(c);
    if options.is_empty() || !options.chars().all(good) {
        let message = format!("`{}` are no options of a mount", shortened(&options));
        let help = "write them apart by commas, like `defaults,noatime`";
        desk.sink.add_with_help(&node.span, message, help);
        return None;
    }
    Some(options)
}

/// What a role says of a new machine beside the old one.
pub(super) fn replace(desk: &Desk, node: &Node) -> Option<Replace> {
    let fields = Fields::open(desk.sink, node, &REPLACE)?;
    let usual = Replace::default();
    let text = |key| fields.get(key).and_then(|node| desk.template(node));
    let (beside, old) = (text("beside"), text("old"));
    let addresses = fields
        .get("addresses")
        .map(|node| reader::list(desk.sink, node, |node| desk.template(node)));
    let agreed = fields.word("end", &[("cleanup", false), ("finish", true)]);
    fields.done();
    Some(Replace {
        beside: beside.unwrap_or(usual.beside),
        old: old.unwrap_or(usual.old),
        addresses: addresses.unwrap_or_default(),
        agreed: agreed.unwrap_or(usual.agreed),
    })
}

/// `volume:`.
pub(super) fn volume(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &VOLUME)?;
    let entry = fields.chosen();
    let name = entry.and_then(|entry| desk.template(&entry.value));
    let op = entry.map(|entry| match entry.key.as_str() {
        "create" => BelongingOp::Create,
        "attach" => BelongingOp::Attach,
        _ => BelongingOp::Detach,
    });
    let provider = fields
        .get("provider")
        .and_then(|node| named(desk, names, node));
    let machine = fields.get("machine").and_then(|node| desk.template(node));
    let which = fields.word("which", &PLACES).unwrap_or_default();
    let place = fields.get("mount");
    let mount = place.and_then(|node| mount(desk, node));
    let formats = [("ext4", "ext4"), ("xfs", "xfs")];
    let format = fields.word("format", &formats).map(str::to_owned);
    let params = values(desk, &fields, "params");
    let span = fields.span.clone();
    if format.is_some() && op.is_some_and(|op| op != BelongingOp::Create) {
        let message = "only a new volume gets a file system";
        let help = "write `format` with `create`: the data of another one would be lost";
        desk.sink.add_with_help(&span, message, help);
    }
    if format.is_none() && mount.is_some() && op == Some(BelongingOp::Create) {
        let message = "a new volume is empty, and nothing says which file system it gets";
        desk.sink
            .add_with_help(&span, message, "add `format: ext4`");
    }
    if let Some(place) = place.filter(|_| which == Which::Beside) {
        let message = "on a machine that has not taken over yet nothing is mounted";
        let help = "leave `mount` away, and have it mounted by what prepares that machine";
        desk.sink.add_with_help(&place.span, message, help);
    }
    fields.done();
    Some(WrittenAction::Volume(WrittenVolume {
        op: op?,
        name: name?,
        provider: provider?,
        which,
        machine,
        mount,
        format,
        params,
    }))
}

/// `address:`.
pub(super) fn address(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &ADDRESS)?;
    let name = fields
        .chosen()
        .and_then(|entry| desk.template(&entry.value));
    let provider = fields
        .get("provider")
        .and_then(|node| named(desk, names, node));
    let machine = fields.get("machine").and_then(|node| desk.template(node));
    let which = fields.word("which", &PLACES).unwrap_or_default();
    let from = fields.get("from").and_then(|node| desk.template(node));
    let params = values(desk, &fields, "params");
    fields.done();
    Some(WrittenAction::Address(WrittenAddress {
        name: name?,
        provider: provider?,
        which,
        machine,
        from,
        params,
    }))
}

/// `instance:`.
pub(super) fn instance(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &INSTANCE)?;
    let entry = fields.chosen();
    let name = entry.and_then(|entry| desk.template(&entry.value));
    let op = entry.map(|entry| match entry.key.as_str() {
        "launch" => MachineOp::Create,
        "rename" => MachineOp::Rename,
        _ => MachineOp::Destroy,
    });
    let provider = fields
        .get("provider")
        .and_then(|node| named(desk, names, node));
    let which = fields.word("which", &WHICH);
    let other = fields.get("to").and_then(|node| desk.template(node));
    let image = fields.get("image").and_then(|node| desk.template(node));
    let unprotect = fields.bool("unprotect").unwrap_or(false);
    let answers_within = fields.span_of_time("answers_within");
    let params = values(desk, &fields, "params");
    if let Some(op) = op {
        keys_of(desk, &fields, op);
    }
    fields.done();
    let op = op?;
    let usual = match op {
        MachineOp::Create => Which::Beside,
        MachineOp::Destroy => Which::Old,
        _ => Which::Own,
    };
    Some(WrittenAction::Machine(WrittenMachine {
        op,
        provider: provider?,
        machine: Some(name?),
        which: which.unwrap_or(usual),
        other,
        unprotect,
        image,
        params,
        answers_within: answers_within.unwrap_or(MachineAct::ANSWERS_WITHIN_DEFAULT),
    }))
}

/// Which keys go with which word of `instance`.
fn keys_of(desk: &Desk, fields: &Fields, op: MachineOp) {
    let keys = [
        ("image", MachineOp::Create, true, "launch", "`image: IMAGE`"),
        ("to", MachineOp::Rename, true, "rename", "`to: NAME`"),
        (
            "unprotect",
            MachineOp::Destroy,
            false,
            "terminate",
            "`unprotect: true`",
        ),
        (
            "answers_within",
            MachineOp::Create,
            false,
            "launch",
            "`answers_within`",
        ),
    ];
    for (key, of, needed, word, example) in keys {
        let message = match (op == of, fields.has(key)) {
            (true, false) if needed => format!("`{word}` lacks the key `{key}`"),
            (false, true) => format!("`{key}` goes with `{word}` alone"),
            _ => continue,
        };
        let help = format!("write {example} with `{word}`");
        desk.sink.add_with_help(&fields.span, message, help);
    }
    let wrong = match (op, fields.get("which").and_then(|node| scalar(node))) {
        (MachineOp::Create, Some(_)) => {
            Some("what is launched stands beside the host's machine, always")
        }
        (MachineOp::Destroy, Some("own")) => Some(
            "the host's own machine is ended by `machine: {op: destroy}`, which asserts more than its name",
        ),
        _ => None,
    };
    if let Some(wrong) = wrong {
        desk.sink.add(&fields.span, wrong);
    }
}

fn scalar(node: &Node) -> Option<&str> {
    match &node.tree {
        Tree::Scalar { text, .. } => Some(text),
        Tree::List(_) | Tree::Map(_) => None,
    }
}
