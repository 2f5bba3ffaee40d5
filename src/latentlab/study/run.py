"""`latentlab study run` and `register`: checks everything, starts the workers, and writes what came of it."""

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import joblib
import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from tqdm import tqdm

from latentlab import paths, stages
from latentlab.errors import without_passwords
from latentlab.files import write_json
from latentlab.models import checkpoint
from latentlab.params.project import Params
from latentlab.params.study import StudySettings, load
from latentlab.study import outcome, space, trials, without_warnings, worker
from latentlab.study.definition import FREE, basis, definition
from latentlab.study.front import OBJECTIVES
from latentlab.study.standing import StudyError, line, print_standing, url_of
from latentlab.study.storage import Patience, errors_of_opening, errors_of_storage, lock_of, open_storage
from latentlab.tracking import describe, registry, runs, store
from latentlab.tracking.trials import close_parent, open_parent


def run(
    num_workers: int | None,
    storage_url: str | None,
    num_trials: int | None,
    patience_seconds: float,
    cluster: str | None = None,
) -> None:
    """Brings the study to its number of trained trials, from wherever it is, and writes its results.

    Args:
        num_workers: Processes of this machine that run trials; as many as it has cores if None.
        storage_url: In the place of the one in the variable LATENTLAB_STORAGE, or else in study/params.yaml.
        num_trials: In the place of the one in study/params.yaml.
        cluster: Address of a Dask scheduler, whose workers run the trials; None for this machine.
        patience_seconds: How long a database server is waited for that goes away; at the beginning it must be there.

    Raises:
        UserError: Anything that a user can mend; all of it before any training but the end of all workers.
    """
    project = stages.read_params()
    settings = load(Path(), project)
    url = url_of(settings, storage_url)
    num_trials = num_trials or settings.num_trials
    space.check(project, settings)
    paths.STUDY_LOCK.parent.mkdir(exist_ok=True)
    patience = Patience(url, 0)
    with errors_of_opening(url), lock_of(url, patience)():  # two that make the tables of one database at once break it
        study = open_study(project, settings, url, definition(basis(project, settings)), patience)
    patience.seconds = patience_seconds
    place = without_passwords(url, url)
    note = f"The trade-off study `{settings.name}` in `{place}`: {num_trials} trials of sampler {settings.sampler}."
    described = settings.model_dump(exclude=FREE | {"space"})
    parent = open_parent(settings.name, study.user_attrs["definition"], described, note)
    status, values = "FAILED", {}
    files: list[Path] = []
    try:
        with errors_of_storage(url, settings.name):
            try:
                about = (url, patience_seconds, num_trials, parent)
                started: AbstractContextManager[worker.Workers] = (
                    worker.on_cluster(cluster, *about, project.run.datasets[0])
                    if cluster
                    else worker.started(num_workers or joblib.cpu_count(), *about)
                )
                _work(study, settings, started, num_trials)
                status = "FINISHED"
            except (KeyboardInterrupt, SystemExit):
                status = "KILLED"
                raise
            finally:
                found = study.get_trials(deepcopy=False)
                files, values = _write(project, settings, study), _values(found, settings)
                print_standing(found, settings, url)
    finally:
        close_parent(parent, settings.name, status, values, files)


def register() -> None:
    """Registers the champion and the reference under these names, prints how, and notes it in study/registered.json.

    Raises:
        StudyError: One of the two is not trained yet.
    """
    project = stages.read_params()
    settings = load(Path(), project)
    if settings.champion not in project.found.variants:
        raise StudyError(f"no variant {settings.champion!r} is found yet: latentlab study run")
    dataset, seed = project.run.datasets[0], settings.final.seeds[0]
    champion = paths.Run(settings.champion, dataset, outcome.RECIPE, seed, paths.FOUND_RUNS)
    registered = {}
    for run, alias in ((champion, "champion"), (settings.reference_run(project), "reference")):
        if not run.checkpoint.exists():
            raise StudyError(f"{run} is not trained yet: latentlab repro {run.stage('train')}")
        runs.complete_run(store.open_store(paths.project_root(), needed=True), describe.outputs(project, run))
        card = outcome.model_card(project, settings, run)
        uri = registry.register(checkpoint.load_description(run.checkpoint)["fingerprint"], alias, card)
        print(f"{alias}: {run} is {uri}, models:/{registry.REGISTERED_MODEL}@{alias}")
        registered[alias] = {"run": str(run), "uri": uri}
    write_json(registered, paths.STUDY_REGISTERED)


def open_study(
    project: Params, settings: StudySettings, url: str, wanted: dict[str, str], patience: Patience | None = None
) -> optuna.Study:
    """The study, with the known variants in its queue; made if it is not there yet.

    Raises:
        UserError: The storage cannot be used, or the study of that name is not the one that is wanted.
    """
    with without_warnings():
        study = optuna.create_study(
            study_name=settings.name, storage=open_storage(url, patience), directions=["minimize"] * 3, load_if_exists=True
        )
        there = study.get_trials(deepcopy=False)
        is_ours = study.directions == [StudyDirection.MINIMIZE] * 3
        if is_ours and "definition" not in study.user_attrs and not there:
            study.set_metric_names(OBJECTIVES)
            study.set_user_attr("definition", wanted)
    known = study.user_attrs.get("definition", {})
    if differing := sorted(key for key in {*known, *wanted} if known.get(key) != wanted.get(key)):
        place = without_passwords(url, url)
        raise StudyError(
            f"the study {settings.name!r} in {place} has another {', '.join(differing)}: give yours another name in "
            f"{paths.STUDY_PARAMS}"
        )
    queued = {trial.user_attrs.get("known_variant") for trial in there}
    for name in settings.known_variants:
        if name not in queued:
            study.enqueue_trial(space.trial_of(project, settings, name), user_attrs={"known_variant": name})
    return study


def _work(
    study: optuna.Study, settings: StudySettings, started: AbstractContextManager[worker.Workers], num_trials: int
) -> None:
    """Runs the workers to their end, or stops them with this process."""
    with started as workers:
        _watch(study, settings, workers, num_trials)
    codes = workers.exit_codes()
    num_failed = sum(code not in (0, None) for code in codes)
    if codes and num_failed == len(codes):
        raise StudyError("all workers have stopped, see above; the trials that have ended are kept")
    if num_failed:
        print(f"{num_failed} of {len(codes)} workers stopped before the end, see above", file=sys.stderr)


def _watch(study: optuna.Study, settings: StudySettings, workers: worker.Workers, num_trials: int) -> None:
    """Shows how far the study is, until the last worker has ended."""
    said: set[str] = set()
    counts = trials.counts(study.get_trials(deepcopy=False))
    with tqdm(
        total=num_trials,
        initial=counts.trained - counts.running,
        desc=f"study {settings.name}",
        unit=" trials",
        mininterval=stages.refresh_seconds(),
    ) as bar:
        running = True
        while running:
            running = workers.work_on(counts.trained >= num_trials)
            found = study.get_trials(deepcopy=False)
            counts = trials.counts(found)
            news = [f"on the front: {line(trial, settings)}" for trial in trials.front(found, settings)]
            if counts.trained >= num_trials:
                news += [
                    f"waiting for trial {trial.number} on another machine or in another container: it is tried again here "
                    f"if it says nothing for {settings.stale_after_seconds:.0f} s (Ctrl-C does not wait)"
                    for trial in filter(trials.runs_elsewhere, found)
                ]
            for text in (text for text in news if text not in said):
                said.add(text)
                bar.write(text, file=sys.stderr)
            bar.set_postfix_str(str(counts), refresh=False)
            bar.update(counts.trained - counts.running - bar.n)
            if running:
                time.sleep(1)


def _write(project: Params, settings: StudySettings, study: optuna.Study) -> list[Path]:
    found = study.get_trials(deepcopy=False)
    files = outcome.write_tables(settings, found)
    won = outcome.write_found(settings, found, paths.FOUND)
    for name in settings.winners:
        if name not in won:
            print(f"no trial is within the bounds of the rule of {name} yet: it is no variant", file=sys.stderr)
    return files + outcome.draw_figures(project, settings, study)


def _values(found: Sequence[FrozenTrial], settings: StudySettings) -> dict[str, float]:
    """How the study stands, in numbers."""
    numbers = vars(trials.counts(found)) | {"front": len(trials.front(found, settings))}
    volume = trials.dominated_volume(found, settings)
    return {name: float(number) for name, number in numbers.items()} | {"hypervolume": volume}
