"""`latentlab study run`: checks everything, starts the workers, shows how far they are, and writes what came of it."""

import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import joblib
import optuna
from filelock import FileLock
from tqdm import tqdm

from latentlab import checkpoint, data, layout, params, stages
from latentlab.errors import UserError
from latentlab.params import Params, ParamsError
from latentlab.secrets import without_passwords
from latentlab.stages import log
from latentlab.study import outcome, space, trials, without_warnings, worker
from latentlab.study.objective import OBJECTIVES, excess
from latentlab.study.pictures import draw_figures
from latentlab.study.storage import errors_of_storage, is_there, open_storage
from latentlab.tracking import runs, store, studies
from latentlab.workers import errors_of_workers, preload, start_method

# the variable with the URL of the storage: everybody can read the arguments of a process, and it may hold a password
STORAGE = "LATENTLAB_STORAGE"
# configurations that are drawn to see whether the bounds leave anything
NUM_DRAWN = 300


class StudyError(UserError):
    """The study cannot be run as it is asked for."""


def run(num_workers: int | None, storage_url: str | None, num_trials: int | None) -> None:
    """Brings the study to its number of trained trials, from wherever it is, and writes its results.

    Args:
        num_workers: Processes of this machine that run trials; as many as it has cores if None.
        storage_url: In the place of the one in the variable LATENTLAB_STORAGE, or else in params.yaml.
        num_trials: In the place of the one in params.yaml.

    Raises:
        UserError: Anything that a user can mend; all of it before any training but the end of all workers.
    """
    project = stages.read_params()
    settings = project.study
    url, num_trials = _storage_url(project, storage_url), num_trials or settings.num_trials
    check(project)
    digest = data.digest(layout.DATA)
    layout.STUDY_LOCK.parent.mkdir(exist_ok=True)
    with FileLock(layout.STUDY_LOCK):  # two that make the tables of one database at the same time break it
        study = open_study(project, url, digest)
    trials.Watch(settings.stale_after_seconds).retry_lost(study)
    place = without_passwords(url, url)
    description = f"The trade-off study `{settings.name}` in `{place}`: {num_trials} trials of sampler {settings.sampler}."
    parent = studies.open_parent(project, _definition(project, digest), description)
    status, values = "FAILED", {}
    files: list[Path] = []
    try:
        with errors_of_storage(url):
            try:
                _work(study, project, num_workers or joblib.cpu_count(), num_trials, url, parent)
                status = "FINISHED"
            except (KeyboardInterrupt, SystemExit):
                status = "KILLED"
                raise
            finally:
                found = study.get_trials(deepcopy=False)
                files, values = _write(study, project), _values(found, project)
                _print_end(found, project, url)
    finally:
        studies.close_parent(parent, settings.name, status, values, files)


def _storage_url(project: Params, given: str | None) -> str:
    return given or os.environ.get(STORAGE) or project.study.storage


def _values(found: list[optuna.trial.FrozenTrial], project: Params) -> dict[str, float]:
    """How the study stands, in numbers."""
    values = {
        "hypervolume": trials.dominated_volume(found, project.study),
        "front": float(len(trials.front(found, project.study))),
    }
    return values | {name: float(number) for name, number in vars(trials.counts(found)).items()}


def status(storage_url: str | None) -> None:
    """Prints the study's counts and its front.

    Raises:
        UserError: There is no such study, or the storage cannot be used.
    """
    project = stages.read_params()
    url = _storage_url(project, storage_url)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        if not is_there(url):
            raise KeyError
        study = optuna.load_study(study_name=project.study.name, storage=open_storage(url))
    except KeyError:
        raise StudyError(
            f"there is no study {project.study.name!r} in {without_passwords(url, url)}: latentlab study run"
        ) from None
    _print_end(study.get_trials(deepcopy=False), project, url)


def check(project: Params) -> None:
    """Checks the space against the families, and that the bounds leave some of it.

    Raises:
        ParamsError: One line per fault.
    """
    space.check(project)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    draws = optuna.create_study(sampler=worker.sampler(project.study, 0))
    smallest: dict[str, float] = {}
    last = ""
    for _ in range(NUM_DRAWN):
        try:
            excesses = excess(space.sizes(space.draw(draws.ask(), project.study).row), project)
        except ParamsError as error:
            last = str(error)
            continue
        if all(value <= 0 for value in excesses.values()):
            return
        smallest = {name: min(value, smallest.get(name, value)) for name, value in excesses.items()}
    if not smallest:
        raise ParamsError(f"params.yaml: study.space: of {NUM_DRAWN} rows drawn at random the layers of none fit: {last}")
    bounds = ", ".join(
        f"{name} at most {getattr(project.study.bounds, name)} (the smallest was "
        f"{(value + 1) * getattr(project.study.bounds, name):.0f})"
        for name, value in smallest.items()
    )
    raise ParamsError(f"params.yaml: study.bounds: of {NUM_DRAWN} rows drawn at random none is within all of {bounds}")


def open_study(project: Params, url: str, digest: str) -> optuna.Study:
    """The study, with the known rows in its queue; made if it is not there yet.

    Raises:
        UserError: The storage cannot be used, or the study of that name is another one.
    """
    settings = project.study
    storage = open_storage(url)
    with without_warnings():
        study = optuna.create_study(
            study_name=settings.name, storage=storage, directions=["minimize"] * 3, load_if_exists=True
        )
        if "definition" in study.user_attrs or study.get_trials(deepcopy=False):
            _check_same(study, _definition(project, digest), url)
        else:
            study.set_metric_names(list(OBJECTIVES))
            study.set_user_attr("definition", _definition(project, digest))
    for name in settings.known_rows:
        if not any(trial.user_attrs.get("known_row") == name for trial in study.get_trials(deepcopy=False)):
            study.enqueue_trial(space.trial_of(project, name), user_attrs={"known_row": name})
    return study


def _definition(project: Params, digest: str) -> dict[str, str]:
    return trials.definition(project.study, {"split": project.split.model_dump(), "data": digest})


def _check_same(study: optuna.Study, wanted: dict[str, str], url: str) -> None:
    known = study.user_attrs.get("definition", {})
    differing = sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key))
    if differing:
        place = without_passwords(url, url)
        raise StudyError(
            f"the study {study.study_name!r} in {place} is of another {', '.join(differing)}: give yours another "
            f"study.name in params.yaml, or delete the old one: optuna --storage {place} delete-study --study-name "
            f"{study.study_name}"
        )


def register() -> None:
    """Registers the first winner as `champion` and the hand-chosen row as `reference`, and prints how both did.

    Raises:
        StudyError: One of the two is not trained yet.
    """
    project = stages.read_params()
    champion = next(iter(project.study.winners))
    for name, alias in ((champion, "champion"), (project.study.reference, "reference")):
        if name not in project.variants:
            raise StudyError(f"there is no row {name!r} yet: latentlab study run")
        run = layout.Run(name, project.recipes_of(name)[0], project.seeds_of(name)[0])
        if not run.checkpoint.exists():
            raise StudyError(f"{run} is not trained yet: latentlab repro")
        runs.complete_row(store.open_store(layout.project_root(), needed=True), log.outputs(project, run))
        uri = studies.register(checkpoint.load_description(run.checkpoint)["fingerprint"], alias)
        print(f"{alias}: {run} is {uri}, models:/{studies.REGISTERED_MODEL}@{alias}")


def _work(study: optuna.Study, project: Params, num_workers: int, num_trials: int, url: str, parent: str) -> None:
    """Runs the workers to their end, or stops them with this process."""
    environment = os.environ | {store.GOES_ON: "1"}
    preload([worker.__name__], environment)
    arguments = (environment, url, num_trials, parent)
    workers: list[BaseProcess] = [start_method().Process(target=worker.begin, args=arguments) for _ in range(num_workers)]
    try:
        with errors_of_workers():
            for each in workers:
                each.start()
        _watch(study, project, workers, num_trials)
    finally:
        begun = [each for each in workers if each.pid is not None]
        for each in begun:
            each.terminate()
        for each in begun:
            each.join()
    failed = [each for each in workers if each.exitcode != 0]
    if len(failed) == num_workers:
        raise StudyError("all workers have stopped, see above; the trials that have ended are kept")
    if failed:
        print(f"{len(failed)} of {num_workers} workers stopped before the end, see above", file=sys.stderr)


def _watch(study: optuna.Study, project: Params, workers: list[BaseProcess], num_trials: int) -> None:
    """Shows how far the study is, until the last worker has ended."""
    settings = project.study
    on_front: set[int] = set()
    awaited: set[int] = set()
    before = trials.counts(study.get_trials(deepcopy=False))
    with tqdm(
        total=num_trials,
        initial=before.trained - before.running,
        desc=f"study {settings.name}",
        unit=" trials",
        mininterval=stages.refresh_seconds(),
    ) as bar:
        while True:
            running = any(each.is_alive() for each in workers)
            found = study.get_trials(deepcopy=False)
            counts = trials.counts(found)
            for trial in trials.front(found, settings):
                if trial.number not in on_front:
                    on_front.add(trial.number)
                    volume = trials.dominated_volume(found, settings)
                    bar.write(f"on the front: {_line(trial, project)} (hypervolume {volume:.4f})", file=sys.stderr)
            if counts.trained >= num_trials:
                for trial in filter(trials.runs_elsewhere, found):
                    host = trial.user_attrs.get("process", {}).get("process.host")
                    if host and trial.number not in awaited:
                        awaited.add(trial.number)
                        bar.write(
                            f"waiting for trial {trial.number} on {host}: it is tried again here if it says nothing for "
                            f"{settings.stale_after_seconds:.0f} s (Ctrl-C does not wait)",
                            file=sys.stderr,
                        )
            bar.set_postfix_str(str(counts), refresh=False)
            bar.update(counts.trained - counts.running - bar.n)
            if not running:
                return
            time.sleep(1)


def _line(trial: optuna.trial.FrozenTrial, project: Params) -> str:
    error, code_size, compute = trial.values
    known = trial.user_attrs.get("known_row")
    name = f"trial {trial.number}" + (f" ({known})" if known else "")
    return f"{name}: MSE {error:.6f}, code {code_size:.0f}, {compute:,.0f} {project.study.compute}"


def _write(study: optuna.Study, project: Params) -> list[Path]:
    found = study.get_trials(deepcopy=False)
    files = outcome.write(project, found)
    rows = outcome.write_rows(project, found, Path(params.FOUND))
    for name in project.study.winners:
        if name not in rows:
            print(f"no trial is within the bounds of the rule of {name} yet: it is no row", file=sys.stderr)
    return files + draw_figures(project, study)


def _print_end(found: Sequence[optuna.trial.FrozenTrial], project: Params, url: str) -> None:
    settings = project.study
    volume = trials.dominated_volume(found, settings)
    print(f"study {settings.name} in {without_passwords(url, url)}: {trials.counts(found)}; hypervolume {volume:.4f}")
    print("front, smallest error first:")
    for trial in trials.front(found, settings):
        print(f"  {_line(trial, project)}")
    for name, best in outcome.winners(found, settings).items():
        if best is not None:
            print(f"{name} ({settings.winners[name].rule}): {_line(best, project)}")
