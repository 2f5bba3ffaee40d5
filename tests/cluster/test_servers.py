"""deploy/servers.sh for real: PostgreSQL, an S3 store and MLflow behind TLS, and a small project that uses all three."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException

import small
from conftest import ROOT

# mlflow warns of its own affairs
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

CLIENT = Path(sys.executable).parent
STORAGE = "os.environ['LATENTLAB_STORAGE']"
DVC = (str(CLIENT / "python"), "-m", "dvc")


class Servers:
    """What the script starts in a folder, at ports that are free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports()
        self.mlflow_port = ports[2]
        self.ports = [
            f"inner_port={ports[0]}",
            f"postgres_port={ports[5]}",
            f"mlflow_port={ports[6]}",
            f"s3_port={ports[7]}",
        ]
        self.uri, self.s3 = f"https://127.0.0.1:{ports[6]}", f"https://127.0.0.1:{ports[7]}"

    def attempt(self, command: str, *words: str) -> tuple[int, str]:
        call = [ROOT / "deploy/servers.sh", command, self.folder, *words]
        done = subprocess.run(call, text=True, capture_output=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr

    def run(self, command: str, *words: str) -> str:
        code, said = self.attempt(command, *words)
        assert code == 0, said
        return said

    def start(self) -> str:
        return self.run("start", "people=alice bob", *self.ports)

    def process(self, server: str) -> int:
        return int((self.folder / f"run/{server}.pid").read_text(encoding="ascii").split()[0])

    def secrets(self) -> set[str]:
        return {path.read_text(encoding="ascii").strip() for path in (self.folder / "secrets").iterdir()}


def free_ports() -> list[int]:
    """Eight that follow one another and that nobody listens on."""
    while True:
        first = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if all(probe.connect_ex(("127.0.0.1", first + offset)) for offset in range(8)):
                return [*range(first, first + 8)]


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A folder with a short path, as sockets need, into which the user may look as whom the servers run."""
    folder = Path(tempfile.mkdtemp(prefix="latentlab-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def servers(scratch: Path) -> Iterator[Servers]:
    servers = Servers(scratch / "servers")
    try:
        servers.start()
        yield servers
    finally:
        servers.attempt("stop")


def person(servers: Servers, name: str, home: Path) -> dict[str, str]:
    """The environment of a person who was given their folder, with the packages that the project's environment lacks."""
    shutil.copytree(servers.folder / "people" / name, home / ".latentlab")
    given = {"HOME": str(home), "PATH": f"{CLIENT}{os.pathsep}{os.environ['PATH']}"}
    call = [shutil.which("sh"), "-c", ". ~/.latentlab/env && env -0"]
    said = subprocess.run(call, env=given, text=True, capture_output=True, check=True).stdout
    return dict(line.split("=", 1) for line in said.split("\0") if line)


def use_remote(project: small.Project, servers: Servers, *, is_new: bool) -> None:
    """As docs/servers.md says; what is new in .dvc/config is for git, the rest stays with the person."""
    if is_new:
        project.run(*DVC, "remote", "add", "--default", "storage", "s3://dvc/latentlab")
        project.run(*DVC, "remote", "modify", "storage", "endpointurl", servers.s3)
    own = Path(project.environment["HOME"]) / ".latentlab"
    project.run(*DVC, "remote", "modify", "--local", "storage", "ssl_verify", str(own / "ca.pem"))
    project.run(*DVC, "remote", "modify", "--local", "storage", "credentialpath", str(own / "s3"))


@pytest.fixture(scope="module")
def project(servers: Servers, tmp_path_factory: pytest.TempPathFactory, mnist_gz_folder: Path) -> small.Project:
    """Alice's, all of it made, logged and pushed."""
    folder = tmp_path_factory.mktemp("alice")
    project = small.make(folder / "project", mnist_gz_folder)
    project.environment |= person(servers, "alice", folder)
    use_remote(project, servers, is_new=True)
    said = project.run("latentlab", "repro", "--jobs", "2")
    assert {*small.stages_that_ran(said)} == small.ALL
    project.commit()
    project.run(*DVC, "push")
    return project


@pytest.fixture
def alice(project: small.Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[mlflow.MlflowClient]:
    """In this process."""
    for name in ("TRACKING_URI", "TRACKING_USERNAME", "TRACKING_PASSWORD", "TRACKING_SERVER_CERT_PATH"):
        monkeypatch.setenv(f"MLFLOW_{name}", project.environment[f"MLFLOW_{name}"])
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    yield mlflow.MlflowClient(project.environment["MLFLOW_TRACKING_URI"])
    mlflow.set_tracking_uri(None)


def trained(client: mlflow.MlflowClient, experiment_name: str = "latentlab") -> dict[str, mlflow.entities.Run]:
    """The runs of trainings, by name; not the means above them."""
    experiment = client.get_experiment_by_name(experiment_name)
    found = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in found if "seeds" not in run.data.tags}


def in_python(environment: dict[str, str], code: str) -> tuple[int, str]:
    call = [CLIENT / "python", "-W", "ignore", "-c", f"import botocore.session, optuna, os, psycopg\n{code}"]
    done = subprocess.run(call, env=os.environ | environment, text=True, capture_output=True, check=False, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_the_runs_and_their_files_are_there_for_those_with_a_password(project, alice, monkeypatch, tmp_path):
    runs = trained(alice)
    assert sorted(runs) == sorted(small.RUNS)
    run = runs["mlp_8-mnist-fast-0"]
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    path = alice.download_artifacts(run.info.run_id, "checkpoint", str(tmp_path))
    made = next((project.folder / "models/mnist/fast/mlp_8/seed_0").glob("*.safetensors"))
    assert (Path(path) / made.name).read_bytes() == made.read_bytes()
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    with pytest.raises(MlflowException, match="401"):
        alice.get_run(run.info.run_id)
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}")
    with pytest.raises(MlflowException, match="401"):
        alice.get_run(run.info.run_id)


def test_a_clone_of_somebody_else_takes_all_from_the_store_and_logs_nothing_twice(servers, project, alice, tmp_path):
    before = {name: run.info.run_id for name, run in trained(alice).items()}
    clone = small.Project(tmp_path / "project", Path(project.environment["LATENTLAB_MNIST"]))
    subprocess.run(["git", "clone", "--quiet", project.folder, clone.folder], check=True)
    clone.environment |= person(servers, "bob", tmp_path)
    use_remote(clone, servers, is_new=False)
    said = clone.run("latentlab", "repro", "--pull")
    assert small.stages_that_ran(said) == []
    assert clone.made() == project.made()
    assert {name: run.info.run_id for name, run in trained(alice).items()} == before


def test_a_wrong_password_is_one_line_before_any_training(project, monkeypatch):
    monkeypatch.setitem(project.environment, "MLFLOW_TRACKING_PASSWORD", "hush")
    code, said = project.attempt("latentlab", "repro")
    assert code == 2
    assert said.startswith("error: MLflow at https://")
    assert "401" in said
    assert "mend its address or password" in said
    assert said.count("\n") == 1
    assert "hush" not in said


def test_the_store_ends_during_a_push_and_a_later_one_completes_it(servers, project, tmp_path):
    before = (project.folder / ".dvc/config").read_bytes()
    project.run(*DVC, "remote", "modify", "storage", "url", "s3://dvc/other")
    process = project.start(*DVC, "push", said=tmp_path / "said")
    objects = servers.folder / "objects/disk/objects"
    count = len(list(objects.rglob("*.data")))
    over = time.monotonic() + 120
    while len(list(objects.rglob("*.data"))) < count + 5:
        assert process.poll() is None, (tmp_path / "said").read_text(encoding="utf-8")
        assert time.monotonic() < over
    os.kill(servers.process("swift-proxy"), signal.SIGKILL)
    assert process.wait(300) != 0
    assert "swift-proxy does not run" in servers.attempt("status")[1]
    said = (tmp_path / "said").read_text(encoding="utf-8").partition("\n\n")[0]  # without where DVC gives help
    # DVC's own: a line for each file
    assert all(line.startswith("ERROR: ") and "Bad Gateway" in line for line in said.splitlines())
    servers.start()
    assert "pushed" in project.run(*DVC, "push")
    assert "Everything is up to date" in project.run(*DVC, "push")
    (project.folder / ".dvc/config").write_bytes(before)


@pytest.mark.parametrize("server", ["postgres", "swift-proxy"])
def test_a_server_that_is_killed_during_a_training_stops_nothing_and_loses_nothing(
    servers, project, alice, monkeypatch, tmp_path, server
):
    copy = small.copy_of(project.folder, tmp_path / "project", Path(project.environment["LATENTLAB_MNIST"]))
    copy.environment |= {name: value for name, value in project.environment.items() if name.startswith("MLFLOW_")}
    copy.environment["MLFLOW_EXPERIMENT_NAME"] = server
    content = copy.params()
    content["run"]["seeds"] = [1]
    content["recipes"]["fast"]["vae"] |= {"epochs": 40}
    copy.write_params(content)
    process = copy.start(*DVC, "repro", "train@vae_2-mnist-fast-1", said=tmp_path / "said")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", server)

    def found() -> dict[str, mlflow.entities.Run]:
        return trained(alice, server) if alice.get_experiment_by_name(server) else {}

    over = time.monotonic() + 120
    while not any("curve/train_loss" in run.data.metrics for run in found().values()):
        assert process.poll() is None, (tmp_path / "said").read_text(encoding="utf-8")
        assert time.monotonic() < over
    os.kill(servers.process(server), signal.SIGKILL)
    assert process.wait(300) == 0
    said = (tmp_path / "said").read_text(encoding="utf-8")
    assert said.count("does not take the run vae_2-mnist-fast-1") == 1, said
    assert "the work goes on; `latentlab sync` logs it from its files" in said
    servers.start()
    assert "vae_2-mnist-fast-1: logged from the output files" in copy.run("latentlab", "sync", "vae_2")
    run = found()["vae_2-mnist-fast-1"]
    assert len(found()) == 1
    assert run.info.status == "FINISHED"
    assert len(alice.get_metric_history(run.info.run_id, "curve/train_loss")) == 40
    path = alice.download_artifacts(run.info.run_id, "checkpoint", str(tmp_path))
    made = next((copy.folder / "models/mnist/fast/vae_2/seed_1").glob("*.safetensors"))
    assert (Path(path) / made.name).read_bytes() == made.read_bytes()


def test_a_study_is_the_teams_and_the_rest_of_the_servers_is_not(servers, project, tmp_path):
    bob = person(servers, "bob", tmp_path)
    study = f"study = optuna.create_study(storage={STORAGE}, study_name='of all', load_if_exists=True)\n"
    study += "study.optimize(lambda trial: trial.suggest_float('x', 0, 1), n_trials=2); print('trials:', len(study.trials))"
    for environment, num_trials in ((project.environment, 2), (bob, 4)):
        code, said = in_python(environment, study)
        assert code == 0, said
        assert f"trials: {num_trials}\n" in said
    url = bob["LATENTLAB_STORAGE"].replace("+psycopg", "")
    for password, other, why in (
        (bob["PGPASSWORD"], url.replace("/studies?", "/mlflow?"), "no pg_hba.conf entry"),
        (bob["PGPASSWORD"], url.replace("/studies?", "/postgres?"), "no pg_hba.conf entry"),
        (bob["PGPASSWORD"], url.replace("bob@", "mlflow@"), "no pg_hba.conf entry"),
        (bob["PGPASSWORD"], url.replace("verify-full", "disable"), "no encryption"),
        ("wrong", url, "password authentication failed"),
    ):
        code, said = in_python(bob | {"PGPASSWORD": password}, f"psycopg.connect({other!r})")
        assert code != 0
        assert why in said
    own = {
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / ".latentlab/s3"),
        "AWS_CA_BUNDLE": str(tmp_path / ".latentlab/ca.pem"),
    }
    store = f"store = botocore.session.get_session().create_client('s3', 'us-east-1', endpoint_url={servers.s3!r})\n"
    buckets = store + "print([bucket['Name'] for bucket in store.list_buckets()['Buckets']])"
    assert in_python(bob | own, buckets) == (0, "['dvc']\n")  # and none of MLflow's
    (tmp_path / ".latentlab/s3").write_text("[default]\naws_access_key_id = dvc:bob\naws_secret_access_key = wrong\n")
    code, said = in_python(bob | own, buckets)
    assert code != 0
    assert "SignatureDoesNotMatch" in said


def test_a_backup_brings_back_what_was_deleted_since_also_elsewhere(servers, project, alice, scratch, tmp_path):
    name = servers.run("backup").splitlines()[0].rpartition("/")[2]
    before = {each: run.data.metrics for each, run in trained(alice).items()}
    experiment = alice.get_experiment_by_name("latentlab").experiment_id
    alice.delete_experiment(experiment)
    in_python(project.environment, f"optuna.delete_study(storage={STORAGE}, study_name='of all')")
    servers.run("restore", name)
    assert {each: run.data.metrics for each, run in trained(alice).items()} == before
    code, said = in_python(project.environment, f"optuna.load_study(storage={STORAGE}, study_name='of all')")
    assert code == 0, said
    code, said = servers.attempt("restore", "2000-01-01")
    assert code == 2
    assert said == f"error: {servers.folder}/backups/2000-01-01 is no whole backup\n"
    # a machine that is new, to which all was copied but what the backup is for
    servers.run("stop")
    other = Servers(scratch / "other")
    subprocess.run(["cp", "--archive", servers.folder, other.folder], check=True)
    shutil.rmtree(other.folder / "postgres")
    try:
        other.start()
        other.run("restore", name)
        client = mlflow.MlflowClient(other.uri)
        run = trained(client)["mlp_8-mnist-fast-0"]
        assert list((Path(client.download_artifacts(run.info.run_id, "checkpoint", str(tmp_path)))).glob("*.safetensors"))
    finally:
        other.attempt("stop")
        servers.start()


def test_nobody_else_reads_a_password(servers):
    secrets = servers.secrets()
    assert len(secrets) == 7
    assert not servers.folder.stat().st_mode & 0o077
    for path in servers.folder.rglob("*"):
        if path.is_file() and any(secret.encode() in path.read_bytes() for secret in secrets):
            assert not path.stat().st_mode & 0o077, path
    for process in Path("/proc").glob("[0-9]*"):
        try:
            call = (process / "cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        assert not any(secret in call for secret in secrets)
    said = servers.start() + servers.attempt("status")[1]
    assert not any(secret in said for secret in secrets)
    logs = "".join(path.read_text(encoding="utf-8", errors="replace") for path in (servers.folder / "log").iterdir())
    assert not any(secret in logs for secret in secrets)


def test_a_second_start_changes_nothing(servers):
    names = [path.stem for path in (servers.folder / "run").glob("*.pid")]
    assert len(names) == 7
    before = {name: servers.process(name) for name in names}
    servers.start()
    assert {name: servers.process(name) for name in names} == before
    assert servers.run("status").count(" runs\n") == 7


def test_what_hinders_a_start_is_one_line(servers, scratch):
    def error(name: str, *words: str, command: str = "start") -> str:
        code, said = Servers(scratch / name).attempt(command, *words)
        assert code == 2
        assert said.startswith("error: ")
        assert said.count("\n") == 1
        return said

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert f"port {port} is taken" in error("taken", f"postgres_port={port}")
    assert "python is not there" in error("without", f"environments={scratch}")
    for name, owner in (("of_another", 1), ("with_files", servers.folder.stat().st_uid)):
        (scratch / name).mkdir()
        (scratch / name / "mine").touch()
        if os.getuid() == 0:
            os.chown(scratch / name, owner, owner)
    if os.getuid() == 0:
        assert "is no folder of" in error("of_another")
    assert "the path may have" in error("with spaces")
    assert "has other files in it" in error("with_files")
    assert "is no folder of" in error("nothing", command="status")
    assert "the settings are address" in error("setting", "port=1")
    assert "Alice is no name" in error("name", "people=Alice")
    assert "the commands are" in error("servers", command="begin")
