"""Where tensors are computed, and that they come out the same each time."""

import os

import torch

from latentlab.params import ParamsError


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
