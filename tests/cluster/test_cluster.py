"""Stages on the workers of a Dask scheduler: hosts that share no folder, faults that are real."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil
import pytest

from hosts import SCHEDULER, WORKER, Host, Network, dask_environment, need_namespaces, wait_for
from small import Project, copy_of, same

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

RUN = "vae_2-mnist-fast-1"
OUTPUTS = ("data", "plans", "models", "results", "dvc.lock")


class Cluster:
    """Hosts for a scheduler, for workers and for whoever calls `latentlab repro`."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.driver, self.head = network.host("driver"), network.host("head")
        self.url = f"tcp://{self.head.address}:8786"
        self.start_scheduler()

    def start_scheduler(self) -> None:
        """Begins it on its host."""
        self.head.start(*SCHEDULER, "--host", self.head.address, environment=dask_environment())

    def worker(self, name: str, project: Project, *options: str, disk: str = "", **environment: str) -> Host:
        """A new host with one worker, which does not see the project."""
        host = self.network.host(name)
        self.start_worker(host, project, *options, disk=disk, **environment)
        return host

    def start_worker(self, host: Host, project: Project, *options: str, disk: str = "", **environment: str) -> None:
        """Begins a worker, again and again as long as its host is there, as systemd does it."""
        loop = ["sh", "-c", 'while true; do "$@"; sleep 1; done', "sh"]
        command = [*loop, *WORKER, self.url, "--host", host.address, "--name", host.name, *options]
        given = dask_environment() | environment
        host.start(*command, environment=given, hidden=project.folder, disk=disk)

    def repro(self, project: Project, *targets: str, host: Host | None = None) -> "subprocess.Popen[bytes]":
        """Begins a call on the driver."""
        command = ["latentlab", "repro", "--cluster", self.url, *targets]
        return (host or self.driver).start(*command, environment=project.environment, folder=project.folder)


def stages(*names: str) -> list[str]:
    return [f"{name}@{RUN}" for name in names]


def ended_well(process: "subprocess.Popen[bytes]", driver: Host, seconds: float = 240) -> str:
    """What a call has said that ends well."""
    code = process.wait(timeout=seconds)
    assert code == 0, driver.said()
    return driver.said()


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    need_namespaces()
    pytest.importorskip("distributed")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "hosts").mkdir()
    network = Network(tmp_path / "hosts")
    try:
        yield Cluster(network)
    finally:
        network.close()


@pytest.fixture(scope="module")
def wanted(small_project: Project) -> dict[str, bytes]:
    """What one machine alone makes of the runs with one seed more."""
    content = small_project.params()
    content["run"]["seeds"] = [0, 1]
    mnist = Path(small_project.environment["LATENTLAB_MNIST"])
    copy = copy_of(small_project.folder, small_project.folder.parent / "local", mnist)
    copy.write_params(content)
    copy.run("latentlab", "repro", "--jobs", "2", "evaluate", "probe")
    return copy.files(*OUTPUTS)


@pytest.fixture
def project(small_project: Project, tmp_path: Path) -> Project:
    """A project in which that seed is not trained yet."""
    copy = copy_of(small_project.folder, tmp_path / "project", Path(small_project.environment["LATENTLAB_MNIST"]))
    content = copy.params()
    content["run"]["seeds"] = [0, 1]
    copy.write_params(content)
    return copy


def check(project: Project, wanted: dict[str, bytes], *runs: str) -> None:
    """The project has what one machine alone makes, of all runs or of those that are named, and MLflow has each once."""
    made = project.files(*OUTPUTS)
    if not runs:
        assert made.keys() == wanted.keys()
    same(made, wanted)
    assert len(project.finished()) == len(set(project.finished()))
    assert {*runs} <= {*project.finished()}


def test_two_hosts_that_share_no_folder_make_the_bytes_of_one_machine(cluster, project, wanted):
    hosts = [cluster.worker(name, project) for name in ("a", "b")]
    project.environment |= {"AWS_SECRET_ACCESS_KEY": "only here", "MLFLOW_TRACKING_USERNAME": "somebody"}
    process = cluster.repro(project, "evaluate", "probe")
    seen: set[str] = set()

    def look() -> bool:
        for host in hosts:
            for number in host.pids():
                try:
                    if psutil.Process(number).environ().get("AWS_SECRET_ACCESS_KEY"):
                        seen.add(host.name)
                except psutil.Error:
                    continue
        return process.poll() is not None

    wait_for(look, 240, cluster.driver.said())
    said = ended_well(process, cluster.driver)
    check(project, wanted)
    assert not seen, "a secret of the driver has reached a worker"
    places = re.findall(r"^\[\d+/\d+\] (\w+)@\S+-1  [\d.]+ s on (\w+)$", said, re.MULTILINE)
    assert sorted(stage for stage, _ in places) == ["evaluate", "evaluate", "probe", "probe", "train", "train"]
    assert {where for _, where in places} == {"a", "b"}
    assert not any((host.folder / "mlruns").exists() for host in hosts)
    assert project.finished() == [f"{name}-mnist-fast-{seed}" for name in ("mlp_8", "vae_2") for seed in (0, 1)]


def test_a_worker_with_a_gpu_is_for_trainings_alone(cluster, project, wanted):
    hosts = [cluster.worker("a", project, "--resources", "GPU=1"), cluster.worker("b", project)]
    for host in hosts:
        wait_for(lambda host=host: "Registered to" in host.said(), 30)
    said = ended_well(cluster.repro(project, "evaluate"), cluster.driver)
    check(project, wanted, RUN)
    places = re.findall(r"^\[\d+/\d+\] (\w+)@\S+-1  [\d.]+ s on (\w+)$", said, re.MULTILINE)
    assert sorted(places) == [("evaluate", "b")] * 2 + [("train", "a")] * 2


@pytest.mark.parametrize("stage", ["train", "probe"])
def test_a_host_that_is_killed_in_a_stage_loses_nothing(cluster, project, wanted, stage):
    a = cluster.worker("a", project)
    if stage == "probe":
        ended_well(cluster.repro(project, *stages("train")), cluster.driver)
    process = cluster.repro(project, *stages(stage))
    wait_for(a.has_stage, 60, cluster.driver.said())
    b = cluster.worker("b", project)
    wait_for(lambda: "Registered to" in b.said(), 30)
    a.kill()
    said = ended_well(process, cluster.driver)
    check(project, wanted, RUN)
    assert f"{stage}@{RUN}" in said
    assert " s on b\n" in said


def test_a_link_that_is_down_for_a_minute_loses_nothing_and_no_two_copies_mix(cluster, project, wanted):
    a = cluster.worker("a", project)
    process = cluster.repro(project, *stages("train", "evaluate"))
    wait_for(a.has_stage, 60, cluster.driver.said())
    a.link("down")
    b = cluster.worker("b", project)
    time.sleep(60)
    a.link("up")
    ended_well(process, cluster.driver)
    check(project, wanted, RUN)
    wait_for(lambda: not a.has_stage() and not b.has_stage(), 30, "a stage that nobody wants ends")


def test_the_scheduler_is_killed_and_restarted(cluster, project, wanted):
    a = cluster.worker("a", project)
    process = cluster.repro(project, *stages("train", "evaluate"))
    wait_for(a.has_stage, 60, cluster.driver.said())
    cluster.head.kill()
    wait_for(lambda: "does not answer" in cluster.driver.said(), 60, cluster.driver.said())
    wait_for(lambda: not a.has_stage(), 60, "a stage that nobody wants ends")
    cluster.start_scheduler()
    said = ended_well(process, cluster.driver)
    check(project, wanted, RUN)
    assert said.count("does not answer") == 1


def test_ctrl_c_ends_the_stages_elsewhere_and_what_has_ended_before_is_logged(cluster, project):
    content = project.params()
    content["recipes"]["fast"]["vae"]["epochs"] = 5000
    project.write_params(content)
    other = RUN.replace("vae_2", "mlp_8")
    hosts = [cluster.worker(name, project) for name in ("a", "b")]
    process = cluster.repro(project, f"evaluate@{other}", *stages("train"))
    wait_for(lambda: other in project.finished(), 90, cluster.driver.said())
    assert f"evaluate@{other}" in cluster.driver.said()
    for number in cluster.driver.pids():
        if "repro" in psutil.Process(number).cmdline():
            os.kill(number, signal.SIGINT)
    assert process.wait(timeout=60) == 130, cluster.driver.said()
    assert f"stopped: train@{RUN}" in cluster.driver.said()
    for host in hosts:
        wait_for(lambda host=host: not host.has_stage(), 30, "the stage ends")
        wait_for(lambda host=host: not [*host.folder.rglob("latentlab-*")], 10, "its folder is gone")


def test_a_driver_that_is_killed_leaves_no_stage_running(cluster, project):
    a = cluster.worker("a", project)
    cluster.repro(project, *stages("train"))
    wait_for(a.has_stage, 60, cluster.driver.said())
    cluster.driver.kill()
    wait_for(lambda: not a.has_stage(), 60, "the stage ends")


def test_a_slow_link(cluster, project, wanted):
    a = cluster.worker("a", project)
    for host in (a, cluster.driver):
        host.slow("8mbit")
    ended_well(cluster.repro(project, *stages("train", "evaluate")), cluster.driver, 300)
    check(project, wanted, RUN)


def test_the_disk_of_a_worker_is_full(cluster, project, wanted):
    cluster.worker("a", project, disk="8m")
    process = cluster.repro(project, *stages("train"))
    wait_for(lambda: "no space is left" in cluster.driver.said(), 60, cluster.driver.said())
    cluster.worker("b", project)
    said = ended_well(process, cluster.driver)
    check(project, wanted, RUN)
    assert f"train@{RUN}: a: no space is left on the disk of" in said
    assert said.count("no space is left") == 1


def test_a_worker_of_another_version_is_refused(cluster, project, wanted, tmp_path):
    other = tmp_path / "other/latentlab-9.9.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: latentlab\nVersion: 9.9\n", encoding="utf-8")
    paths = f"{other.parent}{os.pathsep}{dask_environment()['PYTHONPATH']}"
    cluster.worker("a", project, PYTHONPATH=paths)
    process = cluster.repro(project, *stages("train"))
    wait_for(lambda: "is not used" in cluster.driver.said(), 60, cluster.driver.said())
    wait_for(lambda: "no worker that can be used" in cluster.driver.said(), 30, cluster.driver.said())
    cluster.worker("b", project)
    said = ended_well(process, cluster.driver)
    check(project, wanted, RUN)
    assert said.count("worker a on 10.77.0.3 is not used: latentlab 9.9, and 0.1.0 here\n") == 1


def test_two_drivers_at_once(cluster, project, wanted, tmp_path):
    other = copy_of(project.folder, tmp_path / "second", Path(project.environment["LATENTLAB_MNIST"]))
    for name in ("a", "b"):
        cluster.worker(name, project)
    second = cluster.network.host("second")
    processes = [cluster.repro(project, "evaluate"), cluster.repro(other, "evaluate", host=second)]
    for process, host in zip(processes, (cluster.driver, second), strict=True):
        ended_well(process, host)
    for each in (project, other):
        check(each, wanted, RUN)


def start_postgres(host: Host, folder: Path) -> str:
    """Begins a PostgreSQL on a host, for all hosts; its URL."""
    found = [path for path in (shutil.which("initdb"), *Path("/usr/lib/postgresql").glob("*/bin/initdb")) if path]
    if not found:
        pytest.skip("PostgreSQL is not here: apt-get install postgresql")
    programs, data = Path(found[0]).resolve().parent, folder / "data"
    shutil.chown(folder, "postgres")
    made = [programs / "initdb", "--username=me", "--auth=trust", "-D", data]
    subprocess.run(made, check=True, capture_output=True, cwd="/", user="postgres")
    with (data / "pg_hba.conf").open("a", encoding="ascii") as rules:
        rules.write("host all all 10.77.0.0/24 trust\n")
    user = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
    host.start(*user, str(programs / "postgres"), "-D", str(data), "-h", host.address, "-k", "", folder=Path("/"))
    wait_for(lambda: "ready to accept connections" in host.said(), 30, host.said())
    return f"postgresql+psycopg://me@{host.address}:5432/postgres"


def test_a_host_that_is_killed_in_a_trial_of_a_study_loses_nothing(cluster, project):
    content = project.params("study/params.yaml")
    content["study"] |= {"num_trials": 12, "stale_after_seconds": 15, "halving": None}
    project.write_params(content, "study/params.yaml")
    with TemporaryDirectory() as folder:  # which the user postgres may enter
        project.environment["LATENTLAB_STORAGE"] = start_postgres(cluster.head, Path(folder))
        hosts = [cluster.worker(name, project) for name in ("a", "b")]
        command = ("latentlab", "study", "run", "--cluster", cluster.url)
        process = cluster.driver.start(*command, environment=project.environment, folder=project.folder)
        for host in hosts:
            wait_for(host.has_stage, 60, cluster.driver.said())
        wait_for(lambda: "on the front" in cluster.driver.said(), 120, cluster.driver.said())
        hosts[0].kill()
        said = ended_well(process, cluster.driver)
        cluster.head.kill()
    trials = pd.read_csv(project.folder / "study/search/trials.csv")
    assert (trials["state"] == "finished").sum() == 12, said
    assert (trials["state"] == "failed").sum() <= 1  # tried again; none if it was killed between two trials


def test_a_study_on_a_cluster_needs_a_storage_that_others_reach(project):
    code, said = project.attempt("latentlab", "study", "run", "--cluster", "tcp://127.0.0.1:9")
    assert code == 2
    assert "--cluster needs a storage that other machines reach, sqlite:///study/study.db is a file of this one" in said


def test_nothing_answers_at_the_address(project):
    code, said = project.attempt("latentlab", "repro", "--cluster", "tcp://127.0.0.1:9", "evaluate")
    assert code == 2
    assert said.startswith("error: --cluster tcp://127.0.0.1:9: no Dask scheduler answers there: ")
    assert said.count("\n") == 1
