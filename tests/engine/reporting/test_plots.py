"""Plots are drawn to scale, leave out what is unknown, and escape names."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from engine.metrics import Bin
from engine.reporting.plots import bars, grouped_bars, reliability


def shapes(svg: str, tag: str, kind: str) -> list[dict[str, str]]:
    return [e.attrib for e in ElementTree.fromstring(svg).iter(tag) if re.match(kind, e.attrib.get("class", ""))]


def test_bars_are_to_scale() -> None:
    """The longest bar takes the whole width, another its share, and a zero keeps a hair."""
    lengths = [
        float(b["width"]) for b in shapes(bars([("a", 4, "4"), ("b", 1, "1"), ("c", 0, "0")], title="t"), "rect", "bar")
    ]
    assert lengths[1] == lengths[0] / 4
    assert 0 < lengths[2] <= 1
    assert shapes(bars([], title="t"), "rect", "bar") == []


def test_unknown_shares_leave_a_gap() -> None:
    """A share that is not known has no bar; the legend names every series."""
    svg = grouped_bars([("a", [0.5, None]), ("b", [1.0, 0.25])], series=["x", "y"], title="t")
    assert len(shapes(svg, "rect", "bar s1")) == 3
    assert len(shapes(svg, "rect", "bar s2")) == 2


def test_bins_without_rows_have_no_dot() -> None:
    """A dot a bin that holds rows, and right of others where confidence is higher."""
    low = Bin(low=0.5, high=0.6, rows=1, confidence=0.5, accuracy=0.5)
    none = Bin(low=0.6, high=0.7, rows=0, confidence=None, accuracy=None)
    high = Bin(low=0.9, high=1.0, rows=9, confidence=1.0, accuracy=0.0)
    left, right = shapes(reliability({"m": [low, none, high]}, title="t"), "circle", "bar s1")
    assert float(left["cx"]) < float(right["cx"])
    assert float(left["cy"]) < float(right["cy"])
    assert float(left["r"]) < float(right["r"])


def test_names_are_escaped() -> None:
    """Names of classes and programs stay text."""
    for svg in (
        bars([("<a>&\"'", 1, "<b>")], title='"><x>'),
        grouped_bars([("<a>", [1.0])], series=["<s>"], title="<t>"),
    ):
        assert {e.tag for e in ElementTree.fromstring(svg).iter()} <= {"svg", "text", "title", "rect", "line"}
