"""One module per DVC stage: read inputs, call the pure functions, write outputs, log."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

from latentlab import faults, layout, memory, params
from latentlab.errors import UserError, printable


def start(stage: Callable[..., None], arguments: list[str], *, pinned: bool = True) -> None:
    """Runs a stage as a command: clear errors for what a user can mend, a traceback for what only we can.

    Exits with 2 after a clear error. A request to terminate unwinds the stage, so that its MLflow run is closed.

    Args:
        stage: Called with the arguments.
        arguments: Of the command line.
        pinned: Whether the number of threads is fixed, as it must be where bytes are to come out the same each time.
    """
    memory.keep()
    if pinned:
        _pin_threads()
    signal.signal(signal.SIGTERM, _terminate)
    warnings.filterwarnings("ignore", category=FutureWarning)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")  # where it is imported later, and sets its level itself
    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        stage(*arguments)
    except UserError as error:
        for line in str(error).split("\n"):
            print(f"error: {printable(line)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if (fault := faults.explain(error, layout.project_root())) is None:
            raise
        print(f"error: {fault}", file=sys.stderr)
        sys.exit(2)


def read_params() -> params.Params:
    """The checked params.yaml, every row of it against its family.

    Raises:
        ParamsError: Anything in it is wrong.
    """
    from latentlab import models

    study = params.load(layout.PARAMS)
    models.check(study)
    return study


def _pin_threads() -> None:
    """One thread, or OMP_NUM_THREADS of them: with another number a training gives other bytes.

    Two stages on a thread each are faster than one on two. torch and NumPy are loaded by now and have made up their
    minds, so they are told; libraries that are loaded later read the variables.
    """
    import torch
    from threadpoolctl import threadpool_limits

    given = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    num_threads = int(given) if given.isdecimal() and int(given) > 0 else 1
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(num_threads))
    torch.set_num_threads(num_threads)
    threadpool_limits(num_threads)


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(128 + number)


def refresh_seconds() -> float:
    """How often a progress bar is drawn anew: now and then where nobody watches, or a log would be full of it."""
    return 0.2 if sys.stderr.isatty() else 15.0
