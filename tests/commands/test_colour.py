"""All commands with a model of coloured pictures that have no classes."""

import numpy as np
import pytest
import yaml
from PIL import Image
from untrained import inside

import latentlab
from conftest import PROJECT, ROOT
from conftest import cli_error as error
from conftest import cli_output as run
from latentlab import models
from latentlab.data import idx
from latentlab.models import checkpoint
from latentlab.paths import Run

SHAPE = (3, 20, 20)
RUN = Run("cae_latent_8", "mine", "fast", 0)
PIXELS = np.random.default_rng(0).integers(0, 256, (150, 20, 20, 3), np.uint8)


@pytest.fixture(autouse=True)
def project(tmp_path):
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    own = {
        "kind": "folder",
        "size": 20,
        "channels": 3,
        "fit": "pad",
        "epoch_images": 1000,
        "split": {"seed": 0, "validation": 0.1, "test": 0.2},
    }
    content["datasets"]["mine"] = own
    content["run"]["datasets"] = ["mine"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (tmp_path / "analyses").mkdir()
    (tmp_path / "analyses/params.yaml").write_bytes((ROOT / "analyses/params.yaml").read_bytes())
    (tmp_path / "data/mine").mkdir(parents=True)
    for part in idx.PARTS:
        idx.write(tmp_path / "data/mine", part, PIXELS, None)
    variant = PROJECT.variant(RUN.variant)
    about = {"name": RUN.variant, "dataset": "mine", "recipe": "fast", "seed": 0, "variant": variant.model_dump()}
    model = models.build(variant, SHAPE, 0)
    checkpoint.save(model, about | {"images": {**own, "shape": SHAPE}}, tmp_path / RUN.checkpoint)
    with inside(tmp_path):
        yield tmp_path


def shown(name: str) -> np.ndarray:
    with Image.open(name) as picture:
        assert picture.mode == "RGB"
        return np.asarray(picture)


def test_a_test_image_and_a_picture_go_through_the_code():
    Image.fromarray(PIXELS[7].repeat(3, axis=0).repeat(3, axis=1)).save("mine.webp", lossless=True)
    said, _ = run("reconstruct", RUN.variant, "--index", 7, "--image", "mine.webp", "--output", "x.png", "--plain")
    assert said.startswith("cae_latent_8-mine-fast-0: code of 8 numbers, compression ratio 150\ntest image 7: MSE ")
    expected = latentlab.load(RUN.variant).reconstruct(PIXELS[7]) * 255
    assert np.abs(shown("x.png")[:20] - expected).max() <= 0.6
    assert np.abs(shown("x.png")[20:] - expected).mean() < 2  # the picture was enlarged, and made small again
    assert latentlab.load(RUN.variant).encode(PIXELS).shape == (150, 8)
    Image.new("RGB", (40, 20), "red").save("wide.png")
    for option, bright in ((), 20 * 10), (("--as-is",), 20 * 20):
        run("reconstruct", RUN.variant, "--image", "wide.png", "--output", "z.png", *option)
        left = shown("z.png")[:, : shown("z.png").shape[1] // 2]
        assert bright <= ((left == [255, 0, 0]).all(axis=2).sum() / 64) <= bright
    assert "--ink is for models of characters" in error("reconstruct", RUN.variant, "--image", "wide.png", "--ink", "dark")


@pytest.mark.slow
def test_every_other_command_works_too():
    run("denoise", RUN.variant, "--index", 1, "--output", "a.png")
    run("interpolate", RUN.variant, "--first", 1, "--second", 2, "--output", "b.png")
    run("sample", RUN.variant, "--output", "c.png")
    run("encode", RUN.variant, "--index", 1, "--index", 2, "--output", "d.npz")
    run("decode", RUN.variant, "--codes", "d.npz", "--output", "e.png", "--plain")
    assert shown("e.png").shape == (40, 20, 3)
    assert "silhouette" not in run("embed", RUN.variant, "--num", 100, "--output", "f.png")[0]
    for name in "abc":
        assert shown(f"{name}.png").size
    said, _ = run("export", RUN.variant, "--output", "onnx")
    assert "images of 20x20 -> codes of 8 -> images of 20x20" in said
