//! The scripts that steps run by `/bin/sh`, with their arguments passed on as they are.

use overhaul_model::primitive::Exec;

/// Holds a unit and all that is part of it. Argument: the unit.
pub(crate) const HOLD: Script = Script("hold", include_str!("scripts/hold.sh"));
/// Lets a held unit go. Argument: the unit.
pub(crate) const LET_GO: Script = Script("let-go", include_str!("scripts/let_go.sh"));
/// Installs and removes packages so that nothing starts by itself. Arguments: `name`, or `name-` to remove it.
pub(crate) const PACKAGES: Script = Script("packages", include_str!("scripts/packages.sh"));
/// So when none of the packages is installed. Arguments: names.
pub(crate) const PACKAGES_GONE: Script =
    Script("packages-gone", include_str!("scripts/packages_gone.sh"));
/// Compares the databases of a cluster with those planned. Arguments: port, names in order.
pub(crate) const DATABASES: Script = Script("databases", include_str!("scripts/databases.sh"));
/// Reads a plain dump to its end. No arguments.
pub(crate) const READ_PLAIN: Script = Script("read-plain", include_str!("scripts/read_plain.sh"));
/// Reads a plain dump of MariaDB to its end. No arguments.
pub(crate) const READ_MARIADB: Script =
    Script("read-mariadb", include_str!("scripts/read_mariadb.sh"));
/// The ends of a transfer of a PostgreSQL cluster. Arguments: its name, its major or empty, and those of both.
pub(crate) const TRANSFER_POSTGRESQL: Script = Script(
    "transfer-postgresql",
    concat!(
        include_str!("scripts/transfer_postgresql.sh"),
        include_str!("scripts/transfer_common.sh")
    ),
);
/// The ends of a transfer of all of a MariaDB server. Arguments, as of the one before: `ready`, `dump`, `load` or `rest`;
/// the staging folder; `dump` or `copy`; for `ready` the version at the source, if it is known.
pub(crate) const TRANSFER_MARIADB: Script = Script(
    "transfer-mariadb",
    concat!(
        include_str!("scripts/transfer_mariadb.sh"),
        include_str!("scripts/transfer_common.sh")
    ),
);
/// Moves a PostgreSQL cluster to the newest installed major. Arguments: old major or empty, name.
pub(crate) const MOVE_CLUSTER: Script =
    Script("move-cluster", include_str!("scripts/move_cluster.sh"));
/// So when the cluster was moved, whole. Arguments: old major or empty, name, port or empty.
pub(crate) const CLUSTER_MOVED: Script =
    Script("cluster-moved", include_str!("scripts/cluster_moved.sh"));

/// Unmounts what is mounted somewhere, if nobody uses it. Argument: the path.
pub(crate) const UNMOUNT: Script = Script("unmount", include_str!("scripts/unmount.sh"));
/// So when nothing is mounted there. Argument: the path.
pub(crate) const UNMOUNTED: Script = Script("unmounted", include_str!("scripts/unmounted.sh"));
/// Mounts a device, also after boots. Arguments: `fstab` or `unit`, device, path, options.
pub(crate) const MOUNT: Script = Script("mount", include_str!("scripts/mount.sh"));
/// So when the device is mounted there. Arguments: device, path.
pub(crate) const MOUNTED: Script = Script("mounted", include_str!("scripts/mounted.sh"));
/// Makes a file system on an empty device. Arguments: its type, device.
pub(crate) const FORMAT: Script = Script("format", include_str!("scripts/format.sh"));
/// So when the device has one of this type. Arguments: its type, device.
pub(crate) const FORMATTED: Script = Script("formatted", include_str!("scripts/formatted.sh"));

/// Tells of failed units and errors in the journal; fails when a unit has failed and is not expected to.
/// Arguments: `unit` or `line`, its name or text, what is said of it, three by three.
pub(crate) const LOOK_OVER: Script = Script("look-over", include_str!("scripts/look_over.sh"));

/// A script: the name that `ps` shows, and its text.
#[derive(Clone, Copy)]
pub(crate) struct Script(&'static str, &'static str);

impl Script {
    /// The command that runs it.
    pub fn with<S: Into<String>>(self, arguments: impl IntoIterator<Item = S>) -> Exec {
        let head = ["/bin/sh", "-euc", self.1, self.0].map(str::to_owned);
        Exec::argv(
            head.into_iter()
                .chain(arguments.into_iter().map(Into::into)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_script_is_taken_for_a_template() {
        for Script(name, text) in [
            HOLD,
            LET_GO,
            PACKAGES,
            PACKAGES_GONE,
            DATABASES,
            READ_PLAIN,
            MOVE_CLUSTER,
            CLUSTER_MOVED,
            LOOK_OVER,
            UNMOUNT,
            UNMOUNTED,
            MOUNT,
            MOUNTED,
            FORMAT,
            FORMATTED,
            READ_MARIADB,
            TRANSFER_POSTGRESQL,
            TRANSFER_MARIADB,
        ] {
            assert!(!text.contains("{{") && !text.contains("{%"), "{name}");
        }
    }
}
