"""Where the trials are kept: a SQLite file, a database server, a journal file, or a gRPC proxy before one of them."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import optuna
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, SQLAlchemyError
from tqdm import tqdm

from latentlab import paths
from latentlab.errors import UserError, without_passwords
from latentlab.study import without_warnings

SCHEMES = (
    "sqlite:///FILE, postgresql://USER:PASSWORD@HOST/DATABASE, mysql+pymysql://..., journal:///FILE or grpc://HOST:PORT"
)
# of drivers. SQLite lets one write at a time, and this is how many seconds another one waits. A machine with PostgreSQL
# that is cut off without a word is given up after a minute; the system's own limits are hours.
_CONNECT = {
    "sqlite": {"timeout": 120},
    "postgresql": {
        "connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    },
}  # fmt: skip
SECONDS_BETWEEN_TRIES = 0.5
# who holds PostgreSQL's lock for longer and says nothing, as its machine is cut off or asleep, loses it
LENT_SECONDS = 60

P = ParamSpec("P")
T = TypeVar("T")


class StorageError(UserError):
    """The storage cannot be used; the message does not hold its password."""


class LockLostError(StorageError):
    """The lock was lost while it was held: somebody else may have had it meanwhile."""


class Patience:
    """Makes a call of a database server again while that is away, and says on stderr when it is gone and when it is back.

    For at most so many seconds: then the error is raised, and that of each later call at once. Nothing is waited for while
    Ctrl-C or SIGTERM are obeyed.

    A call whose answer was lost is made twice. Those of Optuna's storages do no harm then: attributes and parameters are
    the same again, a trial that was made and whose number nobody was told says nothing, and is taken for lost, and
    `trials.tell` knows what it has told before.
    """

    def __init__(self, url: str, seconds: float) -> None:
        self.seconds, self._url = seconds, url
        self._gone_since: float | None = None

    def __call__(self, call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What the call returns."""
        stopping = isinstance(sys.exc_info()[1], (KeyboardInterrupt, SystemExit))
        has_failed = False
        while True:
            try:
                result = call(*arguments, **named)
            except Exception as error:
                if not _is_away(error):
                    self._end(has_failed)
                    raise
                if stopping:
                    raise
                self._wait(error)
                has_failed = True
            else:
                self._end(has_failed)
                return result

    def _end(self, has_failed: bool) -> None:
        """An answer; only of a call that had none before, as others may have theirs from Optuna's cache."""
        if has_failed:
            self._gone_since = None
            tqdm.write(f"study.storage: {without_passwords(self._url, self._url)} answers again", file=sys.stderr)

    def _wait(self, error: Exception) -> None:
        now = time.monotonic()
        if now - (self._gone_since or now) >= self.seconds:
            raise error
        if self._gone_since is None:
            self._gone_since = now
            tqdm.write(
                f"study.storage: {without_passwords(self._url, self._url)} does not answer: {_reason(error, self._url)}; "
                f"waiting for it for at most {self.seconds:.0f} s",
                file=sys.stderr,
            )
        time.sleep(SECONDS_BETWEEN_TRIES)


def open_storage(url: str, patience: Patience | None = None) -> BaseStorage:
    """The storage of that URL, made if it is a file that is not there.

    Args:
        url: As `SCHEMES` says; what Optuna takes itself, and `journal://` and `grpc://`.
        patience: With a database server, this one too; by default none.

    Raises:
        StorageError: The URL is none, its server does not answer, its driver is not installed, or its tables are those of
            another version of Optuna.
    """
    with errors_of_opening(url), without_warnings():
        opened = {"journal": _journal, "grpc": _proxy}.get(urlsplit(url).scheme)
        return opened(url) if opened else _database(url, patience or Patience(url, 0))


@contextmanager
def errors_of_opening(url: str) -> Iterator[None]:
    """Makes what a storage that cannot be used raises one clear error.

    Raises:
        StorageError: As `open_storage` says.
    """
    shown = without_passwords(url, url)
    try:
        yield
    except ArgumentError:
        raise StorageError(f"study.storage: {shown!r} is no URL of a storage: it is one of {SCHEMES}") from None
    except ImportError as error:  # its driver, an extra of Optuna's or SQLAlchemy's
        raise StorageError(f"study.storage: {shown} needs a package: {_reason(error, url)}") from None
    except (OSError, SQLAlchemyError) as error:
        raise StorageError(f"study.storage: {shown} cannot be used: {_reason(error, url)}") from None
    except RuntimeError as error:  # what Optuna raises for tables of another version
        raise StorageError(f"study.storage: {shown}: {without_passwords(str(error), url)}") from None


def lock_of(url: str, patience: Patience) -> Callable[[], AbstractContextManager[object]]:
    """The lock under which one process at a time counts trials and asks for one.

    It is PostgreSQL's own, over all machines, and else a file, for the processes of this machine.

    Returns:
        What makes a context manager for a block under the lock. That of PostgreSQL raises a `LockLostError` at the end of
        the block, unless it was held until then.
    """
    if not urlsplit(url).scheme.startswith("postgresql"):
        return partial(FileLock, paths.STUDY_LOCK)
    return partial(_lent, create_engine(url, poolclass=NullPool, connect_args=_CONNECT["postgresql"]), patience)


@contextmanager
def _lent(engine: Engine, patience: Patience) -> Iterator[None]:
    with patience(_locked, engine) as connection:
        yield
        try:
            connection.commit()
        except SQLAlchemyError as error:
            raise LockLostError(f"study.storage: {engine.url} does not answer any more") from error


def _locked(engine: Engine) -> Connection:
    """A connection that holds the lock as long as its transaction, which the server ends if nothing is heard of it."""
    connection = engine.connect()
    connection.execute(
        text("SELECT set_config('idle_in_transaction_session_timeout', :lent, true), pg_advisory_xact_lock(:key)"),
        {"lent": f"{LENT_SECONDS}s", "key": int.from_bytes(b"latent")},
    )
    return connection


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
    except (StorageInternalError, SQLAlchemyError) as error:
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


def _is_away(error: Exception) -> bool:
    """Whether a database server does not answer, or says that it cannot do anything now."""
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    return isinstance(cause, (OperationalError, InterfaceError))


def _reason(error: Exception, url: str) -> str:
    """What a driver says, in one line."""
    cause = error.__cause__ or error
    return without_passwords(str(getattr(cause, "orig", None) or cause).split("\n")[0], url)


def _journal(url: str) -> BaseStorage:
    path = Path(url.removeprefix("journal://").removeprefix("/"))
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def _database(url: str, patience: Patience) -> BaseStorage:
    parsed = make_url(url)
    kind = parsed.get_backend_name()
    options = {"pool_pre_ping": True, "connect_args": _CONNECT.get(kind, {})}
    if kind != "sqlite":
        return patiently(get_storage(patience(RDBStorage, url, engine_kwargs=options)), patience)
    if parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    return RDBStorage(url, engine_kwargs=options)


def patiently(storage: BaseStorage, patience: Patience) -> BaseStorage:
    """That storage, each of whose calls is made with patience."""
    for name in vars(BaseStorage):
        if not name.startswith("_"):
            setattr(storage, name, partial(patience, getattr(storage, name)))
    return storage


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
