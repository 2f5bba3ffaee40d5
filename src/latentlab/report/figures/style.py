"""How figures look, and how they are written."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

# how matplotlib calls the shapes
MARKERS = {
    "circle": "o", "square": "s", "triangle-up": "^", "diamond": "D",
    "triangle-down": "v", "cross": "P", "triangle-left": "<", "triangle-right": ">",
}  # fmt: skip

# and how a line of that shape is drawn
DASHES = {
    "circle": "-", "square": "--", "triangle-up": ":", "diamond": "-.",
    "triangle-down": (0, (5, 1)), "cross": (0, (3, 1, 1, 1)), "triangle-left": (0, (1, 3)), "triangle-right": (0, (8, 3)),
}  # fmt: skip

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


def logarithmic_y(panel: Axes) -> None:
    """Ticks at 1, 2 and 5 times powers of ten where that gives enough of them, written as plain numbers."""
    panel.set_yscale("log")
    low, high = panel.get_ylim()
    plain_numbers(panel.yaxis, (1, 2, 5) if high / low > 4 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))


def logarithmic_x(panel: Axes) -> None:
    """The same for the other axis, at 1, 2 and 5 times powers of ten."""
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    plain_numbers(panel.xaxis, (1, 2, 5) if high / low < 200 else (1,))


def plain_numbers(axis: Axis, steps: Sequence[float]) -> None:
    """Ticks of a logarithmic axis at these multiples of powers of ten."""
    axis.set_major_locator(mpl.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(mpl.ticker.FormatStrFormatter("%g"))
    axis.set_minor_locator(mpl.ticker.NullLocator())


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG, the same bytes each time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Software": None})
