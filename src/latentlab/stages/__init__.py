"""One module per DVC stage: it reads inputs, calls the functions that compute, writes outputs, and logs."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from latentlab import environment, errors, paths
from latentlab.errors import UserError, printable
from latentlab.params.project import Params, load

if sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[2].startswith(f"{__name__}."):
    environment.prepare(Path())  # before the stage is imported, which may be new there


def start(stage: Callable[..., None], arguments: Sequence[str] | None = None, *, pinned: bool = True) -> None:
    """Runs a stage as a command: clear errors for what a user can mend, a traceback for what only we can.

    Exits with 2 after a clear error. A request to terminate unwinds the stage, so that its MLflow run is closed.

    Args:
        stage: Called with the arguments.
        arguments: None for those of the command line.
        pinned: Whether the number of threads is fixed, as it must be where bytes are to come out the same each time.
    """
    if pinned:
        from latentlab.training import devices

        devices.keep_memory()
        devices.pin_threads()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    warnings.filterwarnings("ignore", category=FutureWarning)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")  # where it is imported later, and sets its level itself
    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        stage(*(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        for line in str(error).split("\n"):
            print(f"error: {printable(line)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if (fault := errors.explain(error, paths.project_root())) is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)


def read_params() -> Params:
    """The checked params.yaml, every variant of it against its family.

    Raises:
        ParamsError: Anything in it is wrong.
    """
    from latentlab.models import check

    project = load()
    check.check(project.variants, {name: project.datasets[name].shape for name in project.run.datasets})
    return project


def refresh_seconds() -> float:
    """How often a progress bar is drawn anew: now and then where nobody watches, or a log would be full of it."""
    return 0.2 if sys.stderr.isatty() else 15.0
