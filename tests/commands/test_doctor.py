"""What the doctor says of single faults; tests of the whole pipeline ask it of a whole project."""

import re
import subprocess
from pathlib import Path

import mlflow
import optuna
import pytest

from conftest import ROOT
from latentlab import paths
from latentlab.commands import doctor
from latentlab.errors import UserError
from latentlab.tracking import store
from latentlab.tracking.processes import process_tags

FILES = (paths.PARAMS, paths.ANALYSES_PARAMS, paths.STUDY_PARAMS)


@pytest.fixture
def parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working folder has those of the project, and nothing else."""
    for path in FILES:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    monkeypatch.chdir(tmp_path)


def test_a_check_that_cannot_be_made_is_a_problem_and_hides_no_other(monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("nothing\nmore")

    def wrong():
        raise UserError("this\nand that")

    def fine():
        yield doctor.Finding("note", "this", "seen", "do that")

    monkeypatch.setattr(doctor, "CHECKS", {"disk": broken, "data": wrong, "DVC": fine})
    assert doctor.report() == 1
    assert capsys.readouterr().out == (
        "problem disk: cannot be checked: ZeroDivisionError: nothing\nproblem data: this\nproblem data: and that\n"
        "note    this: seen\n        -> do that\n"
    )
    monkeypatch.setattr(doctor, "CHECKS", {"DVC": fine})
    assert doctor.report() == 0


@pytest.mark.usefixtures("parameters")
def test_parameters_of_every_pipeline_are_checked():
    assert [each.level for each in doctor._params()] == ["ok"]
    for path in FILES:
        kept = path.read_bytes()
        path.write_text("colour: 1\n", encoding="utf-8")
        with pytest.raises(UserError, match=f"^{path}: "):
            list(doctor._params())
        path.write_bytes(kept)


def test_a_damaged_database_is_put_aside_and_a_server_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [each.level for each in doctor._mlflow()] == ["ok"]
    doctor.DATABASE.parent.mkdir()
    doctor.DATABASE.write_bytes(b"x" * 5000)
    (found,) = doctor._mlflow()
    assert found.seen == "mlruns/mlflow.db is damaged: file is not a database"
    assert found.remedy == "mv mlruns/mlflow.db mlruns/mlflow.db.damaged; latentlab sync fills a new one"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(UserError, match=r"^MLflow at http://me:\*\*\*@127\.0\.0\.1:9 cannot be used"):
        list(doctor._mlflow())


@pytest.mark.usefixtures("parameters")
def test_the_study_is_looked_for_where_the_variable_says(monkeypatch):
    (found,) = doctor._study()
    assert (found.level, found.seen) == ("ok", "none yet: make study")
    monkeypatch.setenv("LATENTLAB_STORAGE", "sqlite:///elsewhere.db")
    optuna.create_study(study_name="tradeoff", storage="sqlite:///elsewhere.db")
    (found,) = doctor._study()
    assert found.level == "ok"
    assert re.match("tradeoff in sqlite:///elsewhere.db: 0 ", found.seen)
    Path("damaged.db").write_bytes(b"x" * 5000)
    monkeypatch.setenv("LATENTLAB_STORAGE", "sqlite:///damaged.db")
    (found,) = doctor._study()
    assert found.remedy == "mv damaged.db damaged.db.damaged; latentlab study run begins anew"
    monkeypatch.setenv("LATENTLAB_STORAGE", "postgresql://me:secret@127.0.0.1:9/studies")
    (found,) = doctor._study()
    assert (found.level, found.remedy) == ("problem", "start it, or mend LATENTLAB_STORAGE")
    assert "secret" not in str(found)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_runs_that_nobody_can_look_at_are_said_with_how_to_end_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    Path("mlflow.db").symlink_to("mlruns/mlflow.db")
    experiment, client = store.open_store(tmp_path, needed=True), mlflow.MlflowClient()
    mine, elsewhere = process_tags(), {"process.host": "replaced", "process.pid": "7"}
    for tags in (mine, mine | {"process.started": mine["process.started"] + "0"}, elsewhere, {}):
        client.create_run(experiment, tags=tags, run_name=tags.get("process.host", "by hand"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def found() -> dict[str, str]:
        notes = [each for each in doctor._mlflow() if each.level != "ok"]
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return {each.seen: each.remedy for each in notes}

    said = found()
    assert len(said) == 3
    assert "latentlab sync marks it as KILLED" in said.values()
    assert any("PID 7 on replaced" in seen for seen in said)
    store.open_store(tmp_path)  # as latentlab sync does
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said = found()
    assert len(said) == 2
    for remedy in said.values():
        subprocess.run(remedy.removeprefix("if it runs no more: "), shell=True, check=True)
    assert found() == {}
    assert sorted(run.info.status for run in client.search_runs([experiment])) == ["KILLED", "KILLED", "KILLED", "RUNNING"]


def test_an_object_of_the_cache_that_is_not_what_its_name_says(tmp_path):
    names = {"5d/41402abc4b2a76b9719d911017c592": b"hello", "00/41402abc4b2a76b9719d911017c592": b"hello"}
    for name, content in names.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    assert doctor._broken_objects(tmp_path) == [tmp_path / "00/41402abc4b2a76b9719d911017c592"]


@pytest.mark.parametrize("word", ["rm -r", "mlflow gc", "dvc gc", "git checkout"])
def test_no_remedy_deletes_what_somebody_may_want(word):
    assert word not in (ROOT / "src/latentlab/commands/doctor.py").read_text(encoding="utf-8")
