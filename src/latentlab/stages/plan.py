"""Stage `plan`: checks all of params.yaml, and writes what is to be trained, row by row and recipe by recipe."""

import sys

from latentlab import plans, stages
from latentlab.layout import Run


def main() -> None:
    """Writes the plans of all rows under all recipes that they have, also of those that are not asked for now."""
    study = stages.read_params()
    for recipe, settings in study.training.items():
        for name in (name for name, row in study.variants.items() if row.training in settings):
            plans.write(plans.make(study, name, recipe), Run(name, recipe, 0).plan)


if __name__ == "__main__":
    stages.start(main, sys.argv[1:])
