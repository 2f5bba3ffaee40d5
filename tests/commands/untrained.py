"""A project whose models are untrained and whose images are random, with checkpoints as a training leaves them."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import numpy as np
import torch
import yaml

from conftest import PROJECT, ROOT
from latentlab import models
from latentlab.data import idx
from latentlab.data import images as data
from latentlab.data.sources import FILES
from latentlab.models import checkpoint
from latentlab.models.base import Autoencoder
from latentlab.params.variants import Variant
from latentlab.paths import Run

SHAPE = (1, 28, 28)
IMAGES = {"kind": "mnist", "shape": list(SHAPE)}
RUNS = [
    Run("mlp_2", "mnist", "fast", 0),
    Run("mlp_2", "mnist", "published", 3),
    Run("cae_latent_8", "mnist", "published", 0),
    Run("vae_2", "mnist", "fast", 0),
    Run("superres_64", "mnist", "fast", 0),
    Run("compress_nearest", "mnist", "fast", 0),
]


def strokes(num: int, seed: int) -> np.ndarray:
    """Images with the black ground and the grey edges of MNIST's, (num, 28, 28) bytes."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.nn.functional.interpolate(torch.rand(num, 1, 7, 7, generator=generator), size=28, mode="bilinear")
    return ((blobs[:, 0] - 0.5).clamp(0, 0.4) * 2.5 * 255).numpy().astype(np.uint8)


TEST_IMAGES, TRAIN_IMAGES = strokes(1000, 0), strokes(1200, 1)


def tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)


def model_of(variant: Variant, seed: int = 0) -> Autoencoder:
    """A model whose normalisations have seen images, and whose outputs differ from image to image."""
    model = models.build(variant, SHAPE, seed).train()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 3 if weight.dim() > 1 else 1
        model(data.degrade(tensor(TRAIN_IMAGES[:64]), variant.downsampling))
    return model.eval()


def untrained(name: str, seed: int = 0) -> Autoencoder:
    return model_of(PROJECT.variant(name), seed).requires_grad_(False)


def describe(run: Run) -> dict[str, object]:
    about = {"name": run.variant, "dataset": run.dataset, "recipe": run.recipe, "seed": run.seed}
    return about | {"variant": PROJECT.variant(run.variant).model_dump(), "images": IMAGES, "fingerprint": "f" * 16}


def make_project(folder: Path, runs: list[Run] = RUNS) -> Path:
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["run"] |= {"seeds": [0, 3], "recipes": ["fast", "published"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    (folder / "analyses").mkdir()
    shutil.copy(ROOT / "analyses/params.yaml", folder / "analyses")
    for run in runs:
        checkpoint.save(untrained(run.variant, run.seed), describe(run), folder / run.checkpoint)
    (folder / "data/mnist").mkdir(parents=True)
    for name in FILES:
        images = TRAIN_IMAGES if name.startswith("train") else TEST_IMAGES
        array = images if "images" in name else (np.arange(len(images)) % 10).astype(np.uint8)
        (folder / "data/mnist" / name).write_bytes(idx.encode(array))
    return folder


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """The project is the working folder; what a command changes of this process is changed back."""
    handler, num_threads, environment = signal.getsignal(signal.SIGTERM), torch.get_num_threads(), dict(os.environ)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT"):
        os.environ.pop(variable, None)
    try:
        with chdir(folder):
            yield folder
    finally:
        signal.signal(signal.SIGTERM, handler)
        torch.set_num_threads(num_threads)
        os.environ.clear()
        os.environ.update(environment)
