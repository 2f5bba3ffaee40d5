"""Each metric against an independent implementation, on strokes and on noise."""

import io

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional.image as tm
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import COLOUR, dense, digits, linear, noise, smooth, splits, striped
from skimage.metrics import structural_similarity
from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error

from latentlab.data.images import Images
from latentlab.evaluation import reconstruction
from latentlab.evaluation.reconstruction import reconstruction_errors, ssim
from latentlab.models.base import BATCH_SIZE

STROKES = digits(30).images
COLOURS = smooth(30, (3, 20, 20))
PAIRS = {
    "blurred strokes": (F.avg_pool2d(STROKES, 3, stride=1, padding=1), STROKES),
    "noisy strokes": ((STROKES + 0.3 * noise(30)).clamp(0, 1), STROKES),
    "other strokes": (digits(30, 1).images, STROKES),
    "noise": (noise(30, 1), noise(30, 2)),
    "fainter noise": (0.5 + 0.3 * noise(30, 1), noise(30, 1)),
    "blurred colours": (F.avg_pool2d(COLOURS, 3, stride=1, padding=1, count_include_pad=False), COLOURS),
    "noisy colours": ((COLOURS + 0.3 * noise(30, 0, (3, 20, 20))).clamp(0, 1), COLOURS),
    "wrong colours": (COLOURS.flip(1), COLOURS),
}


@pytest.fixture(params=PAIRS)
def pair(request):
    return PAIRS[request.param]


def test_errors_against_torchmetrics(pair):
    errors = reconstruction_errors(*pair)
    outputs, targets = (each.double() for each in pair)
    assert errors["mse"] == pytest.approx(float(mean_squared_error(outputs, targets)), rel=1e-5)
    assert errors["mae"] == pytest.approx(float(mean_absolute_error(outputs, targets)), rel=1e-5)
    psnr = tm.peak_signal_noise_ratio(outputs, targets, data_range=1.0, reduction="elementwise_mean", dim=(1, 2, 3))
    assert errors["psnr"] == pytest.approx(float(psnr), rel=1e-5)
    o, t = outputs.numpy(), targets.numpy()
    with np.errstate(divide="ignore"):
        logarithms = np.log(o).clip(-100), np.log1p(-o).clip(-100)
    assert errors["bce"] == pytest.approx(-(t * logarithms[0] + (1 - t) * logarithms[1]).mean(), rel=1e-4)


def test_ssim_against_torchmetrics(pair):
    _, full = tm.structural_similarity_index_measure(*pair, sigma=1.5, data_range=1.0, return_full_image=True)
    expected = full.mean(dim=(1, 2, 3))
    assert torch.allclose(ssim(*pair), expected, atol=1e-4)
    assert reconstruction_errors(*pair)["ssim"] == pytest.approx(float(expected.mean()), abs=1e-4)


def test_ssim_against_scikit_image(pair):
    # there, images are continued by reflection about the edge of the last pixel, here about its middle
    arguments = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1, "full": True}
    expected = [
        structural_similarity(x, y, channel_axis=0, **arguments)[1].mean()
        for x, y in zip(*(each.double().numpy() for each in pair), strict=True)
    ]
    assert ssim(*pair).numpy() == pytest.approx(np.array(expected), abs=0.02)


def test_ssim_of_colours_is_the_mean_of_the_channels():
    outputs, targets = PAIRS["noisy colours"]
    by_channel = [ssim(outputs[:, [channel]], targets[:, [channel]]) for channel in range(3)]
    assert torch.allclose(ssim(outputs, targets), torch.stack(by_channel).mean(0), atol=1e-5)


def test_ssim_of_constant_images():
    # only the luminance term is left: (2 a b + C1) / (a^2 + b^2 + C1), with C1 = 0.01^2
    outputs, targets = torch.full((2, 1, 28, 28), 0.2), torch.full((2, 1, 28, 28), 0.6)
    expected = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(outputs, targets).tolist() == pytest.approx([expected] * 2, rel=1e-3)


def test_identity_and_values_outside_of_the_range():
    targets = (noise(3) > 0.5).float()
    same = reconstruction_errors(targets, targets)
    assert (same["mse"], same["bce"], same["mae"]) == (0, 0, 0)
    assert same["ssim"] == pytest.approx(1)
    assert same["psnr"] == pytest.approx(120)
    beyond = reconstruction_errors(targets * 1.2 - 0.1, targets)
    assert beyond["bce"] == 0
    assert beyond["mse"] == pytest.approx(0.01, rel=1e-5)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(0, 1000))
def test_errors_are_ordered_as_theory_says(count, seed):
    errors = reconstruction_errors(noise(count, seed), noise(count, seed + 1))
    assert errors["mae"] ** 2 <= errors["mse"] <= errors["mae"]  # Jensen; and differences within [0, 1]
    assert -1 <= errors["ssim"] <= 1
    # the mean of logarithms is at least the logarithm of the mean
    assert errors["psnr"] >= -10 * np.log10(errors["mse"]) - 1e-6


def test_more_than_a_batch_is_as_one():
    count = BATCH_SIZE + 3
    outputs, targets = noise(count, 1), noise(count, 2)
    whole = reconstruction_errors(outputs, targets)
    middle = count // 2
    halves = [reconstruction_errors(outputs[part], targets[part]) for part in (slice(middle), slice(middle, None))]
    for key, value in whole.items():
        mixed = (middle * halves[0][key] + (count - middle) * halves[1][key]) / count
        assert value == pytest.approx(mixed, rel=1e-6)
    sizes = []
    doubled = reconstruction.apply(lambda batch: sizes.append(len(batch)) or 2 * batch, outputs)
    assert torch.equal(doubled, 2 * outputs)
    assert sizes == [BATCH_SIZE, 3]


def test_mse_per_class():
    targets = torch.zeros(5, 1, 28, 28)
    outputs = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5]).reshape(5, 1, 1, 1).expand(5, 1, 28, 28)
    by_class = reconstruction.mse_per_class(outputs, targets, torch.tensor([7, 7, 0, 0, 3]), "abcdefgh")
    assert by_class == pytest.approx({"a": (0.09 + 0.16) / 2, "d": 0.25, "h": (0.01 + 0.04) / 2})
    assert list(by_class) == ["a", "d", "h"]


def test_one_of_each_class():
    labels = torch.tensor([7, 2, 2, 0, 7])
    assert reconstruction.one_of_each_class(Images(noise(5), labels)).tolist() == [3, 1, 0]
    assert reconstruction.one_of_each_class(Images(noise(20), torch.arange(20) % 12)).tolist() == list(range(10))
    assert reconstruction.one_of_each_class(Images(noise(20), None)).tolist() == list(range(10))


def test_core_evaluation_of_a_model():
    subject, data = dense(), splits()
    made = reconstruction.analyse(subject, reconstruction.Settings())
    numbers = made.numbers
    assert (numbers["latent_dim"], numbers["compression_ratio"]) == (5, 784 / 5)
    assert numbers["num_macs"] == {"encoder": 196 * 5, "decoder": 5 * 784, "total": 980 * 5}
    assert numbers["num_parameters"] == {"encoder": 197 * 5, "decoder": 6 * 784, "total": 197 * 5 + 6 * 784}
    for part in ("test", "validation"):
        images = getattr(data, part).images
        errors = reconstruction_errors(subject.decode(subject.encode(images)), images)
        assert {name: numbers[f"{part}_{name}"] for name in errors} == errors
    assert np.mean(list(numbers["mse_per_class"].values())) == pytest.approx(numbers["test_mse"])  # equally many of each
    shown = made.arrays["reconstructions"]
    assert (shown.shape, shown.dtype) == ((2, 10, 1, 28, 28), np.uint8)
    assert np.array_equal(shown[0], (data.test.images[:10].numpy() * 255).round())  # which are 0 to 9
    assert Image.open(io.BytesIO(made.pictures["reconstructions"])).size == (10 * 30 * 3, 2 * 30 * 3)


@pytest.mark.parametrize("shape", [(1, 16, 16), COLOUR])
def test_core_evaluation_of_any_shape(shape):
    numbers = reconstruction.analyse(dense(striped(shape)), reconstruction.Settings()).numbers
    pixels = shape[0] * shape[1] * shape[2]
    assert numbers["compression_ratio"] == pixels / 5
    assert numbers["num_macs"] == {"encoder": pixels / 4 * 5, "decoder": 5 * pixels, "total": 1.25 * 5 * pixels}
    assert np.mean(list(numbers["mse_per_class"].values())) == pytest.approx(numbers["test_mse"])
    without = reconstruction.analyse(dense(striped(shape, ())), reconstruction.Settings()).numbers
    assert without == {name: value for name, value in numbers.items() if name != "mse_per_class"}


def test_core_evaluation_of_a_baseline():
    numbers = reconstruction.analyse(linear(8), reconstruction.Settings()).numbers
    assert numbers["latent_dim"] == 8
    assert not [name for name in numbers if name.startswith(("validation", "num"))]
    assert numbers["test_mse"] < reconstruction.analyse(linear(2), reconstruction.Settings()).numbers["test_mse"]
