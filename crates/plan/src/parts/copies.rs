//! Copies of the role's datasets, outside their host, each read back.

use super::site::Site;
use crate::draft::Draft;
use crate::limits;
use crate::scripts;
use crate::slug::{file_name, literal, slug};
use crate::space::{MARIADB, carried_bytes};
use overhaul_model::action::{Action, DatabaseOp, Limits, Repeat, Touches};
use overhaul_model::definition::DatasetKind;
use overhaul_model::facts::PostgresCluster;
use overhaul_model::id::{DatasetName, HostName};
use overhaul_model::primitive::{Exec, Feed, Fetch, Persist, Primitive};
use overhaul_model::step::Step;
use overhaul_model::template::step_word;
use std::collections::BTreeSet;

pub(crate) fn steps(draft: &mut Draft<'_>, site: &Site<'_>) -> Vec<Step> {
    let mut out = Vec::new();
    for name in &site.role.backup {
        let Some(authority) = draft.authority(site.role, name, &site.role.origin) else {
            continue;
        };
        if !site.has(&authority) {
            continue;
        }
        let copies = Copies {
            site,
            dataset: name,
            authority: &authority,
        };
        let kind = draft.plan.datasets.get(name).map(|planned| &planned.kind);
        match (kind, draft.clusters.get(name)) {
            (Some(DatasetKind::Paths { paths }), _) => {
                let host = draft.fleet.hosts.get(&authority);
                let bytes = host.and_then(|host| carried_bytes(draft, host, paths));
                out.push(copies.of_paths(paths, bytes));
            }
            (Some(DatasetKind::Mariadb), _) => {
                let host = draft.fleet.hosts.get(&authority);
                let paths = [MARIADB.to_owned()];
                let bytes = host.and_then(|host| carried_bytes(draft, host, &paths));
                out.extend(copies.of_mariadb(bytes));
            }
            (_, Some(cluster)) => out.extend(copies.of_cluster(cluster)),
            (_, None) => out.extend(copies.of_everything()),
        }
    }
    out
}

struct Copies<'c> {
    site: &'c Site<'c>,
    dataset: &'c DatasetName,
    authority: &'c HostName,
}

/// One copy: how it is made, where it goes, how it is read back.
struct Copy {
    word: String,
    of: String,
    dump: Exec,
    file: String,
    read: Exec,
    bytes: Option<u64>,
}

fn as_postgres<'a>(command: impl IntoIterator<Item = &'a str>) -> Exec {
    Exec::argv(
        ["runuser", "-u", "postgres", "--"]
            .into_iter()
            .chain(command),
    )
}

impl Copies<'_> {
    fn of_cluster(&self, cluster: &PostgresCluster) -> Vec<Step> {
        let port = cluster.port.to_string();
        let mut names: Vec<&str> = cluster.databases.iter().map(|d| d.name.as_str()).collect();
        names.sort_unstable();
        let mut out = vec![self.as_planned(&port, &names)];
        let mut taken = BTreeSet::new();
        for database in &cluster.databases {
            let mut word = slug(&database.name);
            while !taken.insert(word.clone()) {
                word.push_str("-x");
            }
            let name = literal(&database.name);
            // The lightest compression: the line is rarely the narrow place, the processor often is.
            let dump = ["pg_dump", "-Fc", "-Z", "1", "-p", &port, "--", &name];
            out.extend(self.copy(Copy {
                word,
                of: format!("database {}", database.name),
                dump: as_postgres(dump),
                file: format!("{}.dump", file_name(&database.name)),
                read: Exec::argv(["pg_restore", "--list"]),
                bytes: Some(database.size_bytes),
            }));
        }
        let mut word = "globals".to_owned();
        while !taken.insert(word.clone()) {
            word.push_str("-x");
        }
        out.extend(self.copy(Copy {
            word,
            of: "accounts and tablespaces".to_owned(),
            dump: as_postgres(["pg_dumpall", "--globals-only", "-p", &port]),
            // No database's file ends like this.
            file: "globals.sql".to_owned(),
            read: scripts::READ_PLAIN.with::<String>([]),
            bytes: None,
        }));
        out
    }

    /// Files: the controller reads the archive back before it gives it its name.
    fn of_paths(&self, paths: &[String], bytes: Option<u64>) -> Step {
        let Self { dataset, .. } = self;
        let work = Primitive::Persist(Persist {
            paths: paths.iter().map(|path| literal(path)).collect(),
            file: format!(
                "{}/{}",
                file_name(self.authority.as_str()),
                file_name(dataset.as_str())
            ),
            one_filesystem: false,
            exclude: Vec::new(),
            // Services may still run in the slot `backup`.
            live: true,
        });
        self.database(
            &format!("copy-{dataset}"),
            &format!("{dataset}: {} copied to the controller", paths.join(", ")),
            DatabaseOp::Backup,
            work,
            limits::copy(bytes),
            "what changes or moves data needs a copy outside the host",
        )
    }

    /// Without facts: the whole of the default cluster, whatever is in it.
    fn of_everything(&self) -> Vec<Step> {
        self.copy(Copy {
            word: "everything".to_owned(),
            of: "all databases (which ones is not known)".to_owned(),
            dump: as_postgres(["pg_dumpall"]),
            file: "everything.sql".to_owned(),
            read: scripts::READ_PLAIN.with::<String>([]),
            bytes: None,
        })
        .into()
    }

    /// All databases of a server, by its administrator's account of the host.
    fn of_mariadb(&self, bytes: Option<u64>) -> Vec<Step> {
        let words =
            "mariadb-dump --all-databases --single-transaction --routines --events --hex-blob";
        self.copy(Copy {
            word: "everything".to_owned(),
            of: "all databases".to_owned(),
            dump: Exec::argv(words.split(' ')),
            file: "everything.sql".to_owned(),
            read: scripts::READ_MARIADB.with::<String>([]),
            bytes,
        })
        .into()
    }

    fn as_planned(&self, port: &str, names: &[&str]) -> Step {
        let mut arguments = vec![port.to_owned()];
        arguments.extend(names.iter().map(|name| literal(name)));
        let mut step = self.site.step(
            &format!("databases-{}", self.dataset),
            &format!("{}: databases are those that were planned", self.dataset),
            Action::Run {
                touches: Touches::Only(Vec::new()),
            },
            Primitive::Exec(scripts::DATABASES.with(arguments)),
        );
        step.why = "a database made since the facts were gathered would have no copy".to_owned();
        step.limits = limits::COMMAND;
        self.here(step)
    }

    fn copy(&self, copy: Copy) -> [Step; 2] {
        let Self { dataset, .. } = self;
        let file = format!(
            "{}/{}/{}",
            file_name(self.authority.as_str()),
            file_name(dataset.as_str()),
            copy.file
        );
        let fetch = Fetch {
            exec: copy.dump,
            file: file.clone(),
        };
        let made = self.database(
            &format!("copy-{dataset}-{}", copy.word),
            &format!("{dataset}: {} copied to the controller", copy.of),
            DatabaseOp::Backup,
            Primitive::Fetch(fetch),
            limits::copy(copy.bytes),
            "what changes or moves data needs a copy outside the host",
        );
        let feed = Feed {
            exec: copy.read,
            file,
            digest_from: step_word(&made.id),
        };
        let read = self.database(
            &format!("read-back-{dataset}-{}", copy.word),
            &format!("{dataset}: copy of {} read back", copy.of),
            DatabaseOp::ReadBack,
            Primitive::Feed(feed),
            limits::read_back(copy.bytes),
            "a copy that was never read is a hope",
        );
        [made, read]
    }

    fn database(
        &self,
        name: &str,
        title: &str,
        op: DatabaseOp,
        work: Primitive,
        bounds: Limits,
        why: &str,
    ) -> Step {
        let action = Action::Database {
            dataset: self.dataset.clone(),
            op,
        };
        let mut step = self.site.step(name, title, action, work);
        step.limits = bounds;
        step.retry = limits::COPY_RETRY;
        step.why = why.to_owned();
        self.here(step)
    }

    fn here(&self, mut step: Step) -> Step {
        step.only = self.site.only(BTreeSet::from([self.authority.clone()]));
        step.repeat = Repeat::Safe;
        step
    }
}
