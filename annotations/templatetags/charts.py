"""Charts as SVG from the server: no script draws them, and no inline style, so the policy holds.

Every chart has a table beside it with the same numbers; to readers of the screen it is one label.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotations.selectors.quality import Column, Table

register = template.Library()

WIDTH, HEIGHT = 1000, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 10, 22
MAX_CELLS = 15
"""Categories in a picture of a confusion matrix; the table has all."""


@register.filter
def cell(value: Any, kind: str) -> str:
    """A number as its column is read."""
    if value is None:
        return "–"
    if kind == "percent":
        return f"{value:.0%}" if value == 0 or value >= 0.01 else f"{value:.1%}"
    if kind == "score":
        return f"{value:.3f}"
    if kind == "seconds":
        return f"{value:.0f} s" if value >= 10 else f"{value:.1f} s"
    if kind == "hours":
        return f"{value:,.1f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if kind == "number":
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    return str(value)


@register.filter
def cells(row: dict[str, Any], table: Table) -> list[tuple[Column, str]]:
    return [(column, cell(row.get(column.name), column.kind)) for column in table.columns]


def _scale(values: Sequence[float]) -> float:
    """A round number that is not below any of the values."""
    top = max(values, default=0) or 1
    step = 10 ** (len(str(int(top))) - 1) if top >= 1 else 0.1
    if 1 < top < 10:
        step = 2  # so that half of it is a whole number too
    return -(-top // step) * step


def _frame(top: float, labels: list[tuple[float, str]], body: SafeString, words: str) -> SafeString:
    lines = [
        (
            LEFT,
            WIDTH - RIGHT,
            f"{y:.1f}",
            f"{top * part:.3g}",
        )
        for part in (0, 0.5, 1)
        for y in [TOP + (1 - part) * (HEIGHT - TOP - BOTTOM)]
    ]
    return format_html(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}{}</svg>',
        WIDTH,
        HEIGHT,
        words,
        format_html_join(
            "",
            '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
            '<text class="tick end" x="38" y="{2}" dy="4">{3}</text>',
            lines,
        ),
        body,
        format_html_join("", f'<text class="tick" x="{{}}" y="{HEIGHT - 6}">{{}}</text>', labels),
    )


def _days(rows: Sequence[dict[str, Any]]) -> tuple[date, int]:
    first, last = date.fromisoformat(rows[0]["day"]), date.fromisoformat(rows[-1]["day"])
    return first, (last - first).days + 1


def _day_labels(first: date, count: int) -> list[tuple[float, str]]:
    every = max(1, -(-count // 10))
    step = (WIDTH - LEFT - RIGHT) / count
    return [
        (LEFT + step * (n + 0.5), (first + timedelta(days=n)).strftime("%d %b"))
        for n in range(0, count, every)
    ]


@register.simple_tag
def bars_by_day(table: Table, name: str, words: str) -> SafeString | str:
    """A bar for each day, days without work included."""
    rows = [row for row in table.rows if row.get(name) is not None]
    if not rows:
        return ""
    first, count = _days(rows)
    top = _scale([row[name] for row in rows])
    step = (WIDTH - LEFT - RIGHT) / count
    width = min(28.0, step * 0.8)
    room = HEIGHT - TOP - BOTTOM
    shapes = []
    for row in rows:
        day = (date.fromisoformat(row["day"]) - first).days
        part = row[name] / top
        x, y = LEFT + step * (day + 0.5) - width / 2, TOP + room * (1 - part)
        text = f"{row['day']}: {row[name]:,.0f}"
        shapes.append((f"{x:.1f}", f"{y:.1f}", f"{width:.1f}", f"{room * part:.1f}", text))
    body = format_html_join(
        "",
        '<rect class="s0" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>',
        shapes,
    )
    return _frame(top, _day_labels(first, count), body, words)


@register.simple_tag
def lines_by_day(table: Table, name: str, key: str, words: str) -> SafeString | str:
    """A line for each value of `key` (empty: one line), of a number in 0…1."""
    rows = [row for row in table.rows if row.get(name) is not None]
    if not rows:
        return ""
    first, count = _days(rows)
    step = (WIDTH - LEFT - RIGHT) / count
    room = HEIGHT - TOP - BOTTOM
    series: dict[str, list[tuple[float, float, str]]] = {}
    for row in rows:
        x = LEFT + step * ((date.fromisoformat(row["day"]) - first).days + 0.5)
        y = TOP + room * (1 - min(1.0, max(0.0, row[name])))
        point = (x, y, f"{row['day']}: {row[name]:.3f}")
        series.setdefault(str(row.get(key, "")), []).append(point)
    body = format_html_join(
        "",
        '<g class="s{}"><polyline points="{}"/>{}</g>',
        (
            (
                number % 6,
                " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points),
                format_html_join(
                    "",
                    '<circle cx="{}" cy="{}" r="3"><title>{}</title></circle>',
                    ((f"{x:.1f}", f"{y:.1f}", f"{label} {text}") for x, y, text in points),
                ),
            )
            for number, (label, points) in enumerate(series.items())
        ),
    )
    chart = _frame(1.0, _day_labels(first, count), body, words)
    if not key:
        return chart
    legend = format_html_join(
        "",
        '<li><svg class="key s{}" viewBox="0 0 10 10" aria-hidden="true">'
        '<rect width="10" height="10"/></svg>{}</li>',
        ((number % 6, label) for number, label in enumerate(series)),
    )
    return format_html('{}<ul class="legend">{}</ul>', chart, legend)


@register.simple_tag
def meter(value: float | None, top: float = 1.0) -> SafeString | str:
    """A small bar in a table, of value / top."""
    if value is None:
        return ""
    return format_html(
        '<svg class="meter" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect width="{}" height="6"/></svg>',
        f"{100 * max(0.0, min(1.0, value / (top or 1))):.1f}",
    )


@register.simple_tag
def matrix(table: Table, words: str) -> SafeString | str:
    """A confusion matrix of the most frequent categories; each row's shares are its shades."""
    counts = {(row["from"], row["to"]): row["count"] for row in table.rows}
    if not counts:
        return ""
    often: dict[str, int] = {}
    for (one, other), count in counts.items():
        for name in (one, other):
            often[name] = often.get(name, 0) + count
    nothing = "(nothing)"
    names = sorted((n for n in often if n != nothing), key=lambda n: (-often[n], n))[:MAX_CELLS]
    names = [*sorted(names), *([nothing] if nothing in often else [])]
    side, left, top = 34, 120, 96
    parts = []
    for y, one in enumerate(names):
        total = sum(counts.get((one, other), 0) for other in names) or 1
        for x, other in enumerate(names):
            count = counts.get((one, other), 0)
            if not count:
                continue
            kind = "hit" if one == other else "miss"
            share = count / total
            parts.append(
                (
                    kind,
                    left + x * side,
                    top + y * side,
                    f"{0.12 + 0.88 * share:.2f}",
                    f"{one} → {other}: {count} ({share:.0%})",
                    left + x * side + side // 2,
                    top + y * side + side // 2 + 4,
                    "strong" if share > 0.5 else "",
                    count if count < 10_000 else f"{count // 1000}k",
                )
            )
    width, height = left + side * len(names) + 40, top + side * len(names) + 4
    return format_html(
        '<svg class="matrix" viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img"'
        ' aria-label="{2}">{3}{4}{5}</svg>',
        width,
        height,
        words,
        format_html_join(
            "",
            '<rect class="{0}" x="{1}" y="{2}" width="32" height="32" fill-opacity="{3}">'
            '<title>{4}</title></rect><text class="count {7}" x="{5}" y="{6}">{8}</text>',
            parts,
        ),
        format_html_join(
            "",
            '<text class="tick end" x="114" y="{}">{}</text>',
            ((top + n * side + 21, _short(name)) for n, name in enumerate(names)),
        ),
        format_html_join(
            "",
            '<text class="tick start" transform="translate({} 90) rotate(-45)">{}</text>',
            ((left + n * side + 20, _short(name)) for n, name in enumerate(names)),
        ),
    )


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"
