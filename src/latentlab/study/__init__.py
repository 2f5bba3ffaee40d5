"""The trade-off study: Optuna searches for the smallest good autoencoder; a trial is a variant, trained as any other."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import optuna
from optuna.exceptions import ExperimentalWarning

# how far the study is, and what is wrong with its storage, we say ourselves
optuna.logging.set_verbosity(optuna.logging.ERROR)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Optuna warns of each part that counts as experimental; which of them are used here is in docs/log.md."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
