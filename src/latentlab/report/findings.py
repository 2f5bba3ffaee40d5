"""One sentence for each section of the report, computed from the numbers."""

from collections.abc import Callable

from latentlab.report.content import Content


def code_size(content: Content) -> str:
    """The best row for each code size."""
    table = content.of_recipe()
    best = table.loc[table.groupby("code_size")["test_mse"].idxmin()].sort_values("code_size")
    parts = [f"{int(line['code_size']):,} numbers {line['test_mse']:.4f} (`{name}`)" for name, line in best.iterrows()]
    return f"The smallest test MSE for each code size: {', '.join(parts)}."


def of_rows(rows: list[str]) -> Callable[[Content], str]:
    """The best and the worst of an experiment's rows, and whether the seeds tell them apart."""

    def finding(content: Content) -> str:
        table = content.of_recipe()
        errors = table["test_mse"].reindex(rows).dropna().sort_values()
        if len(errors) < 2:
            return "Fewer than two of its rows have been run."
        best, worst = str(errors.index[0]), str(errors.index[-1])
        spread = table["test_mse_sd"].reindex([best, worst])
        doubt = ""
        if spread.isna().any():
            doubt = " (one seed: a small difference may be chance)"
        elif errors.iloc[-1] - errors.iloc[0] < 2 * float((spread**2).sum() ** 0.5):
            doubt = " (less than twice the spread over the seeds: not told apart)"
        return (
            f"`{best}` has the smallest test MSE, {errors.iloc[0]:.5f}, and `{worst}` the largest, {errors.iloc[-1]:.5f}: "
            f"{errors.iloc[-1] / errors.iloc[0]:.2f} times as much{doubt}."
        )

    return finding


def _ranked(content: Content, section: str, name: str) -> list[tuple[float, str]]:
    found = ((content.number(row, section, name), row) for row in content.study.variants)
    return sorted((value, row) for value, row in found if value is not None)


def denoising(content: Content) -> str:
    """How many rows denoise, and the best and the worst of them."""
    ranked = _ranked(content, "denoising", "0.2/gain_db")
    if not ranked:
        return "Noise of sigma 0.2 was not measured."
    clean = [(gain, row) for gain, row in ranked if content.study.variants[row].input_noise is None]
    helped = sum(gain > 0 for gain, _ in clean)
    classical = content.number("classical", "denoising", "0.2/gain_db")
    beside = f"; a classical denoiser gains {classical:.1f} dB" if classical is not None else ""
    return (
        f"At sigma 0.2, {helped} of the {len(clean)} rows trained on clean images bring the image closer to the clean one; "
        f"the best row is `{ranked[-1][1]}` with {ranked[-1][0]:+.1f} dB, the worst `{ranked[0][1]}` with "
        f"{ranked[0][0]:+.1f} dB{beside}."
    )


def interpolation(content: Content) -> str:
    """How many rows pass nearer to real images than a cross-fade does."""
    ranked = _ranked(content, "interpolation", "linear/different_digits/midpoint_distance")
    if not ranked:
        return "No interpolation was measured."
    crossfade = content.number(ranked[0][1], "interpolation", "linear/different_digits/crossfade_distance")
    real = content.number(ranked[0][1], "interpolation", "real_distance")
    nearer = sum(value < (crossfade or 0) for value, _ in ranked)
    return (
        f"Halfway between two different digits, {nearer} of {len(ranked)} rows decode an image that is nearer to a "
        f"training image than the pixel average of the two is ({crossfade:.3f} root mean square; a real test image: "
        f"{real:.3f}); the nearest is `{ranked[0][1]}` with {ranked[0][0]:.3f}."
    )


def latent_space(content: Content) -> str:
    """How well neighbours in the code agree on the digit."""
    ranked = _ranked(content, "latent_space", "knn10_accuracy")
    if not ranked:
        return "No latent space was measured."
    two = [(value, row) for value, row in ranked if content.of_recipe()["code_size"].get(row) == 2]
    best_of_two = f"; with two numbers at most {100 * two[-1][0]:.1f}% (`{two[-1][1]}`)" if two else ""
    return (
        f"The ten nearest codes agree with the digit for {100 * ranked[-1][0]:.1f}% of the test images in the code of "
        f"`{ranked[-1][1]}`, for {100 * ranked[0][0]:.1f}% in that of `{ranked[0][1]}`{best_of_two}."
    )


def generation(content: Content) -> str:
    """Which rows' samples look like real images, by the measure that an almost black image does not pass."""
    normal = {row: value for value, row in _ranked(content, "generation", "standard_normal/nearest_cosine")}
    variational = [row for row in normal if content.study.variants[row].family == "conv_vae"]
    plain = [row for row in normal if row not in variational]
    if not variational or not plain:
        return "No samples were measured."
    parts = ", ".join(f"`{row}` {normal[row]:.2f}" for row in variational)
    real = content.number(plain[0], "generation", "real_cosine")
    worst, best = min(plain, key=lambda row: normal[row]), max(plain, key=lambda row: normal[row])
    mixture = content.number(worst, "generation", "mixture/nearest_cosine")
    after = f" ({mixture:.2f} from a Gaussian mixture fitted to its codes)" if mixture is not None else ""
    return (
        f"Cosine similarity of samples from the standard normal to the most similar training image, where a test image has "
        f"{real:.2f}: {parts}; plain autoencoders from {normal[worst]:.2f} for `{worst}`{after} to {normal[best]:.2f} for "
        f"`{best}`."
    )


def compression(content: Content) -> str:
    """Bytes and quality of the smallest and of the best code, beside PNG."""
    png = content.codecs[(content.codecs["codec"] == "png") & (content.codecs["layout"] == "sheet")]
    ranked = _ranked(content, "compression", "8/bytes_amortised_with_tables")
    if not ranked or png.empty:
        return "No bytes were measured."
    size, row = ranked[0]
    quality = content.number(row, "compression", "8/psnr")
    best = max(ranked, key=lambda pair: content.number(pair[1], "compression", "8/psnr") or 0)
    best_quality = content.number(best[1], "compression", "8/psnr")
    return (
        f"At 8 bits per number the codes take from {size:.1f} bytes an image (`{row}`, {quality:.1f} dB) to "
        f"{best[0]:.1f} bytes for the best quality (`{best[1]}`, {best_quality:.1f} dB), tables included, the decoder "
        f"not; PNG stores a sheet of all images without loss at {float(png['bytes_per_image'].iloc[0]):.0f} bytes an image."
    )


def checkerboard(content: Content) -> str:
    """How strong the blocks of source D's rows are, beside those of the images themselves."""
    rows = [
        row for row in ("compress_transposed", "compress_nearest", "compress_bilinear") if row in content.study.variants
    ]
    found = [(row, content.number(row, "checkerboard", "block_ratio")) for row in rows]
    parts = [f"`{row}` {value:.2f}" for row, value in found if value is not None]
    if not parts:
        return "No checkerboards were looked for."
    real = content.number(rows[0], "checkerboard", "real_block_ratio")
    energy = max(value for value, _ in _ranked(content, "checkerboard", "energy_ratio"))
    return (
        f"Steps between pixels at the edges of 2x2 blocks over those inside: {', '.join(parts)}; in the "
        f"images themselves {real:.2f}. In the spectrum of the residual no row has more than {energy:.2f} times "
        "the energy at a period of two pixels that it has beside it."
    )


def probes(content: Content) -> str:
    """The best probe, and how many rows beat the raw pixels."""
    table = content.of_recipe()["svm_rbf_accuracy"].dropna().sort_values()
    pixels = content.leaderboard.set_index("row")["svm_rbf_accuracy"].get("raw_pixels")
    if table.empty or pixels is None:
        return "No probe was run."
    above = int((table > pixels).sum())
    return (
        f"The RBF probe reaches {100 * table.iloc[-1]:.2f}% on the codes of `{table.index[-1]}`; on the raw pixels it "
        f"reaches {100 * pixels:.2f}%, and {above} of {len(table)} rows are above that."
    )
