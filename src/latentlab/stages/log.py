"""What a run's own stages do where they run here: `latentlab repro --cluster` logs it when they have ended elsewhere."""

from latentlab import paths, stages
from latentlab.comparison import results
from latentlab.params.project import load
from latentlab.tracking import describe, replicates, runs, store


def main(*names: str) -> None:
    """Logs the run of that variant, data set, recipe and seed from its files; without names the means of all runs."""
    project, experiment_id = load(), store.open_store(paths.project_root())
    if names:
        runs.log_run(experiment_id, describe.outputs(project, paths.Run.of(*names)))
    elif experiment_id:
        for dataset in project.run.datasets:
            found = results.read(project, dataset, homes=tuple(paths.HOMES))
            replicates.log_parents(experiment_id, found.fingerprints)


if __name__ == "__main__":
    stages.start(main)
