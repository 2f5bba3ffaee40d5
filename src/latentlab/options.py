"""Which options do the commands for people have?"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path


def add_image_commands(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds the commands, each a function of that name in `latentlab.apply` whose keywords are its options.

    Args:
        command: Makes the parser of a command from its name, its line in the overview and its description.
    """
    reconstruct = command(
        "reconstruct",
        "an image through the code and back, and what was lost",
        "Encodes images, decodes the codes, and prints the error of each.",
    )
    _add_row(reconstruct)
    _add_images(reconstruct)
    _add_picture(reconstruct, "a PNG with each original beside its reconstruction")

    denoise = command(
        "denoise",
        "a noisy image through the code and back, and what was gained",
        "Adds Gaussian noise to images, encodes and decodes them, and prints the errors before and after.",
    )
    _add_row(denoise)
    _add_images(denoise)
    noise = denoise.add_argument_group("the noise")
    noise.add_argument(
        "--sigma", type=_sigma, default=0.2, help="standard deviation, where 1 is from black to white (default: 0.2)"
    )
    noise.add_argument("--seed", type=_seed, default=0, help="of the noise (default: 0)")
    noise.add_argument(
        "--already-noisy", action="store_true", help="the images are noisy as they are: add none, clean none"
    )
    _add_picture(denoise, "a PNG with original, noisy and denoised image side by side")

    interpolate = command(
        "interpolate",
        "the way from one image to another, through the code",
        "Encodes two images, goes from code to code in even steps, and decodes each.",
    )
    _add_row(interpolate)
    ends = interpolate.add_argument_group("the two ends")
    ends.add_argument(
        "--first", type=_source, required=True, metavar="N|FILE", help="a test image's index, 0 to 9999, or a PNG or JPEG"
    )
    ends.add_argument("--second", type=_source, required=True, metavar="N|FILE", help="the same for the other end")
    _add_preparation(ends)
    way = interpolate.add_argument_group("the way")
    way.add_argument("--steps", type=_number(2, 30), default=8, help="decodings, both ends included (default: 8)")
    way.add_argument("--spherical", action="store_true", help="along a great circle, as suits the codes of a VAE")
    _add_picture(interpolate, "a PNG with the steps between the two originals", required=True)

    sample = command(
        "sample",
        "images that nobody has drawn",
        "Decodes random codes: of a VAE from the standard normal distribution, which it was trained for; of a plain\n"
        "autoencoder from a Gaussian mixture fitted to the codes of the training images.",
    )
    _add_row(sample)
    sample.add_argument("--num", type=_number(1, 10_000), default=10, help="how many (default: 10)")
    sample.add_argument("--seed", type=_seed, default=0, help="of the codes (default: 0)")
    _add_picture(sample, "a PNG with the samples", required=True)

    encode = command("encode", "the code of an image, as numbers", "Encodes images, and prints the codes.")
    _add_row(encode)
    _add_images(encode)
    encode.add_argument("--output", type=_path, metavar="FILE.npz", help="an NPZ with the codes, for `latentlab decode`")

    decode = command("decode", "the image of a code", "Decodes the codes of an NPZ file.")
    _add_row(decode)
    decode.add_argument(
        "--codes", type=_path, required=True, metavar="FILE.npz",
        help="of `latentlab encode`, or any NPZ with an array `codes`, one code per row",
    )  # fmt: skip
    _add_picture(decode, "a PNG with the images", required=True)

    embed = command(
        "embed",
        "a map of the codes, coloured by digit",
        "Draws the codes of test images in the plane: as they are if a code is two numbers, else by t-SNE.",
    )
    _add_row(embed)
    embed.add_argument("--num", type=_number(100, 10_000), default=1000, help="how many test images (default: 1000)")
    embed.add_argument("--seed", type=_seed, default=42, help="of t-SNE (default: 42)")
    embed.add_argument(
        "--image",
        dest="sources",
        type=_path,
        action="append",
        default=[],
        metavar="FILE",
        help="a picture of yours to mark",
    )
    _add_preparation(embed)
    embed.add_argument("--output", type=_path, required=True, metavar="FILE.png", help="the map")


def add_export(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds `latentlab export`, whose options are the arguments of `latentlab.export.export`."""
    export = command(
        "export",
        "ONNX files of a model, and what each runtime costs",
        "Writes encoder, decoder and both as ONNX, in float32 and quantised to int8, and checks them against torch on the\n"
        "test images. Prints size, latency of one image, throughput and error of each in torch and in ONNX Runtime,\n"
        "measured with one thread, or with OMP_NUM_THREADS of them.",
    )
    _add_row(export)
    export.add_argument(
        "--output", type=_path, metavar="FOLDER",
        help="for the files and report.json (default: exports/ and the name of row, recipe and seed)",
    )  # fmt: skip


def add_repro(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds `latentlab repro`, whose options are the arguments of `latentlab.repro.reproduce`."""
    repro = command(
        "repro",
        "the study brought up to date, several stages at once",
        "Does what `dvc repro` does, and leaves what it leaves; stages that do not need each other run at the same time.\n"
        "A stage that fails stops only those that depend on it. After Ctrl-C what has finished is kept.",
    )
    repro.add_argument("targets", nargs="*", metavar="TARGET", help="stages, as for `dvc repro`; all of them by default")
    repro.add_argument(
        "--jobs", dest="num_jobs", type=_number(1, 1024), metavar="N",
        help="stages that run at once (default: one for each core); the cores are shared out among them as threads",
    )  # fmt: skip
    repro.add_argument(
        "--backend", default="loky", metavar="NAME",
        help="what of joblib runs them: loky, threading, or ray or dask where it is installed (default: loky)",
    )  # fmt: skip
    repro.add_argument(
        "--offline", action="store_true",
        help="log to mlruns/ here, whatever MLFLOW_TRACKING_URI says; `latentlab sync` can send it to the server later",
    )  # fmt: skip


def add_study(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds `latentlab study`, whose actions are functions of `latentlab.study.search`."""
    study = command(
        "study",
        "the search for the smallest good autoencoder",
        "Optuna searches for rows of small error, small code and little compute, as `study` of params.yaml says. ACTION:\n"
        "  run       search on until as many trials are trained as asked for; the winners become rows, in found.yaml\n"
        "  status    how far it is, and the front\n"
        "  register  the trained winner as `champion` in MLflow's model registry, the row to beat as `reference`\n"
        "After Ctrl-C, or when a worker was killed, `run` goes on where it was. Workers on other machines share the study\n"
        "if they are given the same storage.",
    )
    study.add_argument("action", choices=("run", "status", "register"), metavar="ACTION", help="see above")
    study.add_argument(
        "--workers", dest="num_workers", type=_number(1, 1024), metavar="N",
        help="of run: processes, each with one thread (default: one for each core)",
    )  # fmt: skip
    study.add_argument(
        "--trials", dest="num_trials", type=_number(1, 100_000), metavar="N",
        help="of run: trained ones in all, in the place of study.num_trials",
    )  # fmt: skip
    study.add_argument(
        "--storage", dest="storage_url", metavar="URL",
        help="of run and status: in the place of study.storage: sqlite:///FILE, postgresql://, journal:///FILE, grpc://; "
        "with a password in it, set LATENTLAB_STORAGE instead: everybody can read the arguments of a process",
    )  # fmt: skip


def add_checks(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds `latentlab verify` and `latentlab doctor`."""
    verify = command(
        "verify",
        "runs made from nothing twice, and compared byte for byte",
        "Trains, evaluates and probes each row twice in temporary folders, compares all files, and then with dvc.lock.\n"
        "Another processor may differ in the last bits: then the numbers are compared within a tolerance, which is\n"
        "printed. Exits with 1 if anything differs that should not.",
    )
    verify.add_argument("rows", nargs="*", metavar="ROW", help="rows of params.yaml; by default all, for hours")
    command(
        "doctor",
        "what is here, whether it is whole, and what to do if not",
        "Looks at Python and its packages, the disk, params.yaml, the GPU, the data, DVC and its cache, the MLflow store\n"
        "and the study. Exits with 1 if there is a problem.",
    )


def add_bench(command: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Adds `latentlab bench`, whose options are the arguments of `benchmarks.command.run`."""
    bench = command(
        "bench",
        "how fast it is, against the sources' way",
        "Measures, as ratios to a plain reference loop where there is one, and writes benchmarks/results/. PART is one of\n"
        "  loop     images per second with the published settings\n"
        "  quality  seconds until the published figures are met (it trains for long, so only when asked for)\n"
        "  flops    share of the machine's matrix products\n"
        "  profile  where the rest of the time goes\n"
        "  stages   seconds, memory and start-up of each stage of the pipeline\n"
        "  growth   time against images, epochs, rows and jobs\n"
        "It needs the project's folder benchmarks/, and a machine that has nothing else to do.",
    )
    bench.add_argument("parts", nargs="*", metavar="PART", help="what is measured; all but quality by default")
    bench.add_argument(
        "--rows", nargs="+", metavar="ROW", help="rows of loop, flops and profile (default: one or two of each source)"
    )
    bench.add_argument(
        "--quality", dest="quality_rows", nargs="+", metavar="ROW",
        help="measures quality too, of these rows (default of the part: cae_baseline conv_bn_64 mlp_8)",
    )  # fmt: skip
    bench.add_argument(
        "--images", dest="num_images", type=_number(64, 55_000), metavar="N", help="images in a round (default: 8192)"
    )
    bench.add_argument("--rounds", dest="num_rounds", type=_number(1, 1000), metavar="N", help="rounds (default: 5)")
    bench.add_argument("--quick", action="store_true", help="small, to see that it works; nothing is written")
    bench.add_argument("--full", action="store_true", help="the stages at the size of the study")
    bench.add_argument("--device", choices=("auto", "cpu", "cuda", "mps"), help="in the place of the one in params.yaml")
    bench.add_argument("--output", type=_path, metavar="FOLDER", help="for the results, also of --quick")


def _add_row(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("row", metavar="ROW", help="the model: see above")


def _add_images(parser: argparse.ArgumentParser) -> None:
    images = parser.add_argument_group("the images (both options may be given more than once)")
    images.add_argument(
        "--index",
        dest="sources",
        type=int,
        action="append",
        default=[],
        metavar="N",
        help="a test image of MNIST, 0 to 9999",
    )
    images.add_argument(
        "--image", dest="sources", type=_path, action="append", default=[], metavar="FILE",
        help="a PNG or JPEG of yours: any size and colour; the digit in it is brought to MNIST's form",
    )  # fmt: skip
    _add_preparation(images)


def _add_preparation(group: "argparse._ActionsContainer") -> None:
    group.add_argument("--as-is", action="store_true", help="resize your picture to 28x28 and change nothing else")
    group.add_argument("--ink", choices=("dark", "light"), help="the digit in your picture, if it is mistaken")


def _add_picture(parser: argparse.ArgumentParser, what: str, *, required: bool = False) -> None:
    parser.add_argument("--output", type=_path, required=required, metavar="FILE.png", help=what)
    parser.add_argument("--plain", action="store_true", help="in the PNG: the results alone, at 28x28 pixels")


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} to {most}")
        return int(text)

    return number


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("is empty: give a name")
    return Path(text)


def _source(text: str) -> int | Path:
    return int(text) if text.removeprefix("-").isdecimal() else _path(text)


_seed = _number(0, 2**32 - 1)


def _sigma(text: str) -> float:
    try:
        sigma = float(text)
    except ValueError:
        sigma = math.nan
    if not 0 <= sigma <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 100")
    return sigma
