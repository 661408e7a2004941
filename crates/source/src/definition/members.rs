//! What is done with members of a cluster, and with the other hosts of a role.

use super::root::Names;
use crate::node::{Node, shortened};
use crate::reader::{self, Fields};
use crate::shape::{Key, Kind, Shape, may};
use crate::templates::Desk;
use crate::words::suggestion;
use overhaul_model::action::ClusterOp;
use overhaul_model::definition::WrittenAction;
use overhaul_model::id::{RoleName, ServiceName};

const fn shape(id: &'static str, what: &'static str, one_of: &'static [Key]) -> Shape {
    Shape {
        id,
        what,
        keys: &[],
        later: &[],
        one_of,
    }
}

/// Membership of a cluster.
pub(super) static CLUSTER: Shape = shape(
    "cluster",
    "`cluster`",
    &[
        may(
            "leave",
            Kind::Text,
            "a service: the host leaves its cluster, which keeps a majority",
        ),
        may(
            "join",
            Kind::Text,
            "a service: the host joins its cluster and receives its data from the others",
        ),
        may(
            "bootstrap",
            Kind::Text,
            "a service: the first host is its cluster, alone, once",
        ),
        may(
            "forget",
            Kind::Text,
            "a service: the host forgets its data, and receives all of it when it joins",
        ),
    ],
);

/// The other hosts of a role.
pub(super) static QUIESCE: Shape = shape(
    "quiesce",
    "`quiesce`",
    &[may(
        "others",
        Kind::Text,
        "a role: all of its hosts but the first stop what does not stay up",
    )],
);

/// `cluster: {leave: SERVICE}` and its like.
pub(super) fn cluster(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &CLUSTER)?;
    let entry = fields.chosen()?;
    let op = ClusterOp::ALL
        .into_iter()
        .find(|op| op.word() == entry.key)?;
    let name = reader::text(desk.sink, &entry.value)?;
    fields.done();
    if !names.services.contains(&name) {
        let message = format!("there is no service `{}`", shortened(&name));
        let services = names.services.iter().map(String::as_str);
        let help = suggestion(&name, services, "the services are");
        desk.sink.add_with_help(&entry.value.span, message, help);
        return None;
    }
    Some(WrittenAction::Cluster {
        service: ServiceName::new(name),
        op,
    })
}

/// `quiesce: {others: ROLE}`.
pub(super) fn quiesce(desk: &Desk, names: &Names, node: &Node) -> Option<WrittenAction> {
    let fields = Fields::open(desk.sink, node, &QUIESCE)?;
    let entry = fields.chosen()?;
    let name = reader::text(desk.sink, &entry.value)?;
    fields.done();
    if !names.roles.contains(&name) {
        let message = format!("there is no role `{}` in this file", shortened(&name));
        let roles = names.roles.iter().map(String::as_str);
        let help = suggestion(&name, roles, "the roles are");
        desk.sink.add_with_help(&entry.value.span, message, help);
        return None;
    }
    Some(WrittenAction::QuiesceOthers {
        role: RoleName::new(name),
    })
}
