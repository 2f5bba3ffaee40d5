"""All of analyses/params.yaml: what is measured of a trained run beyond the core evaluation."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from latentlab import paths
from latentlab.params.strict import Name, Section, checked, choices, read_yaml

# what is measured of no run: of raw pixels, a classical denoiser and image formats
ALWAYS = ("denoising", "few_labels", "geometry", "anomalies", "codecs")


class Analyses(Section):
    """The analyses.

    `names` are those that are made of each run, `baseline_names` those of them that are made of the baselines too, and
    `more_variants` are trained for the analyses alone. The settings of an analysis are checked by its own module,
    `latentlab.evaluation.NAME`.
    """

    names: Annotated[list[Name], Field(min_length=1)]
    more_variants: Annotated[list[Name], Field(min_length=1)]
    baseline_names: list[Name]
    settings: dict[Name, dict[str, Any]]

    @model_validator(mode="after")
    def _have_settings(self) -> Self:
        faults = [
            f"settings: {name} is missing, and is made of every data set" for name in ALWAYS if name not in self.settings
        ]
        faults += [
            f"{key}: {name!r} is not in settings: {choices(self.settings)}"
            for key in ("names", "baseline_names")
            for name in getattr(self, key)
            if name not in self.settings
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self


class _File(Section):
    analyses: Analyses


def load(root: Path = Path()) -> Analyses:
    """Reads and checks analyses/params.yaml.

    Raises:
        ParamsError: It is missing, is no YAML, or something in it is wrong.
    """
    path = root / paths.ANALYSES_PARAMS
    return checked(_File, read_yaml(path), path).analyses
