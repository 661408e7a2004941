//! For the rules of hosts that form a cluster: the smallest plan that breaks each, and its nearest neighbour that does not.

use crate::cases::{Case, case};

pub(crate) const CASES_OF_CLUSTERS: &[Case] = &[
    case(
        "cluster-begun-once",
        "two hosts begin it",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a|b\n  cluster bootstrap db @quiet=db @repeat=once\n",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
    ),
    case(
        "cluster-begun-once",
        "nobody looks whether others run it",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @repeat=once\n",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
    ),
    case(
        "cluster-begun-once",
        "it may be begun again",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @quiet=db @repeat=safe\n",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
    ),
    case(
        "cluster-begun-once",
        "another member is new already",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @healthy @cluster=galera\nfact b release 13\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @healthy @cluster=galera\nfact a release 13\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
    ),
    case(
        "cluster-begun-once",
        "no old member is left",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nfact b release 13\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster bootstrap db @quiet=db @repeat=once\n",
    ),
    case(
        "cluster-begun-once",
        "a member forgets what nobody else may have",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster forget db\n",
        "host a\nhost b\nservice db db.service a,b @healthy @cluster=galera\nroll up a\n  cluster forget db @counts=db @of=1\n",
    ),
    case(
        "no-feed",
        "an older member joins beside a newer one",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nfact a version galera 11.8.6\nfact b version galera 10.11.14\nroll up b\n  cluster leave db\n  cluster join db @donors=db\n",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nfact a version galera 11.8.6\nfact b version galera 11.0.1\nroll up b\n  cluster leave db\n  cluster join db @donors=db\n",
    ),
    case(
        "no-feed",
        "an older member starts anew when the first one has changed",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nroll first a\n  hold db\n  change\n  start db @donors=db\nroll rest b\n  hold db\n  start db @donors=db\n  change\n",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nroll first a\n  hold db\n  change\n  start db @donors=db\nroll rest b\n  hold db\n  change\n  start db @donors=db\n",
    ),
    case(
        "no-feed",
        "an older member reboots while it runs, and while it is held",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nfact a version galera 11.8.6\nroll up b\n  reboot\n",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nfact a version galera 11.8.6\nroll up b\n  hold db\n  reboot\n",
    ),
    case(
        "no-feed",
        "nobody is asked before a member starts",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nroll up b\n  hold db\n  start db\n",
        "host a\nhost b\nservice db mariadb.service a,b @no-feed=11\nroll up b\n  hold db\n  start db @donors=db\n",
    ),
    case(
        "quorum",
        "fewer than a majority are kept",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=1 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera well\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\n",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera well\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\n",
    ),
    case(
        "quorum",
        "a member is away already",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera ill\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\n",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera well\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\n",
    ),
    case(
        "quorum",
        "a member that is away after its turn, and one that is in its turn",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera ill\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\nsettled up/hold-db@c\nsettled up/start-db@c\n",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nfact c works galera ill\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\nsettled up/hold-db@c\n",
    ),
    case(
        "quorum",
        "nobody measured a member",
        "host a\nhost b\nhost c\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nroll up a|b|c\n  hold db @counts=db @of=2\n  start db\n",
        "host a\nhost b\nhost c\nhost d\nservice db db.service a,b,c @keep=2 @healthy @cluster=galera @quorum=2\nfact a works galera well\nfact b works galera well\nroll up d\n  run x\n",
    ),
    case(
        "no-mix",
        "one member comes back new while the other is up",
        "no-mix corosync corosync.service debian 13\nhost a\nhost b\nfact a unit corosync.service active\nfact b unit corosync.service active\nroll up a|b\n  stop-unit corosync.service\n  change\n  start-unit corosync.service\n",
        "no-mix corosync corosync.service debian 13\nhost a\nhost b\nfact a unit corosync.service active\nfact b unit corosync.service active\nroll stop a|b\n  stop-unit corosync.service\nroll up a|b\n  change\nroll start a|b\n  start-unit corosync.service\n",
    ),
    case(
        "no-mix",
        "members of one cluster, and of two",
        "no-mix corosync corosync.service debian 13\nhost a\nhost b\nfact a unit corosync.service active\nfact b unit corosync.service active\nfact a member corosync x\nfact b member corosync x\nroll up a|b\n  change\n",
        "no-mix corosync corosync.service debian 13\nhost a\nhost b\nfact a unit corosync.service active\nfact b unit corosync.service active\nfact a member corosync x\nfact b member corosync y\nroll up a|b\n  change\n",
    ),
    case(
        "no-mix",
        "two versions of a package are up already",
        "no-mix k k@*.service corosync 3\nhost a\nhost b\nfact a unit k@1.service active\nfact b unit k@2.service active\nfact a installed corosync 2.4.4\nfact b installed corosync 3.0.1\nroll up a|b\n  run x\n",
        "no-mix k k@*.service corosync 3\nhost a\nhost b\nfact a unit k@1.service active\nfact b unit k@2.service active\nfact a installed corosync 3.1\nfact b installed corosync 3.0.1\nroll up a|b\n  run x\n",
    ),
];
