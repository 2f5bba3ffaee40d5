"""All of analyses/oneclass/params.yaml: one autoencoder for each class."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from latentlab import paths
from latentlab.params.recipes import Training
from latentlab.params.strict import Count, ParamsError, Section, Seed, explain, read_yaml
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
    try:
        return _File.model_validate(read_yaml(path)).oneclass
    except ValidationError as error:
        raise ParamsError(explain(error, str(path))) from None
