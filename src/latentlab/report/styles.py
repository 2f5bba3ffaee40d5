"""A variant has one colour and one shape, the same in every figure and chart."""

from dataclasses import dataclass

from latentlab.params.project import Params

# Paul Tol's "bright" scheme and black, told apart by colour-blind eyes too (personal.sron.nl/~pault)
PALETTE = ("#000000", "#EE6677", "#4477AA", "#228833", "#CCBB44", "#66CCEE", "#AA3377", "#999999")
# by their names in Vega
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-left", "triangle-right")


@dataclass(frozen=True)
class Style:
    """How a variant is drawn."""

    colour: str
    marker: str


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
        made[name] = Style(colour, SHAPES[counts[colour] % len(SHAPES)])
    return made
