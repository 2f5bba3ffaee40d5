"""Models as ONNX against torch, and the command that makes them, with real exports of every family."""

import json
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from untrained import RUNS, SHAPE, TEST_IMAGES, TRAIN_IMAGES, describe, inside, make_project, model_of, tensor, untrained

from conftest import PROJECT, ROOT, cli_error, cli_output
from latentlab.cli import main
from latentlab.commands import export, named
from latentlab.data import images as data
from latentlab.models import check, checkpoint, onnxmodels
from latentlab.models.onnxmodels import AUTOENCODER, DECODER, ENCODER, PARTS, Part
from latentlab.models.trained import CPU, TrainedModel
from latentlab.params.variants import Variant

pytestmark = pytest.mark.slow

FILES_OF_AN_EXPORT = {*(f"{part.name}{suffix}" for part in PARTS for suffix in (".onnx", ".int8.onnx")), "report.json"}
# every family, every upsampling, every activation
EACH = [
    "mlp_2", "vae_2", "superres_64",
    "cae_latent_8", "cae_batch_norm", "cae_leaky_02", "stacked_64", "conv_ae", "compress_transposed",
    "compress_bilinear", "ae_2", "conv_bn_64", "upsampled_nearest", "upsampled_bilinear", "vae_40_binary",
]  # fmt: skip
# and what the trade-off study may find
UPSAMPLED = {
    "source": "S", "training": "cae", "family": "upsampled_cae", "downsampling": 1, "input_noise": None,
    "channels": [4, 6, 8], "kernel_sizes": [3, 5, 3], "latent_dim": 5, "batch_norm": True, "negative_slope": 0.1,
    "loss": "mse",
}  # fmt: skip


def trained_model(name: str) -> TrainedModel:
    _, found, upsampling = name.partition("upsampled_")
    variant = Variant.model_validate(UPSAMPLED | {"upsampling": upsampling}) if found else PROJECT.variant(name)
    model = model_of(variant)
    description = {"name": name, "dataset": "mnist", "recipe": "fast", "seed": 0, "fingerprint": "f" * 16}
    code_shape = check.measure_code(model, variant, SHAPE)
    return TrainedModel(f"{name}-mnist-fast-0", variant, SHAPE, description, code_shape, model, CPU)


def inputs_of(model: TrainedModel, part: Part, array: np.ndarray) -> np.ndarray:
    if part is DECODER:
        return model.encode(tensor(array)).numpy()
    return data.degrade(tensor(array), model.variant.downsampling).numpy()


def autoencoder_and_int8(name: str, part: Part = AUTOENCODER) -> tuple[TrainedModel, onnx.ModelProto, onnx.ModelProto]:
    model = trained_model(name)
    exported = onnxmodels.to_onnx(model, part)
    return model, exported, onnxmodels.quantised(exported, inputs_of(model, part, TRAIN_IMAGES[:64]))


def mean_square(values: np.ndarray) -> float:
    return float(np.square(values, dtype=np.float64).mean())


@pytest.mark.parametrize("name", EACH)
def test_onnx_gives_what_torch_gives_for_any_number_of_images_and_int8_about_that(name):
    model, exported, quantised = autoencoder_and_int8(name)
    given = inputs_of(model, AUTOENCODER, TEST_IMAGES[:300])
    expected = onnxmodels.in_torch(model, AUTOENCODER)(given)
    for each in (exported, quantised):
        onnx.checker.check_model(each, full_check=True)
        assert each.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
        assert str(ROOT).encode() not in each.SerializeToString()
        assert b"site-packages" not in each.SerializeToString()
        assert onnxmodels.in_onnxruntime(each)(given[:1]).shape == (1, 1, 28, 28)
    for number in (3, len(given)):
        found = onnxmodels.in_onnxruntime(exported)(given[:number])
        assert found.dtype == np.float32
        assert np.abs(found - expected[:number]).max() < 1e-5
    found = onnxmodels.in_onnxruntime(quantised)(given)
    assert 0 < mean_square(found - expected) < 0.03 * mean_square(expected - expected.mean(axis=0))


def test_int8_makes_files_of_dense_layers_a_quarter():
    _, exported, quantised = autoencoder_and_int8("stacked_64")
    assert 0.25 < quantised.ByteSize() / exported.ByteSize() < 0.27
    kinds = {numpy_helper.to_array(weight).dtype for weight in quantised.graph.initializer if len(weight.dims) == 2}
    assert kinds == {np.dtype(np.int8)}


def test_what_has_no_integer_kernel_stays_in_float():
    _, _, quantised = autoencoder_and_int8("cae_leaky_02")
    kinds = {weight.name: numpy_helper.to_array(weight).dtype for weight in quantised.graph.initializer}
    transposed = [node for node in quantised.graph.node if node.op_type == "ConvTranspose"]
    assert [kinds[node.input[1]] for node in transposed] == [np.dtype(np.float32)] * 3
    assert sum(dtype == np.int8 for dtype in kinds.values()) > 3


@pytest.mark.parametrize(("name", "stays"), [("vae_2", True), ("vae_16", False), ("mlp_2", False)])
def test_a_layer_fed_by_two_numbers_stays_in_float_before_a_transposed_convolution(name, stays):
    _, _, quantised = autoencoder_and_int8(name, DECODER)
    first = next(node for node in quantised.graph.node if node.op_type == "Gemm")
    floats = {weight.name for weight in quantised.graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    assert (first.input[1] in floats) == stays


def test_the_encoder_of_a_vae_gives_the_posterior_mean():
    model = trained_model("vae_2")
    x = tensor(TEST_IMAGES[:5])
    exported = onnxmodels.to_onnx(model, ENCODER)
    mean, _ = model.posterior(x)
    assert np.allclose(onnxmodels.in_onnxruntime(exported)(x.numpy()), mean.numpy(), atol=1e-6)
    # nor does the file hold the head of the log-variance
    assert len([node for node in exported.graph.node if node.op_type == "Gemm"]) == 2


def test_a_file_says_what_it_is():
    model, decoder, quantised = autoencoder_and_int8("superres_64", DECODER)
    encoder = onnxmodels.to_onnx(model, ENCODER)
    said = {entry.key: entry.value for entry in encoder.metadata_props}
    assert said == {
        "variant": "superres_64",
        "dataset": "mnist",
        "recipe": "fast",
        "seed": "0",
        "fingerprint": "f" * 16,
        "settings": json.dumps(model.variant.model_dump(), sort_keys=True),
        "part": "encoder",
        "opset": "20",
        "code_shape": "[64]",
        "input": "images as those of mnist, pixels in [0, 1], downsampled from 28x28 to 14x14 "
        "(bilinear, no aligned corners, no antialiasing)",
        "input_shape": '["batch", 1, 14, 14]',
        "input_range": "[0, 1]",
        "output": "the numbers that the encoder gives",
        "output_shape": '["batch", 64]',
    }
    assert encoder.opset_import[0].version == 20
    session = onnxruntime.InferenceSession(encoder.SerializeToString(), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == said
    said = {entry.key: entry.value for entry in decoder.metadata_props}
    assert (said["input_shape"], said["input_range"]) == ('["batch", 64]', "unbounded")
    assert said["output_shape"] == '["batch", 1, 28, 28]'
    more = {"quantisation": "static, int8, weights per channel", "calibration": "64 training images, seed 0"}
    assert {entry.key: entry.value for entry in quantised.metadata_props} == said | more


def test_the_same_model_gives_the_same_bytes():
    for first, again in zip(autoencoder_and_int8("vae_2")[1:], autoencoder_and_int8("vae_2")[1:], strict=True):
        assert first.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)


def test_calibration_images_are_what_the_encoder_meets_in_training():
    train = tensor(TRAIN_IMAGES)
    plain = onnxmodels.calibration_images(train, PROJECT.variant("mlp_8"))
    noisy = onnxmodels.calibration_images(train, PROJECT.variant("mlp_8_denoise"))
    small = onnxmodels.calibration_images(train, PROJECT.variant("superres_64"))
    assert len(plain) == onnxmodels.NUM_CALIBRATION_IMAGES == 512
    assert len({image.numpy().tobytes() for image in plain} & {image.numpy().tobytes() for image in train}) > 500
    assert torch.equal(plain, onnxmodels.calibration_images(train, PROJECT.variant("mlp_8")))
    assert torch.equal(small, data.degrade(plain, 2))
    spread = (noisy - plain)[plain > 0.4].std()
    assert 0.1 < spread < 0.35  # sigma from 0 to 0.5, clipped at white
    assert noisy.min() >= 0
    assert noisy.max() <= 1


# the command


@pytest.fixture(scope="module")
def whole_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("a project"), [RUNS[0], RUNS[4]])


@pytest.fixture
def folder(whole_folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the project is the working folder."""
    shutil.copytree(whole_folder, tmp_path / "project")
    with inside(tmp_path / "project"):
        yield tmp_path / "project"


run = partial(cli_output, "export")
error = partial(cli_error, "export")
BEFORE = {"params.yaml", "analyses", "models", "data"}


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_command_writes_all_files_and_reports_what_they_hold(folder):
    said, notes = run("superres_64")
    made = folder / "exports/superres_64-mnist-fast-0"
    assert notes == ""
    assert files(made) == FILES_OF_AN_EXPORT
    assert files(made.parent) == {made.name}
    assert files(folder) == BEFORE | {"exports"}
    report = json.loads((made / "report.json").read_text(encoding="utf-8"))
    assert (report["model"], report["fingerprint"]) == (made.name, "f" * 16)
    assert max(report["largest_difference"].values()) <= report["tolerance"] == 1e-4
    assert "tolerance 0.0001" in said
    x, target = data.degrade(tensor(TEST_IMAGES), 2).numpy(), tensor(TEST_IMAGES).numpy()

    def outputs(file: str, given: np.ndarray) -> np.ndarray:
        session = onnxruntime.InferenceSession(made / file, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: given})[0]

    mse = mean_square(named.get("superres_64").reconstruct(tensor(TEST_IMAGES)).numpy() - target)
    assert report["torch_test_mse"] == pytest.approx(mse, rel=1e-5)
    measured = {each["file"]: each for each in report["files"]}
    assert {*measured, "report.json"} == FILES_OF_AN_EXPORT
    for part in PARTS:
        for suffix in (".onnx", ".int8.onnx"):
            each = measured[f"{part.name}{suffix}"]
            assert each["num_bytes"] == (made / f"{part.name}{suffix}").stat().st_size
            assert each["mse_ratio"] == pytest.approx(each["test_mse"] / mse, rel=1e-4)
            codes = outputs(f"encoder{suffix if part is ENCODER else '.onnx'}", x)
            decoded = outputs(f"decoder{suffix if part is DECODER else '.onnx'}", codes)
            found = outputs(f"autoencoder{suffix}", x) if part is AUTOENCODER else decoded
            assert each["test_mse"] == pytest.approx(mean_square(found - target), rel=1e-4)
            assert f" {each['num_bytes']:,} " in said


@pytest.mark.usefixtures("folder")
def test_a_checkpoint_file_and_a_folder_with_other_files_in_it(tmp_path):
    deep = tmp_path / "deep/folder"
    deep.mkdir(parents=True)
    (deep / "notes.txt").write_text("mine", encoding="utf-8")
    (deep / "report.json").write_text("old", encoding="utf-8")
    run(RUNS[0].checkpoint, "--output", deep)
    assert files(deep) == FILES_OF_AN_EXPORT | {"notes.txt"}
    assert json.loads((deep / "report.json").read_text(encoding="utf-8"))["model"] == "mlp_2-mnist-fast-0"


def alter(monkeypatch: pytest.MonkeyPatch, name: str, factor: float) -> None:
    """Exports of that part come out with all their weights multiplied."""
    whole = onnxmodels.to_onnx

    def altered(model: TrainedModel, part: Part) -> onnx.ModelProto:
        exported = whole(model, part)
        for weight in exported.graph.initializer:
            if part.name == name and weight.data_type == onnx.TensorProto.FLOAT:
                weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(factor), weight.name))
        return exported

    monkeypatch.setattr(onnxmodels, "to_onnx", altered)


@pytest.mark.parametrize(
    ("part", "factor"), [("encoder", 1.01), ("decoder", 1.01), ("autoencoder", 1.01), ("decoder", np.nan)]
)
def test_a_file_that_gives_something_else_is_an_error_and_is_not_left(part, factor, folder, monkeypatch):
    alter(monkeypatch, part, factor)
    said = error("mlp_2")
    kind = "codes" if part == "encoder" else "reconstructions"
    assert said.startswith(
        f"mlp_2-mnist-fast-0: ONNX Runtime does not give what torch gives: the {kind} of the {part} differ"
    )
    assert said.endswith("tolerance 0.0001: nothing is written")
    assert files(folder) == BEFORE


@pytest.mark.parametrize("trouble", [KeyboardInterrupt(), OSError(28, "No space left on device"), ZeroDivisionError()])
def test_after_a_failure_the_former_export_is_still_there(trouble, folder, monkeypatch):
    made = folder / "exports/mine"
    made.mkdir(parents=True)
    for name in FILES_OF_AN_EXPORT:
        (made / name).write_text("former", encoding="utf-8")

    def fail(*_: object) -> None:
        raise trouble

    monkeypatch.setattr(export, "write_json", fail)
    if isinstance(trouble, OSError):
        assert error("mlp_2", "--output", made) == f"{made}: cannot be written: No space left on device"
    else:
        # Ctrl-C is an exit with 130, a mistake of ours a traceback
        with pytest.raises(SystemExit if isinstance(trouble, KeyboardInterrupt) else ZeroDivisionError):
            run("mlp_2", "--output", made)
    assert files(made) == FILES_OF_AN_EXPORT
    assert {path.read_text(encoding="utf-8") for path in made.iterdir()} == {"former"}


def test_who_reads_the_output_may_go(folder, monkeypatch):
    def gone(*_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(export, "write_json", gone)
    monkeypatch.setattr(os, "dup2", lambda *_: None)  # it would silence the tests as well
    with pytest.raises(SystemExit) as caught:
        main(["export", "mlp_2"])
    assert caught.value.code == 1
    assert files(folder) == BEFORE


def test_mistakes(folder, monkeypatch):
    assert "is not trained yet: dvc repro train@cae_baseline-mnist-fast-0" in error("cae_baseline")
    assert error("mlp_2", "--output", "params.yaml").startswith("params.yaml: cannot be written: ")
    assert "params.yaml is not a folder" in error("mlp_2", "--output", "params.yaml/exports")
    assert "cannot be written" in error("mlp_2", "--output", "/proc/nothing/can/be/made/here")
    (folder / "exports").write_text("in the way", encoding="utf-8")
    assert "exports is not a folder" in error("mlp_2")
    nameless = folder / "nameless.safetensors"
    checkpoint.save(untrained("mlp_2"), {key: describe(RUNS[0])[key] for key in ("variant", "images")}, nameless)
    assert error(nameless) == f"{nameless}: the file does not say a name for the folder: give --output FOLDER"
    assert files(folder) == BEFORE | {"exports", "nameless.safetensors"}
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda *_: False)  # whoever runs the test
        assert error("mlp_2", "--output", "x") == "x: cannot be written: permission denied"
    shutil.rmtree(folder / "data")
    assert "the data set is not here: dvc repro download@mnist" in error("mlp_2", "--output", "x")


def test_every_variant_can_be_exported():
    for name in PROJECT.variants:
        if name not in EACH:
            model = trained_model(name)
            given = inputs_of(model, AUTOENCODER, TEST_IMAGES)
            found = onnxmodels.in_onnxruntime(onnxmodels.to_onnx(model, AUTOENCODER))(given)
            assert np.abs(found - onnxmodels.in_torch(model, AUTOENCODER)(given)).max() < 1e-5
