"""How many real bytes does the code of an image take, once it is quantised and entropy coded?

Legend: N images, D numbers in the code, K = 2^bits symbols.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import constriction
import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from latentlab.evaluation.analysis import Analysis, Subject
from latentlab.evaluation.reconstruction import similarity
from latentlab.params.strict import Count, Section

Array = np.ndarray
Categorical = constriction.stream.model.Categorical

# shares of the codes that the range of a number may leave out at each end
_LEFT_OUT = (0.0, 0.001, 0.005, 0.02, 0.05)


class Settings(Section):
    """Bits per number of the code.

    The quantiser is fitted to the codes of `num_fitted` training images; `num_alone` test images are also stored each by
    itself.
    """

    bits: list[Annotated[int, Field(ge=1, le=16)]] = Field(min_length=1)
    num_fitted: Count
    num_alone: Count


def analyse(subject: Subject, settings: Settings) -> Analysis:
    """Bytes and quality of the stored codes of the test images."""
    train_codes = subject.encode(subject.data.train.images[: settings.num_fitted])
    test = subject.data.test.images
    return Analysis(compression(train_codes, subject.encode(test), subject.decode, test, settings.bits, settings.num_alone))


@dataclass(frozen=True)
class Quantiser:
    """A uniform quantiser for each number of a code, and how often it gives each symbol.

    Symbols are 0 to K - 1. `low` and `step` are (D,) float32: symbol s stands for low + s step. `frequencies` (D, K),
    uint16, are at least 1, so that every symbol can be coded; with `low` and `step` they are the decoder's side tables.
    """

    low: Array
    step: Array
    frequencies: Array

    @property
    def num_table_bytes(self) -> int:
        """What a decoder must know beside its weights and the stream."""
        return int(self.low.nbytes + self.step.nbytes + self.frequencies.nbytes)

    @property
    def probabilities(self) -> Array:
        """(D, K) float32, exactly as the coder uses them."""
        shares = self.frequencies / self.frequencies.sum(axis=1, keepdims=True)
        probabilities: Array = shares.astype(np.float32)
        return probabilities

    def symbols(self, codes: Array) -> Array:
        """Symbols (N, D), int32, of codes (N, D); a number outside its range gets the symbol at the end."""
        return _symbols(codes, self.low, self.step, self.frequencies.shape[1])

    def codes(self, symbols: Array) -> Array:
        """Codes (N, D), float32, that symbols stand for."""
        codes: Array = self.low + symbols.astype(np.float32) * self.step
        return codes


def fit_quantiser(codes: Array, bits: int) -> Quantiser:
    """A quantiser learnt from codes.

    The range of each number is the one of five, from all of its values down to the middle 90%, that gives the smallest
    squared error on these codes; a number that never changes has a range of one point.

    Args:
        codes: (N, D) float32, of training images.
        bits: Per number; K = 2^bits.
    """
    num_symbols = 2**bits
    best = np.full(codes.shape[1], np.inf)
    low, step = np.zeros(codes.shape[1], np.float32), np.zeros(codes.shape[1], np.float32)
    for share in _LEFT_OUT:
        ends = np.quantile(codes, [share, 1 - share], axis=0).astype(np.float32)
        width = (ends[1] - ends[0]) / np.float32(num_symbols - 1)
        coded = _symbols(codes, ends[0], width, num_symbols)
        error = ((ends[0] + coded * width - codes) ** 2).mean(axis=0)
        better = error < best
        best[better], low[better], step[better] = error[better], ends[0][better], width[better]
    symbols = _symbols(codes, low, step, num_symbols)
    counts = np.stack([np.bincount(column, minlength=num_symbols) for column in symbols.T]) + 0.5
    shares = counts / counts.sum(axis=1, keepdims=True)
    frequencies = np.clip(np.round(shares * 65535), 1, 65535).astype(np.uint16)
    return Quantiser(low, step, frequencies)


def encode_symbols(symbols: Array, probabilities: Array) -> bytes:
    """Symbols (N, D) as one stream of the range coder of the constriction library (Bamler 2022), number after number.

    Zero bytes at the end are left out; `decode_symbols` puts them back.
    """
    encoder = constriction.stream.queue.RangeEncoder()
    if len(symbols) == 1:  # one call for all numbers is faster, and gives the same stream
        encoder.encode(np.ascontiguousarray(symbols[0], np.int32), Categorical(perfect=False), probabilities)
    else:
        for column, shares in zip(symbols.T, probabilities, strict=True):
            encoder.encode(np.ascontiguousarray(column, np.int32), Categorical(shares, perfect=False))
    stream: bytes = encoder.get_compressed().astype("<u4").tobytes()
    return stream.rstrip(b"\0")


def decode_symbols(stream: bytes, num_images: int, probabilities: Array) -> Array:
    """The symbols (N, D) of a stream of `encode_symbols`."""
    words = np.frombuffer(stream + bytes(-len(stream) % 4), "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(words)
    columns = [decoder.decode(Categorical(shares, perfect=False), num_images) for shares in probabilities]
    return np.stack(columns, axis=1)


def compression(
    train_codes: Tensor,
    test_codes: Tensor,
    decode: Callable[[Tensor], Tensor],
    targets: Tensor,
    bits: Sequence[int],
    num_alone: int,
) -> dict[str, dict[str, float]]:
    """Bytes and quality of stored codes, by bits per number.

    What is measured was stored: the images are decoded from the symbols that come out of the stream. The weights of the
    decoder are not counted.

    Args:
        train_codes: (M, ...), from which ranges and frequencies are learnt.
        test_codes: (N, ...), which are stored.
        decode: Codes to images.
        targets: (N, C, H, W), the images.
        bits: Per number of the code.
        num_alone: How many of the images are also stored each by itself.

    Returns:
        bytes_alone: Of an image stored by itself, mean over the first `num_alone`: the range coder's stream in whole
            bytes, or the symbols packed bit by bit where that is shorter on average (one way for all).
        bytes_amortised: Of the stream of all test images, over their number.
        table_bytes: Of the side tables.
        bytes_amortised_with_tables: Of stream and tables, over the number of test images.
        mse, psnr, ssim: Of the decoded images, see `latentlab.evaluation.reconstruction.similarity`.
    """
    measured = {}
    flat = test_codes.flatten(1).numpy()
    for depth in bits:
        quantiser = fit_quantiser(train_codes.flatten(1).numpy(), depth)
        probabilities, symbols = quantiser.probabilities, quantiser.symbols(flat)
        stream = encode_symbols(symbols, probabilities)
        decoded = decode_symbols(stream, len(symbols), probabilities)
        alone = [len(encode_symbols(image[None], probabilities)) for image in symbols[:num_alone]]
        codes = torch.from_numpy(quantiser.codes(decoded)).reshape(test_codes.shape)
        tables = quantiser.num_table_bytes
        measured[str(depth)] = {
            "bytes_alone": min(float(np.mean(alone)), float(-(-flat.shape[1] * depth // 8))),
            "bytes_amortised": len(stream) / len(flat),
            "table_bytes": float(tables),
            "bytes_amortised_with_tables": (len(stream) + tables) / len(flat),
            **similarity(decode(codes).clamp(0, 1), targets),
        }
    return measured


def _symbols(codes: Array, low: Array, step: Array, num_symbols: int) -> Array:
    shares = np.divide(codes - low, step, out=np.zeros_like(codes), where=step > 0)
    symbols: Array = np.clip(np.rint(shares), 0, num_symbols - 1).astype(np.int32)
    return symbols
