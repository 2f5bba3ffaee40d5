"""Stages on the workers of a Dask scheduler: hosts that share no folder."""

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import psutil
import pytest

from hosts import RUN, Host, check, ended_well, stages, wait_for
from small import copy_of

pytest_plugins = ["cluster_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]


def test_two_hosts_without_a_shared_folder_make_the_bytes_of_one_machine_and_a_gpu_only_trains(cluster, untrained, wanted):
    hosts = [cluster.worker("a", untrained, "--resources", "GPU=1"), cluster.worker("b", untrained)]
    for host in hosts:
        wait_for(lambda host=host: "Registered to" in host.said(), 60)
    untrained.environment |= {"AWS_SECRET_ACCESS_KEY": "only here", "MLFLOW_TRACKING_USERNAME": "somebody"}
    process = cluster.repro(untrained, "evaluate", "probe")
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

    wait_for(look, 480, cluster.driver.said())
    said = ended_well(process, cluster.driver)
    check(untrained, wanted)
    assert not seen, "a secret of the driver has reached a worker"
    places = re.findall(r"^\[\d+/\d+\] (\w+)@\S+-1  [\d.]+ s on (\w+)$", said, re.MULTILINE)
    assert sorted(places) == [("evaluate", "b")] * 2 + [("probe", "b")] * 2 + [("train", "a")] * 2
    assert not any((host.folder / "mlruns").exists() for host in hosts)
    assert untrained.finished() == [f"{name}-mnist-fast-{seed}" for name in ("mlp_8", "vae_2") for seed in (0, 1)]
    means = {run.data.tags["variant"]: run.data.tags["seeds"] for run in untrained.search("") if "seeds" in run.data.tags}
    assert means == {"mlp_8": "0 1", "vae_2": "0 1"}


def test_two_drivers_at_once_one_of_them_and_a_worker_behind_slow_links(cluster, untrained, wanted, tmp_path):
    other = copy_of(untrained.folder, tmp_path / "second", Path(untrained.environment["LATENTLAB_MNIST"]))
    cluster.worker("a", untrained)
    second = cluster.network.host("second")
    for host in (second, cluster.worker("b", untrained)):
        host.slow("8mbit")
    asked = stages("train", "evaluate")
    processes = [cluster.repro(untrained, *asked), cluster.repro(other, *asked, host=second)]
    for process, host in zip(processes, (cluster.driver, second), strict=True):
        ended_well(process, host)
    for each in (untrained, other):
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
    wait_for(lambda: "ready to accept connections" in host.said(), 60, host.said())
    return f"postgresql+psycopg://me@{host.address}:5432/postgres"


def test_a_host_that_is_killed_in_a_trial_of_a_study_loses_nothing(cluster, untrained):
    content = untrained.params("study/params.yaml")
    content["study"] |= {"num_trials": 8, "stale_after_seconds": 15, "halving": None}
    untrained.write_params(content, "study/params.yaml")
    with TemporaryDirectory() as folder:  # which the user postgres may enter
        untrained.environment["LATENTLAB_STORAGE"] = start_postgres(cluster.head, Path(folder))
        hosts = [cluster.worker(name, untrained) for name in ("a", "b")]
        command = ("latentlab", "study", "run", "--cluster", cluster.url)
        process = cluster.driver.start(*command, environment=untrained.environment, folder=untrained.folder)
        for host in hosts:
            wait_for(host.has_stage, 120, cluster.driver.said())
        wait_for(lambda: "on the front" in cluster.driver.said(), 120, cluster.driver.said())
        hosts[0].kill()
        said = ended_well(process, cluster.driver)
        cluster.head.kill()
    trials = pd.read_csv(untrained.folder / "study/search/trials.csv")
    assert (trials["state"] == "finished").sum() == 8, said
    assert (trials["state"] == "failed").sum() <= 1  # tried again; none if it was killed between two trials


def test_a_study_on_a_cluster_needs_a_storage_that_others_reach(untrained):
    code, said = untrained.attempt("latentlab", "study", "run", "--cluster", "tcp://127.0.0.1:9")
    assert code == 2
    assert "--cluster needs a storage that other machines reach, sqlite:///study/study.db is a file of this one" in said


def test_nothing_answers_at_the_address(untrained):
    code, said = untrained.attempt("latentlab", "repro", "--cluster", "tcp://127.0.0.1:9", "evaluate")
    assert code == 2
    assert said.startswith("error: --cluster tcp://127.0.0.1:9: no Dask scheduler answers there: ")
    assert said.count("\n") == 1
