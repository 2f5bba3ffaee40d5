"""Stage `plan_frontier`: checks analyses/frontier/params.yaml, and writes what is to be measured of each variant."""

from latentlab import evaluation, paths, stages
from latentlab.params import analyses, frontier
from latentlab.params.strict import ParamsError, choices
from latentlab.training import plan


def main() -> None:
    """Writes a plan for each variant and analysis.

    Raises:
        ParamsError: Something in the parameters is wrong, or a variant has no training under a recipe.
    """
    project, settings, measured = stages.read_params(), frontier.load(), analyses.load()
    where = f"{paths.FRONTIER_PARAMS}: frontier"
    evaluation.check(measured.settings)
    for name in settings.analyses:
        if name not in measured.settings:
            known = choices(measured.settings)
            raise ParamsError(f"{where}.analyses: {name!r} is not in the settings of {paths.ANALYSES_PARAMS}: {known}")
    for name in settings.variants:
        training = project.variant(name).training
        if missing := [recipe for recipe in settings.recipes if training not in project.recipes[recipe]]:
            raise ParamsError(f"{where}.variants: {name}: its training {training!r} is not in recipes.{missing[0]}")
    for path, content in plan.of_frontier(project, settings, measured):
        plan.write(content, path)


if __name__ == "__main__":
    stages.start(main, pinned=False)
