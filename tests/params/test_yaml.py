"""Parameter files are read as DVC reads them, which is YAML 1.2: what `dvc exp run -S` writes is the same for both."""

import pytest
from dvc.fs import LocalFileSystem
from dvc.utils.serialize import load_path

from latentlab.params.strict import ParamsError, read_yaml

VALUES = (
    "5e-05", "1e-3", "1E5", "+1e5", "1.0e-3", "1.", ".5", ".5e+3", "-.inf", ".nan", "'5e-05'", "!!str 1e-3", "!!float 1",
    "010", "08", "0o17", "0x1F", "0b101", "1_000", "-0", "+5", '"010"', "1:30", "1:30.5", "1e5x", "1.2.3",
    "yes", "No", "on", "OFF", "y", "n", "true", "True", "TRUE", "null", "~", "Null", "''", "=",
    "2024-01-02", "2024-1-2", "2024-01-02T03:04:05Z", "2024-13-45",
)  # fmt: skip
TEXTS = (
    *(f"a: {value}\n{value}: 1\n" for value in VALUES),
    "a: [1e-3, no, 010]\nb: {lr: 5e-05}",
    "a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}",
    "a: {b: {c: {d: &a {<<: &e {x: 0}, x: 1}}}}\nb: {<<: *a, y: 3}\nc: {<<: [*a, *e], y: 3}",
    "a: &a {x: 1}\nb: {<<: *a, <<: *a}",
    "%YAML 1.1\n---\na: [yes, 010, 1:30]",
    "a:\n  - 1\n---\nb: 2",
)


@pytest.mark.parametrize("text", TEXTS)
def test_every_spelling_is_read_as_dvc_reads_it(text, tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        expected = load_path(str(path), LocalFileSystem())
    except Exception:
        with pytest.raises(ParamsError, match=r"params\.yaml: "):
            read_yaml(path)
    else:
        assert repr(read_yaml(path)) == repr(expected)  # which tells 1 from 1.0 and True, and takes nan for nan


def test_numbers_as_dvc_writes_them(tmp_path):
    (tmp_path / "params.yaml").write_text("lr: 5e-05\nseed: 010\nsource: no\n", encoding="utf-8")
    assert read_yaml(tmp_path / "params.yaml") == {"lr": 0.00005, "seed": 10, "source": "no"}


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "x: &x {}\na: {<<: *x,\nb: 1, b: 2}", "1: 1\n\n1.0: 2"])
def test_a_key_that_stands_twice_is_a_fault_also_where_dvc_takes_it(text, tmp_path):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ParamsError, match=r"params\.yaml: line [23]: the key .* stands twice"):
        read_yaml(tmp_path / "params.yaml")
