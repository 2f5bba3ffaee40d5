"""How a study stands, for people: read from its storage alone, without what trains."""

import os
from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from latentlab.errors import UserError, without_passwords
from latentlab.params import project
from latentlab.params.study import StudySettings, load
from latentlab.study import trials
from latentlab.study.storage import is_there, open_storage

# the variable with the URL of the storage: everybody can read the arguments of a process, and it may hold a password
STORAGE = "LATENTLAB_STORAGE"


class StudyError(UserError):
    """What is asked of the study it cannot give."""


def show(storage_url: str | None) -> None:
    """Prints the study's counts and its front.

    Raises:
        UserError: There is no such study, or the storage cannot be used.
    """
    settings = load(Path(), project.load())
    url = url_of(settings, storage_url)
    try:
        if not is_there(url):
            raise KeyError
        study = optuna.load_study(study_name=settings.name, storage=open_storage(url))
    except KeyError:
        place = without_passwords(url, url)
        raise StudyError(f"there is no study {settings.name!r} in {place}: latentlab study run") from None
    print_standing(study.get_trials(deepcopy=False), settings, url)


def url_of(settings: StudySettings, given: str | None) -> str:
    """The URL of the storage: the one given, that of the variable, or that of the settings."""
    return given or os.environ.get(STORAGE) or settings.storage


def print_standing(found: Sequence[FrozenTrial], settings: StudySettings, url: str) -> None:
    """Prints the counts of trials, the front, and who wins by each rule."""
    volume = trials.dominated_volume(found, settings)
    print(f"study {settings.name} in {without_passwords(url, url)}: {trials.counts(found)}; hypervolume {volume:.4f}")
    print("front, smallest error first:")
    for trial in trials.front(found, settings):
        print(f"  {line(trial, settings)}")
    for name, best in trials.winners(found, settings).items():
        print(f"{name} ({settings.winners[name].rule}): {line(best, settings)}")


def line(trial: FrozenTrial, settings: StudySettings) -> str:
    """A finished trial: its number, the variant that it is, and its three values."""
    error, latent_dim, compute = trial.values
    known = trial.user_attrs.get("known_variant")
    name = f"trial {trial.number}" + (f" ({known})" if known else "")
    return f"{name}: MSE {error:.6f}, latent_dim {latent_dim:.0f}, {compute:,.0f} {settings.compute}"
