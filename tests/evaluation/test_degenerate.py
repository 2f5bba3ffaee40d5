"""Each analysis of what has next to nothing in it: few images, flat ones, missing classes, dead and constant codes."""

import json
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import Dense, noise
from test_shapes import SETTINGS, beside

from conftest import ROOT
from latentlab.data.images import Images, Splits
from latentlab.evaluation import codecs
from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.params.datasets import Shape
from latentlab.params.strict import read_yaml

# as in the project, but for what takes long
HOW: dict[str, dict[str, Any]] = {
    **read_yaml(ROOT / "analyses/params.yaml")["analyses"]["settings"], "probes": {"neighbours": 5}, "reconstruction": {},
}  # fmt: skip
HOW["compression"] |= {"bits": [2, 8]}
HOW["denoising"] |= {"sigmas": [0.1, 0.5]}
HOW["few_labels"] = HOW["untrained"] = HOW["few_labels"] | {"num_draws": 2}
HOW["generation"] |= {"grid_side": 3, "num_draws": 2, "num_shown": 5}
HOW["interpolation"] |= {"num_pairs": 20}
HOW["latent_space"] |= {"num_small": 20, "num_large": 40}
HOW["likelihood"] |= {"num_samples": 20}
pytestmark = [
    pytest.mark.filterwarnings("ignore:The number of unique classes:UserWarning"),  # scikit-learn's, of few images
    # numpy's, of samples of a mixture of codes that are nearly one; what comes out is checked
    pytest.mark.filterwarnings("ignore:covariance is not symmetric positive-semidefinite:RuntimeWarning"),
    # now and then a vector unit flags numbers beside the matrix; what comes out is checked
    pytest.mark.filterwarnings("ignore:invalid value encountered in matmul:RuntimeWarning"),
]
SLOW = ("codecs", "latent_space")
LEAST = 10  # images of a part: less is refused before any work

# ranges of numbers, by how their names end
RANGES = {
    "accuracy": (0, 1), "precision": (0, 1), "recall": (0, 1), "silhouette": (-1, 1), "ssim": (-1, 1), "psnr": (-50, 120),
    "psnr_in": (-50, 120), "cosine": (0, 1), "distance": (0, 1e6), "step_ratio": (1, 1000), "share_within_3": (0, 1),
    "mse": (0, 1e6), "kl": (0, 1e30), "bytes_alone": (0, 1e6), "bytes_amortised": (0, 1e6),
    "auroc": (0, 1), "block_ratio": (0, 1e6), "energy_ratio": (0, 1e6), "period_4": (0, 1e6),
}  # fmt: skip


@dataclass(frozen=True)
class Part:
    """Images whose classes take turns, or of which all but the first have one image."""

    count: int
    present: list[int]
    alone: bool


@dataclass(frozen=True)
class Data:
    shape: Shape
    look: str
    num_classes: int
    parts: tuple[Part, Part, Part]

    def splits(self) -> Splits:
        parts = [self._images(part, seed) for seed, part in enumerate(self.parts)]
        return Splits(*parts, [f"class {label}" for label in range(self.num_classes)])

    def _images(self, part: Part, seed: int) -> Images:
        images, places = torch.zeros(part.count, *self.shape), torch.arange(part.count)
        if self.look == "noise":
            images = (noise(part.count, seed, self.shape) * 255).round() / 255
        elif self.look == "flat":  # each of another grey
            images += (places / 255).reshape(-1, 1, 1, 1)
        elif self.look == "blocks":
            small = noise(part.count, seed, (self.shape[0], 8, 8))
            images = F.interpolate(small, size=self.shape[1:], mode="nearest")
        elif self.look == "dots":  # black but for one pixel
            images.flatten(1)[places, places % 200] = 1
        if not self.num_classes:
            return Images(images, None)
        order = places.clamp(max=len(part.present) - 1) if part.alone else places % len(part.present)
        return Images(images, torch.tensor(part.present)[order])


@st.composite
def datasets(draw: st.DrawFn) -> Data:
    num_classes = draw(st.sampled_from([0, 2, 3, 12]))
    parts = []
    for least in (2, 1, 1):  # classes that are there: of the training images more than one, or there are none
        labels = st.lists(st.integers(0, num_classes - 1), min_size=least, max_size=num_classes, unique=True)
        parts.append(Part(draw(st.integers(LEAST, 40)), draw(labels) if num_classes else [], draw(st.booleans())))
    shape = draw(st.sampled_from([(1, 16, 16), (3, 16, 16), (1, 17, 17)]))
    return Data(shape, draw(st.sampled_from(["noise", "flat", "blocks", "dots"])), num_classes, tuple(parts))


@dataclass(frozen=True)
class Model:
    """Linear codes around a number, of which the first are alive, and a decoder of one layer with a sigmoid."""

    latent_dim: int
    alive: int
    faint: float  # what is left of the others
    scale: float
    around: float
    back: float
    offset: float
    log_variance: float | None

    def subject(self, data: Splits) -> Subject:
        num_values, generator = data.train.images[0].numel(), torch.Generator().manual_seed(0)
        weights = self.scale * torch.randn(num_values, self.latent_dim, generator=generator)
        weights[:, self.alive :] *= self.faint
        returns = self.back * torch.randn(self.latent_dim, num_values, generator=generator)

        def encode(x: torch.Tensor) -> torch.Tensor:
            return self.around * (1 + torch.arange(self.latent_dim) / 10) + x.flatten(1) @ weights

        def posterior(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean = encode(x)
            return mean, torch.full_like(mean, self.log_variance or 0)

        torch.manual_seed(0)
        model = Dense(data.shape, self.latent_dim).eval().requires_grad_(requires_grad=False)
        model.decoder[0].weight.copy_(returns.T)
        model.decoder[0].bias.fill_(self.offset)
        uncertain = None if self.log_variance is None else posterior
        made = Subject(encode, model.decode, data, uncertain, model, 2, name="degenerate")
        return replace(made, untrained=lambda: made)


MODELS = st.builds(
    Model,
    latent_dim=st.sampled_from([1, 2, 5]),
    alive=st.integers(0, 5),
    faint=st.sampled_from([0.0, 1e-6]),
    scale=st.sampled_from([1.0, 1e-7, 1e4]),
    around=st.sampled_from([0.0, 3.0]),
    back=st.sampled_from([0.0, 1.0, 100.0]),
    offset=st.sampled_from([0.0, -20.0, -100.0, 20.0]),
    log_variance=st.sampled_from([None, 0.0, -80.0, 10.0]),
)


def numbers_of(nested: Any, name: str = "") -> list[tuple[str, float]]:
    if isinstance(nested, dict):
        return [each for key, value in nested.items() for each in numbers_of(value, key)]
    if isinstance(nested, list):
        return [each for value in nested for each in numbers_of(value, name)]
    return [(name, nested)] if isinstance(nested, int | float) else []


def check(made: Analysis) -> None:
    """What is measured can be stored and drawn, and is no nonsense."""
    json.dumps([made.numbers, made.tables], allow_nan=False)
    for name, number in numbers_of(made.numbers):
        for end, (least, most) in RANGES.items():
            assert not name.endswith(end) or least - 1e-5 <= number <= most + 1e-5, (name, number)
    assert all(array.dtype.kind == "U" or np.isfinite(array).all() for array in made.arrays.values())


def measure(name: str, subject: Subject) -> None:
    module = import_module(f"latentlab.evaluation.{name}")
    check(module.analyse(subject, module.Settings.model_validate(HOW[name]), **beside(name, subject.data.shape)))


@pytest.fixture(autouse=True)
def few_qualities(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image format at three qualities of a hundred."""
    monkeypatch.setattr(codecs.codec_curve, "__defaults__", ((1, 50, 100),))


def plain(look: str, num_classes: int, in_test: list[int]) -> Data:
    return Data((1, 16, 16), look, num_classes, (Part(12, [0, 1], False), Part(10, [0], False), Part(10, in_test, False)))


NEARLY_BLACK = Model(5, 5, 0.0, 1e-7, 0.0, 1.0, -20.0, 10.0)
ONE_NUMBER = Model(1, 1, 0.0, 1.0, 0.0, 1.0, 0.0, None)
COLLAPSED = Model(2, 0, 0.0, 1.0, 3.0, 1.0, 0.0, 0.0)
NARROW = Model(1, 1, 0.0, 1e-7, 3.0, 0.0, 0.0, 0.0)
EXAMPLES = {
    "codes of one number that differ in their last digits": (plain("blocks", 2, [1]), NARROW),
    "blocks without a step inside, codes of one number": (plain("blocks", 2, [0, 1]), ONE_NUMBER),
    "one class in the test, codes that are all one": (plain("noise", 3, [2]), COLLAPSED),
    "one image of each class in the test, black outputs": (plain("flat", 12, list(range(10))), NEARLY_BLACK),
}


@pytest.mark.parametrize("example", EXAMPLES)
@pytest.mark.parametrize("name", SETTINGS)
def test_an_analysis(name, example):
    data, model = EXAMPLES[example]
    measure(name, model.subject(data.splits()))


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in SETTINGS])
def test_any(name):
    @settings(max_examples=5, deadline=None)
    @given(datasets(), MODELS)
    def holds(data, model):
        measure(name, model.subject(data.splits()))

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in SLOW])
def test_many(name):
    @settings(max_examples=200, deadline=None)
    @given(datasets(), MODELS)
    def holds(data, model):
        measure(name, model.subject(data.splits()))

    holds()
