"""A variant has one colour and one shape, the same in every figure and chart."""

from dataclasses import dataclass
from typing import Any

from latentlab.params.project import Params

# Paul Tol's "bright" scheme and black, told apart by colour-blind eyes too (personal.sron.nl/~pault)
PALETTE = ("#000000", "#EE6677", "#4477AA", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999")
# by their names in Vega: matplotlib's marker, and how a line of that shape is drawn
SHAPES: dict[str, tuple[str, Any]] = {
    "circle": ("o", "-"), "square": ("s", "--"), "triangle-up": ("^", ":"), "diamond": ("D", "-."),
    "triangle-down": ("v", (0, (5, 1))), "cross": ("P", (0, (3, 1, 1, 1))),
    "triangle-left": ("<", (0, (1, 3))), "triangle-right": (">", (0, (8, 3))),
}  # fmt: skip


@dataclass(frozen=True)
class Style:
    """How a variant is drawn."""

    colour: str
    marker: str

    @property
    def look(self) -> dict[str, Any]:
        """The same as arguments of matplotlib."""
        return {"color": self.colour, "marker": SHAPES[self.marker][0]}


def source_styles(project: Params) -> dict[str, Style]:
    """A style for each source, in the order of params.yaml."""
    return {
        name: Style(PALETTE[1:][index % (len(PALETTE) - 1)], list(SHAPES)[index % len(SHAPES)])
        for index, name in enumerate(project.sources)
    }


def styles(project: Params) -> dict[str, Style]:
    """A style for each variant, no two alike, and no two variants of one comparison in the same colour.

    The colours are dealt in the order of params.yaml. Each variant gets the least used one that no variant it is compared
    with has; so a new variant at the end changes no other one's colour.
    """
    made: dict[str, Style] = {}
    for name in project.variants:
        compared = {other for each in project.comparisons.values() if name in each.variants for other in each.variants}
        taken = {made[other].colour for other in compared if other in made}
        counts = {colour: sum(style.colour == colour for style in made.values()) for colour in PALETTE}
        free = [colour for colour in PALETTE if colour not in taken] or list(PALETTE)
        colour = min(free, key=lambda candidate: counts[candidate])
        made[name] = Style(colour, list(SHAPES)[counts[colour] % len(SHAPES)])
    return made
