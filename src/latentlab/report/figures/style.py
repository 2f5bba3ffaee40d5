"""How figures look, and how they are written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

Layout = Literal["constrained", "compressed"]

mpl.rcParams.update(
    {
        "figure.dpi": 120,
        "font.size": 9,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#E0E0E0",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "legend.frameon": False,
    }
)


def side_by_side(
    width: float, height: float, columns: int = 1, *, sharey: bool = False, layout: Layout = "constrained"
) -> tuple[Figure, list[Axes]]:
    """A figure of that size in inches, and its panels, which stand side by side."""
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, list(figure.subplots(1, columns, squeeze=False, sharey=sharey)[0])


def logarithmic_y(panel: Axes) -> None:
    """Ticks at 1, 2 and 5 times powers of ten where that gives enough of them, written as plain numbers.

    Where something is drawn at 0, which has no logarithm and would not be seen, the axis stays linear.
    """
    if panel.dataLim.y0 <= 0:
        return
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    plain_numbers(panel.yaxis, (1, 2, 5) if high / low > 4 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))


def logarithmic_x(panel: Axes) -> str:
    """The same for the other axis, at 1, 2 and 5 times powers of ten; what it has become: "logarithmic" or "linear"."""
    if panel.dataLim.x0 <= 0:
        return "linear"
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    plain_numbers(panel.xaxis, (1, 2, 5) if high / low < 200 else (1,))
    return "logarithmic"


def plain_numbers(axis: Axis, steps: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at these multiples of powers of ten."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.set_minor_locator(mpl.ticker.NullLocator())


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
