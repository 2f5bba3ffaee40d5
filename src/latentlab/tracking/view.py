"""What MLflow's pages show first: the means of all variants, as table and charts, by the numbers that people compare.

MLflow keeps what its button "Share" makes in a tag of the experiment, and shows it to everybody who has the link.
"""

import json
from typing import Any

# under this name MLflow shows pictures of several runs side by side
PICTURE = "contact_sheet"
NAME = "headline"
_TAG = f"mlflow.sharedViewState.{NAME}"
_METRICS = (
    "test/mse", "test/mse_sd", "test/ssim", "probe/svm_rbf_accuracy", "size/latent_dim", "size/num_parameters",
    "size/num_macs",
)  # fmt: skip
_NUM_SHOWN = 100  # runs in a chart
_SECTION = "headline"


def _chart(kind: str, index: int, **settings: Any) -> dict[str, Any]:
    """A card of MLflow's page, with the keys that it asks for."""
    own = {"type": kind, "uuid": f"{_SECTION}-{index}", "metricSectionId": _SECTION, "runsCountToCompare": _NUM_SHOWN}
    return own | {"isGenerated": False, "deleted": False} | settings


def _scatter(index: int, metric: str) -> dict[str, Any]:
    axes = {"xaxis": {"type": "METRIC", "key": metric}, "yaxis": {"type": "METRIC", "key": "test/mse"}}
    return _chart("SCATTER", index, **axes)


_VIEW = {
    "searchFilter": "tags.seeds LIKE '%'",  # only the means have this tag
    "orderByKey": "metrics.`test/mse`",
    "orderByAsc": True,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "selectedColumns": ["attributes.`Duration`", "params.`family`", *(f"metrics.`{each}`" for each in _METRICS)],
    "groupBy": None,
    "runsHiddenMode": "SHOW_ALL",
    # both, or MLflow makes charts of its own in their place
    "compareRunCharts": [
        _scatter(0, "size/latent_dim"),
        _scatter(1, "size/num_parameters"),
        _chart(
            "PARALLEL", 2, selectedParams=["latent_dim", "num_parameters"], selectedMetrics=["test/mse"], showAllRuns=True
        ),
        _chart("IMAGE", 3, imageKeys=[PICTURE]),
    ],
    "compareRunSections": [
        {"uuid": _SECTION, "name": "how small, and at what cost", "display": True, "isReordered": True}
        | {"deleted": False, "isGenerated": False}
    ],
    "isAccordionReordered": True,
}
# the second makes MLflow show the pages for models that are trained, not those for language models
TAGS = {_TAG: json.dumps(_VIEW), "mlflow.experimentKind": "custom_model_development"}


def links(server: str, experiment_id: str) -> dict[str, str]:
    """The addresses of table and charts on a server."""
    page = f"{server.rstrip('/')}/#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    shared = f"&viewStateShareKey={NAME}"
    return {"table": f"{page}{shared}", "charts": f"{page}&compareRunsMode=CHART{shared}"}
