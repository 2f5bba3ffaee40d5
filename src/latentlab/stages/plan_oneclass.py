"""Stage `plan_oneclass`: checks analyses/oneclass/params.yaml, and writes what is to be trained for each data set."""

from latentlab import paths, stages
from latentlab.models import check
from latentlab.params import oneclass
from latentlab.training import plan


def main() -> None:
    """Writes a plan for each selected data set.

    Raises:
        ParamsError: Something in the parameters is wrong, or the variant does not fit the images.
    """
    project, settings = stages.read_params(), oneclass.load()
    check.check({"oneclass": settings.variant}, {name: project.datasets[name].shape for name in project.run.datasets})
    for name in project.run.datasets:
        plan.write(plan.of_oneclass(project, settings, name), paths.oneclass("plans", f"{name}.json"))


if __name__ == "__main__":
    stages.start(main, pinned=False)
