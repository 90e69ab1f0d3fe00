"""The table at the end of a run says what happened, in words that are shown as they are."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from engine.reporting.asked import Money
from engine.reporting.report import Report
from engine.reporting.table import summary


def shown(report: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(summary(report))
    return out.getvalue()


def test_says_what_happened(report: Report) -> None:
    """Rows, coverage, faults, accuracy of each model, stages and money are there."""
    text = shown(report)
    for words in (
        "400 (60 test, 2 without text)",
        "75.0 %",
        "3 cells, in 1 of 1 programs",
        "majority vote",
        "label model",
    ):
        assert words in text
    for words in (
        "label model",
        "distilled model",
        "80.0 %",
        "index",
        "800",
        "reused",
        "unknown",
        "the task gives no price",
        "bad",
    ):
        assert words in text


def test_programs_stand_beside_prompting(report: Report) -> None:
    """Of images the table of ways to a label is there, with worst groups and gaps."""
    text = shown(report)
    for words in ("zero-shot prompting", "40.0 % (25 to 58), <i>land</i>, 30 rows", "80.0 % (68 to 88)", "-20.0"):
        assert words in text
    assert "zero-shot" not in shown(dataclasses.replace(report, comparison=None))


def test_money_in_its_currency(report: Report) -> None:
    """What was spent and what direct labeling would have cost, in the price's currency."""
    money = Money(spent=0.0123, tokens_in=1, tokens_out=2, direct_labeling_estimate=12.5, currency="EUR")
    text = shown(dataclasses.replace(report, money=money))
    assert "0.0123 EUR" in text
    assert "about 12.5000 EUR" in text


def test_without_gold(report: Report) -> None:
    """Without gold the reason stands where the accuracies would."""
    text = shown(dataclasses.replace(report, metrics=None, metrics_reason="there is no gold column"))
    assert "No figures against gold: there is no gold column" in text
    assert "majority vote" not in text


def test_names_are_not_markup(report: Report) -> None:
    """A name with brackets is shown as it is."""
    text = shown(dataclasses.replace(report, task="[red]x[/red]", rejected_programs={"[b]": ()}, warnings=("[i]",)))
    assert "[red]x[/red]" in text
    assert "Programs rejected: [b]" in text
    assert "Warning: [i]" in text


def test_disabled_programs_are_named(report: Report) -> None:
    """Who reads the summary sees that they did not vote."""
    assert "Programs disabled: [b]" in shown(dataclasses.replace(report, disabled_programs={"[b]": "loud"}))
    assert "disabled" not in shown(report)
