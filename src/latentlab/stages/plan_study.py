"""Stage `plan_study`: checks study/params.yaml, and writes what determines the search: settings, data and code."""

from pathlib import Path

from latentlab import paths, stages
from latentlab.params.project import Params
from latentlab.params.strict import ParamsError
from latentlab.params.study import StudySettings, load
from latentlab.study import definition, space
from latentlab.training import plan
from latentlab.training.fingerprint import fingerprint


def main() -> None:
    """Writes the plan; where the trials are kept changes nothing that is found."""
    project = stages.read_params()
    settings = load(Path(), project)
    space.check(project, settings)
    check_reference(project, settings)
    content = definition.basis(project, settings) | {
        "rules": settings.model_dump(include=definition.FREE - {"storage", "stale_after_seconds"}),
        "known_variants": {name: project.variant(name).model_dump() for name in settings.known_variants},
        "device": project.device,
        "code_of_rules": fingerprint("latentlab.study.trials:winners"),
    }
    plan.write(content, paths.STUDY_PLAN)


def check_reference(project: Params, settings: StudySettings) -> None:
    """Makes sure that the run which the last stage registers beside the champion is there, or is going to be.

    Raises:
        ParamsError: It is neither selected nor trained.
    """
    run = settings.reference_run(project)
    is_there = all(path.exists() for path in (run.checkpoint, run.metrics, run.probes))
    if run not in project.runs() and not is_there:
        raise ParamsError(
            f"{paths.STUDY_PARAMS}: study.reference: {run}, which is registered beside the champion, is neither selected "
            f"nor trained: add {settings.reference} to run.variants in params.yaml, or name another reference"
        )


if __name__ == "__main__":
    stages.start(main, pinned=False)
