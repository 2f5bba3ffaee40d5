"""Stage `plan`: checks all of params.yaml, and writes what each stage of each run and baseline is to do."""

from latentlab import stages
from latentlab.training import plan


def main() -> None:
    """Writes the plans of all variants under all recipes, also of those that are not selected now."""
    for path, content in plan.of_project(stages.read_params()):
        plan.write(content, path)


if __name__ == "__main__":
    stages.start(main, pinned=False)
