"""`latentlab repro`: what `dvc repro` does, with stale stages that do not depend on each other run at the same time.

DVC says what is stale, restores what is in its cache, and keeps the outputs, all in this process and one stage after the
other; only the commands of the stages run elsewhere, in workers of joblib.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import joblib
from dvc.exceptions import DvcException
from dvc.lock import LockError
from dvc.logger import set_loggers_level
from dvc.repo import Repo, lock_repo
from dvc.scm import SCMError

from latentlab import workers
from latentlab.dvcfiles import parameters_read_once, use_whole_runs_only
from latentlab.errors import UserError
from latentlab.faults import MachineError, explain
from latentlab.holder import forget_users, lock_holder, stage_runner
from latentlab.reproduction import Reproduction, in_one_line


def reproduce(targets: Sequence[str], num_jobs: int | None, backend: str) -> int:
    """Brings the targets and all that they depend on up to date.

    Args:
        targets: Stages, groups of stages or dvc.yaml files, as for `dvc repro`; all of the pipeline if none is given.
        num_jobs: Stages that run at the same time; as many as this process may use cores if None.
        backend: Name of a joblib backend.

    Returns:
        The exit code: 0; 2 if a stage failed by what a user can mend, 1 if by anything else; 128 + n after signal n.

    Raises:
        UserError: A target, the project or the backend cannot be used, or another DVC process is at work.
    """
    num_cores = joblib.cpu_count()
    num_jobs = num_jobs or num_cores
    try:
        with (
            workers.backend_ready(backend), set_loggers_level(logging.ERROR), parameters_read_once(), Repo() as repo,
            lock_repo(repo), repo.scm_context(quiet=True), TemporaryDirectory(dir=repo.tmp_dir) as scratch,
        ):  # fmt: skip
            if other := stage_runner(repo):
                raise UserError(f"another DVC process is at work here: {other}")
            forget_users(repo)
            use_whole_runs_only(repo.stage_cache)
            return Reproduction(repo, targets, num_jobs, max(1, num_cores // num_jobs), backend, Path(scratch)).run()
    except LockError as error:
        other = lock_holder(repo)
        raise UserError(f"another DVC process is at work here: {other}" if other else in_one_line(error)) from error
    except DvcException as error:
        hint = (
            ": run `git init` here, or `dvc config core.no_scm true` to do without" if isinstance(error, SCMError) else ""
        )
        raise UserError(in_one_line(error) + hint) from error
    except OSError as error:
        if (fault := explain(error, Path.cwd())) is None:
            raise
        raise MachineError(fault) from error
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        # what DVC's parser raises of a number or date that is none depends on what is wrong: ours says it, and where
        from latentlab import layout, params

        for path in filter(Path.exists, (layout.PARAMS, Path(params.FOUND))):
            params.read_yaml(path)
        raise
