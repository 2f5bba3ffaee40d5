"""Which runs does a command mean, how are they made, how do they come into MLflow, and what came of them?"""

import csv
import os
import socket
import sys
from collections.abc import Sequence
from itertools import product

from latentlab import paths
from latentlab.errors import UserError, printable
from latentlab.params import analyses, frontier
from latentlab.params.project import Params, load
from latentlab.paths import Run


def chosen(project: Params, variants: Sequence[str]) -> list[Run]:
    """The runs of variants, with the data sets, recipes and seeds that are selected.

    If none is named: all selected runs, and those of the analyses, the study and the frontier that are trained.

    Raises:
        ParamsError: There is no such variant.
    """
    if variants:
        return [run for name in variants for run in _runs(project, name)]
    names = (*analyses.load().more_variants, *project.found.variants, *frontier.variants())
    others = [run for name in names for run in _runs(project, name)]
    return [*project.runs(), *(run for run in others if run.home != paths.MAIN and run.checkpoint.exists())]


def _runs(project: Params, name: str) -> list[Run]:
    project.variant(name)
    home = home_of(name, project)
    recipes, seeds = project.run.recipes, project.run.seeds
    if home in (paths.FOUND_RUNS, paths.FRONTIER):
        others = project.found if home == paths.FOUND_RUNS else frontier.load()
        recipes, seeds = others.recipes, others.seeds
    return [Run(name, *each, home) for each in product(project.run.datasets, recipes, seeds)]


def home_of(variant: str, project: Params) -> str:
    """The home of a variant's runs: the study's, the analyses', the frontier's or that of params.yaml's selection."""
    if variant in project.found.variants:
        return paths.FOUND_RUNS
    if variant in project.run.variants or not paths.ANALYSES_PARAMS.exists():
        return paths.MAIN
    if variant in frontier.variants():
        return paths.FRONTIER
    return paths.MORE if variant in analyses.load().more_variants else paths.MAIN


def reproduce(targets: Sequence[str], num_jobs: int | None, cluster: str | None, offline: bool, pull: bool = False) -> int:
    """Brings stages up to date, and then MLflow, if it is a server, which may have been away.

    Args:
        targets: See `latentlab.pipeline.runner.reproduce`, as for the next two.
        num_jobs: See there.
        cluster: See there.
        offline: Whether to log to the store in mlruns/ whatever MLFLOW_TRACKING_URI says.
        pull: See `latentlab.pipeline.runner.reproduce`.

    Returns:
        The exit code of the stages.

    Raises:
        UserError: Something that was given cannot be used.
    """
    from latentlab.pipeline import runner

    if offline:
        os.environ.pop("MLFLOW_TRACKING_URI", None)
    uri = None
    if os.environ.get("MLFLOW_TRACKING_URI"):
        from latentlab.tracking.store import check_server, other_store

        uri = other_store(paths.project_root())
        if uri:
            check_server(uri)
    code = runner.reproduce(targets, num_jobs, cluster, pull)
    if uri and code < 128:
        from latentlab.tracking.store import TrackingError

        try:
            sync([], quiet=True)
        except TrackingError as error:
            print(f"{error}\nMLflow lacks what was made since: latentlab sync sends it later", file=sys.stderr)
    return code


def sync(variants: Sequence[str], *, quiet: bool = False) -> None:
    """Makes sure that MLflow holds one complete run for each run that is trained, and their means; prints what was done.

    Args:
        variants: Whose runs; all that are selected if empty.
        quiet: Whether nothing is said of runs that are complete, or not trained.

    Raises:
        UserError: There is no such variant, the store cannot be used, or a checkpoint is damaged, after all other runs.
    """
    from latentlab.comparison import results
    from latentlab.tracking import describe, replicates, runs, store

    project = load()
    asked = chosen(project, variants)
    experiment_id = store.open_store(paths.project_root(), needed=True)
    num_damaged = 0
    for run in asked:
        if run.checkpoint.exists() and run.curve.exists():
            try:
                outputs = describe.outputs(project, run)
            except UserError as error:
                print(f"{run}: {printable(str(error))}; dvc repro {run.stage('train')}", file=sys.stderr)
                num_damaged += 1
                continue
            done = runs.complete_run(experiment_id, outputs)
            if not (quiet and done == "up to date"):
                print(f"{run}: {done}")
        elif not quiet:
            print(f"{run}: not trained yet: dvc repro {run.stage('train')}", file=sys.stderr)
    for dataset in sorted({run.dataset for run in asked}):
        found = results.read(project, dataset, homes=tuple(paths.HOMES))
        replicates.log_parents(experiment_id, found.fingerprints)
    if num_damaged:
        raise UserError(f"{num_damaged} of {len(asked)} runs cannot be sent, see above")


def show_leaderboard(dataset: str | None) -> None:
    """Prints the leaderboard of a data set, by default of the first that is selected, and where its report is.

    Raises:
        UserError: There is none.
    """
    from rich.console import Console
    from rich.table import Table

    files = paths.reports(dataset or load().run.datasets[0])
    if not files.leaderboard.exists():
        raise UserError(f"{files.leaderboard} is not there: latentlab repro makes one of each data set that is selected")
    table = Table("variant", "recipe", box=None, pad_edge=False)
    for title in ("seeds", "latent_dim", "parameters", "test MSE", "sd", "SSIM", "RBF probe", "published MSE"):
        table.add_column(title, justify="right")
    with files.leaderboard.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cells = (
                ("num_seeds", ".0f"), ("latent_dim", ".0f"), ("num_parameters", ",.0f"), ("test_mse", ".5f"),
                ("test_mse_sd", ".5f"), ("test_ssim", ".3f"), ("svm_rbf_accuracy", ".2%"), ("published_mse", ".5f"),
            )  # fmt: skip
            numbers = [format(float(row[name]), form) if row.get(name) else "" for name, form in cells]
            table.add_row(row["variant"], row["recipe"], *numbers)
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    report = files.report_html if files.report_html.exists() else files.report
    console.print(f"\nreport: {report}", highlight=False, soft_wrap=True)


def show_pages(port: int) -> None:
    """Prints links to the table and the charts of all variants, and serves MLflow's pages of the store here at a port.

    Raises:
        UserError: The store or the port cannot be used.
    """
    from latentlab.tracking import store, view

    experiment_id = store.open_store(paths.project_root(), needed=True)
    is_elsewhere = store.is_server()
    with socket.socket() as other:
        if not is_elsewhere and not other.connect_ex(("127.0.0.1", port)):
            raise UserError(f"something listens at 127.0.0.1:{port} already: `--port` (make ui PORT=...) chooses another")
    server = store.url() if is_elsewhere else f"http://127.0.0.1:{port}"
    for what, link in view.links(server, experiment_id).items():
        print(f"{what}: {link}", flush=True)
    if is_elsewhere:
        return
    # without MLflow's job workers, which nothing here needs
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    os.execvp("mlflow", ["mlflow", "ui", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)])
