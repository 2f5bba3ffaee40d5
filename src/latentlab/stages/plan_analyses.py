"""Stage `plan_analyses`: checks analyses/params.yaml, and writes what each analysis is to measure."""

from latentlab import evaluation, paths, stages
from latentlab.params import analyses
from latentlab.params.strict import ParamsError
from latentlab.training import plan


def main() -> None:
    """Writes the plans of all analyses of all variants under all recipes, and of the baselines.

    Raises:
        ParamsError: Something in the parameters is wrong, or a variant would be trained in two homes.
    """
    project, settings = stages.read_params(), analyses.load()
    if both := [name for name in settings.more_variants if name in project.run.variants]:
        raise ParamsError(
            f"{paths.ANALYSES_PARAMS}: analyses.more_variants: {', '.join(both)}: stands in run.variants of params.yaml, "
            "too, and would be trained in two homes: take it out of one of the two lists"
        )
    evaluation.check(settings.settings)
    for path, content in plan.of_analyses(project, settings):
        plan.write(content, path)


if __name__ == "__main__":
    stages.start(main, pinned=False)
