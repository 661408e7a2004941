//! Kinds of clusters, from files like `kinds/galera.yaml`.
//!
//! ```yaml
//! cluster: ceph-mon
//! describes: monitors of Ceph, which decide by majority
//! detect:                      # of each list, one entry must fit the host
//!   units: [ceph-mon@*.service]  # loaded units; one `*` stands for any text
//!   ports: [6789]              # local TCP ports that somebody listens on
//!   programs: [ceph-mon]
//!   files: [/var/lib/ceph/mon]
//! instances: {shell: ..., timeout: 5s}   # a line of words for each one on the host
//! ask:                         # commands; the words of the instance are their arguments
//!   status: {shell: 'exec ceph daemon "mon.$1" mon_status', timeout: 10s, answer: json}
//! member_when: [{of: status, at: /on, is: [true]}]   # where this certainly fails is no member
//! owns: [/var/lib/ceph/mon]    # where its data lies
//! no_mix: [{of: ceph-mon, at: "19"}]   # versions from here on never meet older ones in one cluster
//! no_feed: ["19"]              # from this version on, a member never gives its data to an older one
//! leave: {shell: ..., done: ..., timeout: 5m}   # likewise join, bootstrap, forget; what changes a member
//! read:
//!   cluster: {of: status, at: /monmap/fsid}
//!   member:  {of: status, at: /name}
//!   role:    {of: status, at: /state, words: {leader: primary, peon: replica}, otherwise: out}
//!   members: {of: status, at: /monmap/mons/*/name}
//!   known:   {of: status, at: /monmap/mons/*/name, count: true}
//!   alive:   {of: status, at: /quorum, count: true}
//!   quorate: [{of: status, at: /state, is: [leader, peon]}]    # all must hold
//!   healthy: [{of: status, at: /state, is: [leader, peon]}]
//!   lag:     {of: status, at: /behind, unit: bytes}
//!   data:    {of: status, at: /folder}
//!   version: {of: status, at: /version}
//! ```
//!
//! `at` is a JSON pointer (`*` stands for each element) where the answer is `json`, else the key of a line
//! `KEY<TAB>VALUE`. Commands of `ask` change nothing: they run whenever facts are gathered.
//!
//! What changes a member can be begun again, and finds in its environment `host` and `address` (the host's own), `unit`,
//! and `members` and `addresses`: all hosts of the service in the same order, the host's own among them.

use crate::definition::{BORDER, borders};
use crate::node::{self, Node, Tree, shortened};
use crate::problem::{Problems, Sink, SourceFile};
use crate::reader::{self, Fields};
use crate::shape::{Key, Kind, Shape, may, must};
use crate::words::suggestion;
use overhaul_model::action::ClusterOp;
use overhaul_model::cluster::ClusterRole;
use overhaul_model::cluster_kind::{
    Answer, Ask, ClusterKind, Condition, Count, Deed, Deeds, Detect, INSTANCES, LagReading, Place,
    Readings, RoleReading,
};
use overhaul_model::primitive::Command;
use std::collections::BTreeMap;

/// Longest that a member may take to leave or to join: a full copy of a large database over a slow line.
const DEED_MS_MAX: u64 = 2 * 24 * 60 * 60 * 1_000;

/// Longest that one command may ask for: all clusters of a host together have forty seconds.
const TIMEOUT_MS_MAX: u64 = 20_000;

const TEXTS: Kind = Kind::List(&Kind::Text);

const ANSWERS: [(&str, Answer); 2] = [("lines", Answer::Lines), ("json", Answer::Json)];

const OF: Key = must("of", Kind::Text, "a command of `ask`");
const AT: Key = must(
    "at",
    Kind::Text,
    "a JSON pointer, or the key of a line, as the command answers",
);

static DETECT: Shape = Shape {
    id: "cluster_detect",
    what: "`detect`",
    keys: &[&[
        may("units", TEXTS, "loaded units; one `*` stands for any text"),
        may(
            "ports",
            Kind::List(&Kind::Int(1, 65_535)),
            "local TCP ports that somebody listens on",
        ),
        may("programs", TEXTS, "programs that are installed"),
        may("files", TEXTS, "paths that exist"),
    ]],
    later: &[],
    one_of: &[],
};

static ASK: Shape = Shape {
    id: "cluster_ask",
    what: "a command",
    keys: &[&[
        must(
            "timeout",
            Kind::Span,
            "longest that it may take, at most 20s",
        ),
        may(
            "answer",
            Kind::Words(&["lines", "json"]),
            "the form of its output; `lines` if left out",
        ),
    ]],
    later: &[],
    one_of: &[
        may("run", TEXTS, "a command as a list of arguments"),
        may("shell", Kind::Text, "a script for /bin/sh"),
    ],
};

static PLACE: Shape = Shape {
    id: "cluster_place",
    what: "a reading",
    keys: &[&[OF, AT]],
    later: &[],
    one_of: &[],
};

static CONDITION: Shape = Shape {
    id: "cluster_condition",
    what: "a condition",
    keys: &[&[OF, AT, must("is", TEXTS, "texts of which the value is one")]],
    later: &[],
    one_of: &[],
};

static COUNT: Shape = Shape {
    id: "cluster_count",
    what: "a number of members",
    keys: &[&[
        OF,
        AT,
        may(
            "count",
            Kind::Bool,
            "count the elements of a list, or what commas part; otherwise the value is the number",
        ),
    ]],
    later: &[],
    one_of: &[],
};

static ROLE: Shape = Shape {
    id: "cluster_role",
    what: "a role",
    keys: &[&[
        OF,
        AT,
        must(
            "words",
            Kind::Map(&Kind::Words(&["primary", "replica", "peer", "out"])),
            "roles by the values that mean them",
        ),
        may(
            "otherwise",
            Kind::Words(&["primary", "replica", "peer", "out"]),
            "the role for all other values; unknown if left out",
        ),
    ]],
    later: &[],
    one_of: &[],
};

static LAG: Shape = Shape {
    id: "cluster_lag",
    what: "a lag",
    keys: &[&[OF, AT, must("unit", Kind::Text, "of what, like `bytes`")]],
    later: &[],
    one_of: &[],
};

static READ: Shape = Shape {
    id: "cluster_read",
    what: "`read`",
    keys: &[&[
        must(
            "cluster",
            Kind::Object(&PLACE),
            "what all members share and no other cluster has",
        ),
        must("member", Kind::Object(&PLACE), "the member's own name"),
        must("role", Kind::Object(&ROLE), "what it does now"),
        may(
            "members",
            Kind::Object(&PLACE),
            "names or addresses of members",
        ),
        may("known", Kind::Object(&COUNT), "how many members there are"),
        may("alive", Kind::Object(&COUNT), "how many take part now"),
        may(
            "quorate",
            Kind::List(&Kind::Object(&CONDITION)),
            "all hold in a majority; left out where there is no quorum",
        ),
        must(
            "healthy",
            Kind::List(&Kind::Object(&CONDITION)),
            "all hold of a member that does its work",
        ),
        may("lag", Kind::Object(&LAG), "how far it is behind"),
        may(
            "data",
            Kind::Object(&PLACE),
            "where it says that its data lies",
        ),
        may(
            "version",
            Kind::Object(&PLACE),
            "the version of the program that it runs, or would",
        ),
    ]],
    later: &[],
    one_of: &[],
};

static DEED: Shape = Shape {
    id: "cluster_deed",
    what: "what is done with a member",
    keys: &[&[
        must("shell", Kind::Text, "a script for /bin/sh"),
        may(
            "done",
            Kind::Text,
            "a script that succeeds when it is done already",
        ),
        must("timeout", Kind::Span, "longest that it may take"),
    ]],
    later: &[],
    one_of: &[],
};

/// A kind of cluster.
pub(crate) static CLUSTER_KIND: Shape = Shape {
    id: "cluster_kind",
    what: "a kind of cluster",
    keys: &[&[
        must("cluster", Kind::Text, "its name"),
        must("describes", Kind::Text, "what it is, in a sentence"),
        must(
            "detect",
            Kind::Object(&DETECT),
            "what says that a host may be a member: of each list, one entry",
        ),
        may(
            "instances",
            Kind::Object(&ASK),
            "prints a line of words for each instance on the host; left out where there is one",
        ),
        must(
            "ask",
            Kind::Map(&Kind::Object(&ASK)),
            "commands that ask a member and change nothing, by name",
        ),
        may(
            "member_when",
            Kind::List(&Kind::Object(&CONDITION)),
            "where one of these certainly does not hold, the host is no member",
        ),
        may("owns", TEXTS, "where members keep their data"),
        may(
            "no_mix",
            Kind::List(&Kind::Object(&BORDER)),
            "versions that never meet older ones in one cluster",
        ),
        may(
            "no_feed",
            TEXTS,
            "versions from which on a member never gives its data to an older one",
        ),
        may(
            "leave",
            Kind::Object(&DEED),
            "the host is no member any more, and the others know it",
        ),
        may(
            "join",
            Kind::Object(&DEED),
            "the host becomes a member and receives its data from the others",
        ),
        may(
            "bootstrap",
            Kind::Object(&DEED),
            "the host alone is the cluster, whatever others its configuration knows",
        ),
        may(
            "forget",
            Kind::Object(&DEED),
            "the host forgets what it has, and receives all of it when it starts",
        ),
        must("read", Kind::Object(&READ), "what the answers mean"),
    ]],
    later: &[(
        "quorum",
        "a majority is more than half of all members that the cluster knows of",
    )],
    one_of: &[],
};

/// Whether a file of `kinds/` is about a cluster: then a line of it begins with `cluster:`.
pub fn is_cluster_kind(file: &SourceFile) -> bool {
    file.text.lines().any(|line| line.starts_with("cluster:"))
}

/// Reads a kind of cluster.
///
/// # Errors
/// All problems of the file at once; only the first one when it is no valid YAML.
pub fn parse(file: &SourceFile) -> Result<ClusterKind, Problems> {
    let sink = Sink::new(file);
    let read = read(&sink);
    sink.into_result(read)
}

fn read(sink: &Sink) -> Option<ClusterKind> {
    let root = node::parse(sink)?;
    let fields = Fields::open(sink, &root, &CLUSTER_KIND)?;
    let name = fields
        .get("cluster")
        .and_then(|node| reader::name(sink, node));
    let describes = fields.text("describes");
    let detect = fields.get("detect").and_then(|node| detect(sink, node));
    let instances = fields.get("instances").map(|node| ask(sink, node));
    let asked = fields.get("ask").map(|node| asks(sink, node));
    let forms = asked.as_ref().map(|all| all.iter());
    let forms = forms.into_iter().flatten();
    let desk = Places {
        sink,
        forms: forms
            .filter_map(|(name, ask)| Some((name.as_str(), ask.as_ref()?.answer)))
            .collect(),
        asked: asked
            .iter()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
            .collect(),
    };
    let member_when = desk.conditions(&fields, "member_when");
    let owns = fields.get("owns").map(|node| paths(sink, node));
    let no_mix = fields.get("no_mix").map(|node| borders(sink, node));
    let no_feed = fields.get("no_feed").map(|node| texts(sink, node));
    let no_feed = no_feed.unwrap_or_default();
    let deeds = deeds(sink, &fields);
    let read = fields.get("read").and_then(|node| desk.readings(node));
    if let (Some(node), Some(read)) = (fields.get("no_feed"), &read)
        && read.version.is_none()
    {
        let help = "say where a member's version stands: `version` below `read`";
        sink.add_with_help(&node.span, "nobody knows the version of a member", help);
    }
    fields.done();
    let instances = match instances {
        None => None,
        Some(instances) => Some(instances?),
    };
    let ask = asked?
        .into_iter()
        .map(|(name, ask)| Some((name, ask?)))
        .collect::<Option<_>>()?;
    Some(ClusterKind {
        name: name?,
        describes: describes?,
        detect: detect?,
        instances,
        ask,
        member_when,
        owns: owns.unwrap_or_default(),
        no_mix: no_mix.unwrap_or_default(),
        no_feed,
        deeds,
        read: read?,
    })
}

fn deeds(sink: &Sink, fields: &Fields) -> Deeds {
    let of = |op: ClusterOp| fields.get(op.word()).and_then(|node| deed(sink, node));
    Deeds {
        leave: of(ClusterOp::Leave),
        join: of(ClusterOp::Join),
        bootstrap: of(ClusterOp::Bootstrap),
        forget: of(ClusterOp::Forget),
    }
}

fn deed(sink: &Sink, node: &Node) -> Option<Deed> {
    let fields = Fields::open(sink, node, &DEED)?;
    let text = |name| {
        let node = fields.get(name)?;
        let text = reader::text(sink, node)?;
        if ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            let message = "what a kind does is no template";
            let help = "its script finds host, members and unit in its environment";
            sink.add_with_help(&node.span, message, help);
        }
        Some(text)
    };
    let (script, done) = (text("shell"), text("done"));
    let timeout = fields.span_of_time("timeout");
    if let (Some(span), Some(node)) = (timeout, fields.get("timeout"))
        && !(1..=DEED_MS_MAX).contains(&span.as_ms())
    {
        let message = format!("`{span}` is no bound for what changes a member");
        sink.add_with_help(&node.span, message, "from 1ms to 2d");
    }
    fields.done();
    Some(Deed {
        script: script?,
        done,
        timeout: timeout?,
    })
}

fn detect(sink: &Sink, node: &Node) -> Option<Detect> {
    let fields = Fields::open(sink, node, &DETECT)?;
    let texts = |name| fields.get(name).map(|node| texts(sink, node));
    let (units, programs) = (texts("units"), texts("programs"));
    let files = fields.get("files").map(|node| paths(sink, node));
    let port = |node: &Node| u16::try_from(reader::int(sink, node, 1..=65_535)?).ok();
    let ports = fields
        .get("ports")
        .map(|node| reader::list(sink, node, port));
    fields.done();
    let detect = Detect {
        units: units.unwrap_or_default(),
        ports: ports.unwrap_or_default(),
        programs: programs.unwrap_or_default(),
        files: files.unwrap_or_default(),
    };
    if detect == Detect::default() {
        let help = "name a unit, a port, a program or a file that only members have";
        sink.add_with_help(&node.span, "`detect` fits every host", help);
    }
    Some(detect)
}

fn texts(sink: &Sink, node: &Node) -> Vec<String> {
    reader::list(sink, node, |node| reader::text(sink, node))
}

fn paths(sink: &Sink, node: &Node) -> Vec<String> {
    reader::list(sink, node, |node| {
        let path = reader::text(sink, node)?;
        if !path.starts_with('/') {
            let message = format!("`{}` is not an absolute path", shortened(&path));
            sink.add_with_help(
                &node.span,
                message,
                "write it from the root, like /var/lib/x",
            );
        }
        Some(path)
    })
}

/// Commands by name; one that is wrong keeps its name, so that readings of it are not refused too.
fn asks(sink: &Sink, node: &Node) -> BTreeMap<String, Option<Ask>> {
    let mut out = BTreeMap::new();
    for entry in reader::map(sink, node, "commands") {
        reader::check_name(sink, &entry.key, &entry.key_span);
        if entry.key == INSTANCES {
            let message = format!("`{INSTANCES}` is the name of the command beside `ask`");
            sink.add_with_help(&entry.key_span, message, "choose another name");
        }
        out.insert(entry.key.clone(), ask(sink, &entry.value));
    }
    if out.is_empty() && matches!(node.tree, Tree::Map(_)) {
        sink.add(&node.span, "`ask` has no command");
    }
    out
}

fn ask(sink: &Sink, node: &Node) -> Option<Ask> {
    let fields = Fields::open(sink, node, &ASK)?;
    let command = fields.chosen().and_then(|entry| match entry.key.as_str() {
        "run" => {
            let argv = texts(sink, &entry.value);
            if argv.is_empty() && matches!(entry.value.tree, Tree::List(_)) {
                sink.add(&entry.value.span, "the command is empty");
            }
            Some(Command::Argv(argv))
        }
        _ => reader::text(sink, &entry.value).map(Command::Shell),
    });
    let timeout = fields.span_of_time("timeout");
    if let (Some(span), Some(node)) = (timeout, fields.get("timeout"))
        && !(1..=TIMEOUT_MS_MAX).contains(&span.as_ms())
    {
        let message = format!("`{span}` is no bound for a command that facts wait for");
        sink.add_with_help(&node.span, message, "from 1ms to 20s");
    }
    let answer = fields.word("answer", &ANSWERS).unwrap_or(Answer::Lines);
    fields.done();
    Some(Ask {
        command: command?,
        timeout: timeout?,
        answer,
    })
}

/// Reads what refers to answers.
struct Places<'r, 'f> {
    sink: &'r Sink<'f>,
    /// Commands that are right, with the form of their answers.
    forms: BTreeMap<&'r str, Answer>,
    /// All commands.
    asked: Vec<&'r str>,
}

impl Places<'_, '_> {
    fn readings(&self, node: &Node) -> Option<Readings> {
        let fields = Fields::open(self.sink, node, &READ)?;
        let place = |name| fields.get(name).and_then(|node| self.place_alone(node));
        let count = |name| fields.get(name).and_then(|node| self.count(node));
        let (cluster, member) = (place("cluster"), place("member"));
        let role = fields.get("role").and_then(|node| self.role(node));
        let (members, data, version) = (place("members"), place("data"), place("version"));
        let (known, alive) = (count("known"), count("alive"));
        let quorate = self.conditions(&fields, "quorate");
        let healthy = self.conditions(&fields, "healthy");
        let lag = fields.get("lag").and_then(|node| self.lag(node));
        if let Some(node) = fields.get("healthy").filter(|_| healthy.is_empty()) {
            let help = "say by which values a member that works differs from one that only runs";
            self.sink
                .add_with_help(&node.span, "`healthy` has no condition", help);
        }
        fields.done();
        Some(Readings {
            cluster: cluster?,
            member: member?,
            role: role?,
            members,
            known,
            alive,
            quorate,
            healthy,
            lag,
            data,
            version,
        })
    }

    fn place(&self, fields: &Fields) -> Option<Place> {
        let (of, at) = (fields.get("of"), fields.get("at"));
        let name = of.and_then(|node| reader::text(self.sink, node));
        let key = at.and_then(|node| reader::text(self.sink, node));
        let (of, at, name, key) = (of?, at?, name?, key?);
        if !self.asked.contains(&name.as_str()) {
            let message = format!("`ask` has no command `{}`", shortened(&name));
            let help = suggestion(&name, self.asked.iter().copied(), "the commands are");
            self.sink.add_with_help(&of.span, message, help);
        }
        if self.forms.get(name.as_str()) == Some(&Answer::Json) && !key.starts_with('/') {
            let message = format!("`{}` is no JSON pointer", shortened(&key));
            let help = "it begins with `/`, since this command answers in JSON";
            self.sink.add_with_help(&at.span, message, help);
        }
        Some(Place { of: name, at: key })
    }

    fn place_alone(&self, node: &Node) -> Option<Place> {
        let fields = Fields::open(self.sink, node, &PLACE)?;
        let place = self.place(&fields);
        fields.done();
        place
    }

    fn count(&self, node: &Node) -> Option<Count> {
        let fields = Fields::open(self.sink, node, &COUNT)?;
        let place = self.place(&fields);
        let count = fields.bool("count").unwrap_or(false);
        fields.done();
        Some(Count {
            place: place?,
            count,
        })
    }

    fn lag(&self, node: &Node) -> Option<LagReading> {
        let fields = Fields::open(self.sink, node, &LAG)?;
        let place = self.place(&fields);
        let unit = fields.text("unit");
        fields.done();
        Some(LagReading {
            place: place?,
            unit: unit?,
        })
    }

    fn role(&self, node: &Node) -> Option<RoleReading> {
        let fields = Fields::open(self.sink, node, &ROLE)?;
        let place = self.place(&fields);
        let mut words = BTreeMap::new();
        let written = fields.get("words");
        let entries = written.map(|node| reader::map(self.sink, node, "roles"));
        for entry in entries.into_iter().flatten() {
            if let Some(role) = reader::word(self.sink, &entry.value, &ClusterRole::ALL) {
                words.insert(entry.key.clone(), role);
            }
        }
        let otherwise = fields.word("otherwise", &ClusterRole::ALL);
        fields.done();
        Some(RoleReading {
            place: place?,
            words,
            otherwise,
        })
    }

    fn conditions(&self, fields: &Fields, name: &'static str) -> Vec<Condition> {
        let node = fields.get(name);
        let read = node.map(|node| reader::list(self.sink, node, |node| self.condition(node)));
        read.unwrap_or_default()
    }

    fn condition(&self, node: &Node) -> Option<Condition> {
        let fields = Fields::open(self.sink, node, &CONDITION)?;
        let place = self.place(&fields);
        let is = fields.get("is").map(|node| texts(self.sink, node));
        fields.done();
        Some(Condition {
            place: place?,
            is: is?,
        })
    }
}
