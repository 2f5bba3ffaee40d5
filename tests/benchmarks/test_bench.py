"""`latentlab bench`: what is computed from measured times, the reference against ours, and each part made small."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks import command, flops, loop, page, quality, reference, repro, stages, task, training, tune
from conftest import PROJECT, ROOT
from latentlab import models, paths
from latentlab.data.images import load
from latentlab.data.sources import FILES
from latentlab.errors import UserError
from latentlab.evaluation.complexity import num_macs

SPLIT = "train: 55000, validation: 5000, test: 10000"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and images drawn from ten patterns, of which 512 are for training."""
    digits = (np.arange(700) % 10).astype(np.uint8)
    patterns = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    (tmp_path / "data/mnist").mkdir(parents=True)
    for name in FILES:
        labels = "labels" in name
        header = [2049, 700] if labels else [2051, 700, 28, 28]
        content = digits if labels else patterns[digits]
        (tmp_path / "data/mnist" / name).write_bytes(np.array(header, ">i4").tobytes() + content.tobytes())
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert SPLIT in text
    (tmp_path / "params.yaml").write_text(text.replace(SPLIT, "train: 512, validation: 32, test: 50"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for cached in (training.project_here, training.data_of):
        cached.cache_clear()
    return tmp_path


def test_several_measurements_in_a_few_numbers():
    assert task.spread([3.0, 1.0, 2.0, 10.0]) == {"median": 2.5, "min": 1.0, "max": 10.0}
    assert task.ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]
    assert [task.whole_batches(num, 32) for num in (1, 32, 33)] == [32, 32, 64]


def test_a_rate_is_that_of_the_slowest(monkeypatch):
    seconds = {0: 2.0, 1: 4.0}
    monkeypatch.setattr(loop, "at_once", lambda _, train, jobs: [train(job) for job in jobs])
    job = training.Job("mlp_8", "fast", "mnist", "cpu", 64)
    assert loop.rate(lambda job: [{"seconds": seconds[job.seed]}], [None, None], job) == 32


def test_time_to_quality():
    records = [{"seconds": 2.0, "validation_mse": mse, "validation_loss": mse} for mse in (0.5, 0.2, 0.1)]
    ours = quality.reach(records, {"validation_mse": 0.2})
    assert ours == {"reached": True, "epochs": 2, "seconds": 4.0}
    never = quality.reach(records, {"validation_mse": 0.2, "validation_loss": 0.05})
    assert never == {"reached": False, "epochs": 3, "seconds": 6.0}
    assert quality.together([ours, never]) == {"reached": False, "epochs": 3, "seconds": 3.0}
    assert quality.figures(PROJECT, "vae_2") == {}
    assert quality.figures(PROJECT, "mlp_8") == {"validation_mse": 0.01831}
    assert quality.figures(PROJECT, "cae_baseline") == {"validation_mse": 0.003483, "validation_loss": 0.07083}


SHAPE = (1, 28, 28)


@pytest.mark.parametrize("name", task.VARIANTS)
def test_flop_are_three_times_those_forward_but_for_the_first_layer(name):
    variant = PROJECT.variant(name)
    model = models.build(variant, SHAPE, 0).eval()
    forward = 2 * num_macs(model, torch.zeros(1, 1, 28, 28))["total"]
    [first, *_] = (each for each in model.encoder.modules() if isinstance(each, nn.Conv2d | nn.Linear))
    num_places = 1 if isinstance(first, nn.Linear) else (28 // first.stride[0]) ** 2
    saved = 2 * num_places * first.weight.numel()  # nobody asks for the gradient of the images
    # num_macs has no head for the log-variance
    assert flops.flop_per_image(variant, SHAPE) == pytest.approx(3 * forward - saved, rel=1e-4)


@pytest.mark.parametrize("name", [*task.VARIANTS, "cae_batch_norm", "compress_nearest"])
def test_the_reference_is_our_model_with_the_layers_of_torch(name):
    variant, x = PROJECT.variant(name), torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    ours, theirs = (
        models.build(variant, SHAPE, 0).eval(),
        models.family(variant.family)(SHAPE, **variant.architecture).eval(),
    )
    theirs.load_state_dict(ours.state_dict())
    layers = [each for each in theirs.modules() if not list(each.children())]
    assert all(type(each).__module__.startswith("torch.nn.") for each in layers)
    if "beta" in variant.architecture:
        theirs.encoder.log_variance.weight.data.zero_()  # no noise to speak of, in theirs and in ours
        theirs.encoder.log_variance.bias.data.fill_(-30)
        ours.load_state_dict(theirs.state_dict())
    loss, reconstructions = reference.loss_of(theirs, variant, x)
    torch.testing.assert_close(loss, ours.loss(x, x, torch.Generator())["loss"], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(reconstructions, ours(x), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("folder")
def test_both_loops_learn_from_the_same_images(monkeypatch):
    monkeypatch.setattr("latentlab.training.devices.make_deterministic", lambda: None)  # it would last
    images = load(paths.data("mnist"), training.project_here().datasets["mnist"].split).train.images
    assert torch.equal(torch.stack([image for image, _ in reference.training_set("mnist")]), images)
    job = training.Job("cae_baseline", "published", "mnist", "cpu", 32, 16, epochs=2)
    for train in (training.ours, reference.theirs):
        first, second = train(job)
        assert set(first) == {"seconds", "validation_loss", "validation_mse"}
        assert second["validation_mse"] < first["validation_mse"]
    with pytest.raises(UserError, match="variant superres_64: the reference loop knows neither"):
        reference.theirs(training.Job("superres_64", "published", "mnist", "cpu"))


def test_page():
    spread = {"median": 3000.0, "min": 2900.4, "max": 3100.0}
    records = [{"variant": "a", "images_per_second": spread, "ratio": 1.234}, {"variant": "b", "ratio": None}]
    text = page.page(
        loop, {"machine": {"processor": "A CPU", "GPU": None}, "settings": {"quick": True}, "records": records}
    )
    assert text.startswith("# How many images per second?\n\nOf training alone")
    assert "\nprocessor: A CPU.\nquick: yes.\n\n| variant | images per second | ratio |\n| --- | --- | --- |\n" in text
    assert text.endswith("| a | 3,000 (2,900 to 3,100) | 1.23 |\n| b |  |  |\n")
    here = command.machine(torch.device("cpu"), 2)
    assert here["processor"]
    assert command.slug(here) == "cpu"
    assert command.slug(here | {"GPU": "NVIDIA H200 (1)"}) == "nvidia-h200-1"


def test_changed_settings():
    changes = ["epochs=3", "optimizer={name: adam, lr: 0.1, weight_decay: 0.0}", "optimizer.lr=0.02"]
    settings = tune.changed(PROJECT.training_of("mlp_8", "fast"), changes)
    assert (settings.epochs, settings.optimizer.name, settings.optimizer.lr) == (3, "adam", 0.02)


@pytest.mark.slow
def test_a_small_bench(folder):
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    (folder / "study").mkdir()
    (folder / "study/params.yaml").symlink_to(ROOT / "study/params.yaml")
    parts = [name for name in command.PARTS if name not in ("stages", "repro", "cluster")]  # which have tests of their own
    given = "bench --variant mlp_8 --quick --images 64 --rounds 1 --device cpu --output kept"
    program = "from latentlab.cli import main; main()"
    command_line = [sys.executable, "-c", program, *given.split(), *parts]
    done = subprocess.run(command_line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in parts:
        assert json.loads((folder / f"kept/cpu/{name}.json").read_text(encoding="utf-8"))["records"]
        assert (folder / f"kept/cpu/{name}.md").read_text(encoding="utf-8") in done.stdout


@pytest.mark.slow
def test_small_stages(folder, mnist_gz_folder):
    shutil.rmtree(folder / "data/mnist")
    (folder / "data/mnist").symlink_to(mnist_gz_folder)
    shutil.copy(ROOT / "dvc.yaml", folder)
    records = list(stages.measure(task.Task(PROJECT, None, "mnist", "cpu", [], 0, 0, quick=True)))
    assert [record["stage"] for record in records][:3] == ["download", "plan", "train"]
    assert all(record["memory_MiB"] > 10 for record in records)


# what `latentlab repro` does with the real one is seen in tests/pipeline
PIPELINE = """\
stages:
  first: {cmd: echo a > a.txt, outs: [a.txt]}
  row:
    foreach: [x, y]
    do: {cmd: "cp a.txt ${item}.txt; sleep 0.1", deps: [a.txt], outs: ["${item}.txt"]}
"""


@pytest.mark.slow
def test_the_default_job_by_the_clock(folder):
    (folder / "dvc.yaml").write_text(PIPELINE, encoding="utf-8")
    for name in map(Path, repro.COPIED):
        (folder / name).parent.mkdir(exist_ok=True)
        if name != Path("dvc.yaml"):
            (folder / name).symlink_to(ROOT / name)
    records = list(repro.measure(task.Task(PROJECT, None, "mnist", "cpu", [], 0, 0, quick=True)))
    assert [(record["stage"], record["instances"]) for record in records] == [("first", 1), ("row", 2), ("by the clock", 3)]
    row, total = records[1:]
    assert row["seconds"] >= 2 * 0.1
    assert row["seconds"] / 2 <= row["slowest"] < total["seconds"]
