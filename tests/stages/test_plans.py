"""The stages that plan say what cannot be done before anything is done."""

import hashlib
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from latentlab import paths
from latentlab.data import images
from latentlab.params.project import load
from latentlab.params.strict import ParamsError
from latentlab.params.study import load as load_study
from latentlab.stages import plan_analyses, plan_study
from latentlab.training import plan


@pytest.fixture
def select(tmp_path, monkeypatch):
    """A copy of the parameters in the working folder, with another selection."""
    monkeypatch.chdir(tmp_path)
    for folder in ("analyses", "study"):
        Path(folder).mkdir()
        Path(folder, "params.yaml").write_bytes((ROOT / folder / "params.yaml").read_bytes())

    def write(**lists: list) -> None:
        content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        Path("params.yaml").write_text(yaml.safe_dump(content | {"run": content["run"] | lists}), encoding="utf-8")

    return write


def test_a_study_whose_reference_is_not_there_at_the_end_is_an_error_at_the_beginning(select):
    select(variants=["mlp_8"], recipes=["published"], seeds=[3])
    with pytest.raises(
        ParamsError, match=r"cae_tradeoff-mnist-published-3, .* is neither selected nor trained: add cae_tr"
    ):
        plan_study.main()
    project = load()
    settings = load_study(Path(), project)
    run = settings.reference_run(project)
    for path in (run.checkpoint, run.metrics, run.probes):  # from when it was selected
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    plan_study.check_reference(project, settings)
    run.probes.unlink()
    select(variants=["mlp_8", "cae_tradeoff"])
    plan_study.check_reference(load(), settings)


def test_a_variant_that_would_be_trained_in_two_homes_is_an_error(select):
    select(variants=["vae_16", "mlp_8", "ae_2"])
    with pytest.raises(ParamsError, match=r"analyses.more_variants: vae_16, ae_2: stands in run.variants of params.yaml"):
        plan_analyses.main()


def test_a_plan_says_what_an_analysis_looks_at_beside_its_own_images(select):
    names = ["mnist", "fashion_mnist", "digits"]  # digits are smaller
    select(datasets=names)
    for name in names:
        folder = paths.data(name)
        folder.mkdir(parents=True)
        (folder / "train-labels-idx1-ubyte").write_text(name, encoding="utf-8")
    project = load()
    others = plan.beside(project, "mnist", "anomalies")["others"]
    assert list(others) == ["fashion_mnist"]
    assert others["fashion_mnist"]["split"] == project.datasets["fashion_mnist"].split.model_dump()
    assert others["fashion_mnist"]["data_digest"] == images.digest(paths.data("fashion_mnist"))
    assert plan.beside(project, "digits", "anomalies") == {"others": {}}
    assert plan.beside(project, "mnist", "generation") == {"classifier": None}
    weights = paths.classifier("mnist")
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    assert plan.beside(project, "mnist", "generation") == {"classifier": hashlib.sha256(b"weights").hexdigest()}
    assert plan.beside(project, "mnist", "denoising") == {}
