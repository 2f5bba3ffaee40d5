"""What the doctor says of single faults; tests of the whole pipeline ask it of a whole project."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import mlflow
import optuna
import pytest

from conftest import ROOT
from latentlab import paths
from latentlab.commands import doctor, verify
from latentlab.errors import UserError
from latentlab.tracking import runs, store
from latentlab.tracking.processes import process_tags
from tracked import outputs

FILES = (paths.PARAMS, paths.ANALYSES_PARAMS, paths.STUDY_PARAMS)


def shell(command: str) -> None:
    subprocess.run(command, shell=True, check=True)


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


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, a repository of git with a file in it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "home").mkdir()
    folder = tmp_path / "it's here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    (folder / "a.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\0\1\r\n")
    subprocess.run("git init --quiet && git add --all", shell=True, check=True)
    return folder


def test_a_checkout_of_another_user_is_named_with_what_makes_git_take_it(checkout, monkeypatch):
    assert [str(each) for each in doctor._folder()] == ["ok      git: has these files with the same line ends"]
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    (found,) = doctor._folder()
    assert found.level == "problem"
    assert found.seen.startswith("takes nothing of this folder: detected dubious ownership in repository at ")
    assert str(checkout) in found.seen
    subprocess.run(found.remedy, shell=True, check=True)
    assert [each.level for each in doctor._folder()] == ["ok"]


def test_folders_that_may_not_be_written_are_named(checkout, monkeypatch):
    (checkout / "results").mkdir()
    monkeypatch.setattr(doctor.os, "access", lambda path, _: Path(path).exists() and path != Path("results"))
    assert next((each.level, each.seen) for each in doctor._folder()) == ("problem", "you may not write to results")


@pytest.mark.skipif(not shutil.which("perl"), reason="the remedy needs perl, which git brings on Windows")
def test_line_ends_that_are_not_those_in_git_are_named_and_mended(checkout):
    picture = (checkout / "a.png").read_bytes()
    (checkout / "a.csv").write_bytes(b"a,b\r\n1,2\r\n")
    (found,) = doctor._folder()
    assert found.level == "problem"
    assert found.seen == "1 files have the line ends of Windows, so their stages are not up to date: a.csv"
    subprocess.run(["bash", "-c", found.remedy], check=True)
    assert (checkout / "a.csv").read_bytes() == b"a,b\n1,2\n"
    assert (checkout / "a.png").read_bytes() == picture
    assert [each.level for each in doctor._folder()] == ["ok"]


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
        shell(remedy.removeprefix("if it runs no more: "))
    assert found() == {}
    assert sorted(run.info.status for run in client.search_runs([experiment])) == ["KILLED", "KILLED", "KILLED", "RUNNING"]


def test_an_object_of_the_cache_that_is_not_what_its_name_says(tmp_path):
    names = {"5d/41402abc4b2a76b9719d911017c592": b"hello", "00/41402abc4b2a76b9719d911017c592": b"hello"}
    for name, content in names.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    (tmp_path / "00/.DS_Store").touch()
    assert doctor._broken_objects(tmp_path) == [tmp_path / "00/41402abc4b2a76b9719d911017c592"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_broken_object_is_put_aside_and_left_alone_where_others_share_the_cache(tmp_path, monkeypatch):
    project = tmp_path / "a project"
    project.mkdir()
    monkeypatch.chdir(project)
    shell("dvc init --quiet --no-scm")
    Path("dvc.yaml").write_text("stages: {one: {cmd: echo 1 > one, outs: [one]}}\n", encoding="utf-8")
    shell("dvc repro --quiet")
    for cache in (project / ".dvc/cache", tmp_path / "shared"):
        shell(f"dvc cache dir --quiet --local {shlex.quote(str(cache))}")
        shell("dvc commit --quiet --force")
        (broken,) = cache.glob("files/md5/*/*")
        broken.chmod(0o644)
        broken.write_text("2", encoding="utf-8")
        broken.chmod(0o444)  # DVC believes it then
        (found,) = (each for each in doctor._dvc() if each.about == "DVC's cache")
        assert found.level == "problem"
        if cache.is_relative_to(project):
            shell(found.remedy.removesuffix(" makes again what is needed"))
            assert broken.read_text(encoding="utf-8") == "1\n"
            assert (doctor.DAMAGED / broken.name).read_text(encoding="utf-8") == "2"
            assert all(each.level == "ok" for each in doctor._dvc())
        else:
            assert found.remedy.startswith("latentlab repro makes again what is needed; other projects may share")
            broken.chmod(0o644)  # now DVC itself takes it away
            (found,) = (each for each in doctor._dvc() if each.about == "DVC's cache")
            assert (found.level, found.remedy) == ("problem", "latentlab repro makes again what is needed")


def test_a_second_damaged_database_does_not_take_the_place_of_the_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    doctor.DATABASE.parent.mkdir()
    for text in ("x", "y"):
        doctor.DATABASE.write_text(text * 5000, encoding="utf-8")
        (found,) = doctor._mlflow()
        shell(found.remedy.partition("; latentlab")[0])
    kept = {path.name: path.read_text(encoding="utf-8")[0] for path in doctor.DATABASE.parent.iterdir()}
    assert kept == {"mlflow.db.damaged": "x", "mlflow.db.damaged1": "y"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_copied_project_is_told_whose_files_its_store_names(tmp_path, monkeypatch):
    first, copy = tmp_path / "first", tmp_path / "copy"
    first.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(first))
    runs.log_run(store.open_store(first, needed=True), outputs(tmp_path / "variant", 0.03))
    files = sorted(first.rglob("*"))
    shutil.copytree(first, copy)
    monkeypatch.chdir(copy)
    for remedied in (False, True):
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        (found,) = doctor._mlflow()
        assert (found.level == "note") != remedied
        assert ("first/mlruns: this folder was moved or copied" in found.seen) != remedied
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
        experiment = store.open_store(copy, needed=True)  # as latentlab sync does
    # what MLflow's own commands delete now are files of the copy
    client = mlflow.MlflowClient()
    client.delete_run(client.search_runs([experiment])[0].info.run_id)
    uri = f"sqlite:///{copy}/mlruns/mlflow.db"
    shell(f"mlflow gc --tracking-uri {uri} --backend-store-uri {uri}")
    assert sorted(first.rglob("*")) == files
    assert not list(copy.glob("mlruns/artifacts/*/artifacts/checkpoint"))


def test_a_file_of_git_comes_back_also_in_the_middle_of_a_merge(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    git = "git -c user.name=a -c user.email=a@example.com -c init.defaultBranch=main"
    file = Path("metrics.json")
    shell(f"{git} init -q; echo 1 > {file}; git add .; {git} commit -qm 1; git checkout -qb other; echo 2 > {file}")
    shell(f"{git} commit -qam 2; git checkout -q main; echo 3 > {file}; {git} commit -qam 3; {git} merge -q other || true")
    file.unlink()
    assert not verify._is_near(file, file)
    shell(capsys.readouterr().out.partition(": ")[2])
    assert file.read_text(encoding="utf-8") == "3\n"


@pytest.mark.parametrize(
    "word", ["rm -", "dvc gc", "git checkout", "git clean", "git reset", "delete-study", "experiments delete", "exp remove"]
)
def test_nothing_tells_people_to_delete_what_somebody_may_want(word):
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("src/**/*.py")]
    assert [page.name for page in pages if word in page.read_text(encoding="utf-8") and page.name != "log.md"] == []
