"""Stage `evaluate@row-recipe-seed`: what the decoder makes of codes: reconstructions, and every analysis built on them."""

import sys
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import torch
from torch import Tensor

from latentlab import data, layout, params, stages
from latentlab.evaluation.checkerboard import block_ratios, energy_ratios, residual_spectrum
from latentlab.evaluation.complexity import num_macs, num_parameters
from latentlab.evaluation.compression import compression
from latentlab.evaluation.denoising import denoised_pictures, denoising
from latentlab.evaluation.generation import (
    RealImages,
    grid_codes,
    mixture_codes,
    normal_codes,
    posterior_measures,
    posterior_reconstructions,
    quality,
)
from latentlab.evaluation.interpolation import draw_pairs, linear, nearest, smoothness, spherical, strip
from latentlab.evaluation.pca import LinearAutoencoder
from latentlab.evaluation.reconstruction import apply, first_of_each_digit, mse_per_digit, reconstruction_errors
from latentlab.models.conv_vae import ConvVAE
from latentlab.stages import log, trained
from latentlab.stages.trained import Codec, Trained
from latentlab.tracking import store
from latentlab.tracking.runs import log_row
from latentlab.wholefiles import write_json

# an active unit's posterior mean varies by more than that (Burda et al. 2016)
ACTIVE = 0.01


def main(name: str, recipe: str, seed: str) -> None:
    """Evaluates that run."""
    subject = trained.load(name, recipe, seed)
    run, asked, mnist = subject.run, subject.study.analyses, subject.mnist
    metrics = subject.about()
    images: dict[str, Tensor] = {}
    codec = subject.codec()
    test_codes = codec.encode(mnist.test.images)
    train_codes = codec.encode(mnist.train.images[: asked.generation.num_fitted])
    metrics |= cost(test_codes[0].numel())
    metrics["num_parameters"] = num_parameters(subject.model)
    blank = torch.zeros(1, 1, subject.row.input_size, subject.row.input_size)
    metrics["num_macs"] = num_macs(subject.model.cpu(), blank)
    subject.model.to(subject.device)
    metrics |= reconstruct(codec, mnist, test_codes, images)
    metrics["denoising"] = denoise(codec, mnist.test, asked, images)
    metrics["interpolation"] = interpolate(subject, asked, images)
    metrics["generation"] = generate(subject, asked, train_codes, images)
    metrics["compression"] = store_codes(codec, train_codes, test_codes, mnist, asked)
    run.folder.mkdir(parents=True, exist_ok=True)
    arrays = {key: value.numpy() if key == "spectrum" else as_bytes(value) for key, value in images.items()}
    np.savez_compressed(run.images, **arrays)  # type: ignore[arg-type]
    write_pictures(arrays, run.pictures)
    # last: a run that has it has everything
    write_json(metrics, run.metrics)
    log_row(store.open_store(layout.project_root()), log.outputs(subject.study, run))


def cost(code_size: int) -> dict[str, float]:
    """How small the code is: `latent_dim`, numbers in the code, and `compression_ratio`, pixels per number."""
    return {"latent_dim": code_size, "compression_ratio": 784 / code_size}


def reconstruct(codec: Codec, mnist: data.MNIST, test_codes: Tensor, images: dict[str, Tensor]) -> dict[str, Any]:
    """Errors on the test and the validation images, and the spectrum of the residual; a picture of each digit."""
    outputs = codec.decode(test_codes)
    metrics: dict[str, Any] = {}
    validation = mnist.validation.images
    for part, made, targets in (
        ("test", outputs, mnist.test.images),
        ("validation", codec.decode(codec.encode(validation)), validation),
    ):
        metrics |= {f"{part}_{key}": value for key, value in reconstruction_errors(made, targets).items()}
    metrics["mse_per_digit"] = mse_per_digit(outputs, mnist.test.images, mnist.test.digits)
    spectrum = residual_spectrum(outputs.clamp(0, 1), mnist.test.images)
    metrics["checkerboard"] = energy_ratios(spectrum) | block_ratios(outputs.clamp(0, 1), mnist.test.images)
    chosen = first_of_each_digit(mnist.test.digits)
    images["reconstructions"] = torch.stack([mnist.test.images[chosen], outputs[chosen]]).squeeze(2)  # (2, 10, 28, 28)
    images["spectrum"] = torch.fft.fftshift(spectrum).float()
    return metrics


def denoise(
    codec: Codec, test: data.Images, asked: params.Analyses, images: dict[str, Tensor]
) -> dict[str, dict[str, float]]:
    """Errors on noisy test images, and pictures of them."""
    sigmas, chosen = asked.denoising.sigmas, test.images[first_of_each_digit(test.digits)]

    def way(noisy: Tensor, _sigma: float) -> Tensor:
        return codec.decode(codec.encode(noisy))

    images["denoising"] = denoised_pictures(way, chosen, sigmas, asked.seed)
    return denoising(way, test.images, sigmas, asked.seed)


def interpolate(subject: Trained, asked: params.Analyses, images: dict[str, Tensor]) -> dict[str, Any]:
    """Ways between random pairs of test images, and the one that the source shows."""
    settings, test, codec = asked.interpolation, subject.mnist.test, subject.codec()
    pairs = {
        "equal_digits": draw_pairs(test.digits, settings.num_pairs // 2, True, asked.seed),
        "different_digits": draw_pairs(test.digits, settings.num_pairs // 2, False, asked.seed),
    }
    real = subject.mnist.train.images
    ways = {"linear": linear} | ({"spherical": spherical} if isinstance(subject.model, ConvVAE) else {})
    measured: dict[str, Any] = {}
    for name, way in ways.items():
        ends = test.images[[settings.first, settings.second]]
        images[f"interpolation_{name}"] = strip(codec.encode, codec.decode, ends, settings.num_steps, way)
        measured[name] = {
            kind: smoothness(codec.encode, codec.decode, test.images, chosen, settings.num_steps, way, real)
            for kind, chosen in pairs.items()
        }
    firsts = test.images[pairs["different_digits"][:, 0]]
    return measured | {"real_distance": float(nearest(firsts, real).distances.double().mean())}


def generate(subject: Trained, asked: params.Analyses, train_codes: Tensor, images: dict[str, Tensor]) -> dict[str, Any]:
    """Samples, the grid where the code has two numbers, and what a VAE's posterior does."""
    settings, codec, mnist = asked.generation, subject.codec(), subject.mnist
    shape, num_samples = train_codes.shape[1:], min(settings.num_samples, len(mnist.test))
    real = RealImages(LinearAutoencoder(mnist.train.images, 64), mnist.train.images, mnist.test.images)
    samples = {"standard_normal": normal_codes(shape, num_samples, asked.seed)}
    if not isinstance(subject.model, ConvVAE):
        samples["mixture"] = mixture_codes(
            train_codes, num_samples, settings.mixture_components, settings.num_fitted, asked.seed
        )
    measured: dict[str, Any] = real.reference(num_samples)
    for kind, codes in samples.items():
        decoded = codec.decode(codes)
        measured[kind] = quality(decoded, real)
        images[f"samples_{kind}"] = decoded[: settings.num_shown].squeeze(1)
    if shape.numel() == 2:
        images["grid"] = codec.decode(grid_codes(settings.grid_side, settings.grid_extent)).squeeze(1)
    if isinstance(subject.model, ConvVAE):
        # mean and logarithm of the variance side by side, to go through in batches
        posterior = subject.model.encoder.posterior
        both = apply(lambda x: torch.cat(posterior(x), dim=1), mnist.test.images, subject.device)
        mean, log_variance = both.chunk(2, dim=1)
        measured |= posterior_measures(mean, log_variance, ACTIVE)
        draws = posterior_reconstructions(mean[:1000], log_variance[:1000], codec.decode, settings.num_draws, asked.seed)
        measured["reconstruction_std"] = float(draws.std(dim=0).double().mean())
        images["stochastic"] = torch.cat([mnist.test.images[:1], draws[:, 0]]).squeeze(1)
    return measured


def store_codes(
    codec: Codec, train_codes: Tensor, test_codes: Tensor, mnist: data.MNIST, asked: params.Analyses
) -> dict[str, dict[str, float]]:
    """Bytes of stored codes, and what comes back."""
    bits, num_alone = asked.compression.bits, asked.codecs.num_images
    return compression(train_codes, test_codes, codec.decode, mnist.test.images, bits, num_alone)


def as_bytes(images: Tensor) -> np.ndarray:
    """Images in [0, 1] as they are stored, uint8."""
    rounded: np.ndarray = images.clamp(0, 1).mul(255).round().byte().numpy()
    return rounded


def write_pictures(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """The same arrays as pictures for people, in the MLflow run: one row of images for each row of the array."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        if name == "spectrum":
            continue
        columns = {"grid": round(len(array) ** 0.5), "samples_standard_normal": 10, "samples_mixture": 10}
        rows = array.reshape(-1, array.shape[2], 28, 28) if array.ndim == 5 else array
        if rows.ndim == 3:
            width = columns.get(name, len(rows))
            missing = -len(rows) % width
            rows = np.concatenate([rows, np.zeros((missing, 28, 28), np.uint8)]).reshape(-1, width, 28, 28)
        framed = np.pad(rows, [(0, 0), (0, 0), (1, 1), (1, 1)], constant_values=128)  # (rows, columns, 30, 30)
        tiled = framed.transpose(0, 2, 1, 3).reshape(30 * len(framed), -1)
        enlarged = tiled.repeat(3, axis=0).repeat(3, axis=1)
        matplotlib.image.imsave(folder / f"{name}.png", enlarged, cmap="gray", vmin=0, vmax=255)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
