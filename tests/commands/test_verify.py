"""The comparison of runs with each other and with the lock files; tests of the whole pipeline make runs for real."""

import hashlib
import json
import math

import pytest
from dvc.repo import Repo

from latentlab.commands import verify
from latentlab.errors import UserError


def test_differences_are_shares_of_the_larger_number():
    committed = {"test_mse": 0.01, "probe/accuracy": 0.75, "same": 3, "gone": 1, "zero": 0}
    made = {"test_mse": 0.011, "probe/accuracy": 0.7, "same": 3, "new": 2, "zero": 0}
    found = verify.differences(committed, made)
    assert set(found) == {"test_mse", "probe/accuracy", "gone", "new"}
    assert found["test_mse"] == pytest.approx(0.001 / 0.011)
    assert found["probe/accuracy"] == pytest.approx(0.05 / 0.75)
    assert found["gone"] == found["new"] == math.inf


def test_a_lock_with_a_conflict_in_it_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert verify.locked_outputs() == {}
    verify.LOCKS[0].write_text("<<<<<<< HEAD\nstages:\n=======\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"^dvc.lock: line 1: a merge of git has left both sides here: "):
        verify.locked_outputs()


def test_the_outputs_of_a_run_are_found_in_every_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    for path, stage in (("dvc.lock", "train@a-mnist-fast-0"), ("study/dvc.lock", "probe@b-mnist-fast-0")):
        content = {"stages": {stage: {"outs": [{"path": f"models/{stage[6]}", "md5": "0"}]}, "plan": {"deps": []}}}
        (tmp_path / path).write_text(json.dumps(content), encoding="utf-8")
    found = verify.locked_outputs()
    assert found["a-mnist-fast-0"] == {"models/a": "0"}
    assert found["b-mnist-fast-0"] == {"models/b": "0"}


def test_numbers_near_the_committed_ones_are_within_the_tolerance_and_others_beyond(tmp_path, capsys):
    committed, made = tmp_path / "committed.json", tmp_path / "made.json"
    for value, good in ((1.0, True), (1.0 + verify.TOLERANCE / 2, True), (1.0 + 2 * verify.TOLERANCE, False)):
        committed.write_text(json.dumps({"a": 1.0, "b": {"c": 5}}))
        made.write_text(json.dumps({"a": value, "b": {"c": 5}}))
        assert verify._is_near(committed, made) == good
    printed = capsys.readouterr().out
    assert "committed.json: the same numbers" in printed
    assert "within the tolerance of 5%" in printed
    assert "beyond the tolerance of 5%" in printed
    assert not verify._is_near(tmp_path / "nothing.json", made)
    assert "is not here to be compared" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:_NoneStep")  # of a library of DVC's
def test_digests_are_those_of_dvc(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    (tmp_path / "one.txt").write_bytes(b"one\r\ntwo\n")
    for name in ("folder/b.bin", "folder/a/z.txt", "folder/a.txt", "folder/ä b"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    with Repo.init(str(tmp_path), no_scm=True) as repo:
        for target in ("one.txt", "folder"):
            (stage,) = repo.add(target)
            assert verify.digest_of(tmp_path / target) == stage.outs[0].hash_info.value
    assert verify.digest_of(tmp_path / "one.txt") == hashlib.md5(b"one\r\ntwo\n").hexdigest()
    assert verify.digest_of(tmp_path / "nothing") == ""
