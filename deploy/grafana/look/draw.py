"""Panels as pictures: one HTML page for each dashboard, its panels drawn as SVG from what Prometheus answered.

Not Grafana: a likeness that needs neither Grafana nor a registry, on its grid of 24 columns, with the panel's own
expressions, units and legends. It shows whether a panel says something, and whether one look is enough.
"""

from html import escape
from math import ceil, floor, isfinite, log10

# Colours that readers with a colour vision deficiency tell apart (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
# Height of a row of the grid and width of a column, pixels.
ROW, COLUMN = 34, 58
# Distances on a scale of longer times, seconds.
STEPS_S = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
STYLE = """
body { font: 13px sans-serif; margin: 16px; background: #f4f5f5; color: #1b1b1b; width: 1400px }
h1 { font-size: 20px } .grid { display: grid; grid-template-columns: repeat(24, 1fr); gap: 6px }
section { background: #fff; border: 1px solid #d8d9da; padding: 6px 8px; overflow: hidden }
h2 { font-size: 13px; margin: 0 0 4px } .row { grid-column: 1 / -1; font-weight: bold; padding-top: 8px }
.stat { font-size: 30px; text-align: center } .small { font-size: 12px; color: #444 } .none { color: #8a5a00 }
table { border-collapse: collapse; width: 100% } td, th { text-align: right; padding: 3px 8px; border-top: 1px solid #eee }
td:first-child, th:first-child { text-align: left }
"""


def with_unit(value, unit):
    """A figure as a reader wants it."""
    if not isfinite(value):
        return "–"
    if unit == "percentunit":
        return f"{value * 100:.1f} %"
    if unit == "bytes":
        steps = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
        size, name = next((step for step in steps if abs(value) >= step[0]), (1, "B"))
        return f"{value / size:.1f} {name}"
    if unit == "s":
        return seconds(value)
    number = f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{number}/s" if unit in ("reqps", "ops") else number


def seconds(value):
    """A duration in its own unit."""
    for size, name in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"), (1e-3, "ms")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}"
    return f"{value * 1e6:.0f} µs" if value else "0 s"


def step_of(highest, unit):
    """A round distance, in its unit, between the lines of a scale with some four of them."""
    raw = highest / 4
    if unit == "bytes":
        return next(1 << power for power in range(64) if 1 << power >= raw)
    if unit == "s" and raw > 10:
        return next((step for step in STEPS_S if step >= raw), 86400 * ceil(raw / 86400))
    power = 10 ** floor(log10(raw))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)


def time_series(panel, series, span, size):
    """Lines over time: the scale at the left, the legend below."""
    width, height = size
    left, bottom = 56, 16
    unit = panel["fieldConfig"]["defaults"].get("unit")
    values = [value for _, points in series for _, value in points if isfinite(value)]
    if not values:
        return nothing()
    step = step_of(max([*values, 0]) or 1, unit)
    top = step * max(1, -(-max(values) // step))
    x = lambda at: left + (at - span[0]) / (span[1] - span[0]) * (width - left - 4)
    y = lambda value: height - bottom - value / top * (height - bottom - 8)
    parts = []
    for line in range(int(top / step) + 1):
        at, label = y(line * step), escape(with_unit(line * step, unit))
        parts.append(f'<line x1="{left}" x2="{width}" y1="{at:.1f}" y2="{at:.1f}" stroke="#e5e5e5"/>')
        parts.append(f'<text x="{left - 5}" y="{at + 4:.1f}" text-anchor="end" font-size="11">{label}</text>')
    for index, (_, points) in enumerate(series):
        known = [f"{x(at):.1f},{y(value):.1f}" for at, value in points if isfinite(value)]
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<polyline points="{" ".join(known)}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    legend = " ".join(
        f'<span style="color:{COLOURS[index % len(COLOURS)]}">■</span> {escape(name)}'
        for index, (name, _) in enumerate(series)
    )
    return f'<svg width="{width}" height="{height}">{"".join(parts)}</svg><div class="small">{legend}</div>'


def stat(panel, series):
    """The last value, large; of several series, each with its name."""
    unit = panel["fieldConfig"]["defaults"].get("unit")
    if not series:
        return nothing()
    shown = [(name, with_unit(points[-1][1], unit)) for name, points in series]
    if len(shown) == 1:
        return f'<div class="stat">{escape(shown[0][1])}</div>'
    cells = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in shown)
    return f"<table>{cells}</table>"


def table(panel, columns):
    """One line an ente, one column an expression, named as the panel's transformation says."""
    names = next(each["options"]["renameByName"] for each in panel["transformations"] if each["id"] == "organize")
    units = {
        override["matcher"]["options"]: each["value"]
        for override in panel["fieldConfig"]["overrides"]
        for each in override["properties"]
        if each["id"] == "unit"
    }
    heads = [names.get(f"Value #{ref}", ref) for ref, _ in columns]
    enti = sorted({ente for _, values in columns for ente in values})
    if not enti:
        return nothing()
    lines = ["<tr><th>Ente</th>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"]
    for ente in enti:
        cells = [
            with_unit(values[ente], units.get(head, "short")) if ente in values else "–"
            for head, (_, values) in zip(heads, columns)
        ]
        lines.append(f"<tr><td>{escape(ente)}</td>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    return f"<table>{''.join(lines)}</table>"


def nothing():
    """What a panel shows that has nothing to show."""
    return '<div class="none">no data</div>'


def page(board, drawn):
    """The page of a dashboard: `drawn` holds the inside of each panel by its id."""
    parts = []
    for panel in sorted(board["panels"], key=lambda panel: (panel["gridPos"]["y"], panel["gridPos"]["x"])):
        at, title = panel["gridPos"], escape(panel["title"])
        if panel["type"] == "row":
            parts.append(f'<div class="row">{title}</div>')
            continue
        place = f"grid-column: {at['x'] + 1} / span {at['w']}; min-height: {at['h'] * ROW - 20}px"
        parts.append(f'<section style="{place}"><h2>{title}</h2>{drawn[panel["id"]]}</section>')
    title = escape(board["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'<h1>{title}</h1><div class="grid">{"".join(parts)}</div></html>'
    )


def size_of(panel):
    """Width and height of a panel's drawing, pixels."""
    at = panel["gridPos"]
    return at["w"] * COLUMN - 24, at["h"] * ROW - 76
