"""The tables of docs/performance.md, or of the copy named by DOCUMENT: each measurement replaces the text between its
two markers."""

import os
import pathlib
import re

DOCUMENT = pathlib.Path(os.environ.get("DOCUMENT") or pathlib.Path(__file__).parents[2] / "docs" / "performance.md")


def table(head, rows):
    """Formats a Markdown table; the first column is text, the others are figures."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def figure(value):
    """Formats a number with three significant digits."""
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def write(name, text):
    """Prints the text and writes it between the markers of this name."""
    print(text)
    begin, end = f"<!-- {name}: written by its script -->", f"<!-- end of {name} -->"
    marked = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    document = DOCUMENT.read_text()
    if not marked.search(document):
        raise SystemExit(f"{DOCUMENT} has no marks of {name}")
    DOCUMENT.write_text(marked.sub(lambda _: f"{begin}\n{text.strip()}\n{end}", document))
