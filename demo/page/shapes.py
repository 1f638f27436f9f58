"""The shapes that products are drawn from: one a category, on 120 x 120, in the classes of colour of `drawings`.

Classes fill: a the maker's colour, b its shade, c its tint, x the accent, y flame, k ink, m metal, n bright metal, w
paper. Those with an s before them draw a line of that colour: sa, sb, sc, sx, sk, sm, sw.
"""

from collections.abc import Iterator

__all__ = ["SHAPES"]


def _keys() -> Iterator[str]:
    """Three rows of a keyboard, and its space bar."""
    for row in range(3):
        for column in range(8 - row % 2):
            kind = "x" if (row, column) == (0, 7) else "c" if (row + column) % 5 == 0 else "a"
            x, y = 14.5 + 11.6 * column + 5.8 * (row % 2), 42 + 11 * row
            yield f'<rect class="{kind}" x="{x:g}" y="{y}" width="9" height="8.4" rx="2"/>'
    yield '<rect class="a" x="34" y="75" width="52" height="7" rx="2.5"/>'


def _books() -> Iterator[str]:
    """Three shelves of books."""
    kinds = "acxwbmacwxabcm"
    for shelf in range(3):
        x, top = 30.0, 20 + 29 * shelf
        for number in range(7 - shelf % 2):
            kind, tall = kinds[(number * 3 + shelf * 5) % len(kinds)], 15 + (number * 7 + shelf * 3) % 8
            yield f'<rect class="{kind}" x="{x:g}" y="{top + 24 - tall}" width="7" height="{tall}" rx="1.2"/>'
            x += 8.6


SHAPES: dict[str, str] = {
    "phone": """<rect class="k" x="37" y="12" width="46" height="96" rx="10"/><rect class="a" x="41" y="17" width="38"
 height="86" rx="6"/><path class="c" d="M41 74 79 42v55a6 6 0 0 1-6 6H47a6 6 0 0 1-6-6z"/><rect class="k" x="52"
 y="21" width="16" height="4" rx="2"/><circle class="x" cx="60" cy="54" r="9"/>""",
    "phone case": """<rect class="a" x="35" y="12" width="50" height="96" rx="13"/><path class="c" d="M35 82 85
 58v13L35 95z"/><path class="x" d="M36 101 85 77v9l-38 22c-5 0-9-2-11-7z"/><rect class="b" x="42" y="19" width="25"
 height="25" rx="8"/><circle class="k" cx="49.5" cy="26.5" r="4"/><circle class="k" cx="59.5" cy="26.5" r="4"/><circle
 class="k" cx="49.5" cy="36.5" r="4"/><circle class="w" cx="59.5" cy="36.5" r="2"/>""",
    "headphones": """<path class="sk" stroke-width="7" d="M26 72V60a34 34 0 0 1 68 0v12"/><path class="sx"
 stroke-width="3" d="M39 33a34 34 0 0 1 42 0"/><rect class="a" x="15" y="64" width="22" height="38" rx="10"/><rect
 class="b" x="31" y="62" width="11" height="42" rx="5.5"/><rect class="a" x="83" y="64" width="22" height="38"
 rx="10"/><rect class="b" x="78" y="62" width="11" height="42" rx="5.5"/><rect class="c" x="20" y="72" width="5"
 height="22" rx="2.5"/><rect class="c" x="95" y="72" width="5" height="22" rx="2.5"/>""",
    "laptop": """<rect class="k" x="23" y="24" width="74" height="56" rx="7"/><rect class="a" x="28" y="29" width="64"
 height="46" rx="3"/><path class="c" d="M28 75V60l24-18 18 16 12-9 10 7v19z"/><circle class="x" cx="78" cy="41"
 r="5.5"/><path class="m" d="M10 82h100l-5 10a5 5 0 0 1-4 2H19a5 5 0 0 1-4-2z"/><rect class="n" x="47" y="82"
 width="26" height="4" rx="2"/>""",
    "laptop bag": """<path class="sk" stroke-width="5" d="M44 42V32a8 8 0 0 1 8-8h16a8 8 0 0 1 8 8v10"/><rect
 class="a" x="15" y="38" width="90" height="64" rx="11"/><path class="b" d="M15 49a11 11 0 0 1 11-11h68a11 11 0 0 1 11
 11v16H15z" /><rect class="x" x="29" y="58" width="13" height="15" rx="3"/><rect class="x" x="78" y="58" width="13"
 height="15" rx="3"/><path class="sc" stroke-width="2" stroke-dasharray="4 4" d="M25 93h70"/>""",
    "monitor": """<rect class="k" x="11" y="18" width="98" height="66" rx="7"/><rect class="a" x="16" y="23"
 width="88" height="56" rx="3"/><path class="c" d="M16 79V62l27-17 22 19 20-15 19 13v17z"/><circle class="x" cx="85"
 cy="38" r="7"/><path class="m" d="M52 84h16v12H52z"/><rect class="m" x="36" y="95" width="48" height="8" rx="4"/>""",
    "keyboard": f"""<rect class="k" x="8" y="36" width="104" height="52" rx="9"/>{"".join(_keys())}""",
    "camera": """<path class="k" d="M42 36l7-13h22l7 13z"/><rect class="a" x="13" y="33" width="94" height="66"
 rx="12"/><path class="b" d="M13 45a12 12 0 0 1 12-12h70a12 12 0 0 1 12 12v6H13z"/><circle class="k" cx="60" cy="70"
 r="25"/><circle class="m" cx="60" cy="70" r="19.5"/><circle class="k" cx="60" cy="70" r="14"/><circle class="c"
 cx="55" cy="65" r="4.5"/><circle class="x" cx="94" cy="43" r="4.5"/><rect class="k" x="22" y="26" width="16"
 height="8" rx="3"/>""",
    "lens": """<rect class="k" x="30" y="18" width="60" height="82" rx="9"/><rect class="a" x="23" y="30" width="74"
 height="26" rx="6"/><path class="sb" stroke-width="3" d="M32 36v14M42 36v14M52 36v14M62 36v14M72 36v14M82 36v14M90
 36v14"/><rect class="x" x="30" y="63" width="60" height="5"/><path class="sm" stroke-width="2" d="M38 78h8M52
 78h16M74 78h8"/><rect class="m" x="35" y="96" width="50" height="11" rx="4"/><ellipse class="c" cx="60" cy="20"
 rx="22" ry="5"/>""",
    "tripod": """<path class="sk" stroke-width="6" d="M60 46 33 107M60 46l27 61M60 46v59"/><path class="sm"
 stroke-width="4" d="M43 84h34"/><rect class="a" x="43" y="15" width="34" height="20" rx="6"/><rect class="c" x="49"
 y="20" width="16" height="4" rx="2"/><rect class="b" x="53" y="33" width="14" height="19" rx="4"/><circle class="x"
 cx="60" cy="55" r="6"/>""",
    "trail shoe": """<path class="a" d="M13 80c0-14 3-36 8-44 8 7 19 7 26 0l28 27c10 6 31 4 33 19v5H13z"/><path
 class="b" d="M47 36l28 27-11 7-27-27c4-1 7-3 10-7z"/><path class="x" d="M13 71c20 0 38 4 52 16H13z"/><path class="sw"
 stroke-width="3.5" d="M54 50l-9 8M62 58l-9 8M70 65l-9 8"/><path class="k" d="M10 86h99v5c0 5-3 8-8 8H20c-6
 0-10-4-10-9z"/><path class="k" d="M20 98h9v6h-9zM38 98h9v6h-9zM56 98h9v6h-9zM74 98h9v6h-9z"/>""",
    "running sock": """<path class="a" d="M44 14h36v48c0 9-2 13-9 19l-22 20a15 15 0 0 1-22-20l17-20z"/><path class="x"
 d="M80 54c0 16-4 21-16 26-3-14 4-24 16-26z"/><path class="c" d="M27 81a15 15 0 0 0 22 20l8-7-21-23z"/><rect class="b"
 x="41" y="11" width="42" height="15" rx="5"/><path class="sc" stroke-width="3" d="M44 35h36M44 43h36"/>""",
    "rain jacket": """<path class="a" d="M46 22 22 35 7 84l17 6 8-22v39h56V68l8 22 17-6-15-49-24-13z"/><path class="b"
 d="M44 23l6-9h20l6 9a16 17 0 0 1-32 0z"/><path class="sc" stroke-width="3" d="M60 41v66"/><path class="b" d="M38
 73h15v5H38zM67 73h15v5H67z"/><path class="x" d="M32 98h56v9H32zM9 78l16 6-2 6-16-6zM111 78l-16 6 2 6 16-6z"/>""",
    "backpack": """<path class="sk" stroke-width="5" d="M47 28v-6a13 13 0 0 1 26 0v6"/><rect class="b" x="17" y="58"
 width="18" height="40" rx="9"/><rect class="b" x="85" y="58" width="18" height="40" rx="9"/><rect class="a" x="27"
 y="24" width="66" height="85" rx="21"/><path class="b" d="M27 47c6-30 60-30 66 0v9c-16 6-50 6-66 0z"/><rect class="c"
 x="37" y="69" width="46" height="31" rx="9"/><rect class="x" x="54" y="52" width="12" height="22" rx="4"/><path
 class="sb" stroke-width="2.5" d="M43 82h34"/>""",
    "tent": """<path class="a" d="M60 24 6 98h108z"/><path class="b" d="M60 24l54 74H80z"/><path class="k" d="M60 45
 39 98h42z"/><path class="c" d="M60 45 39 98h14z"/><path class="sk" stroke-width="3" d="M60 26V10"/><path class="x"
 d="M61 9l17 6-17 6z"/><path class="sm" stroke-width="4" d="M4 99h112"/>""",
    "sleeping bag": """<path class="a" d="M39 22c2-12 40-12 42 0 14 12 11 42 6 81-1 8-53 8-54 0-5-39-8-69
 6-81z"/><ellipse class="k" cx="60" cy="34" rx="16" ry="13"/><ellipse class="c" cx="60" cy="37" rx="11" ry="8"/><path
 class="sb" stroke-width="3" d="M33 62c16 5 38 5 54 0M33 77c16 5 38 5 54 0M34 92c16 5 36 5 52 0"/><path class="sx"
 stroke-width="3.5" d="M60 48v59"/>""",
    "stove": """<path class="y" d="M60 8c10 11 16 17 16 26a16 16 0 0 1-32 0c0-9 9-13 16-26z"/><path class="c" d="M60
 26c5 5 8 9 8 13a8 8 0 0 1-16 0c0-5 5-7 8-13z"/><path class="sk" stroke-width="5" d="M40 57 30 45M80 57l10-12"/><rect
 class="k" x="32" y="53" width="56" height="8" rx="4"/><rect class="m" x="53" y="61" width="14" height="12"/><rect
 class="a" x="37" y="71" width="46" height="38" rx="10"/><rect class="b" x="37" y="83" width="46" height="13"/><circle
 class="c" cx="60" cy="89.5" r="4"/>""",
    "knife": """<g transform="rotate(42 60 60)"><path class="m" d="M50 2c18 12 21 38 17 64H50z"/><path class="n"
 d="M50 2c4 22 5 44 3 64h-3z"/><rect class="k" x="46" y="64" width="26" height="7" rx="3"/><path class="a" d="M49
 71h20v34a10 10 0 0 1-20 0z"/><path class="b" d="M62 71h7v34a10 10 0 0 1-7 9z"/><circle class="x" cx="57" cy="82"
 r="3"/><circle class="x" cx="57" cy="98" r="3"/></g>""",
    "pan": """<path class="sk" stroke-width="12" d="M76 78l29 29"/><path class="sx" stroke-width="4" d="M92 94l11
 11"/><circle class="k" cx="50" cy="52" r="42"/><circle class="a" cx="50" cy="52" r="35"/><circle class="b" cx="50"
 cy="52" r="28"/><path class="w" d="M36 42c8-12 24-8 30 0s6 24-6 26-12-4-20-2-12-14-4-24z"/><circle class="y" cx="50"
 cy="52" r="7.5"/>""",
    "coffee grinder": """<path class="sm" stroke-width="5" d="M60 34V22h34"/><circle class="x" cx="96" cy="19"
 r="7"/><path class="c" d="M36 46a24 20 0 0 1 48 0z"/><rect class="m" x="31" y="45" width="58" height="9"
 rx="4"/><rect class="a" x="36" y="54" width="48" height="44" rx="4"/><rect class="b" x="44" y="70" width="32"
 height="19" rx="4"/><circle class="x" cx="60" cy="79.5" r="3.5"/><rect class="k" x="28" y="97" width="64" height="11"
 rx="5"/>""",
    "espresso machine": """<rect class="a" x="20" y="14" width="80" height="94" rx="11"/><rect class="k" x="30" y="48"
 width="60" height="46" rx="5"/><rect class="m" x="44" y="44" width="32" height="13" rx="4"/><path class="sm"
 stroke-width="5" d="M76 51h22"/><path class="sx" stroke-width="2.5" d="M55 58v13M65 58v13"/><path class="w" d="M47
 71h26v8c0 7-4 11-10 11h-6c-6 0-10-4-10-11z"/><path class="b" d="M20 94h80v4c0 6-4 10-10 10H30c-6
 0-10-4-10-10z"/><circle class="x" cx="36" cy="31" r="7"/><circle class="b" cx="55" cy="31" r="5"/><rect class="c"
 x="69" y="25" width="21" height="11" rx="3"/>""",
    "desk lamp": """<path class="y" opacity=".35" d="M61 53 103 44l14 52H56z"/><path class="sk" stroke-width="6"
 d="M42 101 30 62 64 36"/><path class="a" d="M53 32c4-14 24-22 36-14 8 5 14 16 16 27L59 57c-6-8-9-17-6-25z"/><path
 class="b" d="M59 57l46-12c1 6-3 9-9 11l-22 6c-7 2-12 0-15-5z"/><circle class="k" cx="30" cy="62" r="7"/><circle
 class="c" cx="30" cy="62" r="3"/><rect class="k" x="18" y="99" width="50" height="9" rx="4.5"/>""",
    "office chair": """<path class="sk" stroke-width="5" d="M26 68V50M94 68V50M26 50h8M94 50h-8"/><rect class="a"
 x="33" y="10" width="54" height="55" rx="14"/><rect class="c" x="43" y="22" width="34" height="6" rx="3"/><rect
 class="b" x="43" y="34" width="34" height="6" rx="3"/><rect class="b" x="25" y="66" width="70" height="15"
 rx="7.5"/><rect class="x" x="25" y="72" width="70" height="4"/><rect class="m" x="56" y="81" width="8"
 height="15"/><path class="sk" stroke-width="5" d="M60 94 30 102M60 94l30 8M60 94v10"/><circle class="k" cx="29"
 cy="106" r="4.5"/><circle class="k" cx="60" cy="108" r="4.5"/><circle class="k" cx="91" cy="106" r="4.5"/>""",
    "bookshelf": f"""<rect class="b" x="19" y="10" width="82" height="98" rx="5"/><path class="k" d="M26
 17h68v27H26zM26 46h68v27H26zM26 75h68v27H26z"/>{"".join(_books())}<path class="a" d="M19 44h82v4H19zM19
 73h82v4H19zM19 102h82v4H19z"/><circle class="x" cx="86" cy="38" r="6"/>""",
}
