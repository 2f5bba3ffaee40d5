"""Stage `plan_study`: checks study/params.yaml, and writes what determines the search: settings, data and code."""

from pathlib import Path

from latentlab import paths, stages
from latentlab.params.study import load
from latentlab.study import space, trials
from latentlab.training import plan
from latentlab.training.fingerprint import fingerprint


def main() -> None:
    """Writes the plan; where the trials are kept changes nothing that is found."""
    project = stages.read_params()
    settings = load(Path(), project)
    space.check(project, settings)
    content = trials.basis(project, settings) | {
        "rules": settings.model_dump(include=trials.FREE - {"storage", "stale_after_seconds"}),
        "known_variants": {name: project.variant(name).model_dump() for name in settings.known_variants},
        "device": project.device,
        "code_of_rules": fingerprint("latentlab.study.outcome:winners"),
    }
    plan.write(content, paths.STUDY_PLAN)


if __name__ == "__main__":
    stages.start(main, pinned=False)
