"""Codes in bytes: the round trip is exact, and the sizes are those of information theory."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import COLOUR, GREY, linear, noise, splits

from latentlab.evaluation.compression import (
    Quantiser,
    Settings,
    analyse,
    compression,
    decode_symbols,
    encode_symbols,
    fit_quantiser,
)


def codes(count: int, size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.standard_normal((count, size)) * np.arange(1, size + 1)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(
    num_images=st.integers(1, 40),
    size=st.integers(1, 12),
    bits=st.integers(1, 8),
    seed=st.integers(0, 1000),
    dead=st.booleans(),
)
def test_round_trip_bit_for_bit(num_images, size, bits, seed, dead):
    train, test = codes(50, size, seed), 3 * codes(num_images, size, seed + 1)  # many are out of the learnt range
    if dead:
        train[:, 0] = 0
    quantiser = fit_quantiser(train, bits)
    symbols = quantiser.symbols(test)
    assert symbols.min() >= 0
    assert symbols.max() < 2**bits
    stream = encode_symbols(symbols, quantiser.probabilities)
    assert np.array_equal(decode_symbols(stream, num_images, quantiser.probabilities), symbols)


def test_an_image_by_itself_has_the_same_stream_as_any_other():
    quantiser = fit_quantiser(codes(500, 6, 0), 5)
    image = quantiser.symbols(codes(1, 6, 1))
    stream = encode_symbols(image, quantiser.probabilities)
    assert np.array_equal(decode_symbols(stream, 1, quantiser.probabilities), image)


def test_the_stream_is_as_short_as_the_entropy_allows():
    quantiser = fit_quantiser(codes(20000, 4, 0), 4)
    symbols = quantiser.symbols(codes(5000, 4, 1))
    ideal = -sum(np.log2(quantiser.probabilities[j, symbols[:, j]]).sum() for j in range(4)) / 8
    assert ideal <= len(encode_symbols(symbols, quantiser.probabilities)) <= 1.001 * ideal + 8
    uniform = np.full((4, 16), 1 / 16, np.float32)
    assert len(encode_symbols(symbols, quantiser.probabilities)) < len(encode_symbols(symbols, uniform))


def test_more_bits_less_error_and_never_more_than_half_a_step_inside_the_range():
    train, test = codes(5000, 3, 0), codes(1000, 3, 1)
    errors = []
    for bits in range(2, 9):
        quantiser = fit_quantiser(train, bits)
        back = quantiser.codes(quantiser.symbols(test))
        errors.append(float(((back - test) ** 2).mean()))
        top = quantiser.low + quantiser.step * (2**bits - 1)
        inside = (test >= quantiser.low) & (test <= top)
        assert inside.mean() > 0.85
        assert (np.abs(back - test) <= quantiser.step / 2 * (1 + 1e-4))[inside].all()
    assert errors == sorted(errors, reverse=True)


def test_a_narrow_range_is_taken_where_it_pays():
    heavy = np.random.default_rng(0).standard_t(2, (20000, 1)).astype(np.float32)
    coarse, fine = fit_quantiser(heavy, 2), fit_quantiser(heavy, 8)
    width = [float(each.step[0] * (each.frequencies.shape[1] - 1)) for each in (coarse, fine)]
    assert width[0] < width[1] <= float(np.ptp(heavy))


def test_a_number_that_never_changes_costs_next_to_nothing():
    train = np.zeros((1000, 4), np.float32)
    quantiser = fit_quantiser(train, 8)
    symbols = quantiser.symbols(np.zeros((5000, 4), np.float32))
    assert np.array_equal(quantiser.codes(symbols), np.zeros((5000, 4)))
    # the smoothing leaves a little for the symbols that never come
    assert len(encode_symbols(symbols, quantiser.probabilities)) / 5000 < 0.2


def test_tables_are_counted():
    quantiser = Quantiser(np.zeros(3, np.float32), np.ones(3, np.float32), np.ones((3, 16), np.uint16))
    assert quantiser.num_table_bytes == 3 * (4 + 4 + 16 * 2)


@pytest.mark.parametrize(("shape", "of_images"), [((6,), GREY), ((2, 3, 1), COLOUR)])
def test_compression_measures_what_was_stored(shape, of_images):
    generator = torch.Generator().manual_seed(1)
    targets = noise(40, 0, of_images)
    test_codes = targets[:, 0, 0, :6].reshape(40, *shape)
    train_codes = torch.rand(500, *shape, generator=generator)

    def decode(z: torch.Tensor) -> torch.Tensor:
        assert z.shape[1:] == shape
        images = targets.clone()
        images[:, 0, 0, :6] = z.flatten(1)
        return images

    measured = compression(train_codes, test_codes, decode, targets, [2, 8], num_alone=10)
    assert list(measured) == ["2", "8"]
    for bits, line in measured.items():
        quantiser = fit_quantiser(train_codes.flatten(1).numpy(), int(bits))
        back = quantiser.codes(quantiser.symbols(test_codes.flatten(1).numpy()))
        expected = ((back - test_codes.flatten(1).numpy()) ** 2).sum() / targets.numel()
        assert line["mse"] == pytest.approx(expected, rel=1e-3)
        assert line["table_bytes"] == quantiser.num_table_bytes
        assert line["bytes_amortised_with_tables"] == pytest.approx(line["bytes_amortised"] + line["table_bytes"] / 40)
        assert line["bytes_alone"] <= -(-6 * int(bits) // 8)
    assert measured["8"]["psnr"] > measured["2"]["psnr"]


def test_analysis():
    subject, data = linear(8), splits()
    codes = subject.encode(data.train.images[:300]), subject.encode(data.test.images)
    expected = compression(*codes, subject.decode, data.test.images, [2, 6], 10)
    assert analyse(subject, Settings(bits=[2, 6], num_fitted=300, num_alone=10)).numbers == expected
    assert expected["2"]["psnr"] < expected["6"]["psnr"]
