"""The commands as a user gives them, in a small project with real checkpoints; and every error in one line."""

import io
import os
import re
import resource
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
import torch
from matplotlib import colormaps
from PIL import Image
from typer.main import get_command
from untrained import RUNS, TEST_IMAGES, describe, inside, make_project, tensor, untrained

from conftest import PROJECT, ROOT
from conftest import cli_error as error
from conftest import cli_output as run
from latentlab.cli import app, main
from latentlab.commands import inputs, runs
from latentlab.data import images as data
from latentlab.errors import UserError
from latentlab.evaluation import pictures
from latentlab.models import checkpoint
from latentlab.pipeline import runner
from latentlab.tracking import store

pytestmark = pytest.mark.usefixtures("folder")

COMMANDS = list(get_command(app).commands)


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("a project"))


@pytest.fixture
def folder(whole_folder: Path) -> Iterator[Path]:
    """Read only by good manners."""
    with inside(whole_folder):
        yield whole_folder


def images(*indices: int) -> torch.Tensor:
    return tensor(TEST_IMAGES[list(indices)])


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def assert_shows(path: Path, expected: torch.Tensor) -> None:
    """The picture, made with --plain, is of these images (N, 1, 28, 28)."""
    shown = pixels(path).reshape(-1, 28, 28).astype(np.float32) / 255
    assert np.allclose(shown, expected.squeeze(1).numpy(), atol=0.6 / 255)


def picture(folder: Path, name: str = "mine.png") -> Path:
    """A dark seven on white, in colour."""
    image = np.full((200, 150, 3), 255, np.uint8)
    image[30:50, 30:110] = image[50:170, 90:110] = (20, 20, 90)
    Image.fromarray(image).save(folder / name)
    return folder / name


def test_help_is_quick_and_names_every_command():
    command = [sys.executable, "-X", "importtime", "-c", "from latentlab.cli import main; main(['--help'])"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for name in COMMANDS:
        assert f"\n  {name} " in done.stdout
    assert len(COMMANDS) == 17
    assert "Examples:\n    latentlab reconstruct cae_baseline" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mlflow", "pandas", "sklearn", "numpy", "pydantic", "PIL", "rich"}
    assert len(imported) < 300  # a tenth of a second; seconds of the clock depend on what else the machine does


@pytest.mark.parametrize("words", [["show"], ["study", "status"]])
def test_commands_that_only_read_load_nothing_that_trains(words):
    code = f"from latentlab.cli import main\ntry: main({words})\nfinally: import sys; print('modules', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert {"latentlab.cli", "latentlab.params.project"} <= loaded
    assert not loaded & {"torch", "mlflow", "sklearn", "matplotlib"}


@pytest.mark.parametrize("words", [[], *([name] for name in COMMANDS), ["study", "run"], ["study", "status"]])
def test_each_command_has_help(words):
    said, notes = run(*words, *(["--help"] if words else []))
    assert said.startswith(f"Usage: {' '.join(['latentlab', *words])} ")
    assert notes == ""


@pytest.mark.parametrize("variant", ["mlp_2", "superres_64", "compress_nearest", "vae_2"])
def test_reconstruct(variant, tmp_path):
    name = f"{variant}-mnist-fast-0"
    said, notes = run("reconstruct", name, "--index", 3, "--index", 999, "--output", tmp_path / "x.png", "--plain")
    x = images(3, 999)
    y = untrained(variant)(data.degrade(x, PROJECT.variant(variant).downsampling))
    assert_shows(tmp_path / "x.png", y)
    mse = float((y[0] - x[0]).square().mean())
    assert f"test image 3, class 3: MSE {mse:.4g}, PSNR {-10 * np.log10(mse):.2f} dB" in said
    assert "test image 999, class 9: MSE" in said
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
    y = untrained("mlp_2")(images(3, 4))[:, 0].numpy()
    assert np.allclose(body[:, 1, 1:-1, 1:-1] / 255, y, atol=0.51 / 255)


def test_outside_of_the_project_with_a_file_and_a_picture(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = folder / RUNS[3].checkpoint
    for given in (file, file.parent):
        said, notes = run("reconstruct", given, "--image", picture(tmp_path))
        assert said.startswith("vae_2-mnist-fast-0: code of 2 numbers, compression ratio 392\n")
        assert notes == f"note: {tmp_path / 'mine.png'}: dark on light: inverted\n"
    assert "there is no params.yaml here" in error("reconstruct", "mlp_2", "--image", picture(tmp_path))
    for command in (["reconstruct", file, "--index", 3], ["sample", folder / RUNS[0].checkpoint, "--output", "x.png"]):
        assert "the data set is not here: go to the project's folder" in error(*command)


def test_below_the_projects_folder_paths_are_those_that_are_meant(folder, monkeypatch):
    (folder / ".dvc").mkdir()
    monkeypatch.chdir(folder / "models/mnist")
    picture(Path())
    run("reconstruct", "mlp_2", "--image", "mine.png", "--output", "x.png")
    monkeypatch.chdir(folder / "models/mnist")
    run("interpolate", "fast/vae_2/seed_0", "--first", "mine.png", "--second", 4, "--output", "../y.png")
    for path in (folder / "models/mnist/x.png", folder / "models/y.png", folder / "models/mnist/mine.png"):
        path.unlink()
    (folder / ".dvc").rmdir()


def test_a_picture_as_it_is(tmp_path):
    picture(tmp_path)
    Image.fromarray(TEST_IMAGES[5]).save(tmp_path / "five.png")
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
    x = images(7)
    noisy = (x + 0.3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(5))).clamp(0, 1)
    y = untrained("mlp_2")(noisy)
    assert_shows(tmp_path / "x.png", y)
    before, after = ((each - x).square().mean().item() for each in (noisy, y))
    assert f"noisy MSE {before:.4g}" in said
    assert f"denoised MSE {after:.4g}" in said
    assert f"gain {10 * np.log10(before / after):+.2f} dB" in said


def test_denoise_what_is_noisy_already(tmp_path):
    said, _ = run("denoise", "mlp_2", "--index", 7, "--already-noisy", "--output", tmp_path / "x.png", "--plain")
    assert_shows(tmp_path / "x.png", untrained("mlp_2")(images(7)))
    assert "no clean image" in said
    Image.fromarray(TEST_IMAGES[7]).save(tmp_path / "seven.png")
    again, _ = run("denoise", "mlp_2", "--image", tmp_path / "seven.png", "--already-noisy", "--ink", "light")
    assert re.findall(r"changed by [\d.]+", again) == re.findall(r"changed by [\d.]+", said)


@pytest.mark.parametrize("variant", ["mlp_2", "superres_64", "compress_nearest"])
def test_encode_and_decode(variant, tmp_path):
    said, _ = run("encode", variant, "--index", 3, "--image", picture(tmp_path), "--output", tmp_path / "codes.npz")
    with np.load(tmp_path / "codes.npz", allow_pickle=False) as arrays:
        codes, names = arrays["codes"], arrays["images"].tolist()
    model = untrained(variant)
    expected = model.encode(data.degrade(images(3), PROJECT.variant(variant).downsampling))
    decoded = model.decode(torch.from_numpy(codes))
    assert np.allclose(codes[:1], expected.numpy(), atol=1e-5)
    assert names == ["test image 3, class 3", str(tmp_path / "mine.png")]
    assert f"{expected.flatten()[0]:.4g}" in said
    run("decode", variant, "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png", "--plain")
    assert_shows(tmp_path / "x.png", decoded)


def test_codes_of_another_model_and_codes_by_hand(tmp_path):
    run("encode", "mlp_2", "--index", 3, "--output", tmp_path / "codes.npz")
    _, notes = run("decode", "vae_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png")
    assert "the codes are of mlp_2-mnist-fast-0" in notes
    np.savez(tmp_path / "codes.npz", codes=[0, 1])  # one code, of whole numbers
    run("decode", "vae_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png", "--plain")
    assert_shows(tmp_path / "x.png", untrained("vae_2").decode(torch.tensor([[0.0, 1.0]])))


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolate(spherical, tmp_path):
    options = ["--steps", 3, "--output", tmp_path / "x.png", "--plain", *(["--spherical"] if spherical else [])]
    said, _ = run("interpolate", "vae_2", "--first", 12, "--second", 345, *options)
    model = untrained("vae_2")
    a, b = model.encode(images(12, 345))
    middle = (a + b) / 2
    if spherical:
        angle = torch.arccos(torch.dot(a, b) / a.norm() / b.norm())
        middle = torch.sin(angle / 2) / torch.sin(angle) * (a + b)
    assert_shows(tmp_path / "x.png", model.decode(torch.stack([a, middle, b])))
    assert "2 steps of" in said


def test_interpolate_between_a_picture_and_a_test_image(tmp_path):
    said, _ = run("interpolate", "mlp_2", "--first", picture(tmp_path), "--second", 4, "--output", tmp_path / "x.png")
    assert "mine.png: MSE" in said
    assert "test image 4, class 4: MSE" in said
    assert pixels(tmp_path / "x.png").shape[1] == 10 * 30 * 4  # eight decodings and both originals


def test_sample_a_vae(tmp_path):
    said, _ = run("sample", "vae_2", "--num", 3, "--seed", 7, "--output", tmp_path / "x.png", "--plain")
    expected = untrained("vae_2").decode(torch.randn(3, 2, generator=torch.Generator().manual_seed(7)))
    assert_shows(tmp_path / "x.png", expected)
    assert "3 samples from the standard normal distribution" in said


@pytest.mark.parametrize("variant", ["mlp_2", "compress_nearest"])
def test_sample_a_plain_autoencoder(variant, tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        said, notes = run("sample", variant, "--num", 12, "--seed", seed, "--output", tmp_path / f"{name}.png")
        assert "12 samples from a Gaussian mixture fitted to the codes of 1,200 training images" in said
        assert notes == ""
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c
    shown = pixels(tmp_path / "a.png")
    assert shown.shape == (2 * 30 * 4, 10 * 30 * 4)
    assert (shown[125:, 245:] == 255).all()  # the second line has two


def test_embed(tmp_path):
    said, _ = run("embed", "vae_2", "--num", 200, "--output", tmp_path / "a.png")
    assert re.search(r"codes: silhouette -?0\.\d+, 10-nearest-neighbour accuracy 0\.\d+", said)
    assert "t-SNE" not in said
    _, notes = run("embed", "vae_2", "--num", 200, "--image", picture(tmp_path), "--output", tmp_path / "b.png")
    assert "inverted" in notes
    assert pixels(tmp_path / "a.png").shape == pixels(tmp_path / "b.png").shape
    assert not np.array_equal(pixels(tmp_path / "a.png"), pixels(tmp_path / "b.png"))


def test_embed_by_tsne(tmp_path):
    for name in "ab":
        said, _ = run("embed", "superres_64", "--num", 100, "--output", tmp_path / f"{name}.png")
        assert "t-SNE: silhouette" in said
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_map_has_every_point_where_it_belongs():
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    drawn = pictures.scatter(points, np.array([1, 1, 3, 3]), [*"abcd"], [("mine", np.array([0.5, 0.5]))], "a map")
    with Image.open(io.BytesIO(drawn)) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    for digit in (1, 3):
        colour = np.array(colormaps["tab10"](digit)[:3]) * 255
        rows, columns = (np.abs(shown - colour).sum(-1) < 9).nonzero()
        left = columns < 860  # the legend is to the right
        spread = np.ptp(columns[left]), np.ptp(rows[left])
        assert (spread[0] < 20, spread[1] < 20) == (True, False)  # equal digits are above each other here


@pytest.mark.parametrize("name", ["$x^{$.png", "a\nb.png", "\udcff.png", "\x1b[31m.png"])
def test_the_map_marks_pictures_of_any_name(name, tmp_path):
    run("embed", "mlp_2", "--num", 100, "--image", picture(tmp_path, name), "--output", tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # mlflow and sqlalchemy warn of their own affairs
def test_a_model_in_mlflow(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "there is no MLflow store here" in error("reconstruct", "models:/digits/1", "--image", picture(tmp_path))
    experiment_id = store.open_store(tmp_path)
    with mlflow.start_run(experiment_id=experiment_id) as live:
        mlflow.log_artifact(str(folder / RUNS[3].checkpoint), "checkpoint")
        info = mlflow.pytorch.log_model(
            untrained("vae_2"), name="model", pip_requirements=["torch"], serialization_format="pickle"
        )
    version = mlflow.register_model(f"models:/{info.model_id}", "digits").version
    mlflow.MlflowClient().set_registered_model_alias("digits", "best", version)
    mlflow.set_tracking_uri(None)
    run_id = live.info.run_id
    for uri in (f"runs:/{run_id}/model", f"models:/{info.model_id}", "models:/digits/1", "models:/digits@best"):
        assert run("reconstruct", uri, "--image", picture(tmp_path))[0].startswith("vae_2-mnist-fast-0: code of 2 numbers")
    for uri in ("models:/digits/2", "models:/digits@worst", "models:/x/1", "runs:/x/model"):
        assert error("reconstruct", uri, "--image", picture(tmp_path)).startswith(f"{uri}: MLflow does not give")
    mlflow.set_tracking_uri(None)


MISTAKES = {
    "reconstruct": "Missing argument 'VARIANT'. (latentlab reconstruct --help)",
    "reconstruct mlp_2": "no image is given: --index N for a test image, or --image FILE",
    "reconstruct mlp_2 --index x": "Invalid value for '--index': Input should be a valid integer",
    "reconstruct mlp_2 --index 10000": "there is no test image 10000: choose from 0 to 999",
    "reconstruct mlp_2 --index -1": "there is no test image -1",
    "reconstruct mlp_2 --ink red": "'red' is not one of 'dark', 'light'. (latentlab reconstruct --help)",
    "reconstruct mlp_3 --index 1": "no variant 'mlp_3' in params.yaml: choose from cae_baseline, ",
    "reconstruct mlp_2-slow --index 1": "'slow' is no data set (choose from mnist, fashion_mnist, ",
    "reconstruct cae_baseline --index 1": "is not trained yet: dvc repro train@cae_baseline-mnist-fast-0",
    "reconstruct vae_16 --index 1": "is not trained yet: dvc repro analyses/dvc.yaml:train@vae_16-mnist-fast-0",
    "encode vae_2-7 --index 1": "add 7 to run.seeds in params.yaml, then dvc repro train@vae_2-mnist-fast-7",
    "encode vae_16-7 --index 1": "to run.seeds in params.yaml, then dvc repro analyses/dvc.yaml:train@vae_16-mnist-fast-7",
    "reconstruct nowhere/model.safetensors --index 1": "nowhere/model.safetensors: no such file",
    "reconstruct params.yaml --index 1": "params.yaml: is not a checkpoint, or is damaged",
    "reconstruct ./data --index 1": "data/model.safetensors: no such file",
    "reconstruct mlp_2 --image nowhere.png": "nowhere.png: no such file",
    "reconstruct mlp_2 --image params.yaml": "params.yaml: is not a PNG or JPEG image",
    "reconstruct mlp_2 --index 1 --output x.jpg": "x.jpg: the output is a PNG file: let its name end in .png",
    "reconstruct mlp_2 --index 1 --output nowhere/x.png": "nowhere/x.png: there is no folder nowhere",
    "encode mlp_2 --index 1 --output x.png": "x.png: the output is an NPZ file",
    "denoise mlp_2 --index 1 --sigma -1": "'-1' is not a number from 0 to 100 (latentlab denoise --help)",
    "denoise mlp_2 --index 1 --sigma nan": "'nan' is not a number from 0 to 100",
    "interpolate mlp_2 --first 1 --output x.png": "Missing option '--second'. (latentlab interpolate --help)",
    "interpolate mlp_2 --first 1 --second 2 --steps 1 --output x.png": "Invalid value for '--steps'",
    "interpolate mlp_2 --first 1 --second nowhere.png --output x.png": "nowhere.png: no such file",
    "sample vae_2 --num 0 --output x.png": "Invalid value for '--num'",
    "decode mlp_2 --codes nowhere.npz --output x.png": "nowhere.npz: no such file",
    "decode mlp_2 --codes params.yaml --output x.png": "params.yaml: is not an NPZ file",
    "paint": "No such command 'paint'. (latentlab --help)",
    "study paint": "No such command 'paint'. (latentlab study --help)",
    "repro --jobs none": "Invalid value for '--jobs'",
    "sync mlp_3": "no variant 'mlp_3' in params.yaml",
    "show --dataset nowhere": "reports/nowhere/leaderboard.csv is not there: latentlab repro",
    "ui --port 0": "Invalid value for '--port'",
    "verify mlp_3": "no variant 'mlp_3' in params.yaml",
    "bench": "there is no benchmarks/ here",
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
    # the system refuses more bytes in a file, whoever runs the test
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
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


def test_data_that_is_missing_or_damaged(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "params.yaml", tmp_path)
    checkpoint.save(untrained("mlp_2"), describe(RUNS[0]), tmp_path / RUNS[0].checkpoint)
    assert "the data set is not here: dvc repro download@mnist" in error("reconstruct", "mlp_2", "--index", 1)
    shutil.copytree(folder / "data", tmp_path / "data")
    with (tmp_path / "data/mnist/t10k-images-idx3-ubyte").open("r+b") as file:
        file.truncate(1000)
    assert "is damaged: dvc repro --force download@mnist" in error("reconstruct", "mlp_2", "--index", 1)
    (tmp_path / "params.yaml").write_text("run: 1\nrecipes: 2\n", encoding="utf-8")
    assert "params.yaml: run: " in error("reconstruct", "mlp_2", "--image", picture(tmp_path))


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
    shapes = [array_that_says_it_is(shape) for shape in ("(True, 2)", f"({10**23}, 2)", "((")]
    for content in (b"\x93NUMPY\x01\x00", b"hello", *shapes):
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
            codes, _ = inputs.read_codes(tmp_path / "codes.npz", (2,))
        except UserError:
            num_errors += 1
        else:
            assert np.isfinite(codes).all()
    assert num_errors > 100


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    assert "is not a file" in error("reconstruct", tmp_path / "model.safetensors", "--index", 1)
    os.mkfifo(tmp_path / "codes.npz")
    assert "is not a file" in error("decode", "mlp_2", "--codes", tmp_path / "codes.npz", "--output", tmp_path / "x.png")


@pytest.mark.slow
def test_who_reads_the_output_may_go():
    code = "import sys; from latentlab.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "encode", "compress_nearest", *(50 * ["--index", "1"])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=60) == 1


@pytest.mark.parametrize("command", [["sync"], ["repro"]])
def test_ctrl_c_is_130(command, monkeypatch, capsys):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "sync", interrupted)
    monkeypatch.setattr(runs, "reproduce", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(command)
    assert caught.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_runs_that_a_command_is_about():
    project = PROJECT.model_copy(update={"run": PROJECT.run.model_copy(update={"seeds": [0, 1]})})
    assert runs.chosen(project, []) == project.runs()
    assert [str(run) for run in runs.chosen(project, ["mlp_2"])] == ["mlp_2-mnist-fast-0", "mlp_2-mnist-fast-1"]
    assert [run.home for run in runs.chosen(project, ["mlp_8_denoise"])] == ["analyses/more"] * 2


def test_the_leaderboard_in_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    board = tmp_path / "reports/mine/leaderboard.csv"
    board.parent.mkdir(parents=True)
    head = (
        "variant,recipe,num_seeds,latent_dim,num_parameters,test_mse,test_mse_sd,test_ssim,svm_rbf_accuracy,published_mse"
    )
    board.write_text(f"{head}\nmlp_2,fast,3.0,2,1477.0,0.0423456,0.0001,0.7,0.98761,0.05\npca_2,,,2,,0.05,,,,\n", "utf-8")
    runs.show_leaderboard("mine")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == ["mlp_2", "fast", "3", "2", "1,477", "0.04235", "0.00010", "0.700", "98.76%", "0.05000"]
    assert lines[2] == ["pca_2", "2", "0.05000"]
    assert lines[-1] == ["report:", "reports/mine/report.md"]
    (board.parent / "report.html").touch()
    runs.show_leaderboard("mine")
    assert capsys.readouterr().out.endswith("report: reports/mine/report.html\n")


def test_after_the_stages_a_server_gets_what_it_did_not_take(monkeypatch, capsys):
    monkeypatch.setattr(runner, "reproduce", lambda *_: 1)
    monkeypatch.setattr(store, "check_server", lambda *_: None)
    asked = []

    def sync(variants: list[str], *, quiet: bool) -> None:
        asked.append((variants, quiet))
        raise store.TrackingError("MLflow at http://x cannot be used")

    monkeypatch.setattr(runs, "sync", sync)
    assert runs.reproduce([], None, None, offline=False) == 1
    assert asked == []  # there is no server
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://x")
    assert runs.reproduce([], None, None, offline=False) == 1
    assert asked == [([], True)]
    assert capsys.readouterr().err.endswith("MLflow lacks what was made since: latentlab sync sends it later\n")
    assert runs.reproduce([], None, None, offline=True) == 1
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert len(asked) == 1
