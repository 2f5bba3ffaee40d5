"""The comparison of runs with each other and with dvc.lock; test_pipeline.py makes runs for real."""

import hashlib
import json
import math

import pytest
from dvc.repo import Repo

from latentlab import verify


def test_differences_are_named_by_their_key_and_sorted_out_by_size():
    committed = {"row": "x", "test_mse": 0.01, "probe": {"accuracy": [0.5, 0.75]}, "same": 3, "gone": 1}
    made = {"row": "y", "test_mse": 0.011, "probe": {"accuracy": [0.5, 0.7]}, "same": 3, "new": 2}
    found = {each.key: each for each in verify.differences(committed, made)}
    assert set(found) == {"test_mse", "probe.accuracy.1", "gone", "new"}
    assert found["test_mse"].relative == pytest.approx(0.001 / 0.011)
    assert found["probe.accuracy.1"].relative == pytest.approx(0.05 / 0.75)
    assert found["gone"].relative == found["new"].relative == math.inf
    assert verify.differences(committed, committed) == []
    assert verify.Difference("x", 0.0, 0.0).relative == 0


@pytest.mark.parametrize("content", ["", "stages: [", "[]", "stages: 3", "\xff"])
def test_a_damaged_lock_is_one_line(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    assert verify._locked_stages() == {}
    verify.LOCK.write_bytes(content.encode("latin-1"))
    with pytest.raises(verify.VerifyError, match=r"dvc.lock is damaged: git checkout dvc.lock"):
        verify._locked_stages()


def test_numbers_near_the_committed_ones_are_within_the_tolerance_and_others_beyond(tmp_path, capsys):
    committed, made = tmp_path / "committed.json", tmp_path / "made.json"
    for value, good in ((1.0, True), (1.0 + verify.TOLERANCE / 2, True), (1.0 + 2 * verify.TOLERANCE, False)):
        committed.write_text(json.dumps({"a": 1.0, "b": 5}))
        made.write_text(json.dumps({"a": value, "b": 5}))
        assert verify._print_numbers("made.json", committed, made) == good
    printed = capsys.readouterr().out
    assert "made.json: the same numbers" in printed
    assert "within the tolerance of 5%" in printed
    assert "beyond the tolerance of 5%" in printed
    assert not verify._print_numbers("made.json", tmp_path / "nothing.json", made)
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
