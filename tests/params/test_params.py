"""params.yaml as it stands, and what is said of a wrong one."""

import copy
import math
import os
import re
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from latentlab.models import check
from latentlab.params import analyses
from latentlab.params.project import Params, load
from latentlab.params.strict import ParamsError, read_yaml

CONTENT = read_yaml(ROOT / "params.yaml")


def loaded(content: object, folder: Path) -> Params:
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load(folder)


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


def test_the_default_selection_is_one_run_of_variants_of_all_five_sources(project):
    assert (project.run.datasets, project.run.recipes, project.run.seeds) == (["mnist"], ["fast"], [0])
    split = project.datasets["mnist"].split
    assert (split.train, split.validation, split.test) == (55_000, 5_000, 10_000)
    more = analyses.load(ROOT).more_variants
    assert not set(more) & set(project.run.variants)
    assert {project.variants[name].source for name in project.run.variants} >= set("ABCDE")
    assert [str(run) for run in project.runs()[:2]] == ["cae_baseline-mnist-fast-0", "cae_filters_narrow-mnist-fast-0"]


def test_published_training_of_the_sources(project):
    published = project.recipes["published"]
    epochs_and_batches = {
        name: (published[variant.training].epochs, published[variant.training].batch_size)
        for name, variant in project.variants.items()
        if variant.training in published
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


OWN = {"kind": "folder", "size": 32, "channels": 3, "fit": "crop", "epoch_images": 9}
OWN |= {"split": {"seed": 0, "validation": 0.1, "test": 0.2}}


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        ("run.recipes", ["slow"], ["recipes", "'fast' or 'published'", "'slow'"]),
        ("run.recipes", ["fast", "fast"], ["recipes", "twice"]),
        ("run.recipes", [], ["recipes", "at least 1 item"]),
        ("device", "tpu", ["device", "'auto', 'cpu', 'cuda' or 'mps'"]),
        ("run.seeds", [-1], ["seeds", "greater than or equal to 0"]),
        ("run.seeds", 0, ["seeds", "valid list"]),
        ("run.seeds", [0, 1, 0], ["seeds", "twice"]),
        ("run.seeds", ..., ["seeds", "Field required"]),
        ("run.sede", [1], ["sede", "unknown key"]),
        ("recipes.fast.cae.optimizer.lr", "0.1 ", ["recipes.fast.cae.optimizer.lr", "valid number", "'0.1 '"]),
        ("recipes.fast.cae.optimizer.name", "sgd", ["recipes.fast.cae.optimizer", "'adam', 'muon'"]),
        ("recipes.fast.cae.schedule.warmup_fraction", 1.5, ["warmup_fraction", "less than 1"]),
        ("recipes.fast.cae", ..., ["variants.cae_baseline.training", "'cae'", "recipes.fast", "choose from"]),
        ("datasets.mnist.split.validation", 6000, ["split", "61000", "60000"]),
        ("datasets.mnist.split.test", 10001, ["split", "10001", "10000"]),
        ("datasets.mnist.split.train", 54995, ["datasets.mnist: split", "leave 5 of 60000 images", "10 or more"]),
        ("datasets.emnist_letters.split.train", 25, ["split: train is 25", "26 classes", "26 or more"]),
        ("datasets.emnist_balanced.split.validation", 46, ["split: validation is 46", "47 classes", "47 or more"]),
        ("run.variants", [], ["run.variants", "at least 1 item"]),
        ("run.datasets", [], ["run.datasets", "at least 1 item"]),
        ("run.variants", ["cae"], ["run.variants", "'cae' is not in variants", "cae_baseline"]),
        ("run.datasets", ["emnist"], ["run.datasets", "'emnist'", "choose from", "emnist_letters"]),
        ("datasets.mnist.kind", "imagenet", ["datasets.mnist: ", "'imagenet'", "'fashion_mnist'", "'folder'"]),
        ("datasets.mnist.kind", ..., ["datasets.mnist: ", "kind"]),
        ("datasets.digits.split.test", 0.95, ["datasets.digits.split", "1.05", "leave at least 0.1 for training"]),
        ("datasets.digits.epoch_images", 0, ["datasets.digits.epoch_images", "greater than or equal to 1"]),
        ("datasets.digits", OWN | {"size": 80}, ["datasets.digits.size", "less than or equal to 64", "80"]),
        ("datasets.digits", OWN | {"channels": 2}, ["datasets.digits.channels", "1 or 3"]),
        ("datasets.digits", OWN | {"fit": "squeeze"}, ["datasets.digits.fit", "'crop', 'pad' or 'stretch'"]),
        ("datasets.digits", OWN | {"path": "here"}, ["datasets.digits.path", "unknown key"]),
        ("variants.cae_baseline.source", "Z", ["variants.cae_baseline.source", "'Z'", "A, B, C, D, E"]),
        ("variants.mlp_8.training", "mlp_9", ["variants.mlp_8.training", "'mlp_9'", "mlp_8"]),
        ("variants.mlp_8.input_noise", [0.5, 0.1], ["variants.mlp_8", "input_noise", "above the second"]),
        ("variants.mlp_8.input_noise", [0.5], ["variants.mlp_8.input_noise", "at least 2 items"]),
        ("variants.mlp_8.input_noise", ..., ["variants.mlp_8.input_noise", "Field required"]),
        ("variants.mlp_8.downsampling", 3, ["variants.mlp_8.downsampling", "1 or 2"]),
        ("comparisons.depth.variants", ["cae_depth_2", "cae_depth_3"], ["comparisons.depth.variants", "'cae_depth_3'"]),
        ("published.cae_depth_3", {"test_mse": 0.1}, ["published.cae_depth_3", "no such variant"]),
        ("baselines.cae_baseline", {"num_components": 3}, ["baselines.cae_baseline"]),
        ("baselines.pca_2.num_components", 785, ["baselines.pca_2.num_components", "784 numbers"]),
        ("run.seeds", [10**25], ["seeds.0", "less than 2147483648"]),
        ("datasets.mnist.split.seed", 10**12, ["datasets.mnist.split.seed", "less than 2147483648"]),
        ("datasets.mnist.split.validation", 3, ["datasets.mnist.split.validation", "greater than or equal to 10"]),
        ("recipes.fast.cae.epochs", 10**30, ["recipes.fast.cae.epochs", "less than or equal to 1000000"]),
        ("recipes.fast.cae.optimizer.lr", math.inf, ["recipes.fast.cae.optimizer.lr", "finite"]),
    ],
)
def test_a_wrong_value_is_one_clear_error(keys, value, words, tmp_path):
    with pytest.raises(ParamsError) as caught:
        loaded(changed(keys, value), tmp_path)
    message = str(caught.value)
    assert all(word in message for word in [str(tmp_path / "params.yaml"), *words]), message


def test_a_name_that_dvc_cannot_address(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["variants"]["a.dotted.name"] = content["variants"]["mlp_8"]
    with pytest.raises(ParamsError, match=r"a\.dotted\.name.*pattern"):
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
        (f"device: 0x{'f' * 3000}", ["device", "more than a hundred digits"]),
        ('"\\U0011FFFF": 1', ["not YAML"]),
        ("a: b: c", ["not YAML: line 1, column 5: mapping values are not allowed"]),
        ("", ["valid dictionary"]),
        ("- a list", ["valid dictionary"]),
    ],
)
def test_what_is_no_params_yaml_at_all(text, words, tmp_path):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        load(tmp_path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_name_that_is_too_long_for_a_file(tmp_path):
    content = copy.deepcopy(CONTENT)
    content["variants"]["a" * 300] = content["variants"]["mlp_8"]
    with pytest.raises(ParamsError, match="at most 64"):
        loaded(content, tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match="is not a file"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("latent_dim", 1_000_000, "weights, and 100,000,000 are the most"),
        ("latent_dim", 10**30, "latent_dim: at most 1,000,000"),
        ("widths", [1] * 100_000, "widths: has 100,000 entries"),
    ],
)
def test_a_model_that_is_too_large_is_not_built(project, key, value, words):
    variant = project.variant("mlp_8")
    with pytest.raises(ParamsError, match=re.escape(words)):
        check.code_shape(variant.model_copy(update={key: value}), (1, 28, 28))


def test_a_missing_file(tmp_path):
    with pytest.raises(ParamsError, match="cannot be read"):
        load(tmp_path)


def test_an_unknown_variant_lists_the_choices(project):
    with pytest.raises(ParamsError, match=r"no variant 'cae'.*cae_baseline"):
        project.variant("cae")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"names": ["denoise"]}, ["names", "'denoise' is not in settings", "denoising"]),
        ({"names": []}, ["analyses.names", "at least 1 item"]),
        (
            {"settings": {"denoising": {}}, "names": ["denoising"]},
            ["settings: few_labels is missing", "settings: codecs is missing"],
        ),
        ({"nmaes": []}, ["analyses.nmaes", "unknown key"]),
    ],
)
def test_a_wrong_analyses_file_is_one_clear_error(change, words, tmp_path):
    content = read_yaml(ROOT / "analyses/params.yaml")
    content["analyses"] |= change
    (tmp_path / "analyses").mkdir()
    (tmp_path / "analyses/params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ParamsError) as caught:
        analyses.load(tmp_path)
    assert all(word in str(caught.value) for word in ["analyses/params.yaml", *words]), str(caught.value)
