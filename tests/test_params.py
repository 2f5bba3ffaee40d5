"""params.yaml as it stands, and what is said of a wrong one."""

import copy
import math
import os
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from latentlab import models, params

CONTENT = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def loaded(content: object, folder: Path) -> params.Params:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return params.load(path)


def changed(keys: str, value: object) -> dict:
    content = copy.deepcopy(CONTENT)
    *path, last = keys.split(".")
    section = content
    for key in path:
        section = section[key]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return content


def test_the_study_as_committed(study):
    assert study.recipes == ["fast"]
    assert study.seeds == [0]
    assert (study.split.train, study.split.validation, study.split.test) == (55_000, 5_000, 10_000)
    assert len(study.variants) == 32
    assert {row.source for row in study.variants.values()} == set("ABCDE")
    in_experiments = {name for experiment in study.experiments.values() for name in experiment.rows}
    assert in_experiments == set(study.variants)


def test_published_training_of_the_sources(study):
    published = study.training["published"]
    epochs_and_batches = {
        name: (published[row.training].epochs, published[row.training].batch_size) for name, row in study.variants.items()
    }
    assert epochs_and_batches["cae_baseline"] == (20, 32)
    assert epochs_and_batches["mlp_8"] == (50, 256)
    assert epochs_and_batches["mlp_2"] == (30, 256)
    assert epochs_and_batches["conv_ae"] == (10, 256)
    assert epochs_and_batches["vae_2"] == (20, 128)
    assert epochs_and_batches["compress_bilinear"] == (30, 20)
    assert epochs_and_batches["stacked_64"] == (5, 128)
    assert published["cae"].schedule.threshold == 1e-3
    assert published["cae_tradeoff"].schedule.threshold == 1e-4
    assert all(settings.optimizer.lr == 1e-3 for settings in published.values())


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ("recipes", ["slow"], ["recipes", "'fast' or 'published'", "'slow'"]),
        ("recipes", ["fast", "fast"], ["recipes", "twice"]),
        ("recipes", [], ["recipes", "at least 1 item"]),
        ("device", "tpu", ["device", "'auto', 'cpu', 'cuda' or 'mps'"]),
        ("seeds", [-1], ["seeds", "greater than or equal to 0"]),
        ("seeds", 0, ["seeds", "valid list"]),
        ("seeds", [0, 1, 0], ["seeds", "twice"]),
        ("seeds", ..., ["seeds", "Field required"]),
        ("sede", 1, ["sede", "unknown key"]),
        ("training.fast.cae.optimizer.lr", "1e-3", ["training.fast.cae.optimizer.lr", "1.0e-3"]),
        ("training.fast.cae.optimizer.name", "sgd", ["training.fast.cae.optimizer", "'adam', 'muon'"]),
        ("training.fast.cae.schedule.warmup_fraction", 1.5, ["warmup_fraction", "less than 1"]),
        ("training.fast.cae", ..., ["variants.cae_baseline.training", "'cae'", "training.fast", "choose from"]),
        ("analyses.interpolation.second", 10_000, ["analyses.interpolation.second", "10000", "split.test"]),
        ("analyses.denoising.sigmas", [0.0], ["analyses.denoising.sigmas", "greater than 0"]),
        ("analyses.compression.bits", [], ["analyses.compression.bits", "at least 1 item"]),
        ("split.validation", 6000, ["split", "61000", "60000"]),
        ("split.test", 10001, ["split", "10001", "10000"]),
        ("variants.cae_baseline.source", "Z", ["variants.cae_baseline.source", "'Z'", "A, B, C, D, E"]),
        ("variants.mlp_8.training", "mlp_9", ["variants.mlp_8.training", "'mlp_9'", "mlp_8"]),
        ("variants.mlp_8.input_noise", [0.5, 0.1], ["variants.mlp_8", "input_noise", "above the second"]),
        ("variants.mlp_8.input_noise", [0.5], ["variants.mlp_8.input_noise", "at least 2 items"]),
        ("variants.mlp_8.input_noise", ..., ["variants.mlp_8.input_noise", "Field required"]),
        ("variants.mlp_8.input_size", 29, ["variants.mlp_8.input_size", "less than or equal to 28"]),
        ("experiments.depth.rows", ["cae_depth_2", "cae_depth_3"], ["experiments.depth.rows", "'cae_depth_3'"]),
        ("published.cae_depth_3", {"test_mse": 0.1}, ["published.cae_depth_3", "no such row"]),
        ("baselines.cae_baseline", {"num_components": 3}, ["baselines.cae_baseline"]),
        ("baselines.pca_2.num_components", 785, ["baselines.pca_2.num_components", "784"]),
        ("seeds", [10**25], ["seeds.0", "less than 2147483648"]),
        ("split.seed", 10**12, ["split.seed", "less than 2147483648"]),
        ("split.validation", 3, ["split.validation", "greater than or equal to 10"]),
        ("training.fast.cae.epochs", 10**30, ["training.fast.cae.epochs", "less than or equal to 1000000"]),
        ("training.fast.cae.optimizer.lr", math.inf, ["training.fast.cae.optimizer.lr", "finite"]),
        ("analyses.denoising.sigmas", [math.inf], ["analyses.denoising.sigmas.0", "finite"]),
        ("analyses.generation.mixture_components", 10**5, ["analyses.generation", "mixture_components", "num_fitted"]),
    ],
)
def test_a_wrong_value_is_one_clear_error(keys, value, words, tmp_path):
    with pytest.raises(params.ParamsError) as caught:
        loaded(changed(keys, value), tmp_path)
    message = str(caught.value)
    assert all(word in message for word in [str(tmp_path / "params.yaml"), *words]), message


def test_a_row_name_that_dvc_cannot_address(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["variants"]["a.dotted.name"] = content["variants"]["mlp_8"]
    with pytest.raises(params.ParamsError, match=r"a\.dotted\.name.*pattern"):
        loaded(content, tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed: 0\nseed: 1\n", ["line 2", "'seed'", "twice"]),
        ("seed: [", ["not YAML"]),
        ("!!python/object/apply:os.getcwd []", ["not YAML"]),
        ("seeds: [0]\nwhen: 2024-99-99\n", ["line 2", "'2024-99-99'"]),
        ("a: !!int abc", ["line 1", "'abc'"]),
        ("a: !!bool abc", ["line 1", "'abc'"]),
        ("a: !!float ''", ["line 1", "''"]),
        (f"a: {'9' * 5000}", ["line 1", "'999"]),
        (f"seeds: {':'.join(['59'] * 3000)}", ["seeds", "more than a hundred digits"]),
        ('"\\U0011FFFF": 1', ["not YAML"]),
        ("a: b: c", ["not YAML: line 1, column 5: mapping values are not allowed here"]),
        ("", ["valid dictionary"]),
        ("- a list", ["valid dictionary"]),
    ],
)
def test_what_is_no_study_at_all(text, words, tmp_path):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(params.ParamsError) as caught:
        params.load(tmp_path / "params.yaml")
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_name_that_is_too_long_for_a_file(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["variants"]["a" * 300] = content["variants"]["mlp_8"]
    with pytest.raises(params.ParamsError, match="at most 64"):
        loaded(content, tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(params.ParamsError, match="is not a file"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("latent_dim", 1_000_000, "weights, and 100,000,000 are the most"),
        ("latent_dim", 10**30, "latent_dim: at most 1,000,000"),
        ("widths", [1] * 100_000, "widths: has 100,000 entries"),
    ],
)
def test_a_model_that_is_too_large_is_not_built(study, key, value, words):
    row = study.row("mlp_8")
    with pytest.raises(params.ParamsError, match=re.escape(words)):
        models.code_shape(row.model_copy(update={key: value}))


def test_a_missing_file(tmp_path):
    with pytest.raises(params.ParamsError, match="cannot be read"):
        params.load(tmp_path / "params.yaml")


def test_an_unknown_row_lists_the_choices(study):
    with pytest.raises(params.ParamsError, match=r"no row 'cae'.*cae_baseline"):
        study.row("cae")
