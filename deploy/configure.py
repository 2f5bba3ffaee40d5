"""Writes the passwords and the configuration of what `servers.sh start FOLDER` starts; the Python is that of Swift."""

import getpass
import os
import secrets
import shlex
import sys
from pathlib import Path

from swift.common.ring import RingBuilder

FOLDER = Path(sys.argv[1])
SETTINGS = dict(shlex.split(line)[0].split("=", 1) for line in (FOLDER / "settings").read_text().splitlines())
ADDRESS, NAME, PEOPLE = SETTINGS["address"], SETTINGS["name"], SETTINGS["people"].split()
POSTGRES_PORT, MLFLOW_PORT, S3_PORT = SETTINGS["postgres_port"], SETTINGS["mlflow_port"], SETTINGS["s3_port"]
MLFLOW, SWIFT = f"127.0.0.1:{SETTINGS['inner_port']}", int(SETTINGS["inner_port"]) + 1
DATABASE = f"postgresql+psycopg://mlflow@/mlflow?host={FOLDER}/run&port={POSTGRES_PORT}"

CREDENTIALS = "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n"


def write(path: str, text: str) -> None:
    """Writes a file that its owner alone can read."""
    (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
    (FOLDER / path).write_text(text.lstrip("\n"), encoding="ascii")


def secret(name: str) -> str:
    """A password, made when it is first asked for."""
    path = FOLDER / "secrets" / name
    if not path.exists():
        write(f"secrets/{name}", secrets.token_hex(24))
    return path.read_text(encoding="ascii").strip()


def postgres() -> None:
    """MLflow comes through a socket in our folder, people by TLS and to the studies alone."""
    write(
        "run/postgres.conf",
        f"""
listen_addresses = '{ADDRESS}'
port = {POSTGRES_PORT}
unix_socket_directories = '{FOLDER}/run'
hba_file = '{FOLDER}/run/pg_hba.conf'
ssl = on
ssl_cert_file = '{FOLDER}/tls/server.pem'
ssl_key_file = '{FOLDER}/tls/server.key'
""",
    )
    write(
        "run/pg_hba.conf",
        f"""
local   all      {getpass.getuser()}  peer
local   mlflow   mlflow               scram-sha-256
hostssl studies  +studies  all        scram-sha-256
""",
    )
    sql = ""
    for role in ("mlflow", "studies"):
        sql += f"""
SELECT 'CREATE ROLE {role}' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') \\gexec
SELECT 'CREATE DATABASE {role} OWNER {role}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{role}') \\gexec
REVOKE ALL ON DATABASE {role} FROM PUBLIC;
"""
    sql += f"ALTER ROLE mlflow LOGIN PASSWORD '{secret('mlflow')}';\n"
    for person in PEOPLE:  # what one of them makes belongs to all
        sql += f"""
SELECT 'CREATE ROLE {person} IN ROLE studies' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{person}') \\gexec
ALTER ROLE {person} LOGIN PASSWORD '{secret(person)}';
ALTER ROLE {person} SET role = studies;
"""
    write("run/databases.sql", sql)


def swift() -> None:
    """One disk, each object once; MLflow has an account, and people share one, in which their DVC remotes are."""
    write("swift/swift.conf", f"[swift-hash]\nswift_hash_path_suffix = {secret('objects')}\n")
    for port, server in enumerate(("proxy", "account", "container", "object"), SWIFT):
        text = f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {getpass.getuser()}
swift_dir = {FOLDER}/swift
devices = {FOLDER}/objects
mount_check = false
workers = 0
log_level = WARNING
[app:{server}-server]
use = egg:swift#{server}
account_autocreate = true
[pipeline:main]
"""
        if server == "proxy":
            filters = "catch_errors gatekeeper healthcheck listing_formats bulk s3api tempauth copy slo"
            text += f"pipeline = {filters} proxy-server\n"
            for each in sorted(filters.split(), key="tempauth".__eq__):
                text += f"[filter:{each}]\nuse = egg:swift#{each}\n"
            text += f"user_mlflow_server = {secret('objects-mlflow')} .admin\n"  # of tempauth, the last one
            text += "".join(f"user_dvc_{person} = {secret(person)} .admin\n" for person in PEOPLE)
        else:
            text += f"pipeline = {server}-server\n"
            ring = RingBuilder(6, 1, 0)
            ring.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "device": "disk", "weight": 1})
            ring.rebalance(seed=0)
            ring.get_ring().save(str(FOLDER / f"swift/{server}.ring.gz"))
        write(f"swift/{server}.conf", text)


def mlflow() -> None:
    """Everybody may change and delete what the team logs: latentlab replaces the run of a variant that is trained anew.

    To check a password takes a processor a quarter of a second, and comes with each request: so it is done once a minute.
    """
    write(
        "mlflow/auth.ini",
        f"""
[mlflow]
default_permission = MANAGE
auth_cache_ttl_seconds = 60
database_uri = {DATABASE}
admin_username = admin
admin_password = {secret("admin")}
""",
    )
    write("mlflow/pgpass", f"*:*:mlflow:mlflow:{secret('mlflow')}\n")
    write("mlflow/netrc", f"default login admin password {secret('admin')}\n")
    write("mlflow/s3", CREDENTIALS.format("mlflow:server", secret("objects-mlflow")))
    write(
        "mlflow/env",
        f"""
export MLFLOW_BACKEND_STORE_URI='{DATABASE}' PGPASSFILE={FOLDER}/mlflow/pgpass
export MLFLOW_ARTIFACTS_DESTINATION=s3://mlflow/artifacts MLFLOW_S3_ENDPOINT_URL=http://127.0.0.1:{SWIFT}
export AWS_SHARED_CREDENTIALS_FILE={FOLDER}/mlflow/s3 AWS_DEFAULT_REGION=us-east-1
export MLFLOW_AUTH_CONFIG_PATH={FOLDER}/mlflow/auth.ini MLFLOW_FLASK_SERVER_SECRET_KEY={secret("sessions")}
export MLFLOW_SERVER_ALLOWED_HOSTS={NAME},{NAME}:{MLFLOW_PORT} MLFLOW_SERVER_CORS_ALLOWED_ORIGINS=https://{NAME}:{MLFLOW_PORT}
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true DO_NOT_TRACK=true
""",
    )


def nginx() -> None:
    """TLS for MLflow and S3; the name of the host goes on as it came: S3 signs it, MLflow looks whether it is its own."""
    servers = ""
    for port, behind in ((MLFLOW_PORT, MLFLOW), (S3_PORT, f"127.0.0.1:{SWIFT}")):
        servers += f"    server {{ listen {ADDRESS}:{port} ssl; location / {{ proxy_pass http://{behind}; }} }}\n"
    for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
        servers += f"    {kind}_temp_path {FOLDER}/run/{kind};\n"
    write(
        "run/nginx.conf",
        f"""
daemon off;
pid {FOLDER}/run/nginx-master;
events {{}}
http {{
    ssl_certificate {FOLDER}/tls/server.pem;
    ssl_certificate_key {FOLDER}/tls/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    access_log off;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_http_version 1.1;
    proxy_read_timeout 300s;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto https;
{servers}}}
""",
    )


def people() -> None:
    """What becomes ~/.latentlab; the same password is for MLflow, S3 and PostgreSQL."""
    for person in PEOPLE:
        write(f"people/{person}/ca.pem", (FOLDER / "tls/ca.pem").read_text())
        write(f"people/{person}/s3", CREDENTIALS.format(f"dvc:{person}", secret(person)))
        write(
            f"people/{person}/env",
            f"""
export MLFLOW_TRACKING_URI=https://{NAME}:{MLFLOW_PORT} MLFLOW_TRACKING_SERVER_CERT_PATH="$HOME/.latentlab/ca.pem"
export MLFLOW_TRACKING_USERNAME={person} MLFLOW_TRACKING_PASSWORD={secret(person)} PGPASSWORD={secret(person)}
LATENTLAB_STORAGE="postgresql+psycopg://{person}@{NAME}:{POSTGRES_PORT}/studies?sslmode=verify-full"
export LATENTLAB_STORAGE="$LATENTLAB_STORAGE&sslrootcert=$HOME/.latentlab/ca.pem"
""",
        )
        write(f"run/{person}.json", f'{{"username": "{person}", "password": "{secret(person)}"}}')


os.umask(0o077)
for write_all in (postgres, swift, mlflow, nginx, people):
    write_all()
