"""Hosts of a network that leads nowhere: network namespaces on a bridge, each with a name and processes of its own.

On them a Dask cluster that runs a project's stages.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from conftest import ROOT
from small import Project, copy_of, same


def ip(*arguments: str) -> str:
    """Calls iproute2."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


def need_namespaces() -> None:
    """Skips where nobody may make network namespaces."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("hosts in network namespaces need root and iproute2")
    name = f"ll{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        pytest.skip("no network namespaces here")
    ip("netns", "delete", name)


class Host:
    """A host.

    Attributes:
        address: Its IP address.
        folder: For its files.
        processes: What was started there.
    """

    def __init__(self, name: str, namespace: str, address: str, folder: Path) -> None:
        self.name, self.namespace, self.address, self.folder = name, namespace, address, folder
        self.processes: list[subprocess.Popen[bytes]] = []
        folder.mkdir()

    def start(
        self, *command: str, environment: Mapping[str, str] = os.environ, folder: Path | None = None,
        hidden: Path | None = None, disk: str = "",
    ) -> "subprocess.Popen[bytes]":  # fmt: skip
        """Begins a command there; what it says goes to a file, see `said`.

        Args:
            command: With its arguments.
            environment: Of it.
            folder: Its working directory, if it is not the host's.
            hidden: A folder that it does not see, as it is another host's.
            disk: Of this size is the disk that its working directory is on; the real one if empty.
        """
        steps = [f"hostname {self.name}", "mount -t proc proc /proc"]
        steps += [f"mount -t tmpfs none '{hidden}'"] if hidden else []
        steps += [f"mount -t tmpfs -o size={disk} none .", 'cd "$PWD"'] if disk else []
        own = ["unshare", "--uts", "--ipc", "--mount", "--pid", "--fork", "--kill-child"]
        shell = " && ".join([*steps, 'exec "$@"'])
        with self._log().open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, *own, "sh", "-c", shell, "sh", *command],
                cwd=folder or self.folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.processes.append(process)
        return process

    def _log(self) -> Path:
        return self.folder.with_suffix(".log")

    def said(self) -> str:
        """All that its processes have printed."""
        return self._log().read_text(encoding="utf-8", errors="replace") if self._log().exists() else ""

    def pids(self) -> list[int]:
        """The processes there, by their numbers outside."""
        return [int(number) for number in ip("netns", "pids", self.namespace).split()]

    def has_stage(self) -> bool:
        """Whether a stage runs there."""
        for number in self.pids():
            with suppress(psutil.Error):
                if Path(psutil.Process(number).cwd()).match("latentlab-*/project"):
                    return True
        return False

    def kill(self) -> None:
        """`kill -9` of all that runs there."""
        while numbers := self.pids():
            for number in numbers:
                with suppress(ProcessLookupError):
                    os.kill(number, 9)
            time.sleep(0.05)
        for process in self.processes:
            process.wait()
        self.processes.clear()

    def link(self, state: str) -> None:
        """Sets its link "up" or "down": nobody is told."""
        ip("-n", self.namespace, "link", "set", "eth0", state)

    def slow(self, rate: str) -> None:
        """Lets it send no more than that in a second: "8mbit"; what waits for longer is lost."""
        shaping = ["root", "tbf", "rate", rate, "burst", "64kbit", "latency", "400ms"]
        subprocess.run(["tc", "-n", self.namespace, "qdisc", "add", "dev", "eth0", *shaping], check=True)


class Network:
    """A bridge in a namespace of its own, with hosts."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.prefix = folder, f"ll{os.getpid()}"
        self.hosts: list[Host] = []
        self.switch = f"{self.prefix}-switch"
        ip("netns", "add", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")

    def host(self, name: str) -> Host:
        """A new host of that name."""
        number = len(self.hosts) + 1
        namespace, address = f"{self.prefix}-{name}", f"10.77.0.{number}"
        ip("netns", "add", namespace)
        ip("-n", self.switch, "link", "add", f"port{number}", "type", "veth", "peer", "name", "eth0", "netns", namespace)
        ip("-n", self.switch, "link", "set", f"port{number}", "master", "bridge", "up")
        ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", namespace, "link", "set", device, "up")
        host = Host(name, namespace, address, self.folder / name)
        self.hosts.append(host)
        return host

    def close(self) -> None:
        """Ends all that runs there."""
        for host in self.hosts:
            host.kill()
            ip("netns", "delete", host.namespace)
        ip("netns", "delete", self.switch)


SCHEDULER = ["dask", "scheduler", "--port", "8786", "--no-dashboard", "--no-jupyter"]
WORKER = ["dask", "worker", "--nthreads", "1", "--nworkers", "1", "--no-nanny", "--no-dashboard", "--local-directory", "."]
RUN = "vae_2-mnist-fast-1"
OUTPUTS = ("data", "plans", "models", "results", "dvc.lock")


def dask_environment() -> dict[str, str]:
    """Of a scheduler or worker: the project's code as it is installed, nothing of the driver's."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return kept | {"PATH": path, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}


def wait_for(condition: Callable[[], bool], seconds: float, what: str = "") -> None:
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)


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


def with_one_seed_more(origin: Project, folder: Path) -> Project:
    """A copy of a project in which one seed is not trained yet."""
    copy = copy_of(origin.folder, folder, Path(origin.environment["LATENTLAB_MNIST"]))
    content = copy.params()
    content["run"]["seeds"] = [0, 1]
    copy.write_params(content)
    return copy


def stages(*names: str) -> list[str]:
    return [f"{name}@{RUN}" for name in names]


def ended_well(process: "subprocess.Popen[bytes]", driver: Host, seconds: float = 480) -> str:
    """What a call has said that ends well."""
    code = process.wait(timeout=seconds)
    assert code == 0, driver.said()
    return driver.said()


def check(project: Project, wanted: dict[str, bytes], *runs: str) -> None:
    """The project has what one machine alone makes, of all runs or of those that are named, and MLflow has each once."""
    made = project.files(*OUTPUTS)
    if not runs:
        assert made.keys() == wanted.keys()
    same(made, wanted)
    assert len(project.finished()) == len(set(project.finished()))
    assert {*runs} <= {*project.finished()}
