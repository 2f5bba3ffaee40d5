"""What is in the fingerprint of code, and what is not."""

import ast
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import latentlab
from conftest import PROJECT
from latentlab.data import images
from latentlab.training import fingerprint as module
from latentlab.training import plan

Change = Callable[[Path], None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package whose fingerprints are taken."""
    folder = tmp_path / "latentlab"
    shutil.copytree(Path(latentlab.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "digest", lambda _folder: "")
    monkeypatch.setattr(latentlab, "__file__", str(folder / "__init__.py"))
    return folder


def code_of(variant: str) -> str:
    """The fingerprint in the plan of a training."""
    module._module.cache_clear()
    module.fingerprint.cache_clear()
    return str(plan.of_training(PROJECT, variant, "mnist", "fast")["code"])


def replaced(file: str, before: str, after: str) -> Change:
    def change(package: Path) -> None:
        text = (package / file).read_text(encoding="utf-8")
        assert text.count(before) >= 1, (file, before)
        (package / file).write_text(text.replace(before, after, 1), encoding="utf-8")

    return change


@pytest.mark.parametrize(
    "change",
    [
        replaced("models/__init__.py", "manual_seed(seed)", "manual_seed(seed + 1)"),
        replaced("training/devices.py", "set_flush_denormal(True)", "set_flush_denormal(False)"),
        replaced("training/devices.py", "torch.set_num_threads(", "torch.set_num_threads(1 + "),
        replaced("training/run.py", "torch.linspace(least, largest", "torch.linspace(least, 0.9 * largest"),
        replaced("training/loop.py", "torch.randperm(len(inputs)", "torch.randperm(len(inputs) + 0"),
        replaced("training/optim.py", "3.4445", "3.4446"),
        replaced("models/strided_cae.py", "super().__init__()", "super().__init__(); self.other = 1"),
        replaced("data/images.py", ".div_(255)", ".div_(256)"),
        replaced("models/checkpoint.py", "tensor.detach().cpu()", "tensor.detach().bfloat16().float().cpu()"),
        replaced("models/checkpoint.py", "torch.save(state", "torch.save({} | state"),
        # nothing is defined there, something is set
        replaced("training/optim.py", "\n\n\n", "\n\ntorch.backends.mkldnn.enabled = False\n\n\n"),
        replaced("training/optim.py", "\n\n\n", "\n\nvars(torch)['pi'] = 3\n\n\n"),
        lambda package: (package / "training/__init__.py").write_text("import torch\ntorch.pi = 3\n"),
    ],
)
def test_a_change_of_what_is_computed_makes_trained_runs_stale(package, change):
    before = code_of("cae_baseline")
    change(package)
    assert code_of("cae_baseline") != before


class Typed(ast.NodeTransformer):
    """Writes `x: Other = 1` for `x = 1`."""

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        if len(node.targets) > 1 or not isinstance(node.targets[0], ast.Name | ast.Attribute):
            return node
        return ast.AnnAssign(node.targets[0], ast.Name("Other"), node.value, simple=isinstance(node.targets[0], ast.Name))


def reworded(package: Path) -> None:
    """Other docstrings, comments and annotations everywhere."""
    for path in package.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node):
                node.body[0].value.value = "Other words."
            if isinstance(node, ast.FunctionDef):
                node.returns = None
                for argument in node.args.args:
                    if argument.annotation:  # the types that it names stay: their methods are followed
                        argument.annotation = ast.Subscript(ast.Name("Other"), argument.annotation)
        tree = Typed().visit(tree)
        path.write_text("# a comment\n\n" + ast.unparse(tree), encoding="utf-8")


def renamed(package: Path) -> None:
    """The loop in a file of another name."""
    (package / "training/loop.py").rename(package / "training/gradient_descent.py")
    for path in package.rglob("*.py"):
        text = path.read_text(encoding="utf-8").replace("training.loop", "training.gradient_descent")
        path.write_text(text, encoding="utf-8")


def moved(package: Path) -> None:
    """A function from one module to another, called through that module."""
    run, data = package / "training/run.py", package / "data/images.py"
    text = run.read_text(encoding="utf-8")
    function = re.search(r"^def noisy\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)[0]
    text = text.replace(function, "").replace("noisy(", "elsewhere.noisy(")
    run.write_text(text.replace("\nimport torch", "\nimport torch\nfrom latentlab.data import images as elsewhere", 1))
    data.write_text(data.read_text(encoding="utf-8") + "\n\n" + function, encoding="utf-8")


def added(package: Path) -> None:
    """Something that no training reaches, where it is logged and where it is not."""
    for file in ("training/loop.py", "tracking/runs.py", "stages/train.py", "params/strict.py"):
        path = package / file
        path.write_text(path.read_text(encoding="utf-8") + "\n\ndef unused():\n    return 1\n", encoding="utf-8")


@pytest.mark.parametrize("change", [reworded, renamed, moved, added])
def test_a_change_of_words_and_places_makes_nothing_stale(package, change):
    before = code_of("cae_baseline")
    change(package)
    assert code_of("cae_baseline") == before


@pytest.mark.parametrize(
    ("analysis", "change"),
    [
        ("reconstruction", replaced("evaluation/reconstruction.py", "1.5**2", "5**2")),
        ("reconstruction", replaced("models/trained.py", "self.model.decode(batch)", "self.model.decode(2 * batch)")),
        ("reconstruction", replaced("models/checkpoint.py", "model.eval()", "model.train()")),
        ("probes", replaced("evaluation/svm.py", 'kernel="precomputed", C=10', 'kernel="precomputed", C=1')),
        ("generation", replaced("evaluation/pca.py", "PCA(num_components", "PCA(1 + num_components")),
    ],
)
def test_a_change_of_what_is_measured_makes_the_measurement_stale_and_not_the_training(package, analysis, change):
    def code() -> str:
        return str(plan.of_analysis(PROJECT, "cae_baseline", analysis, {})["code"])

    trained, measured = code_of("cae_baseline"), code()
    change(package)
    assert code_of("cae_baseline") == trained
    assert code() != measured
    replaced("training/optim.py", "3.4445", "3.4446")(package)
    before = code()
    code_of("cae_baseline")
    assert code() == before


def test_another_family_and_an_analysis_make_other_runs_not_stale(package):
    before = code_of("cae_baseline")
    for file in ("models/mlp.py", "evaluation/denoising.py"):
        replaced(file, "\n\n\n", "\n\nOTHER = 1\n\n\n")(package)
    assert code_of("cae_baseline") == before
    assert code_of("mlp_8") != before


def test_every_family_and_analysis_has_a_fingerprint_of_its_own():
    families = sorted(path.stem for path in (Path(latentlab.__file__).parent / "models").glob("*ae.py"))
    taken_of = [module.fingerprint(f"latentlab.models.{name}") for name in families]
    assert len(set(taken_of)) == len(families) > 5
    assert all(re.fullmatch("[0-9a-f]{16}", each) for each in taken_of)


def test_a_root_that_is_not_defined_is_an_error():
    with pytest.raises(LookupError, match="does not define nothing"):
        module.fingerprint("latentlab.training.run:nothing")


def test_an_import_that_cannot_be_followed_is_an_error(package):
    replaced("training/loop.py", "import math\n", "import math\nimport latentlab.files\n")(package)
    with pytest.raises(LookupError, match=r"training.loop: `import latentlab.files` cannot be followed"):
        code_of("cae_baseline")
