"""What the doctor says of single faults; tests of the whole pipeline ask it of a whole project."""

import pytest

from conftest import ROOT
from latentlab import paths
from latentlab.commands import doctor


def test_a_check_that_cannot_be_made_is_a_problem_and_hides_no_other(monkeypatch, capsys):
    def _broken():
        raise ZeroDivisionError("nothing\nmore")
        yield

    def _fine():
        yield doctor.Finding("note", "this", "seen", "do that")

    monkeypatch.setattr(doctor, "CHECKS", (_broken, _fine))
    assert doctor.report() == 1
    assert capsys.readouterr().out == (
        "problem broken: cannot be checked: ZeroDivisionError: nothing\nnote    this: seen\n        -> do that\n"
    )
    monkeypatch.setattr(doctor, "CHECKS", (_fine,))
    assert doctor.report() == 0


def test_parameters_of_every_pipeline_are_checked(tmp_path, monkeypatch):
    for path in (paths.PARAMS, paths.ANALYSES_PARAMS, paths.STUDY_PARAMS):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes((ROOT / path).read_bytes())
    monkeypatch.chdir(tmp_path)
    assert [each.level for each in doctor._params()] == ["ok"]
    for path in (paths.PARAMS, paths.ANALYSES_PARAMS, paths.STUDY_PARAMS):
        kept = path.read_bytes()
        path.write_text("colour: 1\n", encoding="utf-8")
        (first, *_) = doctor._params()
        assert (first.level, first.seen.split(":")[0]) == ("problem", str(path))
        path.write_bytes(kept)


def test_a_damaged_database_is_put_aside_and_a_server_that_is_away_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert [each.level for each in doctor._mlflow()] == ["ok"]
    doctor.DATABASE.parent.mkdir()
    doctor.DATABASE.write_bytes(b"x" * 5000)
    (found,) = doctor._mlflow()
    assert found.seen == "mlruns/mlflow.db is damaged: file is not a database"
    assert found.remedy == "mv mlruns/mlflow.db mlruns/mlflow.db.damaged; latentlab sync fills a new one"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    (found,) = doctor._mlflow()
    assert found.level == "problem"
    assert found.seen.startswith("MLflow at http://me:***@127.0.0.1:9 cannot be used")


def test_an_object_of_the_cache_that_is_not_what_its_name_says(tmp_path):
    names = {"5d/41402abc4b2a76b9719d911017c592": b"hello", "00/41402abc4b2a76b9719d911017c592": b"hello"}
    for name, content in names.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    assert doctor._broken_objects(tmp_path) == [tmp_path / "00/41402abc4b2a76b9719d911017c592"]


@pytest.mark.parametrize("word", ["rm -r", "mlflow gc", "dvc gc", "git checkout"])
def test_no_remedy_deletes_what_somebody_may_want(word):
    assert word not in (ROOT / "src/latentlab/commands/doctor.py").read_text(encoding="utf-8")
