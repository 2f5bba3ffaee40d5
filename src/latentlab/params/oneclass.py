"""All of analyses/oneclass/params.yaml: one autoencoder for each class."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from latentlab import paths
from latentlab.params.recipes import Training
from latentlab.params.strict import Count, Section, Seed, checked, read_yaml
from latentlab.params.variants import Variant


class OneClass(Section):
    """What is trained on one class, and how; `num_components` of the PCA beside it, `neighbours` as of the anomalies."""

    seeds: Annotated[list[Seed], Field(min_length=1)]
    neighbours: Count
    variant: Variant
    training: Training
    num_components: Count


class _File(Section):
    oneclass: OneClass


def load(root: Path = Path()) -> OneClass:
    """Reads and checks analyses/oneclass/params.yaml.

    Raises:
        ParamsError: It is missing, is no YAML, or something in it is wrong.
    """
    path = root / paths.ONECLASS_PARAMS
    return checked(_File, read_yaml(path), path).oneclass
