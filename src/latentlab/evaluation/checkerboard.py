"""Do the reconstructions carry the grid of the upsampling, a checkerboard?

Transposed convolutions can leave a pattern with the period of their stride (Odena, Dumoulin and Olah 2016, "Deconvolution
and checkerboard artifacts", Distill). Where it lies over the whole picture it stands out in the spectrum of the residual,
as a line at that period; where it comes and goes with the strokes, the steps at the edges of the blocks show it.
"""

import torch
from torch import Tensor

from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.reconstruction import apply
from latentlab.params.strict import Section


class Settings(Section):
    """There is nothing to set."""


def analyse(subject: Subject, _settings: Settings) -> Analysis:
    """Measures of the grid in the reconstructions of the test images, and the spectrum, frequency zero in the middle."""
    targets = subject.data.test.images
    outputs = subject.decode(subject.encode(targets)).clamp(0, 1)
    spectrum = residual_spectrum(outputs, targets)
    numbers = {**energy_ratios(spectrum), **block_ratios(outputs, targets)}
    return Analysis(numbers, {"spectrum": torch.fft.fftshift(spectrum).float().numpy()})


def residual_spectrum(outputs: Tensor, targets: Tensor) -> Tensor:
    """Power spectrum of outputs - targets, mean over the images and channels.

    Args:
        outputs: (N, C, H, W) in [0, 1].
        targets: (N, C, H, W) in [0, 1].

    Returns:
        (H, W), squared magnitudes of the unnormalised discrete Fourier transform; frequency zero is at [0, 0].
    """
    power = apply(lambda residual: torch.fft.fft2(residual).abs().square().mean(1), outputs - targets)  # (N, H, W)
    return power.double().mean(0)


def energy_ratios(spectrum: Tensor) -> dict[str, float]:
    """Energy at the periods of one and of two upsamplings by two, against the frequencies beside them.

    Args:
        spectrum: (H, H) of `residual_spectrum`; where H is no multiple of four, the frequencies next below are taken.

    Returns:
        energy_ratio: Mean power where the frequency along rows or columns has a period of 2 pixels, over the mean power one
            and two frequency steps away. A checkerboard lifts it far above 1; noise gives 1; a residual without a
            grid, whose power falls with the frequency, a little less than 1.
        energy_ratio_period_4: The same at 4 pixels, between its neighbours on both sides.
    """
    size = len(spectrum)
    return {
        "energy_ratio": _ratio(spectrum, size // 2),
        "energy_ratio_period_4": _ratio(spectrum, size // 4),
    }


def block_ratios(outputs: Tensor, targets: Tensor) -> dict[str, float | None]:
    """Steps between neighbouring pixels across the edges of blocks, over those inside the blocks.

    Args:
        outputs: (N, C, H, W) in [0, 1].
        targets: (N, C, H, W) in [0, 1].

    Returns:
        block_ratio: Mean absolute step along rows and columns between two blocks of 2x2 pixels over the mean step inside
            them, of the outputs; 1 where edges are nothing special, more where the blocks can be seen; None where there are
            steps at the edges alone.
        real_block_ratio: The same of the targets, which is what a perfect reconstruction has.
        block_ratio_period_4, real_block_ratio_period_4: The same for blocks of 4x4 pixels.
    """
    return {
        "block_ratio": _block_ratio(outputs, 2),
        "real_block_ratio": _block_ratio(targets, 2),
        "block_ratio_period_4": _block_ratio(outputs, 4),
        "real_block_ratio_period_4": _block_ratio(targets, 4),
    }


def _block_ratio(images: Tensor, period: int) -> float | None:
    """Steps across the edges of blocks over steps inside; 1 for images without a step across edges."""
    along_rows = images.diff(dim=3).abs().double().mean(dim=(0, 1, 2))  # (W - 1,)
    along_columns = images.diff(dim=2).abs().double().mean(dim=(0, 1, 3))  # (H - 1,)
    steps = along_rows + along_columns
    is_edge = torch.arange(len(steps)) % period == period - 1
    across, inside = steps[is_edge].mean(), steps[~is_edge].mean()
    if across > 0:
        return float(across / inside) if inside > 0 else None
    return 1.0


def _ratio(spectrum: Tensor, line: int) -> float:
    """Mean power on the line of that frequency over its two neighbours on each side; rows and columns taken together."""
    size = len(spectrum)
    by_frequency = spectrum.mean(1) + spectrum.mean(0)  # (H,)
    # with an odd side the highest frequency stands twice, at the line and behind it
    above = (2, 3) if size == 2 * line + 1 else (1, 2)
    neighbours = by_frequency[[(line + step) % size for step in (-2, -1, *above)]].mean()
    return float(by_frequency[line] / neighbours) if neighbours > 0 else 1.0
