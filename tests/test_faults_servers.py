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
from latentlab.tracking import present, runs, spool, store
from test_tracking import RECORDS, history, outputs

# mlflow, sqlalchemy and torch.export warn of their own affairs; a server takes seconds to start
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.faults]

CURVE = [(1, 0.3), (2, 0.2)]


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
def server(only_server, request, monkeypatch) -> Iterator[Server]:
    """A server that runs, with an experiment for this test."""
    server: Server = only_server
    if server.is_gone():
        server.start()
    server.signal(signal.SIGCONT)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    yield server
    mlflow.set_tracking_uri(None)
    present.use("", None, None)


def train(experiment_id: str, trained: runs.RowOutputs, between: object = None) -> None:
    with runs.training_run(experiment_id, trained.description, trained.note, trained.tags) as run:
        run.log_epoch(RECORDS[0])
        if callable(between):
            between()
        run.log_epoch(RECORDS[1])
        run.log_trained(trained)


def the_whole_run(experiment_id: str) -> mlflow.entities.Run:
    """The only run of the experiment, which has everything, and each value once."""
    (run,) = mlflow.MlflowClient().search_runs([experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["trained"] == "true"
    assert history(run.info.run_id, "curve/train_loss") == CURVE
    assert history(run.info.run_id, "speed/images_per_second") == [(1, 100.0), (2, 110.0)]
    assert run.data.params["latent_dim"] == "2"
    assert run.inputs.dataset_inputs[0].dataset.digest == "d" * 32
    names = {artifact.path for artifact in mlflow.MlflowClient().list_artifacts(run.info.run_id)}
    assert names >= {"checkpoint", "curve.csv"}
    assert len(run.outputs.model_outputs) == 1
    return run


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_dies_or_hangs_stops_no_training_and_loses_nothing(tmp_path, server, capsys, fault):
    experiment_id = store.open_store(tmp_path)
    started = time.monotonic()
    train(experiment_id, outputs(tmp_path / "row", None), lambda: server.signal(fault))
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", None)) == "waits for the server"
    assert time.monotonic() - started < 60
    said = capsys.readouterr().err
    assert "the work goes on" in said
    assert "latentlab sync" in said
    assert spool.waiting(tmp_path / store.SPOOL) == ["mlp_2-fast-0"]
    # a stage that comes later does not wait for it either
    assert store.open_store(tmp_path) == present.LATER
    assert runs.log_row(present.LATER, outputs(tmp_path / "row", 0.03)) == "waits for the server"
    if fault == signal.SIGKILL:
        server.start()
    else:
        server.signal(signal.SIGCONT)
    # the next that opens the store sends the values, and what `latentlab sync` does adds the files
    experiment_id = store.open_store(tmp_path, needed=True)
    assert "sent what waited of mlp_2-fast-0" in capsys.readouterr().err
    assert runs.complete_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "files added"
    assert history(the_whole_run(experiment_id).info.run_id, "test/mse") == [(0, 0.03)]
    assert runs.complete_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "up to date"
    assert not list((tmp_path / store.SPOOL).glob("*.jsonl"))


def test_a_server_that_comes_back_before_the_training_ends_gets_it_at_once(tmp_path, server):
    experiment_id = store.open_store(tmp_path)

    def leave_and_come_back() -> None:
        server.signal(signal.SIGKILL)
        time.sleep(5)  # long enough for the system metrics to meet it
        server.start()

    train(experiment_id, outputs(tmp_path / "row", 0.03), leave_and_come_back)
    assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "files added"
    run = the_whole_run(experiment_id)
    steps = [step for step, _ in history(run.info.run_id, "system/cpu_utilization_percentage")]
    assert steps == list(range(len(steps)))


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
def test_answers_of_500_also_after_the_value_was_taken(tmp_path, server, monkeypatch, fault):
    with proxy(server.uri) as (uri, faults):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        experiment_id = store.open_store(tmp_path)
        train(experiment_id, outputs(tmp_path / "row", None), lambda: faults.update({fault: True}))
        assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "waits for the server"
        # it cannot be sent as long as that goes on, and stays where it is
        with pytest.raises(present.TrackingError, match="cannot be used"):
            store.open_store(tmp_path, needed=True)
        assert spool.waiting(tmp_path / store.SPOOL) == ["mlp_2-fast-0"]
        faults[fault] = False
        experiment_id = store.open_store(tmp_path, needed=True)
        assert runs.complete_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "files added"
        the_whole_run(experiment_id)


def test_a_run_whose_beginning_was_not_answered_is_there_once(tmp_path, server, monkeypatch):
    monkeypatch.setenv(store.GOES_ON, "1")
    with proxy(server.uri) as (uri, faults):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        experiment_id = store.open_store(tmp_path)
        faults["loses answers"] = True  # the server makes the run, and nobody here knows its id
        train(experiment_id, outputs(tmp_path / "row", None))
        faults["loses answers"] = False
        assert runs.log_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "files added"
        the_whole_run(experiment_id)


def test_a_server_that_is_away_at_the_start_stops_a_training_unless_the_work_is_to_go_on(tmp_path, server, monkeypatch):
    server.signal(signal.SIGKILL)
    with pytest.raises(present.TrackingError, match=r"cannot be used: .*latentlab repro --offline"):
        train(store.open_store(tmp_path), outputs(tmp_path / "row", None))
    assert not (tmp_path / store.SPOOL).exists()
    # `latentlab repro` and `latentlab study run` have asked it before their first stage or trial
    monkeypatch.setenv(store.GOES_ON, "1")
    train(store.open_store(tmp_path), outputs(tmp_path / "row", None))
    server.start()
    experiment_id = store.open_store(tmp_path, needed=True)
    assert runs.complete_row(experiment_id, outputs(tmp_path / "row", 0.03)) == "files added"
    the_whole_run(experiment_id)


def test_what_a_killed_training_left_is_sent_and_called_killed(tmp_path, server):
    code = f"""
        import os, signal, sys, time
        sys.path.insert(0, {str(ROOT / "tests")!r})
        from pathlib import Path
        from test_tracking import outputs, RECORDS
        from latentlab.tracking import runs, store
        trained = outputs(Path({str(tmp_path)!r}) / "row", None)
        experiment_id = store.open_store(Path({str(tmp_path)!r}))
        with runs.training_run(experiment_id, trained.description, "", {{}}) as run:
            run.log_epoch(RECORDS[0])
            print("started", flush=True)
            sys.stdin.readline()
            run.log_epoch(RECORDS[1])
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    server.signal(signal.SIGKILL)
    process.communicate("go\n", timeout=120)
    assert process.returncode == -signal.SIGKILL
    server.start()
    (run,) = mlflow.MlflowClient().search_runs([store.open_store(tmp_path, needed=True)])
    assert run.info.status == "KILLED"
    assert history(run.info.run_id, "curve/train_loss") == CURVE


def test_two_that_sync_at_once_log_once_and_show_no_password(tmp_path, server, monkeypatch):
    monkeypatch.setenv(store.GOES_ON, "1")
    server.signal(signal.SIGKILL)
    train(store.open_store(tmp_path), outputs(tmp_path / "row", None))
    server.start()
    code = f"""
        import sys
        sys.path.insert(0, {str(ROOT / "tests")!r})
        from pathlib import Path
        from test_tracking import outputs
        from latentlab.tracking import runs, store
        folder = Path({str(tmp_path)!r})
        row = outputs(folder / sys.argv[1], 0.03)
        print(runs.complete_row(store.open_store(folder, needed=True), row))
    """
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)]
    environment = os.environ | {"MLFLOW_TRACKING_URI": server.uri.replace("://", "://me:hush@")}
    processes = [
        subprocess.Popen([*command, name], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for name in ("one", "two")
    ]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert "hush" not in "".join(said)
    assert sorted(each.splitlines()[-1] for each in said) == ["files added", "up to date"], said
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    (run,) = mlflow.MlflowClient().search_runs([store.open_store(tmp_path, needed=True)])
    assert len(run.outputs.model_outputs) == 1
    assert history(run.info.run_id, "test/mse") == [(0, 0.03)]


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
        with pytest.raises(present.TrackingError, match=r"cannot be used: .*--offline"):
            store.check_server(f"http://127.0.0.1:{listener.server_address[1]}")
        listener.shutdown()
        listener.block_on_close = False


def test_what_waits_for_another_store_goes_on_waiting(tmp_path, server, monkeypatch):
    experiment_id = store.open_store(tmp_path)
    train(experiment_id, outputs(tmp_path / "row", None), lambda: server.signal(signal.SIGKILL))
    server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/another.db")
    store.open_store(tmp_path)
    assert spool.waiting(tmp_path / store.SPOOL) == ["mlp_2-fast-0"]
