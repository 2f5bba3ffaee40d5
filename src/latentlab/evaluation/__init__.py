"""One file per analysis of a model; pure functions of tensors."""

import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError, create_model

from latentlab import paths
from latentlab.params.strict import ParamsError, Section, choices, explain


def check(settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks `analyses.settings` of analyses/params.yaml, each analysis by its own module.

    Raises:
        ParamsError: There is no such analysis, or a setting is unknown, missing, of the wrong type or out of range.
    """
    modules = [module.name for module in pkgutil.iter_modules(__path__)]
    kinds = {name: getattr(import_module(f"{__name__}.{name}"), "Settings", None) for name in settings if name in modules}
    for name in settings:
        if not kinds.get(name):
            known = (each for each in modules if hasattr(import_module(f"{__name__}.{each}"), "Settings"))
            message = f"no such analysis: {choices(known)}"
            raise ParamsError(f"{paths.ANALYSES_PARAMS}: analyses.settings.{name}: {message}")
    # sections around them, so that a fault is found under its whole name
    inner = create_model("_Settings", __base__=Section, **{name: (kind, ...) for name, kind in kinds.items()})  # type: ignore[call-overload]
    analyses = create_model("_Analyses", __base__=Section, settings=(inner, ...))
    file = create_model("_File", __base__=Section, analyses=(analyses, ...))
    try:
        file.model_validate({"analyses": {"settings": settings}})
    except ValidationError as error:
        raise ParamsError(explain(error, str(paths.ANALYSES_PARAMS))) from None
