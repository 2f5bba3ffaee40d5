"""What a run's own stages do where they run here: `latentlab repro --cluster` logs it when they have ended elsewhere."""

from latentlab import paths, stages
from latentlab.commands.runs import sync
from latentlab.params.project import load
from latentlab.tracking import describe, runs, store


def main(*names: str) -> None:
    """Logs the run of that variant, data set, recipe and seed from its files; without names all runs, and their means."""
    if not names:
        sync([], quiet=True)
        return
    run = paths.Run.of(*names)
    runs.log_run(store.open_store(paths.project_root()), describe.outputs(load(), run))


if __name__ == "__main__":
    stages.start(main)
