"""Where the trials are kept: a SQLite file, a database server, a journal file, or a gRPC proxy before one of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from latentlab.errors import UserError, without_passwords
from latentlab.study import without_warnings

SCHEMES = (
    "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE, mysql+pymysql://..., journal:///FILE or grpc://HOST:PORT"
)
# of drivers, in seconds: SQLite lets one write at a time, and this is how long another one waits
_PATIENCE = {"sqlite": {"timeout": 120}, "postgresql": {"connect_timeout": 10}}


class StorageError(UserError):
    """The storage cannot be used; the message does not hold its password."""


def open_storage(url: str) -> BaseStorage:
    """The storage of that URL, made if it is a file that is not there.

    Args:
        url: As `SCHEMES` says; what Optuna takes itself, and `journal://` and `grpc://`.

    Raises:
        StorageError: The URL is none, its server does not answer, its driver is not installed, or its tables are those of
            another version of Optuna.
    """
    shown = without_passwords(url, url)
    try:
        with without_warnings():
            return {"journal": _journal, "grpc": _proxy}.get(urlsplit(url).scheme, _database)(url)
    except ArgumentError:
        raise StorageError(f"study.storage: {shown!r} is no URL of a storage: it is one of {SCHEMES}") from None
    except ImportError as error:  # its driver, an extra of Optuna's or SQLAlchemy's
        raise StorageError(f"study.storage: {shown} needs a package: {_reason(error, url)}") from None
    except (OSError, SQLAlchemyError) as error:
        raise StorageError(f"study.storage: {shown} cannot be used: {_reason(error, url)}") from None
    except RuntimeError as error:  # what Optuna raises for tables of another version
        raise StorageError(f"study.storage: {shown}: {without_passwords(str(error), url)}") from None


def is_there(url: str) -> bool:
    """Whether a storage that is a file is there, as opening it would make it; a server has to be asked, so it is True."""
    for prefix in ("sqlite:///", "journal:///"):
        if url.startswith(prefix):
            return Path(url.removeprefix(prefix)).exists()
    return True


@contextmanager
def errors_of_storage(url: str, study: str) -> Iterator[None]:
    """Makes what a storage that has gone away raises one clear error.

    Raises:
        StorageError: It has, and what it was told before is kept there; or somebody has deleted the study of that name.
    """
    gone = f"study.storage: {without_passwords(url, url)} does not answer any more"
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise StorageError(
            f"{gone}: {_reason(error, url)}; the trials that have ended are kept there: when it answers again, "
            "latentlab study run goes on"
        ) from error
    except KeyError as error:
        with without_warnings():
            if study in optuna.get_all_study_names(open_storage(url)):
                raise
        raise StorageError(
            f"study.storage: somebody has deleted the study {study!r} in {without_passwords(url, url)}: "
            "latentlab study run begins anew"
        ) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "grpc":  # an extra package, which need not be there
            raise
        raise StorageError(f"{gone}; when it does, latentlab study run goes on") from error


def _reason(error: Exception, url: str) -> str:
    """What a driver says, in one line."""
    cause = error.__cause__ or error
    return without_passwords(str(getattr(cause, "orig", None) or cause).split("\n")[0], url)


def _journal(url: str) -> BaseStorage:
    path = Path(url.removeprefix("journal://").removeprefix("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _database(url: str) -> BaseStorage:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    arguments = _PATIENCE.get(parsed.get_backend_name(), {})
    return RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "connect_args": arguments})


def _proxy(url: str) -> BaseStorage:
    try:
        host, port = urlsplit(url).hostname, urlsplit(url).port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise StorageError(f"study.storage: {without_passwords(url, url)!r} names no host and port: grpc://HOST:PORT")
    storage = optuna.storages.GrpcStorageProxy(host=host, port=port)
    storage.wait_server_ready(timeout=10)
    return storage
