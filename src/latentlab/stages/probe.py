"""Stage `probe@run`: what do the codes know about the classes?"""

from latentlab import paths, stages
from latentlab.stages.analyse import measure


def main(*names: str) -> None:
    """Probes the codes of the run of that variant, data set, recipe and seed."""
    run = paths.Run.of(*names)
    measure(run, "probes", run.plan("probe"), run.probes, None)


if __name__ == "__main__":
    stages.start(main)
