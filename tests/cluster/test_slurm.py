"""The recipe of docs/cluster.md for SLURM, on two nodes; the same work by one worker, two workers, two hosts and SLURM."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hosts import SCHEDULER, WORKER, Host, Network, dask_environment, need_namespaces, wait_for
from small import Project, copy_of, same

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

OUTPUTS = ("data", "plans", "models", "results", "dvc.lock")
CONF = """\
ClusterName=test
SlurmctldHost=head({head})
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
# every host has folders of its own where SLURM and MUNGE keep what they know
OWN = """
set -e
for folder in /run /var/spool /var/log/munge /var/lib/munge /etc/slurm /sys/fs/cgroup; do mount -t tmpfs none $folder; done
mkdir -p /run/munge /var/spool/slurmd /var/spool/slurmctld /etc/munge
cp "$1/slurm.conf" "$1/cgroup.conf" /etc/slurm/
cp "$1/munge.key" /run/munge.key
chown -R munge:munge /run/munge /run/munge.key /var/log/munge /var/lib/munge
chmod 755 /run/munge
chmod 400 /run/munge.key
setpriv --reuid munge --regid munge --clear-groups munged --key-file /run/munge.key
"""


@pytest.fixture(scope="module", autouse=True)
def _slurm() -> None:
    need_namespaces()
    pytest.importorskip("distributed")
    if missing := [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name)]:
        pytest.skip(f"not installed here: {', '.join(missing)}")


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    (tmp_path / "hosts").mkdir()
    network = Network(tmp_path / "hosts")
    try:
        yield network
    finally:
        network.close()


def project_of(origin: Project, folder: Path) -> Project:
    """A copy of a project in which two seeds are not trained yet."""
    copy = copy_of(origin.folder, folder, Path(origin.environment["LATENTLAB_MNIST"]))
    content = copy.params()
    content["run"]["seeds"] = [0, 1, 2]
    copy.write_params(content)
    return copy


def start_slurm(head: Host, nodes: list[Host], folder: Path, job: str) -> None:
    """Begins a controller, which submits a job as soon as it can, and nodes."""
    folder.mkdir()
    lines = [f"NodeName={node.name} NodeAddr={node.address} CPUs=1 RealMemory=4000 State=UNKNOWN" for node in nodes]
    (folder / "slurm.conf").write_text(CONF.format(head=head.address, nodes="\n".join(lines)), encoding="utf-8")
    (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n", encoding="utf-8")
    (folder / "munge.key").write_bytes(os.urandom(128))
    for node in nodes:
        node.start("sh", "-c", f"{OWN}\nexec slurmd -D -N {node.name}", "sh", str(folder), environment=dask_environment())
    submit = f"slurmctld -D & until {job}; do sleep 1; done; wait"
    head.start("sh", "-c", f"{OWN}\n{submit}", "sh", str(folder), environment=dask_environment())


def has_workers(head: Host, number: int) -> bool:
    """Whether so many workers have come to the scheduler, those that have gone included."""
    return head.said().count("Register worker") >= number


def test_one_worker_two_workers_two_hosts_and_slurm_make_the_same_bytes(small_project, network, tmp_path, capsys):
    targets, made, spent = ("evaluate", "probe"), {}, {}

    def measured(name: str, started: float, said: str) -> None:
        taken = time.monotonic() - started
        stages = [float(each) for each in re.findall(r"@\S+-[12]  ([\d.]+) s", said)]
        assert len(stages) == 12, said
        [running] = re.findall(r"up to date; ([\d.]+) s", said)
        spent[name] = f"{taken:.1f} s, {running} s of them until all were done, {sum(stages) / 12:.2f} s of a worker each"

    for name, jobs in (("one worker", "1"), ("two workers", "2")):
        project = project_of(small_project, tmp_path / name)
        project.environment["OMP_NUM_THREADS"] = "1"
        started = time.monotonic()
        measured(name, started, project.run("latentlab", "repro", "--jobs", jobs, *targets))
        made[name] = project.files(*OUTPUTS)
    driver, head = network.host("driver"), network.host("head")
    nodes = [network.host(name) for name in ("a", "b", "c", "d")]
    url = f"tcp://{head.address}:8786"
    head.start(*SCHEDULER, "--host", head.address, environment=dask_environment())
    for num_workers, name in ((2, "two hosts"), (4, "SLURM")):
        project = project_of(small_project, tmp_path / name)
        if name == "SLURM":
            worker = " ".join(WORKER)
            options = "--requeue --array=0-1 --cpus-per-task=1 --mem=4000 --output=/dev/null --chdir=/tmp"
            job = f"sbatch {options} --wrap '{worker} {url}'"
            start_slurm(head, nodes[2:], tmp_path / "slurm", job)
        else:
            for node in nodes[:2]:
                node.start(*WORKER, url, "--host", node.address, environment=dask_environment(), hidden=project.folder)
        wait_for(partial(has_workers, head, num_workers), 120, head.said())
        started, before = time.monotonic(), driver.said()
        command = ("latentlab", "repro", "--cluster", url, *targets)
        process = driver.start(*command, environment=project.environment, folder=project.folder)
        assert process.wait(timeout=300) == 0, driver.said()
        measured(name, started, driver.said()[len(before) :])
        made[name] = project.files(*OUTPUTS)
        for node in nodes[:2]:
            node.kill()
    for name in made:
        assert made[name].keys() == made["one worker"].keys(), name
        same(made[name], made["one worker"])
    with capsys.disabled():
        print("\n".join(f"{name}: 12 stages in {each}" for name, each in spent.items()))
