"""`latentlab bench`: what is computed from measurements, the reference against ours, and a small bench."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from benchmarks import command, growth, machine, page, quality, reference, settings, summary, worker, workspace
from conftest import ROOT, STUDY
from latentlab import data, layout, models, params, processor
from latentlab.cli import main
from latentlab.download import FILES
from latentlab.errors import UserError
from latentlab.evaluation.complexity import flop_counter

ROWS = [*settings.ROWS, "conv_ae", "compress_nearest", "cae_batch_norm", "cae_depth_4", "cae_leaky_02", "mlp_2"]
MACHINE = {
    "cpu": "A CPU", "num_cores": 2, "memory_gib": 8.0, "system": "Linux x86_64", "python": "3.11.0", "device": "cpu",
    "gpu": None, "torch": "2.6.0", "default_threads": 2, "native_bfloat16": False,
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with params.yaml and images drawn from ten patterns, of which the first 64 are for training."""
    digits = (np.arange(200) % 10).astype(np.uint8)
    patterns = np.random.default_rng(0).integers(0, 256, (10, 28, 28), dtype=np.uint8)
    folder = tmp_path / layout.DATA
    folder.mkdir(parents=True)
    for name in FILES:
        labels = "labels" in name
        header = [2049, 200] if labels else [2051, 200, 28, 28]
        content = digits if labels else patterns[digits]
        (folder / name).write_bytes(np.array(header, ">i4").tobytes() + content.tobytes())
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    small = text.replace("train: 55000, validation: 5000, test: 10000", "train: 64, validation: 32, test: 50")
    small = small.replace("first: 12, second: 3456", "first: 12, second: 34")
    assert small.count("train: 64") == 1
    (tmp_path / "params.yaml").write_text(small, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for cached in (worker.study, worker.images, worker.loader_set):
        cached.cache_clear()
    return tmp_path


def test_summary():
    assert summary.summary([3.0, 1.0, 2.0, 10.0]) == {"median": 2.5, "min": 1.0, "max": 10.0}
    assert summary.ratios([4.0, 9.0], [2.0, 3.0]) == [2.0, 3.0]


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 1.0, 2.0])
def test_exponent(power):
    sizes = [1, 2, 4, 8]
    assert summary.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)
    assert summary.exponent(sizes, [5 + size for size in sizes]) < 1


def test_whole_batches():
    assert [settings.whole_batches(num, 32) for num in (1, 32, 33)] == [32, 32, 64]


def test_quality():
    records = [{"seconds": 2.0, "validation_mse": mse, "validation_loss": mse} for mse in (0.5, 0.2, 0.1)]
    wanted = {"validation_mse": 0.2}
    ours = quality.reach(records, wanted)
    assert (ours["reached"], ours["epochs"], ours["seconds"]) == (True, 2, 4.0)
    never = quality.reach(records, {"validation_mse": 0.2, "validation_loss": 0.05})
    assert (never["reached"], never["epochs"], never["seconds"]) == (False, 3, 6.0)
    both = quality.together([ours, never])
    assert (both["reached"], both["seconds"]) == (False, 3.0)
    record = {"whole": ours, "singles": both, "reference": never}
    assert quality.ratio(record, "whole") == {"value": 1.5, "at_least": True}
    assert quality.ratio(record, "singles") is None
    with pytest.raises(UserError, match="row vae_2: its source publishes no figure"):
        quality.figures(STUDY, "vae_2")
    assert quality.figures(STUDY, "mlp_8") == {"validation_mse": 0.01831}
    assert quality.figures(STUDY, "cae_baseline") == {"validation_mse": 0.003483, "validation_loss": 0.07083}


@pytest.mark.parametrize("name", ROWS)
def test_the_reference_has_the_same_layers(name):
    row = STUDY.row(name)
    ours, theirs = models.build(row, 0), reference.build(row, 0)
    shapes = [sorted(tuple(parameter.shape) for parameter in model.parameters()) for model in (ours, theirs)]
    assert shapes[0] == shapes[1]
    # with our weights it computes what ours computes
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    output = theirs(x)
    if row.family == "conv_vae":
        mean = output[1]
        torch.testing.assert_close(mean, ours.encode(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(theirs.decoder(mean), ours.decode(mean), rtol=1e-4, atol=1e-5)
    else:
        torch.testing.assert_close(output, ours(x), rtol=1e-4, atol=1e-5)
        loss = ours.loss(x, x, torch.Generator())["loss"]
        torch.testing.assert_close(reference.criterion(row)(output, x), loss, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", settings.ROWS)
def test_the_flop_of_an_image_are_those_of_a_step(name):
    row = STUDY.row(name)
    model, x = models.build(row, 0), torch.rand(1, 1, 28, 28)
    if row.family == "conv_bn_ae":
        model.eval()  # one image has no variance
    with flop_counter() as counter:
        model.loss(x, x, torch.Generator())["loss"].backward()
    # num_macs has no head for the log-variance
    assert worker.flop_per_image(name)["flop"] == pytest.approx(counter.get_total_flops(), rel=1e-4)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("name", "recipe"), [("cae_baseline", "fast"), ("conv_bn_64", "published"), ("mlp_8", "published")]
)
def test_the_parts_of_an_epoch(name, recipe):
    found = worker.profile(name, recipe, 64, "cpu")
    parts = found["parts"]
    assert list(parts) == ["products", "norms", "optimiser", "others"]
    assert (parts["norms"] > 0) == (name == "conv_bn_64")
    assert all(seconds > 0 for key, seconds in parts.items() if key != "norms")
    assert found["seconds"] > 0


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("name", ["cae_baseline", "mlp_8", "vae_2"])
def test_the_reference_learns(name):
    dataset = reference.training_set(layout.DATA)
    assert len(dataset) == 200
    chosen = worker.loader_set()
    assert len(chosen) == 64
    mnist = data.load(layout.DATA, worker.study().split)
    assert torch.equal(torch.stack([image for image, _ in chosen]), mnist.train.images)
    row = STUDY.row(name)
    model, criterion = reference.build(row, 0), reference.criterion(row)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    before = reference.validate(model, mnist.train.images, criterion)
    loader = DataLoader(chosen, batch_size=8, shuffle=True)
    train_loss = reference.train_epoch(model, loader, optimizer, criterion, torch.device("cpu"))
    after = reference.validate(model, mnist.train.images, criterion)
    assert after["loss"] < before["loss"]
    assert after["loss"] < train_loss
    assert after["mse"] < before["mse"]


@pytest.mark.usefixtures("project")
def test_both_loops_give_the_same_records(monkeypatch):
    monkeypatch.setattr(worker.devices, "make_deterministic", lambda: None)  # it would last
    ours = worker.ours("mlp_8", "published", 0, 32, 16, 2, "cpu")
    theirs = worker.theirs("mlp_8", 0, 32, 16, 2, "cpu")
    for answer in (ours, theirs):
        assert len(answer["records"]) == 2
        assert all(set(record) == {"seconds", "validation_loss", "validation_mse"} for record in answer["records"])
        assert answer["whole_seconds"] > sum(record["seconds"] for record in answer["records"]) > 0
        assert answer["records"][1]["validation_mse"] < answer["records"][0]["validation_mse"]
    assert len(worker.loader_set().data) == 64


def test_rows_without_a_reference():
    for name in ("superres_64", "cae_baseline_denoise"):
        with pytest.raises(UserError, match=f"row {name}: there is no reference loop for it"):
            worker.check([name])


def test_the_stages_are_those_of_the_pipeline():
    commands = workspace.commands("cae_baseline")
    assert commands["train"] == ["latentlab.stages.train", "cae_baseline", "fast", "0"]
    assert commands["baseline"] == ["latentlab.stages.baseline", "pca_32"]
    assert all("$" not in word for words in commands.values() for word in words)


@pytest.mark.parametrize("number", growth.NUMS_ROWS)
def test_a_small_copy_is_a_valid_study(number, tmp_path):
    workspace.make(tmp_path / "copy", growth.ROWS[:number], "cpu")
    study = params.load(tmp_path / "copy" / "params.yaml")
    assert list(study.variants) == list(growth.ROWS[:number])


def scaled(values, factor):
    return {key: value * factor for key, value in values.items()}


def test_page():
    spread = {"median": 3000.0, "min": 2900.4, "max": 3100.0}
    ratio = {"median": 2.0, "min": 1.9, "max": 2.1}
    reached = {"reached": True, "epochs": 1, "seconds": 2.0, "found": {"validation_mse": 0.1}}
    records = {
        "loop": {
            "row": "a", "batch_size": 32, "num_images": 64, "reference": spread, "whole": spread, "whole_ratio": ratio,
        },
        "quality": {
            "row": "a", "figures": {"validation_mse": 0.2}, "whole": reached, "reference": reached | {"reached": False},
            "whole_ratio": {"value": 1.0, "at_least": True},
        },
        "flops": {
            "row": "a", "recipe": "fast", "precision": "float32", "num_threads": 1, "flop_per_image": 14_569_472,
            "achieved": scaled(spread, 1e9), "peak": spread, "matmul": spread, "share": ratio,
        },
        "profile": {
            "row": "a", "recipe": "fast", "precision": "float32", "outside": scaled(spread, 1e-4), "product_share": ratio,
            "parts": {key: scaled(ratio, 0.1) for key in worker.KINDS},
        },
        "stages": {"stage": "train", "full": False, "seconds": 4.0, "start_up_seconds": 1.0, "peak_bytes": 2**30},
        "growth": {"what": "images", "sizes": [1, 2], "seconds": [1.0, 2.0], "exponent": 1.0},
    }  # fmt: skip
    part = {"date": "2026-01-02", "settings": {"images": 64}}
    parts = {name: part | {"records": [record, {"note": "something was not run"}]} for name, record in records.items()}
    text = page.page({"machine": MACHINE, "parts": parts})
    for line in (
        "A CPU, 2 cores, 8.0 GiB; Linux x86_64, Python 3.11.0, torch 2.6.0; torch's own choice is 2 threads.",
        "| a | 32 | 3,000 (2,900 to 3,100) | 3,000 (2,900 to 3,100) | 2.00 (1.90 to 2.10) |  |  |",
        "| a | mse 0.2 | not reached in 2.0 s (1 epoch) | 2.0 s (1 epoch) | > 1.0 |  |  |",
        "| a | fast | float32 | 1 | 14.6 | 3,000 (2,900 to 3,100) | 0 (0 to 0) | 0 (0 to 0) | 200 (190 to 210) |",
        "| a | fast | float32 | 20 (19 to 21) | 200 (190 to 210) | 20 (19 to 21) | 20 (19 to 21) | 20 (19 to 21) | "
        "30 (29 to 31) |",
        "| train | small | 4.0 | 1.0 | 25 | 1024 |",
        "| images | 1: 1.00, 2: 2.00 | 1.00 |",
        "something was not run.",
        "2026-01-02; images 64.",
    ):
        assert f"\n{line}\n" in text
    assert set(page.TABLES) == set(page.HEADINGS) == set(page.EXPLANATIONS) == set(page.GPU_NOTES) == set(command.PARTS)
    gpu = page.page({"machine": MACHINE | {"gpu": "A GPU"}, "parts": {"loop": parts["loop"]}})
    assert page.GPU_NOTES["loop"] in gpu
    assert page.GPU_NOTES["loop"] not in text


def test_results_are_kept_by_machine(tmp_path):
    assert machine.slug(MACHINE) == "cpu"
    assert machine.slug(MACHINE | {"gpu": "NVIDIA H200 (1)"}) == "nvidia-h200-1"
    assert processor.name()
    part = {"date": "2026-01-02", "settings": {}, "records": []}
    path = tmp_path / "deep" / "cpu.json"
    assert command._former(path, MACHINE) == command._former(None, MACHINE) == {}
    command._write({"machine": MACHINE, "parts": {"growth": part, "loop": part}}, path)
    assert list(command._former(path, MACHINE)) == ["loop", "growth"]
    assert command._former(path, MACHINE | {"torch": "2.7.0"}) == {}
    assert path.with_suffix(".md").read_text(encoding="utf-8").startswith("# Benchmarks")


def test_parts():
    assert command._asked([], None) == ["loop", "flops", "profile", "stages", "growth"]
    assert command._asked(["growth", "loop"], None) == ["loop", "growth"]
    assert command._asked(["loop"], ["mlp_8"]) == ["loop", "quality"]
    with pytest.raises(UserError, match="no part 'x': choose from loop, quality"):
        command._asked(["x"], None)


def test_outside_of_the_project_there_is_one_clear_error(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(["bench"])
    assert caught.value.code == 2
    assert (
        capsys.readouterr().err == "error: there is no benchmarks/ here: `latentlab bench` runs in the project's folder\n"
    )


def test_nothing_under_src_uses_the_benchmarks():
    for path in (ROOT / "src").rglob("*.py"):
        found = [
            line for line in path.read_text(encoding="utf-8").splitlines() if "import" in line and "benchmarks" in line
        ]
        assert not found or path.name == "cli.py"


@pytest.mark.slow
def test_a_small_bench(project):
    (project / "benchmarks").symlink_to(ROOT / "benchmarks")
    done = subprocess.run(
        [sys.executable, "-c", "from latentlab.cli import main; main()", "bench", "loop", "flops", "profile",
         "--rows", "mlp_8", "--quality", "mlp_8", "--quick", "--images", "64", "--rounds", "1", "--device", "cpu",
         "--output", "kept"],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((project / "kept/cpu.json").read_text(encoding="utf-8"))
    assert list(results["parts"]) == ["loop", "quality", "flops", "profile"]
    assert (project / "kept/cpu.md").read_text(encoding="utf-8") == done.stdout
    (record,) = results["parts"]["loop"]["records"]
    assert record["whole_ratio"]["median"] > 0
