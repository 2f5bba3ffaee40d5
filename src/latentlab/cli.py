"""The command line: what each command takes, its help, and one line for each error.

What a command needs is imported when it runs, so that `--help` is quick.
"""

import functools
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from latentlab import environment, errors
from latentlab.errors import UserError, printable

IMAGES, PROGRAMS, PROJECT = "With an image in your hand", "With a program of yours", "With all of it"

EXAMPLES = """\b
Examples:
  latentlab reconstruct cae_baseline --index 12 --output nine.png
  latentlab reconstruct mlp_8 --image my_digit.jpg --output mine.png
  latentlab denoise cae_baseline --index 12 --sigma 0.3 --output clean.png
  latentlab interpolate vae_2 --first 12 --second 3456 --spherical --output strip.png
  latentlab sample vae_2 --num 10 --seed 0 --output samples.png
  latentlab encode mlp_8 --image my_digit.jpg --output codes.npz
  latentlab decode mlp_8 --codes codes.npz --output decoded.png
  latentlab embed cae_latent_2 --num 1000 --output map.png
  latentlab export cae_baseline --output exports/digits"""


class _Overview(TyperGroup):
    """The group of all commands, which lists them under the titles of their groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Writes the list; typer does it under titles only where it has the package rich."""
        for title in (IMAGES, PROGRAMS, PROJECT):
            commands = [each for each in self.commands.values() if getattr(each, "rich_help_panel", None) == title]
            with formatter.section(title):
                formatter.write_dl([(each.name or "", each.get_short_help_str(80)) for each in commands])


app = typer.Typer(
    cls=_Overview,
    help="How small can the code of an autoencoder be, and what does it cost? `latentlab COMMAND --help` says more.",
    epilog=EXAMPLES,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
study = typer.Typer(rich_markup_mode=None, help="The search for the smallest good autoencoder.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `latentlab`.

    Args:
        arguments: Those of the command line if None.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal has no letters for
    if arguments is None:
        try:
            environment.prepare(_project())
        except FileNotFoundError:
            _fail("the working folder is not there any more")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = get_command(app).main(given or ["--help"], prog_name="latentlab", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" ({context.command_path} --help)" if context else ""
        _fail(" ".join(error.format_message().replace("Value error, ", "").split()) + hint)
    except BrokenPipeError:
        # whoever read the output has gone; Python would complain of it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    if code == 130:  # what typer makes of Ctrl-C
        print("interrupted", file=sys.stderr)
    if code:
        sys.exit(code)


def _fail(message: str) -> NoReturn:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)


# how a command is run


def _project() -> Path:
    """The folder of the project that the working folder is in; the working folder if it is in none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)


def _command(panel: str, group: typer.Typer = app, *, pinned: bool = False) -> Callable[[Callable[..., None]], Any]:
    """Makes a function a command, which runs in the project's folder, and whose errors are one line.

    Args:
        panel: Title in the overview.
        group: What it is a command of.
        pinned: See `latentlab.stages.start`.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            from latentlab import stages

            os.chdir(_project())
            stages.start(functools.partial(_in_one_line, function, given), [], pinned=pinned)

        return group.command(rich_help_panel=panel)(run)

    return register


def _in_one_line(function: Callable[..., None], given: dict[str, Any]) -> None:
    try:
        function(**given)
    except BrokenPipeError:
        raise
    except UserError as error:
        raise UserError("; ".join(str(error).splitlines())) from error
    except OSError as error:
        raise UserError(errors.explain(error, Path.cwd()) or str(error)) from error


# what commands take; a path is the one that is meant where the command is given


def _path(text: str) -> Path:
    if not text:
        raise ValueError("is empty: give a name")
    return Path(text) if _project() == Path.cwd() else Path.cwd() / text


def _model(text: str) -> str:
    is_elsewhere = Path(text).exists() and _project() != Path.cwd()
    return str(Path.cwd() / text) if is_elsewhere else text


def _source(text: str) -> int | Path:
    return int(text) if text.removeprefix("-").isdecimal() else _path(text)


def _sigma(text: str) -> float:
    with suppress(ValueError):
        if 0 <= float(text) <= 100:
            return float(text)
    raise ValueError(f"{text!r} is not a number from 0 to 100")


Model = Annotated[
    str,
    typer.Argument(
        metavar="VARIANT", parser=_model, show_default=False,
        help="a variant of params.yaml (`cae_baseline`, the first of its runs that is trained) or a run "
        "(`cae_baseline-mnist-fast-0`); a checkpoint file, also outside of the project (`model.safetensors`); or a model "
        "in MLflow (`models:/NAME/1`, `models:/NAME@ALIAS`, `runs:/RUN_ID/model`)",
    ),
]  # fmt: skip
Variants = Annotated[
    list[str] | None, typer.Argument(metavar="VARIANT", help="variants of params.yaml; by default the selected ones")
]
Indices = Annotated[list[int] | None, typer.Option(metavar="N", help="a test image, 0 to 9999; may be repeated")]
Pictures = Annotated[
    list[Path] | None,
    typer.Option(
        parser=_path, metavar="FILE",
        help="a PNG or JPEG of yours, of any size and colour; the digit in it is brought to MNIST's form; may be repeated",
    ),
]  # fmt: skip
AsIs = Annotated[bool, typer.Option("--as-is", help="resize your picture to 28x28 and change nothing else")]
Ink = Annotated[Literal["dark", "light"] | None, typer.Option(help="the digit in your picture, if it is mistaken")]
End = Annotated[Any, typer.Option(parser=_source, metavar="N|FILE", help="an end: a test image's index, or a PNG or JPEG")]
Picture = Annotated[Path, typer.Option(parser=_path, metavar="FILE.png", help="a PNG of what comes out")]
OptionalPicture = Annotated[Path | None, typer.Option(parser=_path, metavar="FILE.png", help="a PNG of what comes out")]
Codes = Annotated[
    Path,
    typer.Option(
        parser=_path, metavar="FILE.npz", help="of `latentlab encode`, or any NPZ whose array `codes` is (N, ...)"
    ),
]
OptionalCodes = Annotated[
    Path | None, typer.Option(parser=_path, metavar="FILE.npz", help="an NPZ with the codes, for `latentlab decode`")
]
OptionalFolder = Annotated[Path | None, typer.Option(parser=_path, metavar="FOLDER", help="for the files")]
Plain = Annotated[bool, typer.Option("--plain", help="in the PNG: the results alone, at 28x28 pixels")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="of what is drawn at random")]
Sigma = Annotated[
    float, typer.Option(parser=_sigma, metavar="S", help="standard deviation of the noise; 1 is from black to white")
]
AlreadyNoisy = Annotated[bool, typer.Option("--already-noisy", help="the images are noisy as they are: none is added")]
Steps = Annotated[int, typer.Option(min=2, max=30, help="decodings, both ends included")]
Spherical = Annotated[bool, typer.Option("--spherical", help="along a great circle, as suits the codes of a VAE")]
NumSamples = Annotated[int, typer.Option(min=1, max=10_000, help="how many")]
NumPoints = Annotated[int, typer.Option(min=100, max=10_000, help="how many test images")]
Targets = Annotated[
    list[str] | None, typer.Argument(metavar="TARGET", help="stages, as for `dvc repro`; all of dvc.yaml by default")
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, max=1024, metavar="N", help="stages that run at once, which share the cores (default: one a core)"),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        envvar="DASK_SCHEDULER_ADDRESS", metavar="ADDRESS", help="of a Dask scheduler, whose workers do what takes long"
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="log to mlruns/, whatever MLFLOW_TRACKING_URI says; `latentlab sync` can send it")
]
Pull = Annotated[bool, typer.Option("--pull", help="take what is missing from DVC's remote first, if it has it")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="on 127.0.0.1")]
Workers = Annotated[
    int | None, typer.Option(min=1, max=1024, metavar="N", help="processes, each with one thread (default: one a core)")
]
Trials = Annotated[
    int | None,
    typer.Option(
        min=1, max=100_000, metavar="N", help="trained ones in all, in the place of study/params.yaml's num_trials"
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="in the place of study/params.yaml's storage: sqlite:///FILE, postgresql://, journal:///FILE or grpc://; with "
        "a password in it, set LATENTLAB_STORAGE: everybody can read the arguments of a process",
    ),
]
Patience = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="how long a database server is waited for that goes away")
]
Parts = Annotated[
    list[str] | None,
    typer.Argument(metavar="PART", help="what is measured; else all but quality, repro, cluster and study_throughput"),
]
Measured = Annotated[list[str] | None, typer.Option(metavar="VARIANT", help="of all parts but stages; may be repeated")]
NumImages = Annotated[int | None, typer.Option(min=64, max=55_000, metavar="N", help="images in a round (default: 8192)")]
Rounds = Annotated[int | None, typer.Option(min=1, max=1000, metavar="N", help="rounds (default: 5)")]
Quick = Annotated[bool, typer.Option("--quick", help="small, to see that it works; nothing is written")]
Explored = Annotated[
    list[str] | None,
    typer.Option(
        metavar="VARIANT",
        help="a variant, a run or a checkpoint file; may be repeated (default: of each latent dimension the best of each "
        "family, as many as fit into 4 MB)",
    ),
]
Dataset = Annotated[str | None, typer.Option(metavar="NAME", help="a data set (default: the first that is selected)")]
OptionalPage = Annotated[Path | None, typer.Option(parser=_path, metavar="FILE.html", help="the page")]
Device = Annotated[
    Literal["auto", "cpu", "cuda", "mps"] | None, typer.Option(help="in the place of the one in params.yaml")
]


@_command(IMAGES)
def reconstruct(
    variant: Model, index: Indices = None, image: Pictures = None, as_is: AsIs = False, ink: Ink = None,
    output: OptionalPicture = None, plain: Plain = False,
) -> None:  # fmt: skip
    """An image through the code and back, and what was lost.

    Encodes images, decodes the codes, and prints the error of each.
    """
    from latentlab.commands import images, inputs

    images.reconstruct(variant, _sources(index, image), inputs.Preparation(as_is, ink), output, plain)


@_command(IMAGES)
def denoise(
    variant: Model, index: Indices = None, image: Pictures = None, as_is: AsIs = False, ink: Ink = None,
    sigma: Sigma = 0.2, seed: Seed = 0, already_noisy: AlreadyNoisy = False,
    output: OptionalPicture = None, plain: Plain = False,
) -> None:  # fmt: skip
    """A noisy image through the code and back, and what was gained.

    Adds Gaussian noise to images, encodes and decodes them, and prints the errors before and after.
    """
    from latentlab.commands import images, inputs

    how = inputs.Preparation(as_is, ink, is_noisy=already_noisy)
    if already_noisy:
        images.clean(variant, _sources(index, image), how, output, plain)
    else:
        images.denoise(variant, _sources(index, image), how, sigma, seed, output, plain)


@_command(IMAGES)
def interpolate(
    variant: Model, first: End, second: End, output: Picture, as_is: AsIs = False, ink: Ink = None,
    steps: Steps = 8, spherical: Spherical = False, plain: Plain = False,
) -> None:  # fmt: skip
    """The way from one image to another, through the code.

    Encodes two images, goes from code to code in even steps, and decodes each.
    """
    from latentlab.commands import images, inputs

    images.interpolate(variant, [first, second], inputs.Preparation(as_is, ink), steps, spherical, output, plain)


@_command(IMAGES)
def sample(variant: Model, output: Picture, num: NumSamples = 10, seed: Seed = 0, plain: Plain = False) -> None:
    """Images that nobody has drawn.

    Decodes random codes: of a VAE from the standard normal distribution, which it was trained for; of a plain autoencoder
    from a Gaussian mixture fitted to the codes of the training images.
    """
    from latentlab.commands import images

    images.sample(variant, num, seed, output, plain)


@_command(IMAGES)
def encode(
    variant: Model, index: Indices = None, image: Pictures = None, as_is: AsIs = False, ink: Ink = None,
    output: OptionalCodes = None,
) -> None:  # fmt: skip
    """The code of an image, as numbers.

    Encodes images, and prints the codes.
    """
    from latentlab.commands import images, inputs

    images.encode(variant, _sources(index, image), inputs.Preparation(as_is, ink), output)


@_command(IMAGES)
def decode(variant: Model, codes: Codes, output: Picture, plain: Plain = False) -> None:
    """The image of a code.

    Decodes the codes of an NPZ file.
    """
    from latentlab.commands import images

    images.decode(variant, codes, output, plain)


@_command(IMAGES)
def embed(
    variant: Model, output: Picture, num: NumPoints = 1000, seed: Seed = 42, image: Pictures = None, as_is: AsIs = False,
    ink: Ink = None,
) -> None:  # fmt: skip
    """A map of the codes, coloured by digit.

    Draws the codes of test images in the plane: as they are if a code is two numbers, else by t-SNE. Pictures of yours are
    marked in it.
    """
    from latentlab.commands import images, inputs

    images.embed(variant, image or [], inputs.Preparation(as_is, ink), num, seed, output)


@_command(PROGRAMS, pinned=True)
def export(variant: Model, output: OptionalFolder = None) -> None:
    """ONNX files of a model, checked against torch.

    Writes encoder, decoder and both as ONNX, in float32 and quantised to int8, with a report beside them, into exports/ and
    the run's name, or the folder that is given. Compares them with torch on the test images, and prints size and error of
    each.
    """
    from latentlab.commands import export

    export.export(variant, output)


@_command(PROGRAMS, pinned=True)
def explore(variants: Explored = None, dataset: Dataset = None, output: OptionalPage = None) -> None:
    """A page in which people play with models.

    Writes one HTML file that needs no other and no server: open it in a browser. Without options it is what the stage
    `explore` makes, reports/<data set>/explorer.html.
    """
    from latentlab.commands import explore

    explore.explore(variants or [], dataset, output)


@app.command(rich_help_panel=PROJECT)
def repro(
    targets: Targets = None, jobs: Jobs = None, cluster: Cluster = None, offline: Offline = False, pull: Pull = False
) -> None:
    """The project brought up to date, several stages at once.

    Does what `dvc repro` does, and leaves what it leaves; stages that do not need each other run at the same time. A stage
    that fails stops only those that depend on it. After Ctrl-C what has finished is kept.
    """
    from latentlab.commands import runs

    os.chdir(_project())
    try:
        sys.exit(runs.reproduce(targets or [], jobs, cluster, offline, pull))
    except UserError as error:
        _fail(str(error))


@_command(PROJECT)
def sync(variants: Variants = None) -> None:
    """What MLflow does not have yet, sent to it.

    Makes sure that MLflow holds one complete run for each run that is trained, from the files that the stages left. Needed
    after a server was away, where DVC took outputs from its cache, or for a new store; doing it again changes nothing.
    """
    from latentlab.commands import runs

    runs.sync(variants or [])


@_command(PROJECT)
def show(dataset: Dataset = None) -> None:
    """The leaderboard as a table, and where its report is."""
    from latentlab.commands import runs

    runs.show_leaderboard(dataset)


@_command(PROJECT)
def ui(port: Port = 5000) -> None:
    """MLflow's pages in a browser of this machine, until Ctrl-C.

    Prints the links to the table and to the charts of all variants. Where MLFLOW_TRACKING_URI names a server, that is all.
    """
    from latentlab.commands import runs

    runs.show_pages(port)


app.add_typer(study, name="study", rich_help_panel=PROJECT)


@_command(PROJECT, study)
def run(
    workers: Workers = None,
    trials: Trials = None,
    storage: Storage = None,
    patience: Patience = 120,
    cluster: Cluster = None,
) -> None:
    """Search on until as many trials are trained as asked for.

    Optuna searches for variants of small error, small code and little compute, as study/params.yaml says; the winners are
    variants then, in study/found.yaml. After Ctrl-C, or when a worker was killed, `run` goes on where it was. Workers on
    other machines share the study if they are given the same storage; or a Dask cluster runs them, on a database server.
    """
    import latentlab.study.run as search

    search.run(workers, storage, trials, patience, cluster)


@_command(PROJECT, study)
def status(storage: Storage = None) -> None:
    """Print how far the study is, and its front."""
    from latentlab.study import standing

    standing.show(storage)


@_command(PROJECT, study)
def register() -> None:
    """Enter the winner into MLflow's model registry.

    The trained winner is its `champion`, the variant to beat its `reference`.
    """
    import latentlab.study.run as search

    search.register()


@_command(PROJECT, pinned=True)
def verify(variants: Variants = None) -> None:
    """Runs made from nothing twice, and compared byte for byte.

    Trains, evaluates and probes each run twice in temporary folders, compares all files, and then with dvc.lock. Another
    processor may differ in the last bits: then the numbers are compared within a tolerance, which is printed. Exits with 1
    if anything differs that should not. All selected runs take hours.
    """
    from latentlab.commands.verify import verify

    sys.exit(verify(variants or []))


@_command(PROJECT)
def doctor() -> None:
    """What is here, whether it is whole, and what to do if not.

    Looks at Python and its packages, the disk, params.yaml, the GPU, the data, DVC and its cache, the MLflow store and the
    study. Exits with 1 if there is a problem.
    """
    from latentlab.commands.doctor import report

    sys.exit(report())


@_command(PROJECT)
def bench(
    parts: Parts = None, variant: Measured = None, images: NumImages = None, rounds: Rounds = None, quick: Quick = False,
    device: Device = None, output: OptionalFolder = None,
) -> None:  # fmt: skip
    """How fast it is, against the sources' way.

    Measures, as ratios to a plain reference loop where there is one, and writes benchmarks/results/. It needs the project's
    folder benchmarks/, and a machine that has nothing else to do. PART is `loop` (images per second with the published
    settings), `quality` (seconds until the published figures are met: it trains for long, so only when asked for), `flops`
    (share of the machine's matrix products), `profile` (where the rest of the time goes), `runtimes` (torch against ONNX
    Runtime), `stages` (seconds, memory and start-up of each stage), `repro` (the default job from nothing, by the clock),
    `cluster` (how long large selections would take on a cluster) or `study_throughput` (trials per second over the workers
    of a study, on LATENTLAB_STORAGE); the last three only when asked for.
    """
    if not Path("benchmarks", "command.py").is_file():
        raise UserError("there is no benchmarks/ here: `latentlab bench` runs in the project's folder")
    sys.path.insert(0, str(Path.cwd()))  # the package lies beside the pipeline, not in what is installed
    importlib.import_module("benchmarks.command").run(
        parts or [], variants=variant, num_images=images, num_rounds=rounds, quick=quick, device=device, output=output
    )


def _sources(indices: list[int] | None, pictures: list[Path] | None) -> list[int | Path]:
    return [*(indices or []), *(pictures or [])]
