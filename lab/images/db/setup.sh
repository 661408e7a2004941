# The start page of the web server is the lab's own, so that an upgrade of the package cannot change what a check reads.
printf 'lab\n' >/var/www/html/index.html
