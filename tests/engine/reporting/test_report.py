"""report.json is strict JSON under its documented keys; report.html is one safe file."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.reporting.images import ImageFigures, Thumbnail
from engine.reporting.parts import ClassBalance
from engine.reporting.report import Report, write_report
from operators.errors import InputError

VOID = {"meta", "link", "br", "hr", "img", "input"}


class Balanced(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(report: Report, folder: Path) -> tuple[dict[str, Any], str]:
    write_report(report, folder)
    content = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    return content, (folder / "report.html").read_text(encoding="utf-8")


def test_json_reads_back(report: Report, tmp_path: Path) -> None:
    """What is written is what `to_json` returns, one key a field."""
    content, _ = written(report, tmp_path)
    assert content == report.to_json()
    assert list(content) == [f.name for f in dataclasses.fields(Report)]
    assert content["metrics"]["end_model"]["accuracy"] == 0.8
    assert content["stages"]["fit"] == {"seconds": 1.5, "rows": None, "rows_per_s": None, "status": "reused"}


def test_every_key_is_documented(report: Report) -> None:
    """docs/report.md has a line for every key of report.json."""
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Za-z0-9_.]+)`", text))

    def check(value: Any, where: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                path = f"{where}.{key}".lstrip(".")
                named = re.sub(r"^metrics\.(majority_vote|label_model|end_model)\b", "metrics.MODEL", path)
                if named not in documented:
                    parent = named.rpartition(".")[0]
                    assert any(d.startswith(parent + ".") and d.split(".")[-1].isupper() for d in documented), path
                    continue
                check(inner, path)
        elif isinstance(value, list) and value:
            check(value[0], where)

    check(report.to_json(), "")


def test_nan_becomes_null_and_a_warning(report: Report, tmp_path: Path) -> None:
    """A NaN anywhere is null in the file, and a warning names it."""
    balance = ClassBalance(source="given", values={"ham": float("nan"), "spam": np.float64(0.4)})  # type: ignore[dict-item]
    content, _ = written(dataclasses.replace(report, coverage=float("nan"), class_balance=balance), tmp_path)
    assert content["coverage"] is None
    assert content["class_balance"]["values"] == {"ham": None, "spam": 0.4}
    assert [w.split()[0] for w in content["warnings"]] == ["coverage", "class_balance.values.ham"]


def test_refuses_what_json_has_not(report: Report) -> None:
    """A value without a JSON form is an error that says where."""
    with pytest.raises(TypeError, match=r"end_model.when: .* got Path|end_model.when: .* got PosixPath"):
        dataclasses.replace(report, end_model={"when": Path("x")}).to_json()


def test_page_is_balanced_and_opens_offline(report: Report, tmp_path: Path) -> None:
    """Tags close in order, nothing is loaded from elsewhere, and there is no script."""
    _, page = written(report, tmp_path)
    assert page.startswith("<!DOCTYPE html>")
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    tags = [tag for tag, _ in parser.seen]
    assert {"script", "link", "img", "iframe"}.isdisjoint(tags)
    assert not [a for _, a in parser.seen if {"src", "href", "onload", "onclick"} & set(a)]
    assert tags.count("svg") == 4
    assert all(attrs.get("aria-label") for tag, attrs in parser.seen if tag == "svg")
    assert all(attrs.get("scope") for tag, attrs in parser.seen if tag == "th")
    assert "url(" not in page
    assert "http:" not in page
    assert "https:" not in page


def test_texts_are_escaped(report: Report, tmp_path: Path) -> None:
    """Texts of rows, messages and names of programs never become markup."""
    hostile = dataclasses.replace(
        report,
        task="t</title><script>x</script>",
        programs=(dataclasses.replace(report.programs[0], name='"><svg onload=x>'),),
        stages={"</svg><b>": report.stages["index"]},
        warnings=("\ud800 half a pair",),
    )
    _, page = written(hostile, tmp_path)
    assert "<script" not in page
    assert "<svg onload" not in page
    assert "</svg><b>" not in page
    assert "&lt;b&gt;win&lt;/b&gt; &amp; \N{REPLACEMENT CHARACTER} free" in page


def test_without_gold(report: Report, tmp_path: Path) -> None:
    """Without gold `metrics` is null, and both files say why."""
    bare = dataclasses.replace(report, metrics=None, metrics_reason="no gold column", end_model=None, programs=())
    content, page = written(bare, tmp_path)
    assert content["metrics"] is None
    assert content["metrics_reason"] == "no gold column"
    assert "None: no gold column." in page


def test_programs_stand_beside_prompting(report: Report, tmp_path: Path) -> None:
    """A run over images has the table of ways to a label; others have none of it."""
    content, page = written(report, tmp_path)
    assert content["comparison"]["end_model"]["gap_change"] == -0.2
    assert content["comparison"]["zero_shot"]["worst_group"]["name"] == "<i>land</i>"
    table = page[page.index("Beside prompting") :]
    for words in ("Zero-shot prompting", "&lt;i&gt;land&lt;/i&gt;: 40.0 %", "25.0 % to 58.0 %", "of 30 rows", "-20.0"):
        assert words in table
    content, page = written(dataclasses.replace(report, comparison=None), tmp_path)
    assert content["comparison"] is None
    assert "Beside prompting" not in page


def test_groups_have_intervals(report: Report, tmp_path: Path) -> None:
    """Accuracies have their intervals, and the page says how many rows make a group."""
    content, page = written(report, tmp_path)
    group = content["metrics"]["label_model"]["groups"]["a"]
    assert group["low"] < group["accuracy"] < group["high"]
    assert "groups of at least 20 rows" in page
    assert f"{100 * group['low']:.1f} % to {100 * group['high']:.1f} %" in page


def test_what_follows_a_nuisance_is_told(report: Report, tmp_path: Path) -> None:
    """Each way to an answer has a line, which says whether it follows the column; without a column there is none."""
    content, page = written(report, tmp_path)
    assert content["nuisance"]["programs"]["links"] == {"cramers_v": 0.61, "by_chance": 0.12, "follows": True}
    part = page[page.index("Nuisance: &lt;place&gt;") :]
    part = part[: part.index("</section>")]
    lines = re.sub(r"<[^>]+>", " ", part)
    assert re.search(r"the labels +0.05 +0.12 +no", lines)
    assert re.search(r"links +0.61 +0.12 +yes", lines)
    assert re.search(r"the distilled model +– +– +one value alone", lines)
    assert re.search(r"water +1,234 +50", lines)
    _, page = written(dataclasses.replace(report, nuisance=None), tmp_path)
    assert "Nuisance" not in page


def test_images_are_shown_and_named(report: Report, images: ImageFigures, tmp_path: Path) -> None:
    """Copies stand in the page as data, what cannot be shown is named with its reason, and names are escaped."""
    copies = {name: Thumbnail(url=f"data:image/jpeg;base64,{name}") for name in images.in_turn()}
    copies["d"] = Thumbnail(why="<gone>")
    write_report(dataclasses.replace(report, images=images), tmp_path, thumbnails=copies)
    content = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert content["images"]["faults"] == [{"id": "broken", "text": "<broken>.jpg", "why": "no such file"}]
    assert "base64" not in json.dumps(content)
    parser = Balanced()
    parser.feed(page)
    shown = [(attrs["src"].rpartition(",")[2], attrs["alt"]) for tag, attrs in parser.seen if tag == "img"]
    assert shown == [(name, f"<{name}>.jpg") for name in ("a", "b", "b", "c", "broken")]
    assert "&lt;gone&gt;</div><figcaption" in page
    assert "25 images could not be read; the first of them." in page
    policy = next(attrs["content"] for tag, attrs in parser.seen if attrs.get("http-equiv"))
    assert policy.endswith("; img-src data:")


def test_long_names_are_shown_by_their_ends(report: Report, images: ImageFigures, tmp_path: Path) -> None:
    """Paths begin alike, so what tells them apart is shown, and the whole name is a word away."""
    name = "/".join(["photographs"] * 9 + ["ant.jpg"])
    sample = dataclasses.replace(images.ties[0], text=name)
    write_report(dataclasses.replace(report, images=dataclasses.replace(images, ties=(sample,))), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'title="{name}">…{name[-39:]}<' in page
    assert "not shown" in page


def test_every_key_of_images_is_documented(report: Report, images: ImageFigures) -> None:
    """A report over images has keys of its own, and docs/report.md a line for each."""
    test_every_key_is_documented(dataclasses.replace(report, images=images))


def test_images_come_in_turn(images: ImageFigures) -> None:
    """The first of each kind comes before the second of any, and an image of two kinds once."""
    assert images.in_turn() == ["c", "d", "broken", "a", "b"]


def test_the_distilled_model_is_drawn_beside_its_soft_labels(report: Report, tmp_path: Path) -> None:
    """Bins with rows have a dot each, with or without gold; a model without held-out rows has no plot."""
    bins = [
        {"low": 0.5, "high": 0.6, "rows": 3, "confidence": 0.55, "soft_label": 0.5},
        {"low": 0.6, "high": 0.7, "rows": 0, "confidence": None, "soft_label": None},
        {"low": 0.9, "high": 1.0, "rows": 7, "confidence": 0.95, "soft_label": 0.9},
    ]
    ungraded = dataclasses.replace(report, metrics=None, metrics_reason="no gold", end_model={"reliability": bins})
    _, page = written(ungraded, tmp_path)
    assert page.count("Distilled model: confidence") == 2
    assert "confidence 95.0%, soft label 90.0%, 7 rows" in page
    _, without = written(dataclasses.replace(report, end_model={"reliability": bins[1:2]}), tmp_path)
    assert "held-out rows of a confidence" not in without


def test_replaces_an_older_report(report: Report, tmp_path: Path) -> None:
    """A report takes the place of the last one, and leaves no other file."""
    written(report, tmp_path)
    content, _ = written(dataclasses.replace(report, rows=401), tmp_path)
    assert content["rows"] == 401
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json"]


def test_says_where_it_cannot_write(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No right to write is an error that names the file."""

    def denied(self: Path, data: bytes) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_bytes", denied)
    with pytest.raises(InputError, match=r"report\.json"):
        write_report(report, tmp_path)
