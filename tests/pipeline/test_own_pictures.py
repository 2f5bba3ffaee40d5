"""A folder of one's own pictures through the whole pipeline: two sizes side by side, coloured, in mixed formats."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

import small

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

NUM_PICTURES = 3000
CLASSES = ("disc", "gradient", "square", "stripes")
FORMATS = {".png": "RGB", ".jpg": "RGB", ".webp": "RGB", ".bmp": "RGB", ".tiff": "RGBA"}
SIDES = {"pictures_32": 32, "pictures_64": 64}
# each with the PCA of as many numbers
VARIANTS = {"cae_baseline": "pca_32", "cae_latent_8": "pca_8", "vae_2": "pca_2"}


def paint(kind: str, draw: np.random.Generator) -> Image.Image:
    """A disc, a square, stripes or a gradient, in two colours and in any place."""
    width, height = draw.integers(64, 97, 2)
    dark, light = draw.integers(0, 110, 3), draw.integers(140, 256, 3)
    y, x = np.mgrid[: int(height), : int(width)] / 64
    if kind in ("gradient", "stripes"):
        angle, phase = draw.uniform(0, np.pi), draw.uniform(0, 1)
        along = x * np.cos(angle) + y * np.sin(angle)
        share = (along - along.min()) / np.ptp(along) if kind == "gradient" else (along * 3 + phase) % 1 > 0.5
        return Image.fromarray((dark + share[..., None] * (light - dark)).astype(np.uint8))
    picture = Image.new("RGB", (int(width), int(height)), tuple(dark.tolist()))
    side, left, top = draw.integers(20, 36), *draw.integers(14, 30, 2)
    shape = ImageDraw.Draw(picture).ellipse if kind == "disc" else ImageDraw.Draw(picture).rectangle
    shape((int(left), int(top), int(left + side), int(top + side)), tuple(light.tolist()))
    return picture


def fill(folder: Path) -> None:
    draw = np.random.default_rng(0)
    for index in range(NUM_PICTURES):
        kind, (suffix, mode) = CLASSES[index % len(CLASSES)], list(FORMATS.items())[index % len(FORMATS)]
        (folder / kind).mkdir(parents=True, exist_ok=True)
        paint(kind, draw).convert(mode).save(folder / kind / f"{index:04}{suffix}")


def test_a_folder_of_pictures_is_reconstructed_better_than_by_pca_and_its_classes_are_found(tmp_path, mnist_gz_folder):
    fill(tmp_path / "my pictures")
    project = small.make(tmp_path / "project", mnist_gz_folder)
    content = project.params()
    split = {"seed": 0, "validation": 0.1, "test": 0.2}
    for name, side in SIDES.items():
        (project.folder / "data/sources" / name).symlink_to(tmp_path / "my pictures")
        content["datasets"][name] = {"kind": "folder", "size": side, "channels": 3, "fit": "crop", "epoch_images": 2000} | {
            "split": split
        }
    content["run"] |= {"variants": [*VARIANTS], "datasets": [*SIDES]}
    content["comparisons"] = {"all": {"title": "All", "variants": [*VARIANTS]}}
    content["baselines"] = {name: {"num_components": int(name[4:])} for name in VARIANTS.values()}
    for training in content["recipes"]["fast"].values():
        training |= {"epochs": 5, "batch_size": 32}
    project.write_params(content)
    project.repro(jobs=2)
    for name, side in SIDES.items():
        table = pd.read_csv(project.folder / f"reports/{name}/leaderboard.csv").set_index("variant")
        for variant, baseline in VARIANTS.items():
            assert table.loc[variant, "test_mse"] < table.loc[baseline, "test_mse"]
        assert table.loc["cae_baseline", "svm_rbf_accuracy"] > 0.8
        assert (table.loc[[*VARIANTS], "svm_rbf_accuracy"] > 0.6).all()
        run = project.folder / f"results/{name}/fast/cae_baseline/seed_0"
        assert np.load(run / "reconstructions/arrays.npz")["reconstructions"].shape[2:] == (3, side, side)
        metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
        assert list(metrics["mse_per_class"]) == [*CLASSES]
