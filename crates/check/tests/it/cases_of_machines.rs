//! For the rules of what machines hold and lose: the smallest plan that breaks each, and its nearest neighbour
//! that does not.

use crate::cases::{Case, case};

pub(crate) const CASES_OF_MACHINES: &[Case] = &[
    case(
        "copy-files",
        "one copy is a file where another one has its folder",
        "host a\nroll up a\n  archive /srv @file=a/kept\n  archive /etc @file=a/kept/etc\n",
        "host a\nroll up a\n  archive /srv @file=a/kept\n  archive /etc @file=a/kept-etc\n",
    ),
    case(
        "verified-copy",
        "a machine is made anew under data whose files are in an archive",
        "host a\nmachine a\ndataset orders db a\nroll up a\n  archive /var/lib/postgresql\n  rebuild\n",
        "host a\nmachine a\ndataset orders db a\nroll up a\n  copy orders shop\n  read orders shop\n  archive /var/lib/postgresql\n  rebuild\n",
    ),
    case(
        "verified-copy",
        "a machine is made anew under data that is only carried",
        "host a\nmachine a\ndataset orders db a\nroll up a\n  persist /var/lib/postgresql\n  rebuild\n  restore /var/lib/postgresql\n",
        "host a\nmachine a\ndataset orders db a\nroll up a\n  copy orders shop\n  read orders shop\n  persist /var/lib/postgresql\n  rebuild\n  restore /var/lib/postgresql\n",
    ),
    case(
        "right-machine",
        "nobody measured which machine it is",
        "host a\nroll up a\n  rebuild\n",
        "host a\nmachine a\nroll up a\n  rebuild\n",
    ),
    case(
        "nothing-lost",
        "a folder that nothing carries",
        "host a\nmachine a\nfact a stored /srv/www /home/ada\nroll up a\n  persist /srv\n  rebuild\n  restore /srv\n",
        "host a\nmachine a\nfact a stored /srv/www /home/ada\nroll up a\n  persist /srv,/home/ada\n  rebuild\n  restore /srv,/home/ada\n",
    ),
    case(
        "nothing-lost",
        "in an archive that is made while services run",
        "host a\nmachine a\nfact a stored /srv/www\nservice x x.service a\nroll up a\n  archive /srv\n  rebuild\n",
        "host a\nmachine a\nfact a stored /srv/www\nservice x x.service a\nroll up a\n  archive /srv\n  persist /srv\n  rebuild\n  restore /srv\n",
    ),
    case(
        "nothing-lost",
        "in an archive that was made at rest, and nothing brings it back",
        "host a\nmachine a\nfact a stored /srv/www /home/ada\nservice x x.service a\nroll up a\n  hold x\n  archive /\n  rebuild\n  start x\n",
        "host a\nmachine a\nfact a stored\nservice x x.service a\nroll up a\n  hold x\n  archive /\n  rebuild\n  start x\n",
    ),
    case(
        "nothing-lost",
        "left out of the archive, behind a mount point, or written to since",
        "host a\nhost b\nhost c\nmachine a\nmachine b\nmachine c\nfact a stored /srv/www\nfact b stored /srv/www\nfact b mount /srv 1000\nfact c stored /srv/www\nservice x x.service c\nroll up a\n  archive / @exclude=/srv/www/cache\n  rebuild\nroll other b\n  archive / @file=b/kept @one-filesystem\n  rebuild\nroll third c\n  hold x\n  archive / @file=c/kept\n  start x\n  rebuild\n",
        "host a\nmachine a\nfact a stored\nroll up a\n  archive / @exclude=/srv/www/cache\n  rebuild\n",
    ),
    case(
        "nothing-lost",
        "carried away and never brought back",
        "host a\nmachine a\nfact a stored /srv/www\nroll up a\n  persist /srv\n  rebuild\n",
        "host a\nmachine a\nfact a stored\nroll up a\n  rebuild\n",
    ),
    case(
        "nothing-lost",
        "the copy of a dataset brings nothing back",
        "host a\nmachine a\nfact a stored /srv/www\nservice db db.service a\ndataset files db a @paths=/srv\nroll up a\n  backup files /srv\n  rebuild\n",
        "host a\nmachine a\nfact a stored\nservice db db.service a\ndataset files db a @paths=/srv\nroll up a\n  backup files /srv\n  rebuild\n",
    ),
    case(
        "nothing-lost",
        "a volume leaves and never comes back, and a folder beside it stays behind",
        "host a\nmachine a\nfact a mount /srv 1000\nfact a stored /srv/www /home/ada\nroll up a\n  leaves /srv\n  take-over\n",
        "host a\nmachine a\nfact a mount /srv 1000\nfact a stored /srv/www\nroll up a\n  leaves /srv\n  take-over\n  comes /srv\n",
    ),
    case(
        "nothing-lost",
        "what is to go with a volume lies on the machine itself",
        "host a\nmachine a\nfact a stored\nroll up a\n  leaves /srv\n  rebuild\n  comes /srv\n",
        "host a\nmachine a\nfact a mount /srv 1000\nfact a stored\nroll up a\n  leaves /srv\n  rebuild\n  comes /srv\n",
    ),
    case(
        "no-return-stated",
        "the old machine is ended, and nobody says what that means",
        "host a\nmachine a\nroll up a\n  old-ends @undo=empty\n",
        "host a\nmachine a\nroll up a\n  old-ends @undo=by\n",
    ),
    case(
        "nothing-lost",
        "nobody looked what lies there",
        "host a\nroll up a\n  prove-machine\n",
        "host a\nfact a stored /var/lib/postgresql\nfact a databases shop\ndataset orders db a\nroll up a\n  prove-machine\n",
    ),
];
