"""The results that lie in the workspace, of all runs that still are what the present settings describe."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from latentlab import paths
from latentlab.params.project import Params
from latentlab.paths import Baseline, Run
from latentlab.training import plan
from latentlab.training.plan import Plan

Metrics = dict[str, Any]

# of a training, as the machine chose them: no mean is taken over different ones
_COMPUTED = ("device", "precision")


@dataclass(frozen=True)
class Result:
    """What is known of a run: the numbers of metrics.json and probes.json, each analysis under its name; and its curve.

    The metrics also say what it was computed with, and the fingerprint of its training.
    """

    run: Run
    metrics: Metrics
    curve: pd.DataFrame


@dataclass(frozen=True)
class Results:
    """All results of a data set; `left_out` are those that count for nothing: what, and why."""

    runs: list[Result]
    baselines: dict[str, Metrics]
    left_out: dict[str, str]
    dataset: str

    def of(self, variant: str, recipe: str) -> list[Result]:
        """The replicates of a variant under a recipe, by seed; none where it has not been run."""
        return [result for result in self.runs if (result.run.variant, result.run.recipe) == (variant, recipe)]

    def shown(self, project: Params) -> dict[str, Result]:
        """One run of each variant, to be looked at: of the first recipe and the first seed that params.yaml selects."""
        first = (project.run.recipes[0], project.run.seeds[0])
        return {result.run.variant: result for result in self.runs if (result.run.recipe, result.run.seed) == first}

    @property
    def recipes(self) -> list[str]:
        """Recipes that any variant has been run with, `fast` first."""
        return sorted({result.run.recipe for result in self.runs})

    @property
    def fingerprints(self) -> dict[Run, str]:
        """By which the MLflow run of each run is found."""
        return {result.run: result.metrics["fingerprint"] for result in self.runs}

    def report(self) -> Iterator[str]:
        """One line for each reason why results were left out."""
        for reason in dict.fromkeys(self.left_out.values()):
            names = [name for name, why in self.left_out.items() if why == reason]
            shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
            yield f"left out, as {reason}: {shown}"


def read(project: Params, dataset: str, analyses: Sequence[str] = (), homes: Sequence[str] = (paths.MAIN,)) -> Results:
    """Reads what the stages have measured on a data set.

    A run counts when it was evaluated and probed, and all that determines its numbers is what the plans say, which the plan
    stage makes of the present settings and code: variant, training, split, data, device, settings of the measurement, code.
    So does an analysis of it.

    Args:
        project: The parameters.
        dataset: Its name.
        analyses: Names of those that are read too.
        homes: Of the runs; of two runs of one name that of the first home counts.
    """
    order = {name: index for index, name in enumerate(project.variants)}
    left_out: dict[str, str] = {}
    found: dict[str, Result] = {}
    for run in (run for home in homes for run in paths.runs_with("metrics.json", dataset, home)):
        if str(run) in found or not run.probes.exists():
            continue
        try:
            result, faults = _read(run, order, analyses)
        except (OSError, ValueError, KeyError, TypeError) as error:
            result, faults = None, {str(run): f"a file cannot be read ({error})"}
        left_out |= faults
        if result:
            found[str(run)] = result
            left_out.pop(str(run), None)  # it does not count in another home
    runs = sorted(found.values(), key=lambda each: (each.run.recipe, order[each.run.variant], each.run.seed))
    alike: list[Result] = []
    firsts: dict[tuple[str, str], Result] = {}
    for result in runs:
        first = firsts.setdefault((result.run.variant, result.run.recipe), result)
        if all(result.metrics[key] == first.metrics[key] for key in _COMPUTED):
            alike.append(result)
        else:
            left_out[str(result.run)] = "they were computed on another device or in another precision than the first seed"
    return Results(alike, dict(_baselines(project, dataset, analyses, left_out)), left_out, dataset)


def codecs(dataset: str) -> pd.DataFrame:
    """Bytes and quality of image formats, line by line as `latentlab.evaluation.codecs.codec_curve` gives them.

    There is no line where they were not measured, or not as the plan says.
    """
    baseline = Baseline(plan.CODECS, dataset)
    planned, path = baseline.analysis_plan("codecs"), baseline.analysis("codecs")
    columns = ["codec", "quality", "layout", "bytes_per_image", "mse", "psnr", "ssim"]
    if not planned.exists() or not path.exists():
        return pd.DataFrame(columns=columns)
    provenance, measured = _content(path)
    counts = not plan.differing(plan.read(planned), provenance)
    return pd.DataFrame(measured["curve"] if counts else [], columns=columns)


def _baselines(
    project: Params, dataset: str, analyses: Sequence[str], left_out: dict[str, str]
) -> Iterator[tuple[str, Metrics]]:
    """What was measured of PCA and, with the analyses, of what is no PCA."""
    for name in (*project.baselines, *((plan.RAW_PIXELS, plan.CLASSICAL) if analyses else ())):
        baseline, metrics = Baseline(name, dataset), dict[str, Any]()
        files = [(baseline.plan, baseline.metrics, ""), (baseline.plan, baseline.probes, "")]
        if analyses:
            files.append((baseline.analysis_plan("probes"), baseline.analysis("probes"), ""))
        files += [(baseline.analysis_plan(each), baseline.analysis(each), each) for each in analyses]
        for planned, path, section in files:
            if not path.exists() or not planned.exists():
                continue
            provenance, measured = _content(path)
            if differing := plan.differing(plan.read(planned), provenance):
                left_out[f"{path.stem} of {name}"] = _worded("", differing)
            else:
                metrics |= {section: measured} if section else measured
        if metrics:
            yield name, metrics


def _read(run: Run, order: Mapping[str, int], analyses: Sequence[str]) -> tuple[Result | None, dict[str, str]]:
    """What is known of a run, None if it does not count, and what does not count of it, with the reasons."""
    if run.variant not in order or not run.plan("train").exists():
        return None, {str(run): "params.yaml does not describe them"}
    (evaluation, errors), (probing, accuracies) = _content(run.metrics), _content(run.probes)
    training = evaluation["training"]
    for planned, provenance in ((run.plan("evaluate"), evaluation), (run.plan("probe"), probing)):
        if reason := _reason(run, training, planned, provenance):
            return None, {str(run): reason}
    metrics = {key: training[key] for key in (*_COMPUTED, "fingerprint")} | errors | accuracies
    faults = {}
    for name in (name for name in analyses if run.analysis(name).exists()):
        provenance, measured = _content(run.analysis(name))
        if reason := _reason(run, training, run.analysis_plan(name), provenance):
            faults[f"{name} of {run}"] = reason
        else:
            metrics[name] = measured
    return Result(run, metrics, pd.read_csv(run.shown_curve)), faults


def _reason(run: Run, training: Plan, planned: Path, provenance: Plan) -> str:
    """Why a file of a run does not count; empty if it does.

    Args:
        run: The run.
        training: What its evaluation says of the training.
        planned: The plan of what made the file.
        provenance: What the file says itself.
    """
    if differing := plan.differing(plan.read(run.plan("train")), provenance["training"]):
        return _worded("training", differing)
    if provenance["training"]["fingerprint"] != training["fingerprint"]:
        return "they were measured of another training than the evaluation"
    if not planned.exists():
        return "no plan describes them"
    return _worded("", plan.differing(plan.read(planned), provenance))


def _worded(what: str, differing: Iterable[str]) -> str:
    names = {"data_digest": "images", "code": f"code of the {what or 'measurement'}"}
    words = [names.get(key, key) for key in differing]
    return f"they were made with another {', '.join(words)}" if words else ""


def _content(path: Path) -> tuple[Plan, Metrics]:
    """What a file of results was made with, and what was measured."""
    content: Metrics = json.loads(path.read_text(encoding="utf-8"))
    return content["provenance"], {key: value for key, value in content.items() if key != "provenance"}
