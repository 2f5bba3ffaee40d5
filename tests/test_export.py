"""Models as ONNX against torch, and the command that makes them, with real exports of every family."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

from conftest import ROOT, STUDY, cli_error, cli_output
from latentlab import checkpoint, data, export, models, onnxmodels, params, runtimes, usermodels
from latentlab.cli import main
from latentlab.download import FILES
from latentlab.layout import Run
from latentlab.onnxmodels import AUTOENCODER, DECODER, ENCODER, PARTS
from latentlab.usermodels import UserModel

FILES_OF_AN_EXPORT = {
    *(f"{part.name}{suffix}" for part in PARTS for suffix in (".onnx", ".int8.onnx")),
    "report.json",
}
# every family, every upsampling, every activation
NAMES = [
    "cae_latent_8", "cae_batch_norm", "cae_leaky_02", "mlp_2", "stacked_64", "conv_ae", "compress_transposed",
    "compress_bilinear", "vae_2", "ae_2", "superres_64", "conv_bn_64", "upsampled_nearest", "upsampled_bilinear",
]  # fmt: skip
# and what the trade-off study may find
UPSAMPLED = {
    "source": "S", "training": "cae", "family": "upsampled_cae", "input_size": 28, "input_noise": None,
    "channels": [4, 6, 8], "kernel_sizes": [3, 5, 3], "latent_dim": 5, "batch_norm": True, "negative_slope": 0.1,
    "loss": "mse",
}  # fmt: skip


def row_of(name: str) -> params.Row:
    _, found, upsampling = name.partition("upsampled_")
    return params.Row.model_validate(UPSAMPLED | {"upsampling": upsampling}) if found else STUDY.row(name)


def strokes(num: int, seed: int) -> np.ndarray:
    """Images with the black ground and the grey edges of MNIST's, (N, 28, 28) bytes."""
    generator = torch.Generator().manual_seed(seed)
    blobs = torch.nn.functional.interpolate(torch.rand(num, 1, 7, 7, generator=generator), size=28, mode="bilinear")
    return ((blobs[:, 0] - 0.5).clamp(0, 0.4) * 2.5 * 255).numpy().astype(np.uint8)


TEST_IMAGES, TRAIN_IMAGES = strokes(600, 0), strokes(700, 1)


def images(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array.astype(np.float32) / 255).unsqueeze(1)


def untrained(name: str) -> models.Autoencoder:
    """A model whose normalisations have seen images, and whose outputs differ from image to image."""
    row = row_of(name)
    model = models.build(row, 0).train()
    with torch.no_grad():
        for weight in model.parameters():
            weight *= 3 if weight.dim() > 1 else 1
        model(data.degrade(images(TRAIN_IMAGES[:64]), row.input_size))
    return model.eval()


def user_model(name: str) -> UserModel:
    row, model = row_of(name), untrained(name)
    description = {"name": name, "recipe": "fast", "seed": 0, "fingerprint": "f" * 16}
    return UserModel(f"{name}-fast-0", row, models.code_shape(row), model, description)


def inputs_of(model: UserModel, part: onnxmodels.Part, array: np.ndarray) -> np.ndarray:
    x = data.degrade(images(array), model.row.input_size)
    if part is DECODER:
        with torch.inference_mode():
            return model.model.encode(x).numpy()
    return x.numpy()


def mean_square(values: np.ndarray) -> float:
    return float(np.square(values, dtype=np.float64).mean())


@pytest.mark.parametrize("name", NAMES)
def test_onnx_gives_what_torch_gives_for_any_number_of_images(name):
    model = user_model(name)
    for part in PARTS:
        exported = onnxmodels.to_onnx(model, part)
        onnx.checker.check_model(exported, full_check=True)
        assert exported.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        assert_has_no_paths(exported)
        given = inputs_of(model, part, TEST_IMAGES)
        expected = runtimes.in_torch(model, part)(given)
        run = runtimes.in_onnxruntime(exported, 1)
        for number in (1, 3, len(given)):
            found = run(given[:number])
            assert found.dtype == np.float32
            assert found.shape == expected[:number].shape
            assert np.abs(found - expected[:number]).max() < 1e-5 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", NAMES)
def test_int8_gives_about_what_torch_gives(name):
    model = user_model(name)
    exported = onnxmodels.to_onnx(model, AUTOENCODER)
    before = exported.SerializeToString()
    quantised = onnxmodels.quantised(exported, inputs_of(model, AUTOENCODER, TRAIN_IMAGES[:128]))
    assert exported.SerializeToString() == before
    onnx.checker.check_model(quantised, full_check=True)
    assert_has_no_paths(quantised)
    given = inputs_of(model, AUTOENCODER, TEST_IMAGES)
    expected = runtimes.in_torch(model, AUTOENCODER)(given)
    run = runtimes.in_onnxruntime(quantised, 1)
    assert run(given[:1]).shape == (1, 1, 28, 28)
    assert 0 < mean_square(run(given) - expected) < 0.03 * mean_square(expected - expected.mean(axis=0))


def assert_has_no_paths(exported: onnx.ModelProto) -> None:
    content = exported.SerializeToString()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content


def test_int8_makes_files_of_dense_layers_a_quarter():
    model = user_model("stacked_64")
    exported = onnxmodels.to_onnx(model, AUTOENCODER)
    quantised = onnxmodels.quantised(exported, inputs_of(model, AUTOENCODER, TRAIN_IMAGES[:64]))
    assert 0.25 < quantised.ByteSize() / exported.ByteSize() < 0.27
    kinds = {numpy_helper.to_array(weight).dtype for weight in quantised.graph.initializer if len(weight.dims) == 2}
    assert kinds == {np.dtype(np.int8)}


def test_what_has_no_integer_kernel_stays_in_float():
    model = user_model("cae_leaky_02")
    exported = onnxmodels.to_onnx(model, AUTOENCODER)
    quantised = onnxmodels.quantised(exported, inputs_of(model, AUTOENCODER, TRAIN_IMAGES[:64]))
    kinds = {weight.name: numpy_helper.to_array(weight).dtype for weight in quantised.graph.initializer}
    transposed = [node for node in quantised.graph.node if node.op_type == "ConvTranspose"]
    assert [kinds[node.input[1]] for node in transposed] == [np.dtype(np.float32)] * 3
    assert sum(dtype == np.int8 for dtype in kinds.values()) > 3


@pytest.mark.parametrize(("name", "stays"), [("vae_2", True), ("vae_16", False), ("mlp_2", False)])
def test_a_layer_fed_by_two_numbers_stays_in_float_before_a_transposed_convolution(name, stays):
    model = user_model(name)
    exported = onnxmodels.to_onnx(model, DECODER)
    quantised = onnxmodels.quantised(exported, inputs_of(model, DECODER, TRAIN_IMAGES[:64]))
    first = next(node for node in quantised.graph.node if node.op_type == "Gemm")
    floats = {weight.name for weight in quantised.graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    assert (first.input[1] in floats) == stays


def test_the_encoder_of_a_vae_gives_the_posterior_mean():
    model = user_model("vae_2")
    x = images(TEST_IMAGES[:5])
    exported = onnxmodels.to_onnx(model, ENCODER)
    with torch.inference_mode():
        mean = model.model.encoder.posterior(x)[0].numpy()
    assert np.allclose(runtimes.in_onnxruntime(exported, 1)(x.numpy()), mean, atol=1e-6)
    # nor does the file hold the head of the log-variance
    assert len([node for node in exported.graph.node if node.op_type == "Gemm"]) == 2


def test_a_file_says_what_it_is():
    model = user_model("superres_64")
    exported = {part: onnxmodels.to_onnx(model, part) for part in (ENCODER, DECODER)}
    said = {part: {entry.key: entry.value for entry in each.metadata_props} for part, each in exported.items()}
    assert said[ENCODER] == {
        "row": "superres_64",
        "recipe": "fast",
        "seed": "0",
        "fingerprint": "f" * 16,
        "settings": json.dumps(model.row.model_dump(), sort_keys=True),
        "part": "encoder",
        "opset": "20",
        "code_shape": "[64]",
        "input": "MNIST's images, light on dark, pixels in [0, 1], downsampled from 28x28 to 14x14 "
        "(bilinear, no aligned corners, no antialiasing)",
        "input_shape": '["batch", 1, 14, 14]',
        "input_range": "[0, 1]",
        "output": "the numbers that the encoder gives",
        "output_shape": '["batch", 64]',
    }
    assert exported[ENCODER].opset_import[0].version == 20
    assert said[DECODER]["input_shape"] == '["batch", 64]'
    assert said[DECODER]["input_range"] == "unbounded"
    assert said[DECODER]["output_shape"] == '["batch", 1, 28, 28]'
    session = onnxruntime.InferenceSession(exported[ENCODER].SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == said[ENCODER]
    quantised = onnxmodels.quantised(exported[DECODER], inputs_of(model, DECODER, TRAIN_IMAGES[:64]))
    more = {"quantisation": "static, int8, weights per channel", "calibration": "64 training images, seed 0"}
    assert {entry.key: entry.value for entry in quantised.metadata_props} == said[DECODER] | more


def test_the_same_model_gives_the_same_bytes():
    model = user_model("vae_2")
    calibration = inputs_of(model, ENCODER, TRAIN_IMAGES[:64])
    first, again = (onnxmodels.to_onnx(model, ENCODER) for _ in range(2))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    first, again = (onnxmodels.quantised(each, calibration) for each in (first, again))
    assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_calibration_images_are_what_the_encoder_meets_in_training():
    train = images(TRAIN_IMAGES)
    plain = onnxmodels.calibration_images(train, STUDY.row("mlp_8"))
    noisy = onnxmodels.calibration_images(train, STUDY.row("mlp_8_denoise"))
    small = onnxmodels.calibration_images(train, STUDY.row("superres_64"))
    assert len(plain) == onnxmodels.NUM_CALIBRATION_IMAGES == 512
    assert len({image.numpy().tobytes() for image in plain} & {image.numpy().tobytes() for image in train}) > 500
    assert torch.equal(plain, onnxmodels.calibration_images(train, STUDY.row("mlp_8")))
    assert torch.equal(small, data.degrade(plain, 14))
    spread = (noisy - plain)[plain > 0.4].std()
    assert 0.1 < spread < 0.35  # sigma from 0 to 0.5, clipped at white
    assert noisy.min() >= 0
    assert noisy.max() <= 1


def test_speeds_are_medians_in_turns():
    seen: list[tuple[str, int]] = []

    def runtime(name: str) -> runtimes.Runtime:
        def run(x: np.ndarray) -> np.ndarray:
            seen.append((name, len(x)))
            return x

        return run

    found = runtimes.speeds({"a": runtime("a"), "b": runtime("b")}, np.zeros((300, 1), np.float32))
    a_round = [(name, size) for name in "ab" for size in [1] * runtimes.NUM_SINGLE + [runtimes.BATCH_SIZE]]
    assert seen[4:] == a_round * runtimes.NUM_ROUNDS
    assert all(0 < speed.latency_seconds < 0.01 and speed.images_per_second > 1e5 for speed in found.values())


# the command


@pytest.fixture(scope="module")
def whole_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("a project")
    shutil.copy(ROOT / "params.yaml", folder)
    for name in ("mlp_2", "superres_64"):
        description = {"name": name, "recipe": "fast", "seed": 0, "row": STUDY.row(name).model_dump(), "fingerprint": name}
        checkpoint.save(untrained(name), description, folder / Run(name, "fast", 0).checkpoint)
    (folder / "data/mnist").mkdir(parents=True)
    for name in FILES:
        array = TRAIN_IMAGES if name.startswith("train") else TEST_IMAGES
        content = bytes(16) + array.tobytes() if "images" in name else bytes(8) + bytes(len(array))
        (folder / "data/mnist" / name).write_bytes(content)
    return folder


@pytest.fixture
def project(whole_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project is the working folder; the command fixes threads and handles signals."""
    folder = tmp_path / "project"
    shutil.copytree(whole_project, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(runtimes, "NUM_ROUNDS", 2)
    monkeypatch.setattr(runtimes, "NUM_SINGLE", 2)
    for variable in ("MLFLOW_TRACKING_URI", "DVC_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    handler, num_threads, environment = signal.getsignal(signal.SIGTERM), torch.get_num_threads(), dict(os.environ)
    yield folder
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(num_threads)
    os.environ.clear()
    os.environ.update(environment)


run = partial(cli_output, "export")
error = partial(cli_error, "export")


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_command_writes_all_files_and_reports_what_they_hold(project, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    said, notes = run("superres_64")
    folder = project / "exports/superres_64-fast-0"
    assert notes == ""
    assert files(folder) == FILES_OF_AN_EXPORT
    assert files(folder.parent) == {"superres_64-fast-0"}
    assert files(project) == {"params.yaml", "models", "data", "exports"}
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (report["model"], report["fingerprint"]) == ("superres_64-fast-0", "superres_64")
    assert report["num_threads"] == 1
    assert max(report["largest_difference"].values()) <= report["tolerance"] == 1e-4
    assert "tolerance 0.0001" in said
    assert "1 thread, torch" in said
    assert [(each["part"], each["runtime"]) for each in report["measured"]] == [
        (part.name, runtime)
        for part in PARTS
        for runtime in ("torch", "onnxruntime float32", "onnxruntime int8")
    ]  # fmt: skip
    measured = {(each["part"], each["runtime"]): each for each in report["measured"]}
    x, target = data.degrade(images(TEST_IMAGES), 14).numpy(), images(TEST_IMAGES).numpy()

    def outputs(file: str, given: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(folder / file, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: given})[0]

    model = usermodels.get("superres_64")
    mse = mean_square(model.decode(model.encode(images(TEST_IMAGES))).numpy() - target)
    for part in PARTS:
        assert measured[part.name, "torch"]["test_mse"] == pytest.approx(mse, rel=1e-5)
        assert measured[part.name, "torch"]["mse_ratio"] == 1
        for precision, suffix in (("float32", ".onnx"), ("int8", ".int8.onnx")):
            each = measured[part.name, f"onnxruntime {precision}"]
            assert each["num_bytes"] == (folder / f"{part.name}{suffix}").stat().st_size
            assert each["mse_ratio"] == pytest.approx(each["test_mse"] / mse, rel=1e-4)
            codes = outputs(f"encoder{suffix if part is ENCODER else '.onnx'}", x)
            decoded = outputs(f"decoder{suffix if part is DECODER else '.onnx'}", codes)
            found = outputs(f"autoencoder{suffix}", x) if part is AUTOENCODER else decoded
            assert each["test_mse"] == pytest.approx(mean_square(found - target), rel=1e-4)
            assert f" {each['num_bytes']:,} | " in said
    size = Run("superres_64", "fast", 0).checkpoint.stat().st_size
    assert 0 <= size - measured["autoencoder", "torch"]["num_bytes"] < 2000  # the description is not of the weights


@pytest.mark.usefixtures("project")
def test_a_checkpoint_file_on_two_threads_and_a_folder_with_other_files_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    (tmp_path / "deep/folder").mkdir(parents=True)
    (tmp_path / "deep/folder/notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "deep/folder/report.json").write_text("old", encoding="utf-8")
    said, _ = run("models/fast/mlp_2/seed_0/model.safetensors", "--output", tmp_path / "deep/folder")
    assert "2 threads, torch" in said
    assert files(tmp_path / "deep/folder") == FILES_OF_AN_EXPORT | {"notes.txt"}
    report = json.loads((tmp_path / "deep/folder/report.json").read_text(encoding="utf-8"))
    assert (report["model"], report["num_threads"]) == ("mlp_2-fast-0", 2)


def alter(monkeypatch: pytest.MonkeyPatch, name: str, factor: float) -> None:
    """Exports of that part come out with all their weights multiplied."""
    whole = onnxmodels.to_onnx

    def altered(model: UserModel, part: onnxmodels.Part) -> onnx.ModelProto:
        exported = whole(model, part)
        for weight in exported.graph.initializer:
            if part.name == name and weight.data_type == onnx.TensorProto.FLOAT:
                weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), weight.name))
        return exported

    monkeypatch.setattr(onnxmodels, "to_onnx", altered)


@pytest.mark.parametrize(
    ("part", "factor"), [("encoder", 1.01), ("decoder", 1.01), ("autoencoder", 1.01), ("decoder", np.nan)]
)
def test_a_file_that_gives_something_else_is_an_error_and_is_not_left(part, factor, project, monkeypatch):
    alter(monkeypatch, part, factor)
    said = error("mlp_2")
    kind = "codes" if part == "encoder" else "pixels"
    assert said.startswith(f"mlp_2-fast-0: ONNX Runtime does not give what torch gives: {kind} of the {part} differ by")
    assert said.endswith("tolerance 0.0001: nothing is written")
    assert files(project) == {"params.yaml", "models", "data"}


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device"), ZeroDivisionError()])
def test_after_a_failure_the_former_export_is_still_there(trouble, project, monkeypatch):
    folder = project / "exports/mine"
    folder.mkdir(parents=True)
    for name in FILES_OF_AN_EXPORT:
        (folder / name).write_text("former", encoding="utf-8")

    def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(runtimes, "speeds", fail)
    if isinstance(trouble, OSError):
        assert error("mlp_2", "--output", folder) == f"{folder}: cannot be written: No space left on device"
    else:
        # Ctrl-C is an exit with 130, a mistake of ours a traceback
        with pytest.raises(SystemExit if isinstance(trouble, KeyboardInterrupt) else ZeroDivisionError):
            run("mlp_2", "--output", folder)
    assert files(folder) == FILES_OF_AN_EXPORT
    assert {path.read_text(encoding="utf-8") for path in folder.iterdir()} == {"former"}


def test_who_reads_the_output_may_go(project, monkeypatch):
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(runtimes, "speeds", gone)
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # it would silence the tests as well
    with pytest.raises(SystemExit) as caught:
        main(["export", "mlp_2"])
    assert caught.value.code == 1
    assert files(project) == {"params.yaml", "models", "data"}


def test_mistakes(project):
    assert "no row 'mlp_3' in variants: choose from cae_baseline" in error("mlp_3")
    assert "is not trained yet: dvc repro train@cae_baseline-fast-0" in error("cae_baseline")
    assert "the following arguments are required: ROW" in error()
    assert error("params.yaml").startswith("params.yaml: is not a checkpoint, or is damaged")
    assert error("mlp_2", "--output", "params.yaml").startswith("params.yaml: cannot be written: ")
    assert "params.yaml is not a folder" in error("mlp_2", "--output", "params.yaml/exports")
    assert "cannot be written" in error("mlp_2", "--output", "/proc/nothing/can/be/made/here")
    (project / "exports").write_text("in the way", encoding="utf-8")
    assert "exports is not a folder" in error("mlp_2")
    nameless = project / "nameless.safetensors"
    checkpoint.save(untrained("mlp_2"), {"row": STUDY.row("mlp_2").model_dump()}, nameless)
    assert error(nameless) == f"{nameless}: the file does not say a name for the folder: give --output FOLDER"
    assert files(project) == {"params.yaml", "models", "data", "exports", "nameless.safetensors"}
    shutil.rmtree(project / "data")
    assert "MNIST is not here: dvc repro download" in error("mlp_2", "--output", "x")


@pytest.mark.usefixtures("project")
def test_a_folder_that_is_not_ours_to_write_to(monkeypatch):
    monkeypatch.setattr(export.os, "access", lambda *_: False)  # whoever runs the test
    assert error("mlp_2", "--output", "x") == "x: cannot be written: permission denied"


def test_the_table():
    record = {"num_bytes": 1234, "latency_seconds": 0.0012345, "images_per_second": 9999.6, "test_mse": 0.00326}
    records = [
        record | {"part": "encoder", "runtime": "torch", "mse_ratio": 1.0},
        record | {"part": "autoencoder", "runtime": "onnxruntime int8", "mse_ratio": 1.00683, "num_bytes": 1},
    ]
    assert export.table(records) == [
        "| model       | runtime          | bytes | latency (ms) | images/s | test MSE | MSE / torch's |",
        "| ----------- | ---------------- | ----: | -----------: | -------: | -------: | ------------: |",
        "| encoder     | torch            | 1,234 |        1.234 |   10,000 | 0.003260 |        1.0000 |",
        "| autoencoder | onnxruntime int8 |     1 |        1.234 |   10,000 | 0.003260 |        1.0068 |",
    ]


@pytest.mark.slow
def test_every_row_can_be_exported():
    for name in STUDY.variants:
        if name not in NAMES:
            model = user_model(name)
            given = inputs_of(model, AUTOENCODER, TEST_IMAGES)
            found = runtimes.in_onnxruntime(onnxmodels.to_onnx(model, AUTOENCODER), 1)(given)
            assert np.abs(found - runtimes.in_torch(model, AUTOENCODER)(given)).max() < 1e-5
