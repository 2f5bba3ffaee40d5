"""Every variant of params.yaml: built, stepped, saved, loaded; the layers against the sources' description."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from conftest import PROJECT, ROOT
from latentlab import models
from latentlab.data import images as data
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.models import check, checkpoint, trained
from latentlab.models.base import binary_cross_entropy_sum, reconstruction_loss
from latentlab.params import project
from latentlab.params.strict import ParamsError
from latentlab.params.variants import Variant
from latentlab.training import optim

GOLDEN = json.loads((ROOT / "tests/golden/num_parameters.json").read_text(encoding="utf-8"))
SHAPE = (1, 28, 28)
every_variant = pytest.mark.parametrize("name", PROJECT.variants)


def batch(name: str, size: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    target = torch.rand(size, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    return data.degrade(target, PROJECT.variant(name).downsampling), target


@pytest.mark.parametrize("name", GOLDEN)
def test_number_of_parameters(name):
    model = models.build(PROJECT.variant(name), SHAPE, 0)
    assert sum(parameter.numel() for parameter in model.parameters()) == GOLDEN[name]
    assert num_parameters(model)["total"] == GOLDEN[name]


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        (name, recipe)
        for name, variant in PROJECT.variants.items()
        for recipe, settings in PROJECT.recipes.items()
        if variant.training in settings
    ],
)
def test_a_step_lowers_the_loss_of_its_own_batch(name, recipe):
    model = models.build(PROJECT.variant(name), SHAPE, 0)
    x, target = batch(name, 16)
    settings = PROJECT.training_of(name, recipe).optimizer
    optimisers = optim.optimizers(model, settings)
    # far enough to see, near enough for the gradient to speak the truth
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = 1e-3

    def loss() -> torch.Tensor:
        return model.loss(x, target, torch.Generator().manual_seed(0))["loss"]

    before = loss()
    before.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    for optimiser in optimisers:
        optimiser.step()
    assert loss() < before


@every_variant
def test_saved_and_loaded_it_gives_the_same_output(name, tmp_path: Path):
    variant = PROJECT.variant(name)
    model, x = models.build(variant, SHAPE, 0), batch(name)[0]
    checkpoint.save(model, {"variant": variant.model_dump()}, tmp_path / "model.safetensors")
    description = checkpoint.load_description(tmp_path / "model.safetensors")
    again = models.build(Variant.model_validate(description["variant"]), SHAPE, 1)
    assert not torch.equal(again.eval()(x), model.eval()(x))
    checkpoint.load_weights(again, tmp_path / "model.safetensors")
    assert torch.equal(again(x), model(x))
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


@every_variant
def test_outputs_are_images_and_codes_have_their_size(name):
    variant = PROJECT.variant(name)
    model, x = models.build(variant, SHAPE, 0).eval(), batch(name)[0]
    z = model.encode(x)
    assert z.shape[1:] == check.code_shape(variant, SHAPE)
    output = model.decode(z)
    assert output.shape == (4, 1, 28, 28)
    assert output.min() >= 0
    assert output.max() <= 1
    assert torch.equal(output, model(x))


@every_variant
def test_the_seed_decides_the_weights_and_the_global_random_state_is_left_alone(name):
    variant = PROJECT.variant(name)
    state = torch.get_rng_state()
    first, again, other = models.build(variant, SHAPE, 0), models.build(variant, SHAPE, 0), models.build(variant, SHAPE, 1)
    assert torch.equal(torch.get_rng_state(), state)
    weights = [next(model.parameters()) for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.slow
def test_a_family_is_a_module_that_needs_no_other_family():
    folder = ROOT / "src/latentlab/models"
    others = {"__init__", "accelerate", "base", "check", "checkpoint", "layers", "onnxmodels", "trained"}
    assert {path.stem for path in folder.glob("*.py")} == {*check.FAMILIES, *others}
    for family in check.FAMILIES:
        used = re.findall(r"latentlab\.models\.(\w+)", (folder / f"{family}.py").read_text(encoding="utf-8"))
        assert {*used} <= {"base", "layers"}
        assert models.family(family).__module__ == f"latentlab.models.{family}"
    code = "import sys; from latentlab import models; models.family('mlp'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    assert {f"latentlab.models.{family}" for family in check.FAMILIES} & {*loaded} == {"latentlab.models.mlp"}


@pytest.mark.parametrize("name", ["vae_2", "superres_64", "mlp_8"])
def test_a_trained_model_goes_through_any_number_of_images(name, tmp_path: Path):
    variant, model = PROJECT.variant(name), models.build(PROJECT.variant(name), SHAPE, 3).eval()
    description = {"name": name, "dataset": "mnist", "recipe": "fast", "seed": 4}
    description |= {"variant": variant.model_dump(), "images": {"shape": SHAPE}}
    checkpoint.save(model, description, tmp_path / "model.safetensors")
    asked = trained.load(tmp_path / "model.safetensors")
    assert asked.name == f"{name}-mnist-fast-4"
    assert asked.code_shape == (variant.architecture["latent_dim"],)
    x, images = batch(name, 253)
    codes = asked.encode(images)
    torch.testing.assert_close(codes, model.encode(x))
    assert torch.equal(asked.reconstruct(images), asked.decode(codes))
    torch.testing.assert_close(asked.decode(codes), model(x))
    assert asked.is_variational == (name == "vae_2")
    if asked.is_variational:
        for found, expected in zip(asked.posterior(images), model.posterior(x), strict=True):
            torch.testing.assert_close(found, expected)
    else:
        assert asked.posterior(images) is None
    untrained = models.build(variant, SHAPE, 4)
    for found, expected in zip(asked.untrained().model.parameters(), untrained.parameters(), strict=True):
        assert torch.equal(found, expected)


def upsampled(**changes: object) -> Variant:
    given = {"source": "S", "training": "cae", "family": "upsampled_cae", "downsampling": 1, "input_noise": None}
    given |= {"channels": [4, 6, 8], "kernel_sizes": [3, 5, 3], "latent_dim": 5, "batch_norm": True, "negative_slope": 0.1}
    return Variant.model_validate(given | {"upsampling": "bilinear", "loss": "mse"} | changes)


VARIANTS = {
    name: PROJECT.variant(name)
    for name in (
        "cae_batch_norm", "mlp_8", "conv_ae", "compress_transposed", "vae_2", "ae_2", "superres_64", "conv_bn_64",
        "vae_40_binary", "frontier_8",
    )
} | {"upsampled": upsampled()}  # fmt: skip


@pytest.mark.parametrize("family", check.FAMILIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_family_takes_images_of_every_size_or_says_which(family, channels):
    name, variant = next((name, each) for name, each in VARIANTS.items() if each.family == family)
    for size in range(16, 65):
        shape = (channels, size, size)
        if family == "pooled_cae" and size % 4:
            with pytest.raises(ParamsError, match=f"variants.{name} on mine: .* must be a multiple of 4, found {size}"):
                check.check({name: variant}, {"mnist": SHAPE, "mine": shape})
            continue
        with torch.device("meta"):
            model = models.build(variant, shape, 0).eval()
            x = torch.zeros(2, channels, *[-(-size // variant.downsampling)] * 2)
            assert model(x).shape == (2, *shape)


def test_colour_is_learnt():
    target = torch.rand(1, 3, 1, 1).expand(16, 3, 20, 20)
    for name, variant in VARIANTS.items():
        model = models.build(variant, (3, 20, 20), 0)
        x = data.degrade(target, variant.downsampling)
        optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
        before = model.loss(x, target, torch.Generator().manual_seed(0))["loss"]
        before.backward()
        optimiser.step()
        assert model.loss(x, target, torch.Generator().manual_seed(0))["loss"] < before, name


def test_latent_dims():
    expected = {"cae_latent_2": 2, "cae_tradeoff": 16, "mlp_32": 32, "conv_ae": 1568, "vae_2": 2, "compress_nearest": 196}
    assert {name: check.code_shape(PROJECT.variant(name), SHAPE).numel() for name in expected} == expected


@pytest.mark.parametrize("upsampling", ["nearest", "bilinear"])
@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("channels", [[4], [4, 6], [4, 6, 8], [4, 6, 8, 2]])
def test_layers_of_the_family_of_the_study(upsampling, batch_norm, channels):
    depth = len(channels)
    variant = upsampled(upsampling=upsampling, batch_norm=batch_norm, channels=channels, kernel_sizes=[3, 5, 3, 7][:depth])
    model = models.build(variant, SHAPE, 0).eval()
    sizes = [28, 14, 7, 4, 2][: depth + 1]
    steps = [module for module in model.encoder if isinstance(module, nn.Conv2d)]
    x = torch.rand(2, 1, 28, 28)
    for layer in model.encoder:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            assert x.shape[2:] == (sizes[1 + steps.index(layer)],) * 2
    assert x.shape == (2, 5)
    restored = []
    for layer in model.decoder:
        x = layer(x)
        if isinstance(layer, nn.Conv2d):
            restored.append(x.shape[-1])
    assert restored == sizes[-2::-1]
    assert isinstance(model.decoder[-1], nn.Conv2d)  # neither normalisation nor activation before the sigmoid
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in model.modules()) == (2 * depth - 1) * batch_norm
    kernels = [layer.kernel_size[0] for layer in model.decoder if isinstance(layer, nn.Conv2d)]
    assert kernels == [step.kernel_size[0] for step in steps][::-1]
    assert check.code_shape(variant, SHAPE) == (5,)


def test_the_family_of_the_study_learns():
    model, (x, target) = models.build(upsampled(loss="bce"), SHAPE, 0), batch("cae_baseline", 16)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model.loss(x, target, torch.Generator())["loss"]
    before.backward()
    optimiser.step()
    assert model.loss(x, target, torch.Generator())["loss"] < before


def test_the_variants_that_the_study_has_found_fit_their_families():
    check.check(project.load(ROOT).variants, {"mnist": SHAPE})


def test_macs_against_a_count_by_hand():
    # source A's baseline: out_height * out_width * out_channels * in_channels * kernel^2 for each convolution
    encoder = 14 * 14 * 32 * 1 * 16 + 7 * 7 * 32 * 32 * 16 + 4 * 4 * 64 * 32 * 9 + 1024 * 32
    # a transposed convolution works on each pixel of its input
    decoder = 32 * 1024 + 4 * 4 * 64 * 32 * 9 + 7 * 7 * 32 * 32 * 16 + 14 * 14 * 32 * 1 * 16
    model = models.build(PROJECT.variant("cae_baseline"), SHAPE, 0).eval()
    assert num_macs(model, torch.zeros(1, 1, 28, 28)) == {
        "encoder": encoder,
        "decoder": decoder,
        "total": encoder + decoder,
    }


@pytest.mark.parametrize("name", ["cae_baseline", "cae_depth_2", "cae_depth_4"])
def test_sizes_of_the_strided_decoder(name):
    sizes = {"cae_baseline": [7, 14, 28], "cae_depth_2": [14, 28], "cae_depth_4": [4, 7, 14, 28]}[name]
    kernels = {"cae_baseline": [3, 4, 4], "cae_depth_2": [4, 4], "cae_depth_4": [4, 3, 4, 4]}[name]
    model = models.build(PROJECT.variant(name), SHAPE, 0)
    layers = [layer for layer in model.decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.kernel_size[0] for layer in layers] == kernels
    seen: list[int] = []
    for layer in layers:
        layer.register_forward_hook(lambda _module, _args, output: seen.append(output.shape[-1]))
    model(torch.zeros(1, 1, 28, 28))
    assert seen == sizes


def test_initialisation_of_source_b():
    model = models.build(PROJECT.variant("mlp_8"), SHAPE, 0)
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5  # Glorot and Bengio 2010, equation 16
            assert layer.weight.abs().max() <= bound
            assert layer.weight.abs().max() > 0.95 * bound
            assert torch.all(layer.bias == 0.01)
    assert torch.all(model.encode(torch.rand(8, 1, 28, 28)) >= 0)


def test_bce_and_mse_are_means_over_pixels_as_torch_defines_them():
    model = models.build(PROJECT.variant("cae_baseline"), SHAPE, 0)
    x, target = batch("cae_baseline")
    output = model(x)
    for kind, reference in (("bce", nn.BCELoss()), ("mse", nn.MSELoss())):
        assert torch.allclose(reconstruction_loss(model, x, target, kind)["loss"], reference(output, target), rtol=1e-5)


@pytest.mark.parametrize("name", ["cae_baseline", "mlp_8", "vae_2", "superres_64", "vae_40_binary"])
def test_in_evaluation_mode_the_losses_have_the_error_of_the_reconstructions(name):
    model = models.build(PROJECT.variant(name), SHAPE, 0)
    x, target = batch(name)
    assert "mse" not in model.loss(x, target, torch.Generator())
    model.eval()
    mse = model.loss(x, target, torch.Generator())["mse"]
    assert torch.allclose(mse, (model(x) - target).square().mean(), rtol=1e-6)


def test_vae_loss_against_torch_distributions():
    model = models.build(PROJECT.variant("vae_2"), SHAPE, 0)
    x, target = batch("vae_2")
    losses = model.loss(x, target, torch.Generator().manual_seed(3))
    mean, log_variance = model.posterior(x)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    epsilon = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    output = model.decode(mean + posterior.stddev * epsilon)
    bce = nn.functional.binary_cross_entropy(output, target, reduction="none").sum((1, 2, 3)).mean()
    assert torch.allclose(losses["kl"], kl, rtol=1e-4)
    assert torch.allclose(losses["bce_sum"], bce, rtol=1e-4)
    assert torch.allclose(losses["loss"], bce + kl, rtol=1e-4)
    assert torch.equal(model.encode(x), mean)


def seen_by_the_encoder(model: models.Autoencoder, x: torch.Tensor, target: torch.Tensor, seed: int) -> torch.Tensor:
    """The images that `loss` gives to the encoder."""
    seen: list[torch.Tensor] = []
    hook = next(model.encoder.children()).register_forward_pre_hook(lambda _module, given: seen.append(given[0]))
    model.loss(x, target, torch.Generator().manual_seed(seed))
    hook.remove()
    return seen[0]


def test_loss_of_binary_images_against_torch_distributions():
    model = models.build(PROJECT.variant("vae_40_binary"), SHAPE, 0)
    x, _ = batch("vae_40_binary")
    for each in (model, model.eval()):
        generator = torch.Generator().manual_seed(3)
        losses = each.loss(x, x, generator)
        generator.manual_seed(3)
        binary = torch.rand(x.shape, generator=generator).lt(x).float()
        assert torch.equal(seen_by_the_encoder(model, x, x, 3), binary)
        posterior = torch.distributions.Normal(*(part(each.encoder.trunk(binary)) for part in heads(each)))
        kl = torch.distributions.kl_divergence(posterior, torch.distributions.Normal(0.0, 1.0)).sum(1)
        epsilon = torch.randn(kl.shape[0], 40, generator=generator)
        pixels = torch.distributions.Bernoulli(logits=each.decode_logits(posterior.mean + posterior.stddev * epsilon))
        bce = -pixels.log_prob(binary).sum((1, 2, 3))
        torch.testing.assert_close(losses["bce_sum"], bce.mean(), rtol=1e-5, atol=0)
        torch.testing.assert_close(losses["kl"], kl.mean(), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(losses["loss"], (bce + kl).mean(), rtol=1e-5, atol=0)


def heads(model: models.Autoencoder) -> tuple[Callable[[torch.Tensor], torch.Tensor], ...]:
    """Mean and standard deviation of the posterior, of what the trunk gives."""
    return model.encoder.mean, lambda hidden: (0.5 * model.encoder.log_variance(hidden)).exp()


def test_binary_images_are_drawn_anew_by_the_grey_values():
    model = models.build(PROJECT.variant("vae_40_binary"), SHAPE, 0)
    grey = torch.linspace(0, 1, 28).expand(64, 1, 28, 28)
    first, again, other = (seen_by_the_encoder(model, grey, grey, seed) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    for drawn in (first, other):
        assert {*drawn.unique().tolist()} == {0.0, 1.0}
        assert (drawn.mean((0, 1, 2)) - grey[0, 0, 0]).abs().max() < 0.05  # four standard deviations of 1792 draws
        assert torch.equal(drawn[..., [0, -1]], grey[..., [0, -1]])  # black stays black, and white white
    # images of zeros and ones are what they are: the bound that is trained is that of the likelihood
    assert torch.equal(seen_by_the_encoder(model, first, first, 2), first)
    mean, log_variance = model.posterior(first)
    assert mean.shape == log_variance.shape == (64, 40)
    assert torch.equal(model.encode(first), mean)


def changed(name: str, **changes: object) -> Variant:
    return Variant.model_validate(PROJECT.variant(name).model_dump() | changes)


@pytest.mark.parametrize(
    ("variant", "words"),
    [
        (changed("mlp_8", family="resnet"), ["'resnet'", "strided_cae", "mlp"]),
        (changed("mlp_8", depth=3), ["depth", "unknown key", "widths"]),
        (changed("mlp_8", latent_dim="8"), ["latent_dim", "valid integer", "'8'"]),
        (changed("mlp_8", latent_dim=0), ["latent_dim", "greater than 0"]),
        (changed("cae_baseline", loss="l1"), ["loss", "'bce' or 'mse'"]),
        (changed("cae_baseline", channels=[8, 8]), ["kernel_sizes has 3 entries for 2 channels"]),
        (changed("cae_baseline", downsampling=2), ["layers do not fit"]),
        (changed("superres_64", downsampling=1), ["layers do not fit"]),
    ],
)
def test_a_variant_that_does_not_fit_its_family_is_a_clear_error(variant, words):
    with pytest.raises(ParamsError) as caught:
        check.code_shape(variant, SHAPE)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_the_binary_cross_entropy_of_any_logits_and_its_gradient():
    logits = torch.tensor([-1e30, -200.0, -20.0, -1.0, 0.0, 1e-3, 1.0, 20.0, 200.0, 1e30]).repeat(3, 1).requires_grad_()
    targets = torch.tensor([[0.0], [0.3], [1.0]]).expand(3, 10)
    for logit, target in zip(logits.flatten(), targets.flatten(), strict=True):
        exact, wide = logit.detach().double().requires_grad_(), target.double()
        value = nn.functional.binary_cross_entropy_with_logits(exact, wide)
        ours = binary_cross_entropy_sum(logit, target)
        found, expected = torch.autograd.grad(3 * ours, logit)[0], torch.autograd.grad(3 * value, exact)[0]
        torch.testing.assert_close(ours.double(), value, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=1e-6)
