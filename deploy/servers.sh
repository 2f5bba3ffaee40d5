#!/usr/bin/env bash
# PostgreSQL, an S3 store (OpenStack Swift) and MLflow for a team, on one Debian machine: docs/servers.md
set -euo pipefail
umask 077
here=$(realpath "$(dirname "$0")")

# The settings: `start FOLDER SETTING=VALUE ...` changes them, FOLDER/settings keeps them.
address=127.0.0.1 # on which PostgreSQL and the proxy listen; what is behind the proxy listens on 127.0.0.1 alone
name=127.0.0.1    # by which people reach this machine; the certificate is for it
people=team       # who may use it all; what each needs is in FOLDER/people/NAME
postgres_port=5433 mlflow_port=5443 s3_port=9443
inner_port=6200 # of MLflow behind the proxy; the four ports after it are Swift's
environments=$here/../.venv-cluster # with mlflow/ and swift/ in it
settings=(address name people postgres_port mlflow_port s3_port inner_port environments)

owner=latentlab # as whom it all runs where root starts it: PostgreSQL refuses root, and nothing here needs it
servers=(nginx mlflow swift-proxy swift-account swift-container swift-object postgres)

die() {
    echo "error: $*" >&2
    exit 2
}

(($# >= 2)) || die "usage: deploy/servers.sh start FOLDER [SETTING=VALUE ...], stop|status|backup FOLDER, restore FOLDER BACKUP"
command=$1 folder=$(realpath -m "$2")
if [[ -z ${SERVERS_ALONE-} ]]; then # nothing that the caller has set for PostgreSQL, S3 or a proxy is to count
    as=()
    if ((EUID == 0)); then
        id -u "$owner" &>/dev/null || useradd --system --no-create-home --shell /usr/sbin/nologin "$owner"
        [[ -e $folder || $command != start ]] || install --directory --owner "$owner" --mode 700 "$folder"
        as=(runuser -u "$owner" --)
    fi
    cd / # where everybody may be
    exec "${as[@]}" env -i PATH="$PATH:/usr/sbin" HOME="$folder" LC_ALL=C.UTF-8 SERVERS_ALONE=1 bash "$here/servers.sh" "$command" "$folder" "${@:3}"
fi

[[ $folder =~ ^[A-Za-z0-9/_.-]{2,80}$ ]] || die "$folder: the path may have 80 letters, digits, / _ . and - at most"
[[ -e $folder || $command != start ]] || mkdir -p "$folder" 2>/dev/null || die "$folder cannot be made by $(id -un)"
[[ -O $folder && -d $folder ]] || die "$folder is no folder of $(id -un), as whom the servers run"
[[ -e $folder/settings || $command == start ]] || die "$folder: no servers were started here"
[[ -e $folder/settings || -z $(ls -A "$folder") ]] || die "$folder has other files in it: name a new folder"
# shellcheck source=/dev/null
[[ ! -e $folder/settings ]] || . "$folder/settings"
for pair in "${@:3}"; do
    [[ $command == start ]] || break
    [[ $pair == *=* && " ${settings[*]} " == *" ${pair%%=*} "* ]] || die "$pair: the settings are ${settings[*]}"
    printf -v "${pair%%=*}" %s "${pair#*=}"
done
for person in $people; do
    [[ $person =~ ^[a-z][a-z0-9_]*$ && ! $person =~ ^(pg_.*|admin|mlflow|sessions|objects|studies|public|none|$(id -un))$ ]] ||
        die "people: $person is no name for one: small letters, digits and _, and none that the servers use themselves"
done
mlflow_url=https://$name:$mlflow_port s3_url=https://$name:$s3_port swift_url=http://127.0.0.1:$((inner_port + 1))
swift=$environments/swift/bin mlflow=$environments/mlflow/bin
version=$(cat "$folder/postgres/PG_VERSION" 2>/dev/null || true) # another version cannot read the files of this one
postgres=$(compgen -G "/usr/lib/postgresql/${version:-*}/bin" | sort -V | tail -n 1 || true)
for program in "${postgres:-PostgreSQL}/postgres" "$swift/python" "$swift/swift-proxy-server" "$mlflow/python" "$mlflow/mlflow" nginx openssl curl; do
    type "$program" &>/dev/null || die "$program is not there, or not for $(id -un): tests/cluster/install.sh installs it"
done

# --- what runs: each server has a session of its own, with which all ends that it has started

running() { # the number alone may be that of another process by now, so when it began counts, too
    local process began about
    read -r process began 2>/dev/null <"$folder/run/$1.pid" && read -ra about 2>/dev/null <"/proc/$process/stat" &&
        [[ ${about[2]} != Z && ${about[21]} == "$began" ]]
}

launch() { # NAME COMMAND...
    local about
    setsid "${@:2}" </dev/null >>"$folder/log/$1.log" 2>&1 &
    read -ra about <"/proc/$!/stat"
    echo "$! ${about[21]}" >"$folder/run/$1.pid"
}

wait_for() { # NAME COMMAND...: until the command does well
    for _ in {1..480}; do
        ! "${@:2}" &>/dev/null || return 0
        sleep 0.5
        running "$1" || break
    done
    die "$1 does not answer: see $folder/log/$1.log"
}

free() { # HOST PORT SETTING
    ! (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null || die "port $2 is taken: end what listens there, or: start $folder $3=PORT"
}

ask() { # through the proxy, as people do; this machine need not know its name
    curl --silent --fail --max-time 20 --output /dev/null --cacert "$folder/tls/ca.pem" --connect-to "::$address:" "$@"
}

pg() { # PROGRAM OPTION...: of PostgreSQL, as its superuser, through a socket in our folder
    "$postgres/$1" --host "$folder/run" --port "$postgres_port" "${@:2}"
}

make_certificates() {
    local kind=DNS new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config "$folder/tls/none.cnf")
    [[ $name =~ [A-Za-z] ]] || kind=IP
    printf '[req]\ndistinguished_name = name\n[name]\n' >"$folder/tls/none.cnf"
    if [[ ! -e $folder/tls/ca.pem ]]; then
        "${new[@]}" -subj "/CN=latentlab servers" -days 3650 -keyout "$folder/tls/ca.key" -out "$folder/tls/ca.pem" \
            -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
    fi
    "${new[@]}" -subj "/CN=$name" -days 800 -keyout "$folder/tls/server.key" -out "$folder/tls/server.pem" \
        -CA "$folder/tls/ca.pem" -CAkey "$folder/tls/ca.key" \
        -addext basicConstraints=CA:FALSE -addext "subjectAltName=$kind:$name"
}

start_postgres() {
    if [[ ! -e $folder/postgres ]]; then
        "$postgres/initdb" --pgdata "$folder/postgres" --auth peer --encoding UTF8 --data-checksums >>"$folder/log/postgres.log"
        echo "include '$folder/run/postgres.conf'" >>"$folder/postgres/postgresql.conf"
    fi
    free "$address" "$postgres_port" postgres_port
    launch postgres "$postgres/postgres" -D "$folder/postgres"
    wait_for postgres pg pg_isready --dbname postgres
}

start_swift() {
    local port=$inner_port server
    for server in proxy account container object; do
        : $((++port))
        ! running "swift-$server" || continue
        free 127.0.0.1 "$port" inner_port
        launch "swift-$server" "$swift/swift-$server-server" "$folder/swift/$server.conf" --verbose
    done
    wait_for swift-proxy curl --silent --fail "$swift_url/healthcheck"
}

make_bucket() { # NAME CREDENTIALS
    AWS_SHARED_CREDENTIALS_FILE=$2 "$mlflow/python" - "$swift_url" "$1" <<'END'
import boto3, sys
store = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1")
if sys.argv[2] not in [bucket["Name"] for bucket in store.list_buckets()["Buckets"]]:
    store.create_bucket(Bucket=sys.argv[2])
END
}

start_mlflow() (
    # shellcheck source=/dev/null
    . "$folder/mlflow/env"
    free 127.0.0.1 "$inner_port" inner_port
    # on a busy machine a worker may be silent for more than the five seconds after which it would be replaced, again and again
    launch mlflow "$mlflow/mlflow" server --app-name basic-auth --host 127.0.0.1 --port "$inner_port" --workers 2 \
        --uvicorn-opts "--timeout-worker-healthcheck 60"
)

start_nginx() {
    free "$address" "$mlflow_port" mlflow_port
    free "$address" "$s3_port" s3_port
    launch nginx nginx -e "$folder/log/nginx.log" -c "$folder/run/nginx.conf"
}

# --- the commands

start() {
    local setting person admin users=$mlflow_url/api/2.0/mlflow/users
    mkdir -p "$folder"/{backups,log,objects/disk,run,tls}
    for setting in "${settings[@]}"; do printf '%s=%q\n' "$setting" "${!setting}"; done >"$folder/settings"
    [[ -e $folder/tls/server.pem ]] || make_certificates 2>>"$folder/log/openssl.log"
    "$swift/python" "$here/configure.py" "$folder"
    running postgres || start_postgres
    pg psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --dbname postgres --file "$folder/run/databases.sql"
    start_swift
    make_bucket mlflow "$folder/mlflow/s3"
    make_bucket dvc "$folder/people/${people%% *}/s3"
    running mlflow || start_mlflow
    running nginx || start_nginx
    wait_for mlflow ask "$mlflow_url/health"
    admin=(--netrc-file "$folder/mlflow/netrc")
    for person in $people; do
        ask "${admin[@]}" "$users/get?username=$person" || ask "${admin[@]}" --json "@$folder/run/$person.json" "$users/create" ||
            die "MLflow does not take $person: see $folder/log/mlflow.log"
    done
    echo "MLflow $mlflow_url, S3 $s3_url, PostgreSQL $name:$postgres_port; what people need: $folder/people"
}

stop() {
    local server process
    for server in "${servers[@]}"; do
        running "$server" || continue
        read -r process _ <"$folder/run/$server.pid"
        if [[ $server == postgres ]]; then kill -INT "$process"; else kill -TERM -- "-$process"; fi
        for _ in {1..60}; do
            running "$server" || break
            sleep 0.5
        done
        ! running "$server" || kill -KILL -- "-$process"
    done
}

status() {
    local server code=0
    for server in "${servers[@]}"; do
        if running "$server"; then echo "$server runs"; else code=1 && echo "$server does not run"; fi
    done
    for server in "$mlflow_url/health" "$s3_url/healthcheck"; do
        if ask "$server"; then echo "$server answers"; else code=1 && echo "$server does not answer"; fi
    done
    return $code
}

backup() {
    local database to
    to=$folder/backups/$(date -u +%Y-%m-%dT%H%M%SZ)
    mkdir "$to"
    for database in mlflow studies; do pg pg_dump --format custom --file "$to/$database.dump" "$database"; done
    echo "$to"
    echo "copy to another machine, now that this is made: rsync -aX --exclude /postgres --exclude /run $folder/ ELSEWHERE"
}

restore() { # BACKUP: its name in FOLDER/backups
    local database from=$folder/backups/${1-}
    for database in mlflow studies; do
        "$postgres/pg_restore" --list "$from/$database.dump" &>/dev/null || die "$from is no whole backup"
    done
    for database in mlflow studies; do
        pg dropdb --force --if-exists "$database"
        pg pg_restore --create --exit-on-error --dbname postgres "$from/$database.dump"
    done
}

if [[ $command == @(backup|restore) ]]; then running postgres || die "PostgreSQL does not run: deploy/servers.sh start $folder"; fi
case $command in
    start | stop | status | backup | restore) "$command" "${@:3}" ;;
    *) die "$command: the commands are start, stop, status, backup and restore" ;;
esac
