"""One module per DVC stage: read inputs, call the pure functions, write outputs, log."""

import logging
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType

from latentlab import layout, params
from latentlab.download import DownloadError


def start(stage: Callable[..., None], arguments: list[str]) -> None:
    """Runs a stage as a command: clear errors for what a user can mend, a traceback for what only we can.

    Exits with 2 after a clear error. A request to terminate unwinds the stage, so that its MLflow run is closed.
    """
    from latentlab.training import TrainingError

    signal.signal(signal.SIGTERM, _terminate)
    warnings.filterwarnings("ignore", category=FutureWarning)
    for chatty in ("alembic", "mlflow"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        stage(*arguments)
    except (params.ParamsError, DownloadError, TrainingError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def read_params() -> params.Params:
    """The checked params.yaml, every row of it against its family.

    Raises:
        ParamsError: Anything in it is wrong.
    """
    from latentlab import models

    study = params.load(layout.PARAMS)
    models.check(study)
    return study


def _terminate(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    sys.exit(128 + number)


def refresh_seconds() -> float:
    """How often a progress bar is drawn anew: now and then where nobody watches, or a log would be full of it."""
    return 0.2 if sys.stderr.isatty() else 15.0
