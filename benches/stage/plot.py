"""Line charts side by side in one SVG, for a few points each: the x-axis is categorical, the y-axis starts at zero."""

import html
import pathlib

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 320, 240, 62, 40, 52
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37")


def _round_up(value):
    """Returns the next of 1, 2, 2.5, 5, 10 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value:
        power /= 10
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value)


def _text(x, y, words, anchor="middle", size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{html.escape(words)}</text>'


def _chart(left, title, axis, names, lines):
    """Draws one chart: `lines` maps a label to its values, one for each of `names`."""
    top = _round_up(max(value for values in lines.values() for value in values))
    width, height = WIDTH - LEFT - 20, HEIGHT - TOP - BOTTOM
    x = lambda place: left + LEFT + width * (place + 0.5) / len(names)
    y = lambda value: TOP + height * (1 - value / top)
    parts = [_text(left + LEFT + width / 2, 20, title, size=14)]
    for step in range(5):
        value = top * step / 4
        parts.append(f'<path d="M{left + LEFT} {y(value):.1f}h{width}" stroke="#d0d7de"/>')
        parts.append(_text(left + LEFT - 6, y(value) + 4, f"{value:,.4g}", "end"))
    for place, name in enumerate(names):
        parts.append(_text(x(place), TOP + height + 18, name))
    parts.append(_text(left + LEFT + width / 2, HEIGHT - 14, axis))
    for (name, values), colour in zip(lines.items(), COLOURS):
        points = " ".join(f"{x(place):.1f},{y(value):.1f}" for place, value in enumerate(values))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for place, value in enumerate(values):
            parts.append(f'<circle cx="{x(place):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"/>')
        if len(lines) > 1:
            parts.append(f'<g fill="{colour}">{_text(x(len(values) - 1), y(values[-1]) - 8, name)}</g>')
    return parts


def write(path, charts):
    """Writes charts, each a title, a label of the x-axis, its names, and its lines."""
    parts = [part for place, chart in enumerate(charts) for part in _chart(place * WIDTH, *chart)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(charts)} {HEIGHT}" '
    head += 'font-family="sans-serif" fill="#1f2328">'
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    pathlib.Path(path).write_text("\n".join([head, ground, *parts, "</svg>"]) + "\n")
