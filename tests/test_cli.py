"""The commands as a user gives them, in a small project with real checkpoints; and every error in one line."""

import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import safetensors.torch
import torch
from matplotlib import colormaps
from PIL import Image

from conftest import ROOT, STUDY
from conftest import cli_error as error
from conftest import cli_output as run
from latentlab import checkpoint, data, models, pictures, userfiles
from latentlab.cli import GROUPS, main
from latentlab.download import FILES
from latentlab.errors import UserError
from latentlab.layout import Run
from latentlab.tracking import store

pytestmark = pytest.mark.usefixtures("project")

RUNS = [
    Run("mlp_2", "fast", 0),
    Run("mlp_2", "published", 3),
    Run("cae_latent_8", "published", 0),
    Run("vae_2", "fast", 0),
    Run("superres_64", "fast", 0),
    Run("compress_nearest", "fast", 0),
]
TEST_IMAGES = np.random.default_rng(0).integers(0, 256, (10_000, 28, 28), dtype=np.uint8)
TEST_DIGITS = (np.arange(10_000) % 10).astype(np.uint8)


def save(run: Run, folder: Path) -> None:
    row = STUDY.row(run.row)
    model = models.build(row, run.seed)
    description = {
        "name": run.row,
        "recipe": run.recipe,
        "seed": run.seed,
        "row": row.model_dump(),
        "fingerprint": str(run),
    }
    checkpoint.save(model, description, folder / run.checkpoint)


@pytest.fixture(scope="session")
def whole_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a project")
    shutil.copy(ROOT / "params.yaml", folder)
    text = (folder / "params.yaml").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^seeds: .*", "seeds: [0, 3]", text)
    text = re.sub(r"(?m)^recipes: .*", "recipes: [fast, published]", text)
    text = re.sub(r"(?m)^split: .*", "split: {seed: 0, train: 800, validation: 200, test: 10000}", text)
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    for each in RUNS:
        save(each, folder)
    parts = {"t10k": (TEST_IMAGES, TEST_DIGITS), "train": (TEST_IMAGES[:1200], TEST_DIGITS[:1200])}
    (folder / "data/mnist").mkdir(parents=True)
    for name in FILES:
        images, digits = parts[name.split("-")[0]]
        content = bytes(16) + images.tobytes() if "images" in name else bytes(8) + digits.tobytes()
        (folder / "data/mnist" / name).write_bytes(content)
    return folder


@pytest.fixture
def project(whole_project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project is the working folder, and read only by good manners."""
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "DVC_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(whole_project)
    return whole_project


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def model_of(run: Run) -> models.Autoencoder:
    """The model by hand, to compare with."""
    return models.build(STUDY.row(run.row), run.seed).eval()


def mnist_images(*indices: int) -> torch.Tensor:
    return torch.from_numpy(TEST_IMAGES[list(indices)]).unsqueeze(1).float() / 255


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def plain(path: Path) -> np.ndarray:
    """Images of a picture made with --plain, (N, 28, 28)."""
    return pixels(path).reshape(-1, 28, 28).astype(np.float32) / 255


def picture(folder: Path, name: str = "mine.png") -> Path:
    """A dark seven on white, in colour."""
    image = np.full((200, 150, 3), 255, np.uint8)
    image[30:50, 30:110] = image[50:170, 90:110] = (20, 20, 90)
    Image.fromarray(image).save(folder / name)
    return folder / name


def test_help_is_quick_and_names_every_command():
    command = [sys.executable, "-X", "importtime", "-c", "from latentlab.cli import main; main(['--help'])"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for names in GROUPS.values():
        for name in names:
            assert f"\n  {name} " in done.stdout
    assert "Examples:" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mlflow", "pandas", "sklearn", "numpy", "pydantic", "PIL"}
    microseconds = sum(int(line.split("|")[0].split(":")[1]) for line in done.stderr.splitlines()[1:] if "|" in line)
    assert microseconds < 300_000


def test_without_a_command_there_is_help():
    assert run()[0].startswith("usage: latentlab COMMAND")


@pytest.mark.parametrize("name", [name for names in GROUPS.values() for name in names])
def test_each_command_has_help(name, capsys):
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: latentlab {name} ")


@pytest.mark.parametrize("name", ["mlp_2-fast-0", "superres_64-fast-0", "compress_nearest-fast-0", "vae_2-fast-0"])
def test_reconstruct(name, tmp_path):
    said, notes = run("reconstruct", name, "--index", 3, "--index", 9999, "--output", tmp_path / "x.png", "--plain")
    row, recipe, seed = name.split("-")
    model, x = model_of(Run(row, recipe, int(seed))), mnist_images(3, 9999)
    with torch.inference_mode():
        y = model(data.degrade(x, STUDY.row(row).input_size))
    assert np.allclose(plain(tmp_path / "x.png"), y[:, 0].numpy(), atol=0.51 / 255)
    mse = float((y[0] - x[0]).square().mean())
    assert f"test image 3, digit 3: MSE {mse:.4g}, PSNR {-10 * np.log10(mse):.2f} dB" in said
    assert "test image 9999, digit 9: MSE" in said
    assert said.startswith(f"{name}: code of ")
    assert f"wrote {tmp_path / 'x.png'}" in said
    assert notes == ""


def test_the_picture_shows_every_pixel_beside_each_other(tmp_path):
    run("reconstruct", "mlp_2", "--index", 3, "--index", 4, "--output", tmp_path / "x.png")
    shown = pixels(tmp_path / "x.png")
    scale = 8
    assert shown.shape[1] == 2 * 30 * scale
    body = shown[-2 * 30 * scale :][scale // 2 :: scale, scale // 2 :: scale].reshape(2, 30, 2, 30).transpose(0, 2, 1, 3)
    assert np.array_equal(body[:, 0, 1:-1, 1:-1], TEST_IMAGES[3:5])
    with torch.inference_mode():
        y = model_of(RUNS[0])(mnist_images(3, 4))[:, 0].numpy()
    assert np.allclose(body[:, 1, 1:-1, 1:-1] / 255, y, atol=0.51 / 255)


def test_which_run_a_row_means():
    assert run("reconstruct", "mlp_2", "--index", 0)[0].startswith("mlp_2-fast-0:")
    assert run("reconstruct", "mlp_2-published", "--index", 0)[0].startswith("mlp_2-published-3:")
    assert run("reconstruct", "cae_latent_8", "--index", 0)[0].startswith("cae_latent_8-published-0:")


def test_outside_of_the_project_with_a_file_and_a_picture(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = project / RUNS[3].checkpoint
    for given in (file, file.parent):
        said, notes = run("reconstruct", given, "--image", picture(tmp_path))
        assert said.startswith("vae_2-fast-0: code of 2 numbers, compression ratio 392\n")
        assert notes == f"note: {tmp_path / 'mine.png'}: dark on light: inverted\n"
    assert "there is no params.yaml here" in error("reconstruct", "mlp_2", "--image", picture(tmp_path))
    assert "MNIST is not here: go to the project's folder" in error("reconstruct", file, "--index", 3)


def test_a_picture_as_it_is(tmp_path):
    picture(tmp_path)
    small = np.asarray(Image.fromarray(TEST_IMAGES[5]))
    Image.fromarray(small).save(tmp_path / "five.png")
    by_file, _ = run("encode", "mlp_2", "--image", tmp_path / "five.png", "--as-is")
    by_index, _ = run("encode", "mlp_2", "--index", 5)
    assert by_file.split(": ")[-1] == by_index.split(": ")[-1]
    said, notes = run("encode", "mlp_2", "--image", tmp_path / "mine.png", "--as-is")
    assert "looks dark on light, and stays so" in notes
    inverted, notes = run("encode", "mlp_2", "--image", tmp_path / "mine.png", "--as-is", "--ink", "dark")
    assert "inverted" in notes
    assert inverted != said


def test_denoise(tmp_path):
    said, _ = run("denoise", "mlp_2", "--index", 7, "--sigma", 0.3, "--seed", 5, "--output", tmp_path / "x.png", "--plain")
    x = mnist_images(7)
    noisy = (x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))).clamp(0, 1)
    with torch.inference_mode():
        y = model_of(RUNS[0])(noisy)
    assert np.allclose(plain(tmp_path / "x.png"), y[:, 0].numpy(), atol=0.51 / 255)
    before, after = ((each - x).square().mean().item() for each in (noisy, y))
    assert f"noisy MSE {before:.4g}" in said
    assert f"denoised MSE {after:.4g}" in said
    assert f"gain {10 * np.log10(before / after):+.2f} dB" in said


def test_denoise_what_is_noisy_already(tmp_path):
    said, _ = run("denoise", "mlp_2", "--index", 7, "--already-noisy", "--output", tmp_path / "x.png", "--plain")
    with torch.inference_mode():
        y = model_of(RUNS[0])(mnist_images(7))
    assert np.allclose(plain(tmp_path / "x.png"), y[:, 0].numpy(), atol=0.51 / 255)
    assert "no clean image" in said
    Image.fromarray(TEST_IMAGES[7]).save(tmp_path / "seven.png")
    again, _ = run("denoise", "mlp_2", "--image", tmp_path / "seven.png", "--already-noisy", "--ink", "light")
    assert re.findall(r"changed by [\d.]+", again) == re.findall(r"changed by [\d.]+", said)


@pytest.mark.parametrize("row", ["mlp_2", "superres_64", "compress_nearest"])
def test_encode_and_decode(row, tmp_path):
    said, _ = run("encode", row, "--index", 3, "--image", picture(tmp_path), "--output", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as arrays:
        codes, names = arrays["codes"], arrays["images"].tolist()
    model, degraded = model_of(Run(row, "fast", 0)), data.degrade(mnist_images(3), STUDY.row(row).input_size)
    with torch.inference_mode():
        expected = model.encode(degraded)
        assert np.allclose(codes[:1], expected.numpy(), atol=1e-5)
        decoded = model.decode(torch.from_numpy(codes))[:, 0].numpy()
    assert names == ["test image 3, digit 3", str(tmp_path / "mine.png")]
    assert f"{expected.flatten()[0]:.4g}" in said
    run("decode", row, "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png", "--plain")
    assert np.allclose(plain(tmp_path / "x.png"), decoded, atol=0.51 / 255)


def test_codes_of_another_model_and_codes_by_hand(tmp_path):
    run("encode", "mlp_2", "--index", 3, "--output", tmp_path / "codes.npz")
    _, notes = run("decode", "vae_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png")
    assert "the codes are of mlp_2-fast-0" in notes
    np.savez(tmp_path / "codes.npz", codes=[0, 1])  # one code, of whole numbers
    run("decode", "vae_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png", "--plain")
    with torch.inference_mode():
        expected = model_of(RUNS[3]).decode(torch.tensor([[0.0, 1.0]]))[:, 0].numpy()
    assert np.allclose(plain(tmp_path / "x.png"), expected, atol=0.51 / 255)


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolate(spherical, tmp_path):
    options = ["--steps", 3, "--output", tmp_path / "x.png", "--plain", *(["--spherical"] if spherical else [])]
    said, _ = run("interpolate", "vae_2", "--first", 12, "--second", 3456, *options)
    model = model_of(RUNS[3])
    with torch.inference_mode():
        a, b = model.encode(mnist_images(12, 3456))
        if spherical:
            angle = torch.arccos(torch.dot(a, b) / a.norm() / b.norm())
            middle = torch.sin(angle / 2) / torch.sin(angle) * (a + b)
        else:
            middle = (a + b) / 2
        expected = model.decode(torch.stack([a, middle, b]))[:, 0].numpy()
    assert np.allclose(plain(tmp_path / "x.png"), expected, atol=0.6 / 255)
    assert "2 steps of" in said


def test_interpolate_between_a_picture_and_a_test_image(tmp_path):
    said, _ = run("interpolate", "mlp_2", "--first", picture(tmp_path), "--second", 4, "--output", tmp_path / "x.png")
    assert "mine.png: MSE" in said
    assert "test image 4, digit 4: MSE" in said
    assert pixels(tmp_path / "x.png").shape[1] == 10 * 30 * 4  # eight decodings and both originals


def test_sample_a_vae(tmp_path):
    said, _ = run("sample", "vae_2", "--num", 3, "--seed", 7, "--output", tmp_path / "x.png", "--plain")
    with torch.inference_mode():
        expected = model_of(RUNS[3]).decode(torch.randn(3, 2, generator=torch.Generator().manual_seed(7)))[:, 0].numpy()
    assert np.allclose(plain(tmp_path / "x.png"), expected, atol=0.51 / 255)
    assert "3 samples from the standard normal distribution" in said


@pytest.mark.parametrize("row", ["mlp_2", "compress_nearest"])
def test_sample_a_plain_autoencoder(row, tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        said, notes = run("sample", row, "--num", 12, "--seed", seed, "--output", tmp_path / f"{name}.png")
        assert "12 samples from a Gaussian mixture fitted to the codes of 1,200 training images" in said
        assert notes == ""
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    shown = pixels(tmp_path / "a.png")
    assert shown.shape == (2 * 30 * 4, 10 * 30 * 4)
    assert (shown[125:, 245:] == 255).all()  # the second line has two


def test_a_plain_autoencoder_is_sampled_in_the_project_only(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = error("sample", project / RUNS[0].checkpoint, "--output", tmp_path / "x.png")
    assert "there is no params.yaml here" in said


def test_embed(tmp_path):
    said, _ = run("embed", "vae_2", "--num", 200, "--output", tmp_path / "a.png")
    assert re.search(r"codes: silhouette -?0\.\d+, 10-nearest-neighbour accuracy 0\.\d+", said)
    assert "t-SNE" not in said
    said, notes = run("embed", "vae_2", "--num", 200, "--image", picture(tmp_path), "--output", tmp_path / "b.png")
    assert "inverted" in notes
    assert pixels(tmp_path / "a.png").shape == pixels(tmp_path / "b.png").shape
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_embed_by_tsne(tmp_path):
    for name in "ab":
        said, _ = run(
            "embed", "superres_64", "--num", 100, "--image", picture(tmp_path), "--output", tmp_path / f"{name}.png"
        )
        assert "t-SNE: silhouette" in said
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_map_has_every_point_where_it_belongs():
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    drawn = pictures.scatter(points, np.array([1, 1, 3, 3]), [("mine", np.array([0.5, 0.5]))], "a map")
    with Image.open(io.BytesIO(drawn)) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    for digit in (1, 3):
        colour = np.array(colormaps["tab10"](digit)[:3]) * 255
        rows, columns = (np.abs(shown - colour).sum(-1) < 9).nonzero()
        left = columns < 860  # the legend is to the right
        spread = np.ptp(columns[left]), np.ptp(rows[left])
        assert (spread[0] < 20, spread[1] < 20) == (True, False)  # equal digits are above each other here


@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy warn of their own affairs
def test_a_model_in_mlflow(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no MLflow store here" in error("reconstruct", "models:/digits/1", "--image", picture(tmp_path))
    experiment_id = store.open_store(tmp_path)
    with mlflow.start_run(experiment_id=experiment_id) as live:
        mlflow.log_artifact(str(project / RUNS[3].checkpoint), "checkpoint")
        info = mlflow.pytorch.log_model(
            model_of(RUNS[3]), name="model", pip_requirements=["torch"], serialization_format="pickle"
        )
    with mlflow.start_run(experiment_id=experiment_id) as other:
        mlflow.log_param("x", 1)
    version = mlflow.register_model(f"models:/{info.model_id}", "digits").version
    mlflow.MlflowClient().set_registered_model_alias("digits", "best", version)
    mlflow.set_tracking_uri(None)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for uri in (f"runs:/{live.info.run_id}/model", f"models:/{info.model_id}", "models:/digits/1", "models:/digits@best"):
        assert run("reconstruct", uri, "--image", picture(tmp_path))[0].startswith("vae_2-fast-0: code of 2 numbers")
    for uri in (
        f"runs:/{other.info.run_id}/model",
        "models:/digits/2",
        "models:/digits@worst",
        "models:/x/1",
        "runs:/x/model",
    ):
        assert error("reconstruct", uri, "--image", picture(tmp_path)).startswith(f"{uri}: MLflow does not give")
    mlflow.set_tracking_uri(None)


MISTAKES = {
    "reconstruct": "the following arguments are required: ROW",
    "reconstruct mlp_2": "no image is given: --index N for a test image, or --image FILE",
    "reconstruct mlp_2 --index x": "invalid int value: 'x'",
    "reconstruct mlp_2 --index 10000": "there is no test image 10000: choose from 0 to 9999",
    "reconstruct mlp_2 --index -1": "there is no test image -1",
    "reconstruct mlp_3 --index 1": "no row 'mlp_3' in variants: choose from cae_baseline, ",
    "reconstruct mlp_2-slow --index 1": "there is no recipe 'slow': choose from fast, published",
    "reconstruct mlp_2-fast-x --index 1": "a row is named like mlp_2, mlp_2-fast or mlp_2-fast-0",
    "reconstruct cae_baseline --index 1": "is not trained yet: dvc repro train@cae_baseline-fast-0",
    "reconstruct cae_baseline-published --index 1": "is not trained yet: dvc repro train@cae_baseline-published-0",
    "reconstruct mlp_2-fast-7 --index 1": "add seed 7 to params.yaml, then dvc repro train@mlp_2-fast-7",
    "reconstruct nowhere/model.safetensors --index 1": "nowhere/model.safetensors: no such file",
    "reconstruct params.yaml --index 1": "params.yaml: is not a checkpoint, or is damaged",
    "reconstruct ./data --index 1": "data/model.safetensors: no such file",
    "reconstruct mlp_2 --image nowhere.png": "nowhere.png: no such file",
    "reconstruct mlp_2 --image params.yaml": "params.yaml: is not a PNG or JPEG image",
    "reconstruct mlp_2 --index 1 --output x.jpg": "x.jpg: the output is a PNG file: let its name end in .png",
    "reconstruct mlp_2 --index 1 --output nowhere/x.png": "nowhere/x.png: there is no folder nowhere",
    "encode mlp_2 --index 1 --output x.png": "x.png: the output is an NPZ file",
    "denoise mlp_2 --index 1 --sigma -1": "'-1' is not a number from 0 to 100",
    "denoise mlp_2 --index 1 --sigma nan": "'nan' is not a number from 0 to 100",
    "interpolate mlp_2 --first 1 --output x.png": "the following arguments are required: --second",
    "interpolate mlp_2 --first 1 --second 2 --steps 1 --output x.png": "'1' is not a whole number from 2 to 30",
    "interpolate mlp_2 --first 1 --second nowhere.png --output x.png": "nowhere.png: no such file",
    "sample vae_2 --num 0 --output x.png": "'0' is not a whole number from 1 to 10000",
    "decode mlp_2 --codes nowhere.npz --output x.png": "nowhere.npz: no such file",
    "decode mlp_2 --codes params.yaml --output x.png": "params.yaml: is not an NPZ file",
    "paint": "invalid choice: 'paint'",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_line(line):
    assert MISTAKES[line] in error(*line.split())


def test_an_output_does_not_replace_its_input(tmp_path):
    before = picture(tmp_path).read_bytes()
    said = error("reconstruct", "mlp_2", "--image", tmp_path / "mine.png", "--output", tmp_path / "mine.png")
    assert "is the input" in said
    assert (tmp_path / "mine.png").read_bytes() == before


def test_an_output_that_cannot_be_written(tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (10, limits[1])
    )  # the system refuses more bytes in a file, whoever runs the test
    try:
        said = error("reconstruct", "mlp_2", "--index", 1, "--output", tmp_path / "x.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert said == f"{tmp_path / 'x.png'}: cannot be written: File too large"
    assert not list(tmp_path.iterdir())


def test_no_file_beside_the_output_is_touched(tmp_path):
    beside = [tmp_path / name for name in ("x.png.partial", ".x.png.partial", "x.png.tmp")]
    for path in beside:
        path.write_text("mine", encoding="utf-8")
    run("reconstruct", "mlp_2", "--index", 1, "--output", tmp_path / "x.png")
    assert sorted(tmp_path.iterdir()) == sorted([*beside, tmp_path / "x.png"])
    assert {path.read_text(encoding="utf-8") for path in beside} == {"mine"}


def test_data_that_is_missing_or_damaged(project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(project / "params.yaml", tmp_path)
    save(RUNS[0], tmp_path)
    assert "MNIST is not here: dvc repro download" in error("reconstruct", "mlp_2", "--index", 1)
    shutil.copytree(project / "data", tmp_path / "data")
    with (tmp_path / "data/mnist/t10k-images-idx3-ubyte").open("r+b") as file:
        file.truncate(1000)
    assert "MNIST is damaged: dvc repro --force download" in error("reconstruct", "mlp_2", "--index", 1)
    (tmp_path / "params.yaml").write_text("seeds: 1\nrecipes: 2\n", encoding="utf-8")
    assert "params.yaml: seeds: " in error("reconstruct", "mlp_2", "--image", picture(tmp_path))


def checkpoints() -> dict[str, tuple[object, str]]:
    """Files that are no checkpoint, or one that does not fit; and what is said of them."""
    row = STUDY.row("mlp_2").model_dump()
    weights = {key: value.contiguous() for key, value in models.build(STUDY.row("mlp_2"), 0).state_dict().items()}
    first = next(iter(weights))

    def made(weights: dict[str, torch.Tensor], description: object) -> bytes:
        return safetensors.torch.save(weights, {"latentlab": json.dumps(description)})

    whole = made(weights, {"row": row})
    return {
        "empty": (b"", "is not a checkpoint, or is damaged"),
        "text": (b"hello", "is not a checkpoint, or is damaged"),
        "truncated": (whole[:-100], "is not a checkpoint, or is damaged"),
        "of others": (safetensors.torch.save(weights), "does not say which row it is of"),
        "no json": (safetensors.torch.save(weights, {"latentlab": "{"}), "does not say which row it is of"),
        "no row": (made(weights, {}), "does not say which row it is of"),
        "a list": (made(weights, [1]), "does not say which row it is of"),
        "nested too deeply": (
            safetensors.torch.save(weights, {"latentlab": "[" * 100_000}),
            "does not say which row it is of",
        ),
        "of another version": (made(weights, {"row": {"family": "mlp"}}), "the row in it is wrong, or of another version"),
        "unknown family": (made(weights, {"row": row | {"family": "x"}}), "family: 'x' is unknown"),
        "unknown key": (made(weights, {"row": row | {"colour": 1}}), "colour: unknown key"),
        "another size": (made(weights, {"row": row | {"latent_dim": 3}}), "the weights are not those of its row"),
        "large": (made(weights, {"row": row | {"latent_dim": 10**6}}), "weights, and 100,000,000 are the most"),
        "beyond memory": (made(weights, {"row": row | {"latent_dim": 10**12}}), "latent_dim: at most 1,000,000"),
        "beyond numbers": (made(weights, {"row": row | {"latent_dim": 10**30}}), "latent_dim: at most 1,000,000"),
        "many layers": (made(weights, {"row": row | {"widths": [1] * 200_000}}), "widths: has 200,000 entries"),
        "other numbers": (made(weights | {first: weights[first].double()}, {"row": row}), "is F64 "),
        "a weight missing": (made({first: weights[first]}, {"row": row}), "the weights are not those of its row"),
        "not finite": (made(weights | {first: weights[first] * torch.nan}, {"row": row}), "weights that are not finite"),
    }


@pytest.mark.parametrize("name", checkpoints())
def test_a_checkpoint_that_cannot_be_used(name, tmp_path):
    content, message = checkpoints()[name]
    (tmp_path / "model.safetensors").write_bytes(content)
    assert message in error("reconstruct", tmp_path / "model.safetensors", "--index", 1)


def test_codes_that_cannot_be_used(tmp_path):
    file = tmp_path / "codes.npz"

    def said(**arrays: object) -> str:
        np.savez(file, **arrays)
        return error("decode", "mlp_2", "--codes", file, "--output", tmp_path / "x.png")

    assert "`codes` is (2, 3), and the model's codes are (N, 2)" in said(codes=np.zeros((2, 3)))
    assert "`codes` is (0, 2)" in said(codes=np.zeros((0, 2)))
    assert "`codes` is ()" in said(codes=1.0)
    assert "`codes` holds <U1, not numbers" in said(codes=np.array([["a", "b"]]))
    assert "`codes` holds complex128" in said(codes=np.zeros((1, 2), complex))
    assert "not finite" in said(codes=np.array([[np.nan, 0]]))
    assert "not finite" in said(codes=np.array([[1e300, 0]]))
    assert "has no array `codes`: it has x" in said(x=np.zeros((1, 2)))
    assert "is not an NPZ file of numbers" in said(codes=np.array([{"a": 1}]))  # would need pickle
    assert "bytes, more than" in said(codes=np.zeros((10_001, 2, 100)))
    assert not (tmp_path / "x.png").exists()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("codes.npy", b"\x93NUMPY\x01\x00")
    assert "is not an NPZ file" in error("decode", "mlp_2", "--codes", file, "--output", tmp_path / "x.png")
    for content in (
        b"hello",
        array_that_says_it_is("(True, 2)"),
        array_that_says_it_is(f"({10**23}, 2)"),
        array_that_says_it_is("(("),
    ):
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("codes.npy", content)
        assert "no" in error("decode", "mlp_2", "--codes", file, "--output", tmp_path / "x.png")


def array_that_says_it_is(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_codes_with_damage_anywhere_are_an_error_or_codes(compression, tmp_path):
    plain = io.BytesIO()
    np.save(plain, np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32))
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", compression) as archive:
        archive.writestr("codes.npy", plain.getvalue())
    random = np.random.default_rng(0)
    num_errors = 0
    for _ in range(200):
        damaged = bytearray(whole.getvalue())
        for place in random.integers(0, len(damaged), 2):
            damaged[place] = random.integers(256)
        (tmp_path / "codes.npz").write_bytes(damaged)
        try:
            codes, _ = userfiles.read_codes(tmp_path / "codes.npz", (2,))
        except UserError:
            num_errors += 1
        else:
            assert np.isfinite(codes).all()
    assert num_errors > 100


@pytest.mark.parametrize("name", ["$x^{$.png", "a\nb.png", "\udcff.png", "\x1b[31m.png"])
def test_the_map_marks_pictures_of_any_name(name, tmp_path):
    run("embed", "mlp_2", "--num", 100, "--image", picture(tmp_path, name), "--output", tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "is not a file" in error("reconstruct", tmp_path / "model.safetensors", "--index", 1)
    os.mkfifo(tmp_path / "codes.npz")
    assert "is not a file" in error("decode", "mlp_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png")


def test_who_reads_the_output_may_go():
    code = "import sys; from latentlab.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "encode", "compress_nearest", *(50 * ["--index", "1"])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1
