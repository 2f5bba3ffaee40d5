"""What did it run on?"""

import platform
import re
from typing import Any

import psutil

from latentlab import processor


def describe(about: dict[str, Any], num_cores: int) -> dict[str, Any]:
    """The machine and the versions, as the results carry them.

    Args:
        about: What a worker says of torch.
        num_cores: That this process may use.
    """
    return {
        "cpu": processor.name(),
        "num_cores": num_cores,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    } | about


def load() -> float:
    """How many processes wanted a core over the last minute, this one's not counted if it has only begun."""
    return round(psutil.getloadavg()[0], 1)


def slug(machine: dict[str, Any]) -> str:
    """Name of the results' files: `cpu`, or the name of the GPU."""
    if not machine["gpu"]:
        return str(machine["device"])
    return re.sub(r"[^a-z0-9]+", "-", str(machine["gpu"]).lower()).strip("-")
