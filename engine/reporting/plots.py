"""Plots of the report as inline SVG: small functions from numbers to markup, without scripts or outside files.

Colours and fonts are classes of the page's style sheet, so that plots follow its light and dark scheme. Names come
from users and language models and are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from engine.metrics import Bin

WIDTH = 640
"""Of every plot, in units of its view box; the page scales it."""

_NAMES = 170
_VALUES = 90
_ROW = 26
_BAR = 14
_AREA = WIDTH - _NAMES - _VALUES


def bars(items: Sequence[tuple[str, float, str]], *, title: str) -> Markup:
    """Draw horizontal bars, the longest over the whole width.

    Args:
        items: (name, value of at least 0, what is written behind the bar).
        title: what the plot shows, for readers who do not see it.
    """
    longest = max((value for _, value, _ in items), default=0.0) or 1.0
    parts: list[Markup] = []
    for i, (name, value, note) in enumerate(items):
        y = i * _ROW + 6
        length = _AREA * value / longest
        parts += [_name(name, y), _bar(y, _BAR, length, series=1, tip=f"{name}: {note}"), _note(y, length, note)]
    return _svg(parts, height=len(items) * _ROW + 8, title=title)


def grouped_bars(items: Sequence[tuple[str, Sequence[float | None]]], *, series: Sequence[str], title: str) -> Markup:
    """Draw for each name a thin bar a series, on a scale from 0 to 100 %.

    Args:
        items: (name, a share 0..1 for each series, None where it is unknown).
        series: their names, at most 3.
        title: as in `bars`.
    """
    thin, top = 9, 24
    row = len(series) * (thin + 2) + 10
    height = top + len(items) * row + 22
    parts = [_legend(series), *_scale(top, height - 22)]
    for i, (name, shares) in enumerate(items):
        start = top + i * row + 4
        parts.append(_name(name, start + (row - 24) // 2))
        for s, share in enumerate(shares):
            if share is not None:
                tip = f"{name}, {series[s]}: {share:.1%}"
                parts.append(_bar(start + s * (thin + 2), thin, _AREA * share, series=s + 1, tip=tip))
    return _svg(parts, height=height, title=title)


def reliability(curves: Mapping[str, Sequence[Bin]], *, title: str, up: str = "accuracy") -> Markup:
    """Draw accuracy over confidence, a line a model; a well calibrated model is on the diagonal.

    Args:
        curves: bins of confidence by model, at most 3 models; bins without rows are left out.
        title: as in `bars`.
        up: what the bins have in the place of accuracy, in a word or two.
    """
    left, top, size = 60, 30, 300
    parts = [_legend(list(curves), x=left)]
    for step in range(6):
        share = step / 5
        x, y = left + size * share, top + size * (1 - share)
        parts += [
            _line(left, y, left + size, y, "grid"),
            _line(x, top, x, top + size, "grid"),
            _text(left - 8, y + 4, f"{share:.0%}", anchor="end"),
            _text(x, top + size + 18, f"{share:.0%}", anchor="middle"),
        ]
    parts += [
        _line(left, top + size, left + size, top, "diagonal"),
        _text(left + size / 2, top + size + 38, "confidence", anchor="middle"),
        _text(left + size + 12, top + 10, f"{up} (up) over confidence (right);"),
        _text(left + size + 12, top + 28, "a larger dot stands for more rows"),
    ]
    for s, (name, bins) in enumerate(curves.items()):
        filled = [
            (b.confidence, b.accuracy, b.rows) for b in bins if b.confidence is not None and b.accuracy is not None
        ]
        most = max((rows for *_, rows in filled), default=1)
        points = [(left + size * c, top + size * (1 - a)) for c, a, _ in filled]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(Markup('<polyline class="curve s{}" points="{}"/>').format(s + 1, path))
        for (x, y), (confidence, accuracy, rows) in zip(points, filled, strict=True):
            tip = f"{name}: confidence {confidence:.1%}, {up} {accuracy:.1%}, {rows:,} rows"
            dot = Markup('<circle class="bar s{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>')
            parts.append(dot.format(s + 1, x, y, 2.5 + 4.5 * (rows / most) ** 0.5, tip))
    return _svg(parts, height=top + size + 46, title=title)


def _svg(parts: Sequence[Markup], *, height: float, title: str) -> Markup:
    frame = Markup('<svg viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>')
    return frame.format(WIDTH, height, title, Markup("").join(parts))


def _bar(y: float, height: float, length: float, *, series: int, tip: str) -> Markup:
    shape = Markup('<rect class="bar s{}" x="{}" y="{:.1f}" width="{:.1f}" height="{}" rx="2"><title>{}</title></rect>')
    # A bar of no length keeps a hair, so that a zero is seen as one and not as a missing value.
    return shape.format(series, _NAMES, y, max(length, 1.0), height, tip)


def _name(name: str, y: float) -> Markup:
    short = name if len(name) <= 24 else name[:23] + "…"
    label = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}<title>{}</title></text>')
    return label.format(_NAMES - 10, y + 11, short, name)


def _note(y: float, length: float, note: str) -> Markup:
    return _text(_NAMES + length + 8, y + 11, note)


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> Markup:
    return Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(x, y, anchor, text)


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    shape = Markup('<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>')
    return shape.format(kind, x1, y1, x2, y2)


def _scale(top: float, bottom: float) -> list[Markup]:
    parts = []
    for step in range(5):
        x = _NAMES + _AREA * step / 4
        parts += [_line(x, top, x, bottom, "grid"), _text(x, bottom + 16, f"{step / 4:.0%}", anchor="middle")]
    return parts


def _legend(names: Sequence[str], *, x: float = _NAMES) -> Markup:
    parts = []
    for s, name in enumerate(names):
        square = Markup('<rect class="bar s{}" x="{:.0f}" y="4" width="11" height="11" rx="2"/>')
        parts += [square.format(s + 1, x), _text(x + 16, 14, name)]
        x += 40 + 7 * len(name)
    return Markup("").join(parts)
