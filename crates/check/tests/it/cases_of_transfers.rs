//! For the rules of data that goes from one host to another: the smallest plan that breaks each, and its nearest
//! neighbour that does not.

use crate::cases::{Case, case};

pub(crate) const CASES_OF_TRANSFERS: &[Case] = &[
    case(
        "one-authority",
        "data that goes from a host to itself",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new a\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "one-authority",
        "taken twice from the one that had it first",
        "host c\nhost a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll third c\n  receive files a\n  take files a\n",
        "host c\nhost a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll third c\n  receive files b\n  take files b\n",
    ),
    case(
        "one-authority",
        "taken by a host that has not received it",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  take files a\n  receive files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "one-authority",
        "the authority over a database that was not loaded",
        "host a\nhost b\nservice db db.service a,b\ndataset shop db a\nroll old a\n  copy shop everything\n  read shop everything\n  hold db\nroll new b\n  receive shop a\n  take shop a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset shop db a\nroll old a\n  copy shop everything\n  read shop everything\n  hold db\nroll new b\n  receive shop a\n  load shop a\n  take shop a\n",
    ),
    case(
        "one-authority",
        "a database that is loaded before it came",
        "host a\nhost b\nservice db db.service a,b\ndataset shop db a\nroll old a\n  copy shop everything\n  read shop everything\n  hold db\nroll new b\n  load shop a\n  receive shop a\n  take shop a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset shop db a\nroll old a\n  copy shop everything\n  read shop everything\n  hold db\nroll new b\n  receive shop a\n  load shop a\n  take shop a\n",
    ),
    case(
        "transfer-backup",
        "no copy before",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\nroll new b\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "transfer-backup",
        "what is carried for the upgrade is no backup, nor is a copy that comes too late",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  persist /srv\nroll new b\n  receive files a\n  take files a\nroll late a\n  archive /srv\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "transfer-at-rest",
        "its service may run on the old side",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "transfer-at-rest",
        "stopped on the old side afterwards",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll copy a\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll old a\n  hold db\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "transfer-at-rest",
        "stopped perhaps before, in a turn that goes at the same time",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll copy a\n  archive /srv\nroll up a,b at-once 2\n  hold db @only=a\n  receive files a @only=b\n  take files a @only=b\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll copy a\n  archive /srv\nroll up a|b\n  hold db @only=a\n  receive files a @only=b\n  take files a @only=b\n",
    ),
    case(
        "transfer-at-rest",
        "started again on the old side",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll late a\n  start db\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll late b\n  start db\n",
    ),
    case(
        "stopped-started",
        "stopped for ever where it is not the old side of a transfer",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a,b\n  hold db\nroll copy a\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a,b\n  hold db\nroll copy a\n  archive /srv\nroll new b\n  receive files a\n  take files a\nroll late b\n  start db\n",
    ),
    case(
        "authority-on-record",
        "nobody knows who has the authority",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nfact b authority unknown\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "authority-on-record",
        "given away already",
        "host a\nhost b\nservice db db.service a,b\ndataset files db a @paths=/srv\nfact a authority given files /srv b\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
        "host a\nhost b\nservice db x.service a,b\ndataset files db a @paths=/srv\nfact a authority given other /opt b\nroll old a\n  hold db\n  archive /srv\nroll new b\n  receive files a\n  take files a\n",
    ),
    case(
        "authority-on-record",
        "the old side is written",
        "host a\nfact a authority given files /srv b\nroll up a\n  restore /srv/x\n",
        "host a\nfact a authority given files /srv b\nroll up a\n  restore /opt\n",
    ),
    case(
        "authority-on-record",
        "what writes to the old side is started",
        "host a\nservice db db.service a\nfact a authority given files /srv b\nroll up a\n  start db\n",
        "host a\nservice db db.service a\nfact a authority held files /srv b\nroll up a\n  start db\n",
    ),
];
