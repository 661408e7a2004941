# The one database server; its rows come by `lab load-postgres`.
systemctl enable --quiet --now postgresql
wait_for 60 "PostgreSQL answers" pg_isready -q
