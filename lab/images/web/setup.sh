# The start page is the lab's own, so that an upgrade of the package cannot change what a check reads.
printf 'lab\n' >/var/www/html/index.html
