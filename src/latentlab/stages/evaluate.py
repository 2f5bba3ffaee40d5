"""Stage `evaluate@run`: how close are the reconstructions, how small is the code, and what does it cost?"""

from latentlab import paths, stages
from latentlab.files import write_text
from latentlab.stages.analyse import measure


def main(*names: str) -> None:
    """Evaluates the run of that variant, data set, recipe and seed."""
    run = paths.Run.of(*names)
    run.folder.mkdir(parents=True, exist_ok=True)
    write_text(run.curve.read_text(encoding="utf-8"), run.shown_curve)
    measure(run, "reconstruction", run.plan("evaluate"), run.metrics, run.reconstructions)


if __name__ == "__main__":
    stages.start(main)
