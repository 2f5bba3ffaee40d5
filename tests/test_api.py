"""`latentlab.load`, and which model a name stands for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import latentlab
from conftest import PROJECT, ROOT
from latentlab import UserError, models, paths
from latentlab.commands import named
from latentlab.models import checkpoint
from latentlab.params.strict import ParamsError
from latentlab.paths import Run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a project without any model."""
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(run: Run) -> Path:
    """The checkpoint of a run that has trained for no time."""
    variant = PROJECT.variant(run.variant)
    about = {"name": run.variant, "dataset": run.dataset, "recipe": run.recipe, "seed": run.seed}
    about |= {"variant": variant.model_dump(), "images": {"shape": [1, 28, 28]}}
    checkpoint.save(models.build(variant, (1, 28, 28), run.seed), about, run.checkpoint)
    return run.checkpoint


IMAGES = np.random.default_rng(0).random((3, 28, 28), np.float32)


@pytest.mark.parametrize(("name", "code_shape"), [("mlp_8", (8,)), ("conv_ae", (32, 7, 7)), ("superres_64", (64,))])
def test_images_of_all_forms_become_codes_and_images(name, code_shape):
    save(Run(name, "mnist", "fast", 0))
    model = latentlab.load(name)
    assert (model.name, model.code_shape) == (f"{name}-mnist-fast-0", code_shape)
    codes = model.encode(IMAGES)
    assert codes.shape == (3, *code_shape)
    assert codes.dtype == np.float32
    direct = named.get(name).encode(torch.from_numpy(IMAGES).unsqueeze(1)).numpy()
    assert np.array_equal(codes, direct)
    assert np.array_equal(model.encode(IMAGES[:, None]), codes)
    assert np.array_equal(model.encode(IMAGES.astype(np.float64)), codes)
    assert np.array_equal(model.encode(np.asfortranarray(IMAGES)), codes)
    np.testing.assert_allclose(model.encode(IMAGES[0]), codes[0], rtol=1e-4, atol=1e-6)
    pictures = model.decode(codes)
    assert pictures.shape == (3, 28, 28)
    assert 0 <= pictures.min() <= pictures.max() <= 1
    np.testing.assert_allclose(model.decode(codes[0]), pictures[0], rtol=1e-4, atol=1e-6)
    for given in (IMAGES[0], IMAGES, IMAGES[:, None]):
        assert model.reconstruct(given).shape == given.shape
    whole = (255 * IMAGES).astype(np.uint8)
    assert np.array_equal(model.encode(whole), model.encode(whole / np.float32(255)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (IMAGES.tolist(), "NumPy array with something in it is needed, not list"),
        (IMAGES[:0], "NumPy array with something in it"),
        (IMAGES[:, :27], r"the shape is \(3, 27, 28\), not \(28, 28\), with N before it for several"),
        (IMAGES.reshape(3, 784), "the shape is"),
        (IMAGES[:, None, None], "the shape is"),
        (255 * IMAGES, r"not in \[0, 1\]; or give uint8"),
        (IMAGES - 0.5, r"not in \[0, 1\]"),
        (np.where(IMAGES > 0.5, np.nan, IMAGES), "not finite"),
        (np.full((28, 28), 1e300), "not finite"),
        (IMAGES.astype(np.int64), "int64 cannot be used"),
        (IMAGES.astype(str), "cannot be used"),
    ],
)
def test_what_is_no_image_is_a_clear_error(given, words):
    save(Run("mlp_2", "mnist", "fast", 0))
    for ask in (latentlab.load("mlp_2").encode, latentlab.load("mlp_2").reconstruct):
        with pytest.raises(UserError, match=f"^images: .*{words}"):
            ask(given)


def test_what_is_no_code_is_a_clear_error():
    model = latentlab.load(save(Run("mlp_8", "mnist", "fast", 0)))
    for given in (np.zeros((3, 7)), np.zeros(7), np.zeros((8, 2)), np.zeros(8, np.uint8), np.full(8, np.inf), [0.0] * 8):
        with pytest.raises(UserError, match=r"^codes: "):
            model.decode(given)


def test_the_package_is_imported_without_its_libraries():
    code = "import sys, latentlab; print(*{'torch', 'mlflow', 'numpy'} & {*sys.modules})"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.strip()


def test_a_name_stands_for_the_first_of_its_runs_that_is_trained(folder):
    content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    content["run"] |= {"recipes": ["fast", "published"], "seeds": [0, 1]}
    content["datasets"]["other"] = content["datasets"]["mnist"]
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    last = save(Run("mlp_2", "mnist", "published", 1))
    assert named.find("mlp_2") == named.find("mlp_2-published") == last
    first = save(Run("mlp_2", "mnist", "fast", 1))
    assert named.find("mlp_2") == named.find("mlp_2-fast-1") == named.find("mlp_2-mnist-fast-1") == first
    assert named.find("mlp_2-published") == named.find("mlp_2-published-1") == last
    elsewhere = save(Run("mlp_2", "other", "fast", 7))
    assert named.find("mlp_2-other-fast-7") == elsewhere
    of_the_analyses = save(Run("vae_16", "mnist", "fast", 0, paths.MORE))
    assert named.find("vae_16") == of_the_analyses
    assert named.find(str(first)) == named.find(str(first.parent)) == first


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("mlp_2", "is not trained yet: dvc repro train@mlp_2-mnist-fast-0$"),
        ("mlp_2-published", "add published to run.recipes in params.yaml, then dvc repro train@mlp_2-mnist-published-0$"),
        (
            "vae_16-3",
            "add vae_16 to run.variants and 3 to run.seeds in params.yaml, then dvc repro train@vae_16-mnist-fast-3$",
        ),
        (
            "mlp_2-slow",
            r"'slow' is no data set \(choose from mnist.*\), no recipe \(choose from fast, published\) and no seed$",
        ),
        ("mlp_2-fast-published", "names a recipe twice"),
        ("nowhere/model.safetensors", "^nowhere/model.safetensors: no such file$"),
        (".", "^model.safetensors: no such file$"),
        ("models:/nothing@champion", "there is no MLflow store here"),
    ],
)
def test_a_name_without_a_model_is_a_clear_error(given, words):
    with pytest.raises(UserError, match=words):
        latentlab.load(given)


def test_a_variant_that_is_not_there_and_a_folder_without_a_project(folder):
    with pytest.raises(ParamsError, match=r"no variant 'mlp_9' in params.yaml: choose from cae_baseline"):
        latentlab.load("mlp_9")
    (folder / "params.yaml").unlink()
    with pytest.raises(UserError, match=r"there is no params.yaml here"):
        latentlab.load("mlp_2")
