"""Stage `plan_analyses`: checks analyses/params.yaml, and writes what each analysis is to measure."""

from latentlab import evaluation, stages
from latentlab.params import analyses
from latentlab.training import plan


def main() -> None:
    """Writes the plans of all analyses of all variants under all recipes, and of the baselines."""
    project, settings = stages.read_params(), analyses.load()
    evaluation.check(settings.settings)
    for path, content in plan.of_analyses(project, settings):
        plan.write(content, path)


if __name__ == "__main__":
    stages.start(main, pinned=False)
