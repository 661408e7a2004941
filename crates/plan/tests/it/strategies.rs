//! Strategies: one definition, several points, switched by a word; and `docs/strategies.md`, which tells of them.

use crate::support::{definition, fleet, names, role, run, service, step};
use overhaul_model::action::Undo;
use overhaul_model::belonging::{MountPoint, MountedBy, RoleVolume};
use overhaul_model::definition::{
    Archive, Definition, Order, Provider, Rebuild, Slot, SwitchError, WrittenAction, WrittenBlock,
    WrittenStep,
};
use overhaul_model::effects::{Effect, effects, is_no_return};
use overhaul_model::facts::{DataFolder, FleetFacts, HostFacts, Known, Mount};
use overhaul_model::plan::Plan;
use overhaul_model::primitive::{Command, MachineAct, Primitive};
use overhaul_model::step::Step;
use overhaul_model::strategy::{Change, Data, Strategy};
use overhaul_plan::{compile, diff, print, print_diff};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const PATH: &str = "/srv/files";

/// What holds the files, where they do not lie on the machine itself.
fn volume() -> RoleVolume {
    RoleVolume {
        name: "data-{{ host.name }}".to_owned(),
        mount: MountPoint {
            path: PATH.to_owned(),
            by: MountedBy::Fstab,
            options: MountPoint::OPTIONS_DEFAULT.to_owned(),
        },
    }
}

/// A file server that can go any way: what its new machine would need is written down as well.
fn files(strategy: Strategy) -> Definition {
    let mut files = role("files", Order::ONE_BY_ONE);
    files.strategy = strategy;
    files.carry = vec![PATH.to_owned()];
    if strategy.data() == Data::Volume {
        files.volumes = vec![volume()];
    }
    files.replace.addresses = vec!["files".to_owned()];
    files.rebuild = Some(Rebuild::By {
        provider: "lab".into(),
        image: "debian/13".to_owned(),
        params: BTreeMap::new(),
        answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
    });
    let packages = WrittenAction::Packages {
        install: vec!["nfs-kernel-server".to_owned()],
        remove: Vec::new(),
    };
    files.slots = [
        (
            Slot::Change,
            vec![step("install the server", packages).into()],
        ),
        (Slot::Cleanup, vec![run("forget the old exports").into()]),
    ]
    .into();
    let mut out = definition(vec![files]);
    out.services
        .insert("share".into(), service("files", "nfs-server.service"));
    let provider = Provider {
        script: "/usr/local/lib/provider".to_owned(),
        config: BTreeMap::new(),
    };
    out.providers.insert("lab".into(), provider);
    out
}

fn facts(host: &str, complete: bool) -> FleetFacts {
    let at = "2025-06-01T10:00:00Z".parse().unwrap();
    let mut facts = HostFacts::unknown(at, "not asked");
    facts.machine_id = Known::Measured {
        at,
        value: "0123456789abcdef0123456789abcdef".to_owned(),
    };
    facts.storage.data = Known::Measured {
        at,
        value: vec![DataFolder {
            path: "/srv".to_owned(),
            size_bytes: 300 << 20,
            entries: 1000,
            complete,
        }],
    };
    FleetFacts::from([(host.into(), facts)])
}

fn plan(definition: &Definition) -> Plan {
    compile(
        definition,
        &fleet(&["files1: files"]),
        &facts("files1", true),
    )
    .unwrap_or_else(|errors| panic!("{errors}"))
}

/// A tree without its hash, which changes with every comment of a script.
fn tree(definition: &Definition) -> String {
    let tree = print::tree(&plan(definition));
    tree.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn one_role_in_place() {
    insta::assert_snapshot!(tree(&files(Strategy::IN_PLACE)));
}

#[test]
fn one_role_rebuilt_without_its_data() {
    insta::assert_snapshot!(tree(&files(Strategy::STATELESS)));
}

#[test]
fn one_role_rebuilt_with_its_data() {
    insta::assert_snapshot!(tree(&files(Strategy::STATEFUL)));
}

fn point(change: Change, data: Data) -> Strategy {
    Strategy::new(change, data).unwrap()
}

#[test]
fn one_role_replaced_with_its_volume_and_its_address() {
    insta::assert_snapshot!(tree(&files(point(Change::Replace, Data::Volume))));
}

#[test]
fn one_role_rebuilt_with_its_volume() {
    insta::assert_snapshot!(tree(&files(point(Change::Rebuild, Data::Volume))));
}

#[test]
fn what_moves_knows_what_was_seen_before_and_what_came() {
    let plan = plan(&files(point(Change::Replace, Data::Volume)));
    let step = |id: &str| plan.step(&id.into()).unwrap();
    let works = [
        "upgrade/files/export/detach-srv-files",
        "upgrade/files/restore/attach-srv-files",
        "upgrade/files/restore/address-moves-1",
        "finish/files/finish/old-renamed",
        "finish/files/finish/new-renamed",
        "cleanup/files/cleanup/old-ends",
        "upgrade/files/change/take-over",
    ];
    let works: Vec<_> = works.iter().map(|id| &step(id).work).collect();
    insta::assert_json_snapshot!(works);
    let Primitive::Exec(mount) = &step("upgrade/files/restore/mount-srv-files").work else {
        panic!("a mount is a command");
    };
    let Command::Argv(words) = &mount.command else {
        panic!("of plain words");
    };
    let tail = [
        "fstab",
        "{{ steps.attach_srv_files.device }}",
        PATH,
        "defaults,nofail",
    ];
    assert!(words.ends_with(&tail.map(str::to_owned)), "{words:?}");
}

#[test]
fn one_role_rebuilt_by_a_person() {
    let mut definition = files(Strategy::STATEFUL);
    definition.roles[0].rebuild = Some(Rebuild::Person {
        answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
    });
    insta::assert_snapshot!(tree(&definition));
}

#[test]
fn the_change_is_switched_by_a_word_and_the_difference_is_what_it_means() {
    let mut definition = files(Strategy::IN_PLACE);
    let before = plan(&definition);
    definition.switch(&"files".into(), Change::Rebuild).unwrap();
    let after = plan(&definition);
    assert_eq!(after, plan(&files(Strategy::STATEFUL)));
    let text = print_diff::text(&diff::diff(&before, &after).unwrap());
    insta::assert_snapshot!(text.split_once('\n').unwrap().1);
    definition.switch(&"files".into(), Change::InPlace).unwrap();
    assert_eq!(plan(&definition), before);

    definition.roles[0].carry.clear();
    let error = definition.switch(&"files".into(), Change::Rebuild);
    assert!(matches!(error, Err(SwitchError::Nonsense(_))), "{error:?}");
    // On a volume, the data goes with it.
    definition.roles[0].volumes = vec![volume()];
    for change in [Change::Replace, Change::Rebuild] {
        definition.switch(&"files".into(), change).unwrap();
        assert_eq!(definition.roles[0].strategy, point(change, Data::Volume));
    }
    let error = definition.switch(&"nobody".into(), Change::Rebuild);
    assert!(matches!(error, Err(SwitchError::NoRole(_))), "{error:?}");
}

#[test]
fn what_is_carried_needs_room_on_the_controller_and_an_unknown_size_stays_unknown() {
    let of = |facts: &FleetFacts| {
        let plan = compile(
            &files(Strategy::STATEFUL),
            &fleet(&["files1: files"]),
            facts,
        );
        let space = plan.unwrap().space;
        let own: Vec<Option<u64>> = space
            .iter()
            .filter(|space| space.host.is_none())
            .map(|space| space.bytes)
            .collect();
        own
    };
    assert_eq!(of(&facts("files1", true)), [Some((300 << 20) + 1000 * 512)]);
    assert_eq!(of(&facts("files1", false)), [None]);
    assert_eq!(of(&FleetFacts::new()), [None]);
}

#[test]
fn a_new_machine_without_a_way_to_it_is_refused() {
    let refusal = |definition: &Definition| {
        let refused = compile(definition, &fleet(&["files1: files"]), &FleetFacts::new());
        refused.unwrap_err().to_string()
    };
    let mut nobody = files(Strategy::STATELESS);
    nobody.roles[0].rebuild = None;
    let person = |data| {
        let mut definition = files(point(Change::Replace, data));
        definition.roles[0].rebuild = Some(Rebuild::Person {
            answers_within: MachineAct::ANSWERS_WITHIN_DEFAULT,
        });
        refusal(&definition)
    };
    let told = person(Data::None);
    assert!(
        told.contains("which a person cannot be asked for"),
        "{told}"
    );
    let told = person(Data::Volume);
    assert!(told.contains("no provider is named for it"), "{told}");
    insta::assert_snapshot!(refusal(&nobody), @"upgrade.yaml:10: the machines of role `files` are made anew, and nothing says by whom; write `rebuild: {provider: NAME, image: IMAGE}` in the role, or `rebuild: {by: person}`");
}

#[test]
fn points_of_later_versions_are_planned_and_say_what_they_lack() {
    let mut out = String::new();
    for point in Strategy::all() {
        let plan = plan(&files(point));
        let missing: Vec<String> = plan
            .positions()
            .iter()
            .filter(|placed| matches!(placed.step.work, Primitive::NotAvailable(_)))
            .map(|placed| placed.position.to_string())
            .collect();
        writeln!(out, "{point}: {}", missing.join(", ")).unwrap();
    }
    insta::assert_snapshot!(out);
}

#[test]
fn differences_of_steps_hosts_turns_and_services_are_told_apart() {
    let mut one = definition(vec![role("web", Order::ONE_BY_ONE)]);
    one.roles[0].slots = [
        (
            Slot::Drain,
            vec![
                run("first").into(),
                run("second").into(),
                run("third").into(),
            ],
        ),
        (Slot::Finish, vec![run("written one line higher").into()]),
    ]
    .into();
    one.services
        .insert("site".into(), service("web", "nginx.service"));
    let mut other = one.clone();
    let drain = other.roles[0].slots.get_mut(&Slot::Drain).unwrap();
    let mut second = run("second");
    second.timeout = Some(overhaul_model::span::Span::from_s(60));
    *drain = vec![second.into(), run("new").into(), run("first").into()];
    let mut lower = run("written one line higher");
    lower.origin.line += 1;
    other.roles[0]
        .slots
        .insert(Slot::Finish, vec![lower.into()]);
    other.services.get_mut(&"site".into()).unwrap().keep = 1;
    let plan = |definition: &Definition, hosts: &[&str]| {
        compile(definition, &fleet(hosts), &FleetFacts::new()).unwrap()
    };
    let before = plan(&one, &["web1: web", "web2: web; kind=old"]);
    let after = plan(&other, &["web2: web; kind=new", "web3: web"]);
    let found = diff::diff(&before, &after).unwrap();
    // The hashes change with every part of a plan that is new to all plans.
    insta::assert_snapshot!(print_diff::text(&found).split_once('\n').unwrap().1);
    insta::assert_json_snapshot!((&found.steps, &found.parts));
    let same = diff::diff(&before, &before).unwrap();
    assert!(same.is_empty() && same.parts.is_empty() && same.steps.changed.is_empty());
    let text = print_diff::text(&same);
    assert_eq!(text.lines().nth(1), Some("  no difference"));
}

/// What stands between the two marks of `docs/strategies.md`.
fn told() -> String {
    let mut out = String::new();
    for point in Strategy::all() {
        let mut definition = files(point);
        definition.roles[0].slots.clear();
        let facts = facts("files1", true);
        let plan = compile(&definition, &fleet(&["files1: files"]), &facts).unwrap();
        let lacks = |step: &Step| matches!(step.work, Primitive::NotAvailable(_));
        if plan.positions().iter().any(|placed| lacks(placed.step)) {
            continue;
        }
        let name = point.name().map(|name| format!("`{name}`: "));
        writeln!(out, "### {}{point}\n", name.unwrap_or_default()).unwrap();
        slots(&plan, &mut out);
        no_return(&plan, &mut out);
    }
    out.push_str("### Points of later versions\n\nThey are planned, and the checker refuses to run them.\n\n");
    for point in Strategy::all() {
        let plan = plan(&files(point));
        let lacking = plan.positions().into_iter();
        let lacking: Vec<String> = lacking
            .filter(|placed| matches!(placed.step.work, Primitive::NotAvailable(_)))
            .map(|placed| placed.step.title.clone())
            .collect();
        if !lacking.is_empty() {
            let name = point.name().map(|name| format!(" (`{name}`)"));
            writeln!(
                out,
                "- {point}{}: {}",
                name.unwrap_or_default(),
                lacking.join("; ")
            )
            .unwrap();
        }
    }
    out.push_str("\n### Points that make no sense\n\n");
    for change in Change::ALL {
        for data in Data::ALL {
            if let Err(nonsense) = Strategy::new(change, data) {
                writeln!(out, "- {nonsense}").unwrap();
            }
        }
    }
    out
}

fn slots(plan: &Plan, out: &mut String) {
    out.push_str("| slot | steps | effects |\n|---|---|---|\n");
    let positions = plan.positions();
    for slot in Slot::ALL {
        let steps: Vec<&Step> = positions
            .iter()
            .map(|placed| placed.step)
            .filter(|step| step.slot == slot)
            .collect();
        if steps.is_empty() {
            continue;
        }
        let titles: Vec<&str> = steps.iter().map(|step| step.title.as_str()).collect();
        let mut words: Vec<String> = Vec::new();
        for effect in steps.iter().flat_map(|step| effects(step)) {
            let word = word(&effect);
            if words.last() != Some(&word) {
                words.push(word);
            }
        }
        let (slot, titles, words) = (slot.word(), titles.join("; "), words.join(", "));
        writeln!(out, "| `{slot}` | {titles} | {words} |").unwrap();
    }
    out.push('\n');
}

fn word(effect: &Effect) -> String {
    match effect {
        Effect::HostDown => "host down".to_owned(),
        Effect::HostUp => "host up".to_owned(),
        Effect::ReleaseChanges(release) => format!("release becomes {release}"),
        Effect::ServiceStops(name) => format!("{name} stops"),
        Effect::ServiceStarts(name) => format!("{name} starts"),
        Effect::AnythingMayBlink => "anything may be disturbed".to_owned(),
        Effect::MachineDestroyed => "machine destroyed".to_owned(),
        Effect::MachineCreated => "machine created".to_owned(),
        Effect::MachineReplaced => "another machine takes its place".to_owned(),
        Effect::OldMachineDestroyed => "old machine destroyed".to_owned(),
        Effect::VolumeMoves => "volume moves".to_owned(),
        Effect::AddressMoves => "address moves".to_owned(),
        Effect::PathsCopied(paths) => format!("{} copied", paths.join(", ")),
        Effect::PathsRestored(paths) => format!("{} restored", paths.join(", ")),
        other => format!("{other:?}"),
    }
}

fn no_return(plan: &Plan, out: &mut String) {
    for placed in plan.positions() {
        let Undo::None { way_back } = &placed.step.undo else {
            continue;
        };
        if is_no_return(placed.step) {
            writeln!(
                out,
                "Point of no return: *{}*. Way back: {way_back}.\n",
                placed.step.title
            )
            .unwrap();
        }
    }
}

const BEGIN: &str = "<!-- from the code: begin -->\n";
const END: &str = "<!-- from the code: end -->\n";

/// Written anew by `OVERHAUL_UPDATE_SCHEMAS=1 cargo nextest run -p overhaul-plan the_page`.
#[test]
fn the_page_of_strategies_tells_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/strategies.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (written, tail) = rest.split_once(END).unwrap();
    let told = told();
    if option_env!("OVERHAUL_UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, format!("{head}{BEGIN}{told}{END}{tail}")).unwrap();
    } else {
        assert_eq!(written, told);
    }
}

#[test]
fn carried_paths_are_one_archive_for_each_host() {
    let mut definition = files(Strategy::STATEFUL);
    definition.roles[0].carry.push("/etc/exports.d".to_owned());
    let hosts = fleet(&["files1: files", "files2: files"]);
    let plan = compile(&definition, &hosts, &FleetFacts::new()).unwrap();
    for host in ["files1", "files2"] {
        let of = |id: &str| plan.step(&format!("{id}-{host}").as_str().into()).unwrap();
        let persist = of("upgrade/files/export/persist-carried");
        let restore = of("upgrade/files/restore/restore-carried");
        assert_eq!(
            (&persist.only, &restore.only),
            (&Some(names(&[host])), &Some(names(&[host])))
        );
        let (Primitive::Persist(made), Primitive::Restore(read)) = (&persist.work, &restore.work)
        else {
            panic!("{persist:?} {restore:?}");
        };
        assert_eq!((&made.file, &made.paths), (&read.file, &read.paths));
        assert_eq!(made.file, format!("{host}/carried"));
        assert_eq!(read.digest_from, format!("persist_carried_{host}"));
    }
}

fn archive(name: &str, paths: &[&str]) -> WrittenStep {
    let root = paths == ["/"];
    let archive = Archive {
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        name: name.to_owned(),
        one_filesystem: root,
        exclude: Vec::new(),
        live: root,
    };
    step(name, WrittenAction::Archive(archive))
}

fn with_disks(host: &str) -> FleetFacts {
    let at = "2025-06-01T10:00:00Z".parse().unwrap();
    let mount = |path: &str, used: u64| Mount {
        path: path.into(),
        source: "x".into(),
        kind: "ext4".into(),
        size_bytes: 1000 + used,
        free_bytes: 1000,
        exec: true,
        read_only: false,
    };
    let folder = DataFolder {
        path: "/srv/files".to_owned(),
        size_bytes: 70_000,
        entries: 10,
        complete: true,
    };
    let mut facts = HostFacts::unknown(at, "not asked");
    facts.mounts = Known::Measured {
        value: vec![mount("/", 5_000_000), mount("/srv", 70_000)],
        at,
    };
    facts.storage.data = Known::Measured {
        value: vec![folder],
        at,
    };
    [(host.into(), facts)].into()
}

#[test]
fn an_archive_has_a_step_and_a_file_for_each_host_and_its_space_is_counted() {
    let mut all = role("all", Order::ONE_BY_ONE);
    let mut late = archive("late", &["/srv/files"]);
    late.when = Some("host.name == 'b'".to_owned());
    late.retry.attempts = 7;
    let slots = [archive("root", &["/"]), archive("files", &["/srv/files"])];
    all.slots = [
        (Slot::Prepare, slots.map(WrittenBlock::from).into()),
        (Slot::Finish, vec![late.into()]),
    ]
    .into();
    let hosts = fleet(&["a: all", "b: all"]);
    let plan = compile(&definition(vec![all]), &hosts, &with_disks("a")).unwrap();
    let mut out = String::new();
    for placed in plan.positions() {
        if let Primitive::Persist(persist) = &placed.step.work {
            let Step {
                repeat,
                retry,
                limits,
                undo,
                why,
                ..
            } = placed.step;
            writeln!(
                out,
                "{}\n  {persist:?}\n  {repeat:?} {retry:?} {undo:?} expected {}, {why}",
                placed.position, limits.expected
            )
            .unwrap();
        }
    }
    for space in plan.space.iter().filter(|space| space.host.is_none()) {
        writeln!(out, "{} {:?} {}", space.path, space.bytes, space.because).unwrap();
    }
    insta::assert_snapshot!(out);
}
