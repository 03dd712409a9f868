"""reStructuredText from what is written for the terminal: docstrings, sentences and tables."""

import re
from collections.abc import Iterable, Sequence


def plain(text: str) -> str:
    """Return a text with the marks of reStructuredText taken for what they are, but for code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([|*]|\w_(?!\w))", _escaped, part) for part in parts[::2]]
    return "`".join(parts)


def sentence(text: str) -> str:
    """Return a text as `plain`, and initials or a sign at its beginning as no mark of a list."""
    made = plain(text)
    return f"\\{made}" if re.match(r"(\(?\w+[.)]|[-+])\s", made) else made


def _escaped(found: re.Match[str]) -> str:
    text = found.group()
    return f"{text[:-1]}\\{text[-1]}"


def typeset(lines: Sequence[str]) -> list[str]:
    """Return the lines of a docstring, with indented formulas as they are and the rest plain."""
    made: list[str] = []
    in_formula = False
    for line in lines:
        indented = line.startswith("    ")
        if indented and not in_formula and made and not made[-1]:
            in_formula = True
            made += ["::", ""]
        elif line and not indented:
            in_formula = False
        # The mark of a list at the beginning of a line stays one.
        mark = re.match(r"\s*\* ", line)
        start = mark.group() if mark else ""
        rest = line.removeprefix(start)
        made.append(line if in_formula else start + plain(rest))
    return made


def table(rows: Iterable[Sequence[str]], *, widths: str = "", name: str = "") -> list[str]:
    """Return the lines of a table whose first row is the header.

    Parameters
    ----------
    rows
        Cells of reStructuredText; an empty line within one begins a paragraph.
    widths
        Parts of the columns, as in "30 70"; by default by their content.
    name
        A class for the style sheet.
    """
    lines = [".. list-table::", "   :header-rows: 1", "   :align: left"]
    lines += [f"   :widths: {widths}"] if widths else []
    lines += [f"   :class: {name}"] if name else []
    lines.append("")
    for row in rows:
        for k, cell in enumerate(row):
            first, *others = cell.split("\n")
            lines.append(f"   {'*' if k == 0 else ' '} - {first}".rstrip())
            lines += [f"       {line}".rstrip() for line in others]
    return lines
