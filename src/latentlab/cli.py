"""The command line for people."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from latentlab import options
from latentlab.errors import UserError, printable

GROUPS = {
    "With an image in your hand": ("reconstruct", "denoise", "interpolate", "sample", "encode", "decode", "embed"),
    "With a program of yours": ("export",),
    "With all of it": ("repro", "sync", "study", "verify", "doctor", "bench"),
}

ROW_HELP = """\
ROW is a row of params.yaml: `cae_baseline`, its first recipe and seed that is trained, or `cae_baseline-published` or
`cae_baseline-published-0`. Or a checkpoint file, also outside of the project: `model.safetensors`. Or a model in MLflow:
`models:/NAME/1`, `models:/NAME@ALIAS`, `runs:/RUN_ID/model`."""

EXAMPLES = """\
Examples:
  latentlab reconstruct cae_baseline --index 12 --output nine.png
  latentlab reconstruct mlp_8 --image my_digit.jpg --output mine.png
  latentlab denoise cae_baseline_denoise --index 12 --sigma 0.3 --output clean.png
  latentlab interpolate vae_2 --first 12 --second 3456 --spherical --output strip.png
  latentlab sample vae_16 --num 10 --seed 0 --output samples.png
  latentlab encode mlp_8 --image my_digit.jpg --output codes.npz
  latentlab decode mlp_8 --codes codes.npz --output decoded.png
  latentlab embed cae_latent_2 --num 1000 --output map.png
  latentlab export cae_baseline --output exports/digits"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        _fail(f"{message} ({self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of `latentlab`.

    Args:
        arguments: Those of the command line if None.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    command = given.pop("command")
    if command is None:
        parser.print_help()
        return
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names may hold what the terminal has no letters for
    _enter_project(given)
    try:
        _dispatch(command, given)
        sys.stdout.flush()
    except BrokenPipeError:
        # whoever read the output has gone; Python would complain of it once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _dispatch(command: str, given: dict[str, Any]) -> None:
    if command == "repro":
        _repro(**given)
    if command == "bench":
        _bench(given)
        return
    # behind --help, which needs none of it
    from latentlab import stages

    if command == "sync":
        stages.start(_sync, given["rows"], pinned=False)
    elif command == "verify":
        stages.start(_verify, given["rows"])
    elif command == "doctor":
        stages.start(_doctor, [], pinned=False)
    elif command == "study":
        stages.start(partial(_study, **given), [], pinned=False)
    else:
        stages.start(partial(_apply, command, given), [], pinned=command == "export")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="latentlab",
        usage="latentlab COMMAND ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", help=argparse.SUPPRESS, prog="latentlab")
    helps = {}

    usages = {
        "sync": "[ROW ...]",
        "repro": "[options] [TARGET ...]",
        "study": "ACTION [options]",
        "verify": "[ROW ...]",
        "doctor": "",
        "bench": "[PART ...] [options]",
    }

    def command(name: str, summary: str, description: str) -> argparse.ArgumentParser:
        helps[name] = summary
        return commands.add_parser(
            name,
            usage=f"latentlab {name} {usages.get(name, 'ROW [options]')}",
            description=f"{description}\n\n{ROW_HELP}" if name not in usages else description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    options.add_image_commands(command)
    options.add_export(command)
    options.add_repro(command)
    sync = command(
        "sync",
        "send to MLflow what it does not have yet",
        "Sends what waits because a tracking server did not answer, then makes sure that MLflow holds one complete run\n"
        "for each row, from the files that the stages left. Needed after a server was away, where DVC took outputs from\n"
        "its cache, or for a new store; doing it again changes nothing.",
    )
    sync.add_argument("rows", nargs="*", metavar="ROW", help="rows of params.yaml; all of them when none is given")
    options.add_study(command)
    options.add_checks(command)
    options.add_bench(command)
    overview = "How small can the code of an autoencoder be, and what does it cost?\n"
    for title, names in GROUPS.items():
        overview += f"\n{title}:\n" + "".join(f"  {name:<13}{helps[name]}\n" for name in names)
    parser.description = f"{overview}\n`latentlab COMMAND --help` says more of each.\n\n{ROW_HELP}"
    parser.epilog = EXAMPLES
    return parser


def _enter_project(given: dict[str, Any]) -> None:
    """Goes up to the project's folder from one inside of it; files that were given stay those that were meant."""
    here = Path.cwd()
    root = next((folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir()), here)
    if root != here:
        given |= {name: _seen_from(here, value) for name, value in given.items()}
        os.chdir(root)


def _seen_from(here: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_seen_from(here, each) for each in value]
    if isinstance(value, Path) or (isinstance(value, str) and (here / value).is_file()):
        return type(value)(here / value)
    return value


def _repro(targets: list[str], num_jobs: int | None, backend: str, offline: bool) -> NoReturn:
    from latentlab.repro import reproduce

    try:
        if offline:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
        elif uri := os.environ.get("MLFLOW_TRACKING_URI"):
            from latentlab.tracking.store import GOES_ON, check_server

            check_server(uri)
            os.environ[GOES_ON] = "1"
        sys.exit(reproduce(targets, num_jobs, backend))
    except UserError as error:
        _fail(str(error))
    except KeyboardInterrupt:  # before anything ran
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _verify(*rows: str) -> None:
    from latentlab.verify import verify

    sys.exit(verify(rows))


def _doctor() -> None:
    from latentlab.doctor import diagnose

    problems = 0
    for finding in diagnose():
        problems += finding.level == "problem"
        print(finding, flush=True)
    sys.exit(1 if problems else 0)


def _study(action: str, num_workers: int | None, num_trials: int | None, storage_url: str | None) -> None:
    from latentlab.study import search

    if action == "run":
        search.run(num_workers, storage_url, num_trials)
    elif action == "status":
        search.status(storage_url)
    else:
        search.register()


def _bench(given: dict[str, Any]) -> None:
    if not Path("benchmarks", "command.py").is_file():
        _fail("there is no benchmarks/ here: `latentlab bench` runs in the project's folder")
    sys.path.insert(0, str(Path.cwd()))  # the package lies beside the pipeline, not in what is installed
    try:
        importlib.import_module("benchmarks.command").run(**given)
    except UserError as error:
        _fail("; ".join(str(error).splitlines()))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _apply(command: str, given: dict[str, Any]) -> None:
    module = importlib.import_module("latentlab.export" if command == "export" else "latentlab.apply")
    try:
        getattr(module, command)(**given)
    except BrokenPipeError:
        raise
    except (UserError, OSError) as error:
        _fail("; ".join(str(error).splitlines()))


def _fail(message: str) -> NoReturn:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)


def _sync(*rows: str) -> None:
    from latentlab import layout, stages
    from latentlab.stages.log import outputs
    from latentlab.tracking.runs import complete_row
    from latentlab.tracking.store import open_store

    study = stages.read_params()
    for name in rows:
        study.row(name)
    experiment_id = open_store(layout.project_root(), needed=True)
    asked = [
        layout.Run(name, recipe, seed)
        for name in rows or study.variants
        for recipe in study.recipes_of(name)
        for seed in study.seeds_of(name)
    ]
    for run in asked:
        if run.checkpoint.exists() and run.curve.exists():
            print(f"{run}: {complete_row(experiment_id, outputs(study, run))}")
        else:
            print(f"{run}: not trained yet: dvc repro train@{run}", file=sys.stderr)
