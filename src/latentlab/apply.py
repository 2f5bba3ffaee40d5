"""What do the commands for people with an image in their hand do? They read, ask the model, write, and print numbers.

Legend: N images, D numbers in the code.
"""

import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentlab import data, pictures, userfiles, usermodels
from latentlab.errors import printable
from latentlab.evaluation import interpolation
from latentlab.models.conv_vae import ConvVAE
from latentlab.userinputs import Preparation, Source, read_inputs
from latentlab.usermodels import UserModel

Array = np.ndarray

PERPLEXITY = 30  # of t-SNE, as in the study
_MOST_PRINTED = 64  # numbers of a code; the rest is in the file


def reconstruct(*, row: str, sources: list[Source], as_is: bool, ink: str | None, output: Path | None, plain: bool) -> None:
    """Images through the code and back, and what was lost."""
    _check_output(output, ".png", sources)
    inputs = read_inputs(sources, Preparation(as_is, ink))
    model = usermodels.get(row)
    outputs = model.decode(model.encode(inputs.images))
    _head(model, inputs.notes)
    for name, error in zip(inputs.names, mean_squared_errors(outputs, inputs.images), strict=True):
        print(f"{name}: MSE {error:.4g}, PSNR {psnr(error):.2f} dB")
    _write_picture(output, {"original": inputs.images, "reconstruction": outputs}, plain)


def denoise(
    *,
    row: str,
    sources: list[Source],
    as_is: bool,
    ink: str | None,
    sigma: float,
    seed: int,
    already_noisy: bool,
    output: Path | None,
    plain: bool,
) -> None:
    """Noisy images through the code and back, and what was gained."""
    _check_output(output, ".png", sources)
    inputs = read_inputs(sources, Preparation(as_is, ink, is_noisy=already_noisy))
    model = usermodels.get(row)
    _head(model, inputs.notes)
    if already_noisy:
        outputs = model.decode(model.encode(inputs.images))
        for name, change in zip(inputs.names, mean_squared_errors(outputs, inputs.images), strict=True):
            print(f"{name}: changed by {change**0.5:.4g} (root mean square); no clean image to compare with")
        _write_picture(output, {"noisy": inputs.images, "denoised": outputs}, plain)
        return
    noisy = data.add_noise(inputs.images, sigma, torch.Generator().manual_seed(seed))
    outputs = model.decode(model.encode(noisy))
    before, after = (mean_squared_errors(each, inputs.images) for each in (noisy, outputs))
    for name, error_in, error in zip(inputs.names, before, after, strict=True):
        print(
            f"{name}: noisy MSE {error_in:.4g}, PSNR {psnr(error_in):.2f} dB; denoised MSE {error:.4g}, "
            f"PSNR {psnr(error):.2f} dB; gain {psnr(error) - psnr(error_in):+.2f} dB"
        )
    _write_picture(output, {"original": inputs.images, f"sigma {sigma:g}": noisy, "denoised": outputs}, plain)


def interpolate(
    *,
    row: str,
    first: Source,
    second: Source,
    as_is: bool,
    ink: str | None,
    steps: int,
    spherical: bool,
    output: Path,
    plain: bool,
) -> None:
    """The way from one image to another, through the code."""
    _check_output(output, ".png", [first, second])
    inputs = read_inputs([first, second], Preparation(as_is, ink))
    model = usermodels.get(row)
    way = interpolation.spherical if spherical else interpolation.linear
    strip = interpolation.strip(model.encode, model.decode, inputs.images, steps, way).unsqueeze(1)
    decoded = strip[1:-1]
    _head(model, inputs.notes)
    for name, error in zip(inputs.names, mean_squared_errors(decoded[[0, -1]], inputs.images), strict=True):
        print(f"{name}: MSE {error:.4g}, PSNR {psnr(error):.2f} dB")
    lengths = np.sqrt(mean_squared_errors(decoded[1:], decoded[:-1]))
    ratio = lengths.max() / max(lengths.mean(), 1e-12)
    print(
        f"{len(lengths)} steps of {lengths.mean():.4g} per pixel (root mean square); the largest is {ratio:.2f} times that"
    )
    titles = ["first", *(f"{step / (steps - 1):.2f}" for step in range(steps)), "second"]
    picture = pictures.plain(decoded[:, 0].numpy()) if plain else pictures.sheet(strip[None, :, 0].numpy(), titles)
    _write(pictures.png(picture), output)


def sample(*, row: str, num: int, seed: int, output: Path, plain: bool) -> None:
    """Decodings of random codes."""
    # scikit-learn takes a second to import, which the other commands do without
    from latentlab.evaluation import generation

    _check_output(output, ".png")
    model = usermodels.get(row)
    _head(model)
    if isinstance(model.model, ConvVAE):
        print(f"{num:,} samples from the standard normal distribution")
        codes = generation.normal_codes(model.code_shape, num, seed)
    else:
        settings = usermodels.study().analyses.generation
        images, _ = userfiles.mnist("train")
        order = np.random.default_rng(seed).permutation(len(images))
        fitted = torch.from_numpy(images[order[: settings.num_fitted]]).unsqueeze(1)
        print(f"{num:,} samples from a Gaussian mixture fitted to the codes of {len(fitted):,} training images")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the fit is stopped early on purpose
            codes = generation.mixture_codes(
                model.encode(fitted), num, settings.mixture_components, settings.num_fitted, seed
            )
    _write_grid(output, model.decode(codes), plain)


def encode(*, row: str, sources: list[Source], as_is: bool, ink: str | None, output: Path | None) -> None:
    """The codes of images."""
    _check_output(output, ".npz", sources)
    inputs = read_inputs(sources, Preparation(as_is, ink))
    model = usermodels.get(row)
    codes = model.encode(inputs.images).numpy()
    _head(model, inputs.notes)
    for name, code in zip(inputs.names, codes, strict=True):
        numbers = " ".join(f"{number:.4g}" for number in code.ravel()[:_MOST_PRINTED])
        more = f" ... ({code.size:,} numbers)" if code.size > _MOST_PRINTED else ""
        print(f"{name}: {numbers}{more}")
    if output:
        _write(userfiles.codes_npz(codes, model.name, inputs.names), output)


def decode(*, row: str, codes: Path, output: Path, plain: bool) -> None:
    """The images of codes."""
    _check_output(output, ".png", [codes])
    model = usermodels.get(row)
    read, made_by = userfiles.read_codes(codes, model.code_shape)
    notes = [] if made_by in ("", model.name) else [f"{codes}: the codes are of {made_by}"]
    _head(model, notes)
    _write_grid(output, model.decode(torch.from_numpy(read)), plain)


def embed(*, row: str, num: int, seed: int, sources: list[Source], as_is: bool, ink: str | None, output: Path) -> None:
    """A map of the codes of test images, coloured by digit, with the user's own pictures on it."""
    # scikit-learn takes a second to import, which the other commands do without
    from latentlab.evaluation import latent_space

    _check_output(output, ".png", sources)
    all_images, all_digits = userfiles.mnist("t10k")
    chosen = latent_space.first_of_each_digit(all_digits, num)
    digits = all_digits[chosen]
    images, notes, names = torch.from_numpy(all_images[chosen]).unsqueeze(1), [], []
    if sources:
        own = read_inputs(sources, Preparation(as_is, ink))
        images, notes, names = torch.cat([images, own.images]), own.notes, own.names
    model = usermodels.get(row)
    codes = model.encode(images).flatten(1).numpy()
    is_plane = codes.shape[1] == 2
    points = codes if is_plane else latent_space.tsne(codes, PERPLEXITY, seed)
    _head(model, notes)
    for what, each in [("codes", codes)] if is_plane else [("codes", codes), ("t-SNE", points)]:
        measured = latent_space.clustering(each[: len(digits)], digits)
        accuracy = measured["knn10_accuracy"]
        print(f"{what}: silhouette {measured['silhouette']:.3f}, 10-nearest-neighbour accuracy {accuracy:.3f}")
    title = f"{len(digits):,} test images in {'the code' if is_plane else 't-SNE of the code'} of {model.name}"
    # matplotlib sets what stands between dollars as mathematics
    title = title.replace("$", r"\$")
    marked = [
        (printable(Path(name).name).replace("$", r"\$"), point)
        for name, point in zip(names, points[len(digits) :], strict=True)
    ]
    _write(pictures.scatter(points[: len(digits)], digits, marked, title), output)


def mean_squared_errors(outputs: Tensor, targets: Tensor) -> list[float]:
    """Squared error per pixel of each of N images (N, 1, 28, 28)."""
    errors: list[float] = (outputs - targets).square().double().mean(dim=(1, 2, 3)).tolist()
    return errors


def psnr(error: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error, for pixels in [0, 1]; at most 120."""
    return float(-10 * np.log10(max(error, 1e-12)))


def _head(model: UserModel, notes: Sequence[str] = ()) -> None:
    for note in notes:
        print(f"note: {printable(note)}", file=sys.stderr)
    size = model.code_shape.numel()
    print(f"{model.name}: code of {size:,} number{'s' if size > 1 else ''}, compression ratio {784 / size:g}")


def _check_output(output: Path | None, suffix: str, sources: Sequence[Source] = ()) -> None:
    if output:
        userfiles.check_output(output, suffix, [source for source in sources if isinstance(source, Path)])


def _write(content: bytes, output: Path) -> None:
    userfiles.write(content, output)
    print(f"wrote {output}")


def _write_picture(output: Path | None, columns: dict[str, Tensor], plain: bool) -> None:
    """Writes images side by side, a column for each kind; of a plain picture the last kind alone."""
    if output is None:
        return
    images = torch.stack(list(columns.values()), dim=1).squeeze(2).numpy()  # (N, kinds, 28, 28)
    picture = pictures.plain(images[:, -1]) if plain else pictures.sheet(images, list(columns))
    _write(pictures.png(picture), output)


def _write_grid(output: Path, images: Tensor, plain: bool) -> None:
    flat = images.squeeze(1).numpy()
    num_columns = min(len(flat), 10) if len(flat) <= 100 else int(np.ceil(len(flat) ** 0.5))
    picture = pictures.plain(flat) if plain else pictures.sheet(pictures.grid(flat, num_columns))
    _write(pictures.png(picture), output)
