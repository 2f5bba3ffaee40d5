"""How do numbers of a table become lines, bars and legends? What the figures of the analyses share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentlab.params.project import Params
from latentlab.report.styles import SHAPES, styles

Array = np.ndarray

# of what is no variant: PCA, pixels
GREY = "#777777"
BLUE, RED, YELLOW = "#4477AA", "#EE6677", "#CCBB44"


def values_of(table: pd.DataFrame, variant: str, names: Sequence[str]) -> tuple[Array, Array]:
    """Means and spreads of a variant's numbers; NaN where there is none."""
    found = table[table["variant"] == variant].set_index("name").reindex(list(names))
    return found["mean"].to_numpy(float), found["sd"].to_numpy(float)


def column(table: pd.DataFrame, variants: Sequence[str], name: str) -> tuple[Array, Array]:
    """Means and spreads of one number for all variants; NaN where a variant has none."""
    found = table[table["name"] == name].set_index("variant").reindex(list(variants))
    return found["mean"].to_numpy(float), found["sd"].to_numpy(float)


def first_keys(table: pd.DataFrame) -> list[str]:
    """What the names in a table begin with, as numbers ascending: noise levels, bit depths."""
    return sorted({name.split("/")[0] for name in table["name"]}, key=float)


def anomaly_kinds(table: pd.DataFrame) -> list[str]:
    """The kinds of anomaly that a table has AUROCs of, in its order, without their mean."""
    found = [name.split("/") for name in table["name"]]
    return list(dict.fromkeys(keys[0] for keys in found if len(keys) == 3 and keys[0] not in ("mean", "untrained")))


def looks(project: Params, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Arguments of `errorbar` by name, no two alike: baselines thin and grey, variants as everywhere."""
    drawn = styles(project)
    made: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(name for name in names if name not in drawn):
        dash, marker = ("-", "--", ":", "-.")[index % 4], "x+12"[index % 4]
        made[name] = {"color": GREY, "linestyle": dash, "marker": marker, "markersize": 6, "linewidth": 1}
    variants = {name: drawn[name] for name in names if name in drawn}
    colours = [style.colour for style in variants.values()]
    for name, style in variants.items():
        # two variants of one colour have different shapes, and so different dashes
        dash = SHAPES[style.marker][1] if colours.count(style.colour) > 1 else "-"
        made[name] = {**style.look, "linestyle": dash, "markersize": 4, "linewidth": 1.3, "capsize": 2}
    return made


def twin_bars(
    panel: Axes,
    names: Sequence[str],
    columns: Sequence[tuple[Array, Array]],
    colours: Sequence[str],
    labels: Sequence[str],
    start: float = 0,
) -> None:
    """Two bars for each name, from `start` to the mean; none where there is no number."""
    for aside, (means, spreads), colour, label in zip((-0.2, 0.2), columns, colours, labels, strict=True):
        places, bars = np.arange(len(names)) + aside, np.nan_to_num(means - start)
        panel.barh(places, bars, 0.38, left=start, color=colour, label=label)
        panel.errorbar(means, places, xerr=spreads, color="black", linestyle="none", elinewidth=0.8)
    list_names(panel, names)


def heat_map(
    panel: Axes,
    names: Sequence[str],
    columns: Sequence[str],
    values: Array,
    brightness: Array | None = None,
    form: str = "{:.2f}",
) -> None:
    """A table whose cells are coloured, what is better brighter.

    Args:
        panel: To draw on.
        names: Of the lines.
        columns: Their titles.
        values: (lines, columns), what is written; nothing where one is no number.
        brightness: (lines, columns), from 0 to 1; the values themselves if None. What is outside has the colour of the end.
        form: How a value is written, as of `str.format`.
    """
    brightness = values if brightness is None else brightness
    panel.imshow(brightness, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (row, place), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "black" if brightness[row, place] > 0.6 else "white"
            panel.text(place, row, form.format(value), ha="center", va="center", fontsize=7, color=colour)
    panel.set_xticks(range(len(columns)), columns)
    list_names(panel, names)
    panel.grid(visible=False)


def list_names(panel: Axes, names: Sequence[str]) -> None:
    """Names down the left side, the first on top, without empty space above and below."""
    panel.set_yticks(range(len(names)), list(names))
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(axis="y", visible=False)


def legend_beside(figure: Figure) -> None:
    """One column at the right with all that the only panel shows; the figure becomes as tall as that needs."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    found = dict(zip(labels, handles, strict=True))  # each label once
    figure.set_figheight(max(figure.get_figheight(), 0.4 + 0.15 * len(found)))
    figure.legend(list(found.values()), list(found), loc="outside right center", fontsize=7, labelspacing=0.3)


def legend_below(figure: Figure, columns: int = 5) -> None:
    """One legend for all panels, under them, where no curve is."""
    found: dict[str, Any] = {}
    for panel in figure.axes:
        handles, labels = panel.get_legend_handles_labels()
        found |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in found}
    figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns, fontsize=8)
