#!/usr/bin/env bash
# What deploy/servers.sh needs, and with the argument `tests` also the tests in this folder: packages of Debian, and in
# .venv-cluster/ environments, which are several, as pip needs minutes to find versions that fit all of it at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0

missing=()
compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
[[ -x /usr/sbin/nginx ]] || missing+=(nginx)
[[ -x /usr/bin/curl ]] || missing+=(curl)
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if [[ ${1-} == tests ]]; then
    [[ -x /usr/sbin/slurmctld ]] || missing+=(slurmctld slurmd slurm-client munge)
    type ip &>/dev/null || missing+=(iproute2)
fi
if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}"
fi

environment() { # NAME PIP_OPTION...
    [[ -e .venv-cluster/$1/bin/pip ]] || /usr/bin/python3 -m venv ".venv-cluster/$1"
    ".venv-cluster/$1/bin/pip" install --quiet "${@:2}"
}

# the servers run as a user of their own, for whom a Python in somebody's home is not there; MLflow is the project's version
environment swift swift==2.38.3
environment mlflow "mlflow[auth]==$(sed -n 's/^mlflow==\([^ ]*\).*/\1/p' requirements.lock)" boto3 'psycopg[binary]'
