"""Tracking servers that die, hang or answer nonsense while a run is written: real ones."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import mlflow
import pytest

from conftest import ROOT
from latentlab.tracking import runs, store
from tracked import history, outputs, the_whole_run, train

# mlflow, sqlalchemy and torch.export warn of their own affairs; a server takes seconds to start
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.faults]


class Server:
    """An MLflow server with a store in a folder, at a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.process = folder, None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--workers", "1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder}/server.db"]
        command += ["--artifacts-destination", str(self.folder / "files")]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, env=environment
        )
        over = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"{self.uri}/health", timeout=2):
                    return
            except OSError:
                assert time.monotonic() < over
                time.sleep(0.2)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def is_gone(self) -> bool:
        return self.process is None or self.process.poll() is not None


@pytest.fixture(scope="module")
def only_server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    if not server.is_gone():
        server.signal(signal.SIGKILL)


@pytest.fixture
def server(only_server, request, tmp_path, monkeypatch) -> Iterator[Server]:
    """A server that runs, with an experiment for this test."""
    server: Server = only_server
    if server.is_gone():
        server.start()
    server.signal(signal.SIGCONT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    yield server
    mlflow.set_tracking_uri(None)


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_hangs_stops_no_training_and_loses_nothing(tmp_path, server, capsys, fault):
    experiment_id = store.open_store(tmp_path)
    capsys.readouterr()
    started = time.monotonic()
    train(experiment_id, outputs(tmp_path / "variant", None), lambda: server.signal(fault))
    assert time.monotonic() - started < 60
    said = capsys.readouterr().err
    assert said.count("does not take the run mlp_2-mnist-fast-0") == said.count("\n") == 1
    assert "the work goes on; `latentlab sync` logs it from its files" in said
    # a stage that comes later does not wait for it either, and one that has opened the store is told
    assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "not logged"
    assert "`latentlab sync` does it later" in capsys.readouterr().err
    assert store.open_store(tmp_path) is None
    with pytest.raises(store.TrackingError, match=r"cannot be used: .*latentlab repro --offline"):
        store.open_store(tmp_path, needed=True)
    if fault == signal.SIGKILL:
        server.start()
    else:
        server.signal(signal.SIGCONT)
    # what `latentlab sync` does
    experiment_id = store.open_store(tmp_path, needed=True)
    assert runs.complete_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "logged from the output files"
    run = the_whole_run(experiment_id)
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]
    assert history(run.info.run_id, "speed/images_per_second") == [(1, 100.0)]
    assert runs.complete_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "up to date"


@contextmanager
def proxy(target: str) -> Iterator[tuple[str, dict[str, bool]]]:
    """A server before another one, which can be told to lose the other's answers or to give none but 500."""
    faults = {"broken": False, "loses answers": False}

    class Handler(http.server.BaseHTTPRequestHandler):
        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if faults["broken"]:
                self.send_error(500)
                return
            headers = {"Content-Type": self.headers.get("Content-Type", "application/json")}
            request = urllib.request.Request(target + self.path, body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=30) as response:
                    status, answer = response.status, response.read()
            except urllib.error.HTTPError as error:
                status, answer = error.code, error.read()
            if faults["loses answers"]:
                self.send_error(500)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_address[1]}", faults
        listener.shutdown()


@pytest.mark.parametrize("fault", ["broken", "loses answers"])
@pytest.mark.parametrize("from_the_start", [True, False])
def test_answers_of_500_also_after_the_value_was_taken(tmp_path, server, monkeypatch, fault, from_the_start):
    with proxy(server.uri) as (uri, faults):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        experiment_id = store.open_store(tmp_path)
        faults[fault] = from_the_start  # the server may make the run, and nobody here knows its id
        train(experiment_id, outputs(tmp_path / "variant", None), lambda: faults.update({fault: True}))
        assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "not logged"
        faults[fault] = False
        assert runs.log_run(experiment_id, outputs(tmp_path / "variant", 0.03)) == "logged from the output files"
        assert history(the_whole_run(experiment_id).info.run_id, "test/mse") == [(0, 0.03)]


def test_two_that_sync_at_once_log_once_and_show_no_password(tmp_path, server, monkeypatch):
    experiment_id = store.open_store(tmp_path)
    train(experiment_id, outputs(tmp_path / "variant", None), lambda: server.signal(signal.SIGKILL))
    server.start()
    code = f"""
        import sys
        sys.path.insert(0, {str(ROOT / "tests")!r})
        from pathlib import Path
        from latentlab.tracking import runs, store
        from tracked import outputs
        folder = Path({str(tmp_path)!r})
        print(runs.complete_run(store.open_store(folder, needed=True), outputs(folder / sys.argv[1], 0.03)))
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": server.uri.replace("://", "://me:hush@")}
    processes = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=240)[0] for process in processes]
    assert "hush" not in "".join(said)
    assert sorted(each.splitlines()[-1] for each in said) == ["logged from the output files", "up to date"], said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    assert history(the_whole_run(store.open_store(tmp_path, needed=True)).info.run_id, "test/mse") == [(0, 0.03)]


class Stranger(http.server.BaseHTTPRequestHandler):
    """Answers as MLflow does not."""

    kind = ""

    def do_GET(self) -> None:
        if self.kind == "comes back in an hour":
            self.send_response(503)
            self.send_header("Retry-After", "3600")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000" if self.kind == "one byte a second" else "2")
        self.end_headers()
        if self.kind == "knows no experiment":
            self.wfile.write(b"{}")
            return
        with suppress(OSError):
            for _ in range(1000):
                self.wfile.write(b" ")
                time.sleep(1)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None: ...


@pytest.mark.parametrize("kind", ["one byte a second", "comes back in an hour", "knows no experiment"])
def test_a_stranger_in_the_place_of_the_server_is_said_before_any_training(monkeypatch, kind):
    monkeypatch.setattr(Stranger, "kind", kind)
    monkeypatch.setattr(store, "_ANSWER_SECONDS", 5.0)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        with pytest.raises(store.TrackingError, match=r"cannot be used: .*--offline"):
            store.check_server(f"http://127.0.0.1:{listener.server_address[1]}")
        listener.shutdown()
        listener.block_on_close = False
