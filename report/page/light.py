"""Pictures of Matplotlib as the page holds them: half their size, and alike to the eye."""

import re
from pathlib import Path
from urllib.parse import quote

UNQUOTED = " '/:;,=()*!?@$+"
DRAWN = re.compile(r'\b(d|x|y|points|transform)="([^"]*)"')  # attributes that hold coordinates
NUMBER = re.compile(r"-?\d+\.\d{3,}")
SCALE = re.compile(r"(?:scale|matrix)\([^)]*\)")  # small factors, which stay exact
IDS = re.compile(r'(?<=\bid=")[^"]+')
STYLED = re.compile(r'(?:<use [^>]*? style="([^"]*)"/>\s*)(?:<use [^>]*? style="\1"/>\s*)+')  # dots of one kind


def data_uri(path: Path) -> str:
    """Return an SVG file as a URI that holds its content, for an attribute in double quotes.

    All but UNQUOTED is percent-encoded, which is shorter than base64 here, and has no marks of HTML.
    """
    svg = lightened(path.read_text(encoding="utf-8")).replace("'", "&apos;").replace('"', "'")
    return f"data:image/svg+xml,{quote(svg, safe=UNQUOTED)}"


def lightened(svg: str) -> str:
    """Return an SVG of Matplotlib without what a page does not need.

    Metadata and line breaks go, coordinates have two decimals, names that nothing refers to go and others are short,
    and dots that look alike say so once.

    >>> lightened('<g id="a"><path id="b" d="M 1.23456 2 "/><use xlink:href="#b" x="0.5"/></g>')
    '<g><path id="i0" d="M1.23 2"/><use xlink:href="#i0" x="0.5"/></g>'
    """
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<\?xml.*?\?>|<!DOCTYPE.*?>", "", svg, flags=re.DOTALL)
    svg = DRAWN.sub(lambda match: f'{match[1]}="{_rounded(match[2])}"', svg)
    svg = STYLED.sub(_said_once, svg)
    svg = re.sub(r">\s+<", "><", svg).strip()
    names = {name: f"i{i}" for i, name in enumerate(name for name in IDS.findall(svg) if f"#{name}" in svg)}
    svg = IDS.sub(lambda match: names.get(match[0], ""), svg).replace(' id=""', "")
    return re.sub(r"#([\w-]+)", lambda match: f"#{names.get(match[1], match[1])}", svg)


def _said_once(match: re.Match) -> str:
    style = f' style="{match[1]}"'
    return f"<g{style}>{match[0].replace(style, '')}</g>"


def _rounded(text: str) -> str:
    """Return coordinates with two decimals; factors of a scale are kept."""
    kept = SCALE.search(text)
    if kept:
        return f"{_rounded(text[: kept.start()])}{kept[0]}{_rounded(text[kept.end() :])}"
    text = NUMBER.sub(lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), text)
    return re.sub(r"(?<=[A-Za-z])\s+|\s+(?=[A-Za-z])|\s+$", "", re.sub(r"\s+", " ", text))
