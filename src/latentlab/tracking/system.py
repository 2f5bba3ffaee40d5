"""How busy is the machine while a run is trained?"""

import itertools
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mlflow.system_metrics.metrics.base_metrics_monitor import BaseMetricsMonitor
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

from latentlab.tracking.present import reason
from latentlab.tracking.writer import RunWriter

SECONDS = 2.0


@contextmanager
def system_metrics(writer: RunWriter) -> Iterator[None]:
    """Writes MLflow's own system metrics, every two seconds.

    MLflow's thread for this gives up for good at the first request that fails; and what it could not send is lost.
    """
    stop = threading.Event()
    thread = threading.Thread(target=_sample, args=(writer, stop), name="system metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _sample(writer: RunWriter, stop: threading.Event) -> None:
    monitors: list[BaseMetricsMonitor] = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with suppress(Exception):  # no NVIDIA GPU, or not its library
        monitors.append(GPUMonitor())
    for step in itertools.count():
        if stop.wait(SECONDS):
            return
        values: dict[str, float] = {}
        for monitor in monitors:
            monitor.collect_metrics()
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        try:
            writer.metrics({f"system/{name}": float(value) for name, value in values.items()}, step)
        except Exception as error:  # the store on this machine; the training will meet the same and say it
            print(f"MLflow does not take the system metrics any more: {reason(error)}", file=sys.stderr)
            return
