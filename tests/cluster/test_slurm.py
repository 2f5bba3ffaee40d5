"""The recipe of docs/cluster.md for SLURM, on two nodes; if asked for, other ways beside it to do the same work."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from hosts import OUTPUTS, SCHEDULER, WORKER, Host, Network, dask_environment, need_namespaces, wait_for, with_one_seed_more
from small import same

pytest_plugins = ["cluster_fixtures"]
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore")]

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


WAYS = ("one worker", "two workers", "two hosts", "SLURM")


@pytest.mark.parametrize("ways", [("SLURM",), pytest.param(WAYS, marks=pytest.mark.slow)], ids=["slurm", "all"])
def test_slurm_and_other_ways_make_the_bytes_of_one_machine(small_project, wanted, network, tmp_path, capsys, ways):
    targets = ("evaluate", "probe")
    driver, head = network.host("driver"), network.host("head")
    nodes = {name: [network.host(each) for each in hosts] for name, hosts in (("two hosts", "ab"), ("SLURM", "cd"))}
    url, num_workers = f"tcp://{head.address}:8786", 0
    head.start(*SCHEDULER, "--host", head.address, environment=dask_environment())
    for name in ways:
        project = with_one_seed_more(small_project, tmp_path / name)
        if name in nodes:
            num_workers += 2
        if name == "SLURM":
            worker = " ".join(WORKER)
            options = "--requeue --array=0-1 --cpus-per-task=1 --mem=4000 --output=/dev/null --chdir=/tmp"
            job = f"sbatch {options} --wrap '{worker} {url}'"
            start_slurm(head, nodes[name], tmp_path / "slurm", job)
        elif name == "two hosts":
            for node in nodes[name]:
                node.start(*WORKER, url, "--host", node.address, environment=dask_environment(), hidden=project.folder)
        wait_for(partial(has_workers, head, num_workers), 120, head.said())
        started = time.monotonic()
        if name in nodes:
            before = driver.said()
            command = ("latentlab", "repro", "--cluster", url, *targets)
            process = driver.start(*command, environment=project.environment, folder=project.folder)
            assert process.wait(timeout=300) == 0, driver.said()
            said = driver.said()[len(before) :]
        else:
            project.environment["OMP_NUM_THREADS"] = "1"
            said = project.run("latentlab", "repro", "--jobs", "1" if name == "one worker" else "2", *targets)
        taken = time.monotonic() - started
        stages = [float(each) for each in re.findall(r"@\S+-1  ([\d.]+) s", said)]
        assert len(stages) == 6, said
        [running] = re.findall(r"up to date; ([\d.]+) s", said)
        with capsys.disabled():
            print(f"\n{name}: {taken:.1f} s, {running} s until all were done, {sum(stages) / 6:.2f} s a stage")
        made = project.files(*OUTPUTS)
        assert made.keys() == wanted.keys()
        same(made, wanted)
        if name == "two hosts":
            for node in nodes[name]:
                node.kill()
