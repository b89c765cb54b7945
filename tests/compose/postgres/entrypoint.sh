# As the official image does: begins as root, gives the folder to postgres, makes the cluster once, and runs as postgres.
set -eu
as() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }
mkdir -p "$PGDATA" /var/run/postgresql
chown -R postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    word=$(mktemp)
    cat "$POSTGRES_PASSWORD_FILE" >"$word"
    chown postgres "$word"
    as initdb -D "$PGDATA" -U "$POSTGRES_USER" --pwfile="$word" --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm "$word"
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
    as pg_ctl -D "$PGDATA" -w -o "-c listen_addresses=''" start >/dev/null
    as createdb -U "$POSTGRES_USER" "$POSTGRES_DB"
    as pg_ctl -D "$PGDATA" -w stop >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups postgres -D "$PGDATA" -c 'listen_addresses=*'
