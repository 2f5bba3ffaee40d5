"""Where tensors are computed, that they come out the same each time, and what a process is told before it begins."""

import ctypes
import os
import platform
import re
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits

from latentlab.params.strict import ParamsError

# numbers of malloc.h
_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3


def resolve(name: str) -> torch.device:
    """The device of that name; "auto" is CUDA where there is one, then MPS, then the CPU.

    Raises:
        ParamsError: This machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, there in available.items() if there)
    if not available[name]:
        choices = ", ".join(device for device, there in available.items() if there)
        raise ParamsError(f"params.yaml: device: {name!r} is not on this machine: choose from auto, {choices}")
    return torch.device(name)


def precision(name: str, device: torch.device) -> torch.dtype:
    """The type of that name ("float32" or "bfloat16"); float32 in any case where a device would only imitate bfloat16."""
    if device.type == "cpu":
        native = any(torch.cpu.get_capabilities().get(each) for each in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if name == "bfloat16" and native else torch.float32


def make_deterministic() -> None:
    """Same machine, same number of threads, same seed: same bytes."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling new tensors with NaN finds bugs in torch itself and costs time
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    # numbers below 1e-38 cost a processor a hundred times a normal one, and change no result that matters
    torch.set_flush_denormal(True)


def pin_threads() -> None:
    """One thread, or OMP_NUM_THREADS of them: with another number a training gives other bytes.

    Two stages on a thread each are faster than one on two. Libraries that are loaded have chosen their numbers already, so
    they are told; those that are loaded later read the variables.
    """
    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    num_threads = int(given) if given.isdecimal() and int(given) > 0 else 1
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(num_threads))
    torch.set_num_threads(num_threads)
    threadpool_limits(num_threads)


def keep_memory() -> None:
    """Tells the C library to keep freed memory.

    A training step frees what the next one asks for again. By default glibc gives tensors of some megabytes back each time,
    and the system fills new pages with zeros: a quarter of the time of a step of cae_baseline. Other C libraries are left
    as they are. Results do not change.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(_M_TOP_PAD, 64 << 20)


def processor_name() -> str:
    """The model of this machine's processor, as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()
