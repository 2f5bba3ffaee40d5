"""The training loop against one written by hand, its determinism, its schedules, and its checkpoints."""

import itertools
import json
import math
import os
import platform
import subprocess
import sys

import pytest
import torch
from torch import nn

from conftest import PROJECT, ROOT, needs_bfloat16
from latentlab import models
from latentlab.data import images as data
from latentlab.models import check, checkpoint
from latentlab.params.recipes import Training
from latentlab.params.strict import ParamsError
from latentlab.params.variants import Variant
from latentlab.training import devices
from latentlab.training import loop as training


class Counter:
    def __init__(self) -> None:
        self.seen = 0

    def update(self, n: float) -> None:
        self.seen += int(n)


def images(count: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(seed))


def settings(**changes: object) -> Training:
    plain = {
        "epochs": 2,
        "batch_size": 16,
        "precision": "float32",
        "optimizer": {"name": "adam", "lr": 1e-3, "weight_decay": 0.0},
        "schedule": {"name": "constant"},
    }
    return Training.model_validate(plain | changes)


def trained(
    name: str, how: Training, seed: int = 0, count: int = 40, device: str = "cpu"
) -> tuple[nn.Module, list[dict[str, float]]]:
    variant = PROJECT.variant(name)
    model = models.build(variant, SHAPE, seed).to(device)
    parts = images(count).to(device), images(20, 1).to(device)
    pairs = [(data.degrade(part, variant.downsampling), part) for part in parts]
    precision = devices.precision(how.precision, torch.device(device))
    return model, list(training.fit(model, *pairs, how, variant.input_noise, seed, precision, Counter()))


SHAPE = (1, 28, 28)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
GOLDEN = json.loads((ROOT / "tests/golden/losses.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", check.FAMILIES)
def test_the_first_losses_of_a_family_are_what_they_were(family, device):
    variant, expected = Variant.model_validate(GOLDEN[family]["variant"]), GOLDEN[family]["losses"]
    x = images(48) * torch.linspace(0, 1, 48).reshape(-1, 1, 1, 1)  # normalisation magnifies rounding where all are alike
    x = x.to(device)
    pair = (data.degrade(x, variant.downsampling), x)
    how = settings(epochs=3, batch_size=48)  # one step an epoch
    records = training.fit(models.build(variant, SHAPE, 0).to(device), pair, pair, how, None, 0, torch.float32, Counter())
    # a GPU multiplies in fewer bits, and draws other noise
    assert [record["train_loss"] for record in records] == pytest.approx(expected, rel=3e-4 if device == "cpu" else 3e-3)


def test_against_a_plain_loop():
    model, records = trained("cae_tradeoff", settings())
    reference = models.build(PROJECT.variant("cae_tradeoff"), SHAPE, 0)
    optimiser = torch.optim.Adam(reference.parameters(), lr=1e-3)
    order = torch.Generator().manual_seed(0)
    x = images(40)
    for record in records:
        losses = []
        for chosen in torch.randperm(40, generator=order).split(16):
            loss = nn.functional.binary_cross_entropy(reference(x[chosen]), x[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item() * len(chosen))
        assert record["train_loss"] == pytest.approx(sum(losses) / 40, rel=1e-5)
        with torch.no_grad():
            output = reference(images(20, 1))
        assert record["validation_loss"] == pytest.approx(
            nn.functional.binary_cross_entropy(output, images(20, 1)).item(), rel=1e-5
        )
        assert record["validation_mse"] == pytest.approx((output - images(20, 1)).square().mean().item(), rel=1e-4)
    for ours, theirs in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


SLOW = [pytest.param("mlp_8", marks=pytest.mark.slow), pytest.param("superres_64", marks=pytest.mark.slow)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["cae_batch_norm", "conv_ae", "vae_2", "compress_bilinear", *SLOW])
def test_twice_the_same_is_the_same_to_the_bit(name, device):
    how = PROJECT.training_of(name, "fast").model_copy(update={"epochs": 2, "batch_size": 16})
    devices.make_deterministic()
    first, records = trained(name, how, device=device)
    torch.rand(7, device=device)  # the global random state must not matter
    second, again = trained(name, how, device=device)
    live = ("epoch_seconds", "images_per_second")
    for one, other in zip(records, again, strict=True):
        assert {key: one[key] for key in one if key not in live} == {key: other[key] for key in other if key not in live}
    for one, other in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    different, _ = trained(name, how, seed=1, device=device)
    assert not torch.equal(next(first.parameters()), next(different.parameters()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", ["cae_batch_norm", "cae_baseline_denoise", "vae_2", *SLOW])
@pytest.mark.parametrize("recipe", ["fast", "published"])
def test_a_training_that_goes_on_after_an_interruption_is_the_same_to_the_bit(name, recipe, device, tmp_path):
    how = PROJECT.training_of(name, recipe).model_copy(update={"epochs": 4, "batch_size": 16})
    if how.schedule.name == "plateau":
        how = how.model_copy(update={"schedule": how.schedule.model_copy(update={"patience": 0, "threshold": 0.5})})
    devices.make_deterministic()
    variant = PROJECT.variant(name)
    parts = images(40).to(device), images(20, 1).to(device)
    pairs = [(data.degrade(part, variant.downsampling), part) for part in parts]
    precision = devices.precision(how.precision, torch.device(device))

    def run(stop_after: int | None) -> tuple[nn.Module, list[dict[str, float]]]:
        model, records = models.build(variant, SHAPE, 0).to(device), []
        kept = checkpoint.EpochFile(tmp_path / "state.pt", "a training")
        for record in training.fit(model, *pairs, how, variant.input_noise, 0, precision, Counter(), kept):
            records.append(record)
            if len(records) == stop_after:
                break
        return model, records

    wanted, uninterrupted = run(None)
    (tmp_path / "state.pt").unlink()
    for stop_after in (1, 3):  # interrupted twice, the second time two epochs further
        run(stop_after)
        (tmp_path / "x.partial").write_bytes(b"half")
    model, records = run(None)
    live = ("epoch_seconds", "images_per_second")
    assert len(records) == 4
    for one, other in zip(records, uninterrupted, strict=True):
        assert {key: one[key] for key in one if key not in live} == {key: other[key] for key in other if key not in live}
    for one, other in zip(model.state_dict().values(), wanted.state_dict().values(), strict=True):
        assert torch.equal(one, other)


@needs_gpu
@pytest.mark.parametrize("name", ["cae_batch_norm", "cae_baseline_denoise", "vae_2", "mlp_8", "conv_bn_64"])
def test_cuda_trains_as_the_cpu_does(name):
    how = PROJECT.training_of(name, "fast").model_copy(update={"epochs": 2, "batch_size": 16})
    finals = [trained(name, how, count=120, device=device)[1][-1]["validation_mse"] for device in ("cpu", "cuda")]
    assert finals[1] == pytest.approx(finals[0], rel=0.05)


def test_the_state_of_another_training_or_a_damaged_one_is_not_used(tmp_path, capsys):
    kept = checkpoint.EpochFile(tmp_path / "state.pt", "this")
    assert kept.load() is None
    kept.save({"records": [1]})
    assert kept.load() == {"records": [1]}
    assert checkpoint.EpochFile(tmp_path / "state.pt", "another").load() is None
    whole = (tmp_path / "state.pt").read_bytes()
    for damaged in (b"", whole[:100], whole[:-50], b"x" * 1000):
        (tmp_path / "state.pt").write_bytes(damaged)
        assert kept.load() is None
        assert "starts anew" in capsys.readouterr().err
    kept.remove()
    assert not list(tmp_path.iterdir())


def test_every_image_is_counted_also_in_an_incomplete_batch():
    variant, counter = PROJECT.variant("mlp_2"), Counter()
    x = images(37)
    list(training.fit(models.build(variant, SHAPE, 0), (x, x), (x, x), settings(epochs=3), None, 0, torch.float32, counter))
    assert counter.seen == 3 * 37


@pytest.mark.parametrize("name", ["vae_2", "vae_40_binary"])
def test_vae_records_its_terms(name):
    _, records = trained(name, settings())
    for prefix in ("train", "validation"):
        total = records[-1][f"{prefix}_bce_sum"] + records[-1][f"{prefix}_kl"]
        assert records[-1][f"{prefix}_loss"] == pytest.approx(total, rel=1e-5)


def test_cosine():
    factors = [training.cosine_factor(step, 100, 0.15) for step in range(101)]
    assert factors[0] == pytest.approx(1 / 16)
    assert factors[15] == pytest.approx(1)
    assert all(later > earlier for earlier, later in itertools.pairwise(factors[:16]))
    assert all(later < earlier for earlier, later in itertools.pairwise(factors[15:]))
    assert factors[100] == pytest.approx(0, abs=1e-12)
    assert training.cosine_factor(0, 10, 0.0) == 1


def test_plateau_watches_the_loss_that_it_is_told_to():
    # a threshold of 0.99 calls every epoch but the first one that does not improve
    schedule = {"name": "plateau", "factor": 0.5, "patience": 0, "threshold": 0.99}
    for monitor in ("train_loss", "validation_loss"):
        _, records = trained("mlp_2", settings(epochs=3, schedule=schedule | {"monitor": monitor}))
        assert [record["lr"] for record in records] == pytest.approx([1e-3, 1e-3, 5e-4])


def test_a_loss_that_is_not_finite_stops_the_training():
    variant = PROJECT.variant("mlp_2")
    x = torch.full((16, 1, 28, 28), math.nan)
    with pytest.raises(training.TrainingError, match="nan in epoch 1, step 1:"):
        list(training.fit(models.build(variant, SHAPE, 0), (x, x), (x, x), settings(), None, 0, torch.float32, Counter()))


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen", "named"),
    [(True, True, "cuda", "cuda, mps, cpu"), (False, True, "mps", "mps, cpu"), (False, False, "cpu", "cpu")],
)
def test_the_device_is_one_of_this_machine(monkeypatch, cuda, mps, chosen, named):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert devices.resolve("auto") == torch.device(chosen)
    assert devices.resolve("cpu") == torch.device("cpu")
    for name, there in (("cuda", cuda), ("mps", mps)):
        if there:
            assert devices.resolve(name) == torch.device(name)
        else:
            with pytest.raises(ParamsError, match=f"'{name}' is not on this machine: choose from auto, {named}$"):
                devices.resolve(name)


def test_the_checkpoint_is_the_same_to_the_byte(tmp_path):
    model = models.build(PROJECT.variant("cae_batch_norm"), SHAPE, 0)
    description = {"variant": PROJECT.variant("cae_batch_norm").model_dump(), "seed": 0}
    for name in "ab":
        checkpoint.save(model, description, tmp_path / name / "model.safetensors")
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    assert checkpoint.load_description(tmp_path / "a/model.safetensors") == description


def test_a_variant_that_denoises_is_fed_noise_and_compared_with_the_clean_image():
    variant, x = PROJECT.variant("mlp_32_denoise"), images(64)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    model = models.build(variant, SHAPE, 0)
    plain_loss = type(model).loss

    def watched(inputs, target, generator):
        seen.append((inputs.clone(), target.clone()))
        return plain_loss(model, inputs, target, generator)

    model.loss = watched
    how = settings(batch_size=64, epochs=2)
    list(training.fit(model, (x, x), (x, x), how, variant.input_noise, 0, torch.float32, Counter()))
    (first, first_target), (validation, _), (second, second_target), _ = seen
    order = torch.Generator().manual_seed(0)
    for inputs, target in ((first, first_target), (second, second_target)):
        assert torch.equal(target, x[torch.randperm(64, generator=order)])
        assert 0 <= inputs.min() < inputs.max() <= 1
        spread = (inputs - target).square().mean(dim=(1, 2, 3)).sqrt()
        assert spread.min() < 0.1 < 0.3 < spread.max() < 0.5  # sigma differs from image to image, up to 0.5
    assert not torch.equal(first.sort(dim=0).values, second.sort(dim=0).values)  # and is drawn anew
    assert torch.equal(validation, x)  # what comes as validation inputs is taken as it is


@needs_bfloat16
@pytest.mark.parametrize("name", ["cae_latent_8", "mlp_8", "vae_2", "conv_bn_64"])
def test_bfloat16_is_close_to_float32_and_leaves_the_weights_float32(name):
    variant, x = PROJECT.variant(name), images(64)
    losses = {}
    for precision in (torch.float32, torch.bfloat16):
        model = models.build(variant, SHAPE, 0)
        how = settings(batch_size=32, optimizer=PROJECT.recipes["fast"][variant.training].optimizer.model_dump())
        records = list(training.fit(model, (x, x), (x, x), how, variant.input_noise, 0, precision, Counter()))
        losses[precision] = [records[-1]["train_loss"], records[-1]["validation_loss"]]
        assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert losses[torch.bfloat16] != losses[torch.float32]
    assert losses[torch.bfloat16] == pytest.approx(losses[torch.float32], rel=0.02)


def test_precision_is_what_the_device_computes_itself(monkeypatch):
    cpu = torch.device("cpu")
    for capabilities, expected in (({}, torch.float32), ({"avx512_bf16": True}, torch.bfloat16)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert devices.precision("bfloat16", cpu) == expected
        assert devices.precision("float32", cpu) == torch.float32


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
@pytest.mark.slow
def test_freed_memory_is_kept():
    code = """
import ctypes, resource, sys
import torch
from latentlab.training import devices
if sys.argv[1] == "keep":
    devices.keep_memory()
torch.set_num_threads(1)
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: huge pages make few faults of many
def step():
    tensors = [torch.zeros(2 ** 20).add_(1) for _ in range(20)]  # 4 MB each
for _ in range(20):  # the heap grows at first
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    # fixed: glibc raises it by itself, and whether freed memory then goes back depends on what lies above it in the heap
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(128 << 10)}
    new_pages = {
        mode: int(subprocess.run([sys.executable, "-c", code, mode], env=env, capture_output=True, check=True).stdout)
        for mode in ("keep", "give back")
    }
    assert new_pages["keep"] < new_pages["give back"] / 10


def test_an_epoch_of_several_passes_is_as_many_epochs_of_one():
    variant, x = PROJECT.variant("mlp_2"), images(40)
    weights, losses = [], []
    for how, num_passes in ((settings(epochs=6, batch_size=20), 1), (settings(epochs=2, batch_size=20), 3)):
        model = models.build(variant, SHAPE, 0)
        records = list(training.fit(model, (x, x), (x, x), how, None, 0, torch.float32, Counter(), num_passes=num_passes))
        weights.append(torch.cat([each.flatten() for each in model.parameters()]))
        losses.append([record["train_loss"] for record in records])
    assert torch.equal(*weights)
    assert losses[1] == pytest.approx([sum(losses[0][:3]) / 3, sum(losses[0][3:]) / 3])
