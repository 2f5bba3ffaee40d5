#!/usr/bin/env bash
# What deploy/servers.sh and the tests in this folder need: packages of Debian, and in .venv-cluster/ environments, which are
# several, as pip needs minutes to find versions that fit all of it at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USER=0

missing=()
compgen -G "/usr/lib/postgresql/*/bin/postgres" >/dev/null || missing+=(postgresql)
[[ -x /usr/sbin/nginx ]] || missing+=(nginx)
[[ -x /usr/bin/curl ]] || missing+=(curl)
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends "${missing[@]}"
fi

environment() { # PYTHON NAME PIP_OPTION...
    [[ -e .venv-cluster/$2/bin/pip ]] || "$1" -m venv ".venv-cluster/$2"
    ".venv-cluster/$2/bin/pip" install --quiet "${@:3}"
}

# the servers run as a user of their own, for whom a Python in somebody's home is not there; MLflow is the project's version
environment /usr/bin/python3 swift swift==2.38.3
environment /usr/bin/python3 mlflow "mlflow[auth]==$(sed -n 's/^mlflow==\([^ ]*\).*/\1/p' requirements.lock)" boto3 'psycopg[binary]'

if python3 -c 'import latentlab' 2>/dev/null; then # what people add to the environment of their project, here beside it
    environment python3 client 'setuptools>=77'
    python3 -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$(echo .venv-cluster/client/lib/python*/site-packages)/project.pth"
    environment python3 client dvc-s3 'psycopg[binary]'
    environment python3 client --no-deps --no-build-isolation --editable .
fi
