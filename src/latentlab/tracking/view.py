"""What MLflow's pages show first: a table of all runs with the numbers by which people compare, grouped by variant.

MLflow keeps what its button "Share" makes in a tag of the experiment, and shows it to everybody who has the link.
"""

import json

NAME = "headline"
_TAG = f"mlflow.sharedViewState.{NAME}"
_METRICS = (
    "test/mse", "test/ssim", "probe/svm_rbf_accuracy", "size/latent_dim", "size/num_parameters", "size/num_macs",
)  # fmt: skip
_VIEW = {
    "searchFilter": "",
    "orderByKey": "metrics.`test/mse`",
    "orderByAsc": True,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": ["attributes.`Duration`", "params.`family`", *(f"metrics.`{each}`" for each in _METRICS)],
    "groupBy": {
        "aggregateFunction": "average",
        "groupByKeys": [{"mode": "tag", "groupByData": each} for each in ("dataset", "recipe", "variant")],
    },
    "runsHiddenMode": "SHOW_ALL",
}
# the second makes MLflow show the pages for models that are trained, not those for language models
TAGS = {_TAG: json.dumps(_VIEW), "mlflow.experimentKind": "custom_model_development"}


def link(server: str, experiment_id: str) -> str:
    """The address of the table on a server."""
    query = f"workflowType=machine_learning&viewStateShareKey={NAME}"
    return f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?{query}"
