"""What do the commands for people with an image in their hand do? They read, ask the model, write, and print numbers.

Legend: N images, D numbers in the code.
"""

import math
import os
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from latentlab.commands import named
from latentlab.commands.inputs import Inputs, Preparation, Source, dataset_of, read_codes, read_dataset, read_inputs
from latentlab.data import images as data
from latentlab.errors import UserError, printable
from latentlab.evaluation import interpolation, pictures
from latentlab.files import replacing
from latentlab.models.trained import TrainedModel
from latentlab.params import analyses

Array = np.ndarray

PERPLEXITY = 30  # of t-SNE, as in the analyses
_MOST_PRINTED = 64  # numbers of a code; the rest is in the file


def reconstruct(variant: str, sources: Sequence[Source], how: Preparation, output: Path | None, plain: bool) -> None:
    """Images through the code and back, and what was lost."""
    model, inputs = _read(variant, sources, how, output)
    outputs = model.decode(model.encode(inputs.images))
    _print_errors(inputs.names, outputs, inputs.images)
    _write_columns(output, {"original": inputs.images, "reconstruction": outputs}, plain)


def denoise(
    variant: str, sources: Sequence[Source], how: Preparation, sigma: float, seed: int, output: Path | None, plain: bool
) -> None:
    """Images with noise through the code and back, and what was gained."""
    model, inputs = _read(variant, sources, how, output)
    noisy = data.add_noise(inputs.images, sigma, torch.Generator().manual_seed(seed))
    outputs = model.decode(model.encode(noisy))
    before, after = (mean_squared_errors(each, inputs.images) for each in (noisy, outputs))
    for name, error_in, error in zip(inputs.names, before, after, strict=True):
        print(
            f"{name}: noisy MSE {error_in:.4g}, PSNR {psnr(error_in):.2f} dB; denoised MSE {error:.4g}, "
            f"PSNR {psnr(error):.2f} dB; gain {psnr(error) - psnr(error_in):+.2f} dB"
        )
    _write_columns(output, {"original": inputs.images, f"sigma {sigma:g}": noisy, "denoised": outputs}, plain)


def clean(variant: str, sources: Sequence[Source], how: Preparation, output: Path | None, plain: bool) -> None:
    """Images that are noisy already through the code and back."""
    model, inputs = _read(variant, sources, how, output)
    outputs = model.decode(model.encode(inputs.images))
    for name, change in zip(inputs.names, mean_squared_errors(outputs, inputs.images), strict=True):
        print(f"{name}: changed by {change**0.5:.4g} (root mean square); no clean image to compare with")
    _write_columns(output, {"noisy": inputs.images, "denoised": outputs}, plain)


def interpolate(
    variant: str, ends: Sequence[Source], how: Preparation, steps: int, spherical: bool, output: Path, plain: bool
) -> None:
    """The way from one image to another, through the code."""
    model, inputs = _read(variant, ends, how, output)
    way = interpolation.spherical if spherical else interpolation.linear
    strip = interpolation.strip(model.encode, model.decode, inputs.images, steps, way)
    decoded = strip[1:-1]
    _print_errors(inputs.names, decoded[[0, -1]], inputs.images)
    lengths = np.sqrt(mean_squared_errors(decoded[1:], decoded[:-1]))
    ratio = lengths.max() / max(lengths.mean(), 1e-12)
    print(
        f"{len(lengths)} steps of {lengths.mean():.4g} per pixel (root mean square); the largest is {ratio:.2f} times that"
    )
    titles = ["first", *(f"{step / (steps - 1):.2f}" for step in range(steps)), "second"]
    picture = pictures.plain(decoded.numpy()) if plain else pictures.sheet(strip[None].numpy(), titles)
    _write(pictures.png(picture), output)


def sample(variant: str, num: int, seed: int, output: Path, plain: bool) -> None:
    """Decodings of random codes."""
    # scikit-learn takes a second to import, which the other commands do without
    from latentlab.evaluation import generation

    check_output(output, ".png")
    model = named.get(variant)
    _print_head(model)
    if model.is_variational:
        print(f"{num:,} samples from the standard normal distribution")
        codes = generation.normal_codes(model.code_shape, num, seed)
    else:
        images = read_dataset(dataset_of(model), "train")[0].images
        settings = generation.Settings.model_validate(analyses.load().settings["generation"])
        order = np.random.default_rng(seed).permutation(len(images))
        fitted = images[torch.from_numpy(order[: settings.num_fitted])]
        print(f"{num:,} samples from a Gaussian mixture fitted to the codes of {len(fitted):,} training images")
        codes = generation.mixture_codes(model.encode(fitted), num, settings.mixture_components, len(fitted), seed)
    _write_grid(output, model.decode(codes), plain)


def encode(variant: str, sources: Sequence[Source], how: Preparation, output: Path | None) -> None:
    """The codes of images."""
    model, inputs = _read(variant, sources, how, output, ".npz")
    codes = model.encode(inputs.images).numpy()
    for name, code in zip(inputs.names, codes, strict=True):
        numbers = " ".join(f"{number:.4g}" for number in code.ravel()[:_MOST_PRINTED])
        more = f" ... ({code.size:,} numbers)" if code.size > _MOST_PRINTED else ""
        print(f"{name}: {numbers}{more}")
    if output:
        buffer = BytesIO()
        np.savez(buffer, codes=codes, images=np.array(inputs.names), model=np.array(model.name))
        _write(buffer.getvalue(), output)


def decode(variant: str, codes: Path, output: Path, plain: bool) -> None:
    """The images of codes."""
    check_output(output, ".png", [codes])
    model = named.get(variant)
    read, made_by = read_codes(codes, model.code_shape)
    _print_head(model, [] if made_by in ("", model.name) else [f"{codes}: the codes are of {made_by}"])
    _write_grid(output, model.decode(torch.from_numpy(read)), plain)


def embed(variant: str, marked: Sequence[Path], how: Preparation, num: int, seed: int, output: Path) -> None:
    """A map of the codes of test images, coloured by class, with the user's own pictures on it."""
    # scikit-learn takes a second to import, which the other commands do without
    from latentlab.evaluation import latent_space

    check_output(output, ".png", marked)
    model = named.get(variant)
    test, classes = read_dataset(dataset_of(model), "t10k")
    every = None if test.labels is None else test.labels.numpy()
    chosen = latent_space.chosen_points(every, len(test), num)
    labels = None if every is None else every[chosen]
    images, notes, names = test.images[torch.from_numpy(chosen)], [], []
    if marked:
        own = read_inputs(marked, how, model)
        images, notes, names = torch.cat([images, own.images]), own.notes, own.names
    codes = model.encode(images).flatten(1).numpy()
    is_plane = codes.shape[1] == 2
    points = codes if is_plane else latent_space.tsne(codes, PERPLEXITY, seed)
    _print_head(model, notes)
    for what, each in [("codes", codes)] if is_plane else [("codes", codes), ("t-SNE", points)]:
        if labels is None:
            break
        measured = latent_space.clustering(each[: len(labels)], labels)
        accuracy = measured["knn10_accuracy"]
        print(f"{what}: silhouette {measured['silhouette']:.3f}, 10-nearest-neighbour accuracy {accuracy:.3f}")
    title = f"{len(chosen):,} test images in {'the code' if is_plane else 't-SNE of the code'} of {model.name}"
    stars = [_literal(printable(Path(name).name)) for name in names]
    marks = list(zip(stars, points[len(chosen) :], strict=True))
    _write(pictures.scatter(points[: len(chosen)], labels, classes, marks, _literal(title)), output)


def mean_squared_errors(outputs: Tensor, targets: Tensor) -> list[float]:
    """Squared error per pixel of each of N images (N, C, H, W)."""
    errors: list[float] = (outputs - targets).square().double().mean(dim=(1, 2, 3)).tolist()
    return errors


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error, for pixels in [0, 1]; at most 120."""
    return float(-10 * np.log10(max(error, 1e-12)))


def check_output(path: Path, suffix: str, inputs: Sequence[Source] = ()) -> None:
    """Says before any work that a file cannot be written.

    Args:
        path: The file to write.
        suffix: That it must have, ".png", ".npz" or ".html".
        inputs: What it must not replace.

    Raises:
        UserError: It has another suffix, is an input or a folder, or its folder does not exist or cannot be written to.
    """
    if path.suffix.lower() != suffix:
        kind = {".png": "a PNG", ".npz": "an NPZ", ".html": "an HTML"}[suffix]
        raise UserError(f"{path}: the output is {kind} file: let its name end in {suffix}")
    if path.is_dir():
        raise UserError(f"{path}: is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written: permission denied")
    if path.exists() and any(isinstance(each, Path) and each.exists() and path.samefile(each) for each in inputs):
        raise UserError(f"{path}: is the input: give the output another name")


def _read(
    variant: str, sources: Sequence[Source], how: Preparation, output: Path | None, suffix: str = ".png"
) -> tuple[TrainedModel, Inputs]:
    if output:
        check_output(output, suffix, sources)
    model = named.get(variant)
    inputs = read_inputs(sources, how, model)
    _print_head(model, inputs.notes)
    return model, inputs


def _print_head(model: TrainedModel, notes: Sequence[str] = ()) -> None:
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    size = model.code_shape.numel()
    ratio = math.prod(model.shape) / size
    print(f"{model.name}: code of {size:,} number{'s' if size > 1 else ''}, compression ratio {ratio:g}")


def _print_errors(names: Sequence[str], outputs: Tensor, targets: Tensor) -> None:
    for name, error in zip(names, mean_squared_errors(outputs, targets), strict=True):
        print(f"{name}: MSE {error:.4g}, PSNR {psnr(error):.2f} dB")


def _literal(text: str) -> str:
    """For matplotlib, which sets what stands between dollars as mathematics."""
    return text.replace("$", r"\$")


def _write_columns(output: Path | None, columns: dict[str, Tensor], plain: bool) -> None:
    """Writes images side by side, a column for each kind; of a plain picture the last kind alone."""
    if output is None:
        return
    images = torch.stack(list(columns.values()), dim=1).numpy()  # (N, kinds, C, H, W)
    picture = pictures.plain(images[:, -1]) if plain else pictures.sheet(images, list(columns))
    _write(pictures.png(picture), output)


def _write_grid(output: Path, images: Tensor, plain: bool) -> None:
    flat = images.numpy()
    num_columns = min(len(flat), 10) if len(flat) <= 100 else int(np.ceil(len(flat) ** 0.5))
    picture = pictures.plain(flat) if plain else pictures.sheet(pictures.grid(flat, num_columns))
    _write(pictures.png(picture), output)


def _write(content: bytes, path: Path) -> None:
    """Writes a file whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    try:
        # a folder of our own for what is not whole yet: any name beside the file may be one of the user's
        with TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder, replacing(path, Path(folder)) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None
    print(f"wrote {path}")
