"""Pictures of products, drawn from their attributes: the shape is the category's, the colours are the maker's.

They are SVG of our own, so that the page needs no pictures from elsewhere. In dark surroundings a browser picks other
shades by itself.
"""

from functools import lru_cache

from demo.page.shapes import SHAPES

__all__ = ["COLOURS", "FORMS", "drawing"]

FORMS = 3  # accents that a maker uses
COLOURS = (
    *("#c4573f", "#d5863c", "#c8a032", "#83983f", "#44895e", "#328a87", "#3d7dac", "#4d63b0", "#7359a8", "#a05389"),
    *("#bf5069", "#66737f"),
)
_ACCENTS = ("#f0b54a", "#57b8ae", "#e98168", "#8fb3e0", "#d8c25a")
_PARCEL = """<rect class="a" x="20" y="34" width="80" height="68" rx="6"/><path class="b" d="M20 34l12-16h56l12 16z"/>
<path class="x" d="M52 18h16v38l-8-6-8 6z"/>"""
_FIXED = {"m": "#9aa3ac", "n": "#cbd1d7", "w": "#fbfaf7", "y": "#f3b23e"}
_STROKES = "[class^=s]{fill:none;stroke-linecap:round;stroke-linejoin:round}"
_WHITE, _BLACK = (255, 255, 255), (20, 22, 28)


@lru_cache(maxsize=1024)
def drawing(category: str, brand: int, form: int = 0) -> bytes:
    """The picture as SVG; a parcel for a category that has no shape.

    brand: which of COLOURS, in turn; form: 0..FORMS - 1, which accent.
    """
    own = _rgb(COLOURS[brand % len(COLOURS)])
    accent = _rgb(_ACCENTS[(2 * brand + form) % len(_ACCENTS)])
    light = {"a": own, "b": _mixed(own, _BLACK, 0.3), "c": _mixed(own, _WHITE, 0.66), "x": accent, "k": (45, 50, 57)}
    dark = light | {"a": _mixed(own, _WHITE, 0.14), "b": _mixed(own, _BLACK, 0.2), "k": (8, 10, 13)}
    style = f"{_sheet(light)}{_fixed()}{_STROKES}@media(prefers-color-scheme:dark){{{_sheet(dark)}}}"
    shape = " ".join(SHAPES.get(category, _PARCEL).split())
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120">'
    return f"{head}<style>{style}</style>{shape}</svg>".encode()


_Rgb = tuple[int, int, int]


def _rgb(colour: str) -> _Rgb:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _mixed(one: _Rgb, other: _Rgb, share: float) -> _Rgb:
    """`share` of the other in the one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _sheet(colours: dict[str, _Rgb]) -> str:
    return "".join(_rule(name, "#{:02x}{:02x}{:02x}".format(*colour)) for name, colour in colours.items())


def _fixed() -> str:
    return "".join(_rule(name, colour) for name, colour in _FIXED.items())


def _rule(name: str, colour: str) -> str:
    return f".{name}{{fill:{colour}}}.s{name}{{stroke:{colour}}}"
