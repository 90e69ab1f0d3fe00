"""A report with something of everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.metrics import Metrics, WorstGroup, figures
from engine.reporting.asked import AnnotatorFigures, Baseline, ModelMoney, Money
from engine.reporting.images import ComparisonLine, ImageFault, ImageFigures
from engine.reporting.nuisance import Dependence, NuisanceFigures
from engine.reporting.parts import (
    Change,
    ClassBalance,
    Disagreement,
    LabelModelFigures,
    MetricsByModel,
    ProgramFigures,
    Sample,
    Samples,
    SandboxFigures,
    StageFigures,
)
from engine.reporting.report import Report
from operators.confusion import Confusion


def some_metrics() -> Metrics:
    gold = np.arange(60) % 2
    soft = np.where(gold[:, None] == np.arange(2), 0.85, 0.15)
    soft[:12] = soft[:12, ::-1]
    predicted = soft.argmax(axis=1)
    groups = ["a" if i < 30 else "b" for i in range(60)]
    confusion = Confusion.of(gold, predicted, soft, np.ones(60, dtype=bool), groups)
    return figures(confusion, class_names=["ham", "spam"], positive_class=1, largest_prior=0)


@pytest.fixture
def report() -> Report:
    return some_report()


def some_comparison() -> dict[str, ComparisonLine]:
    worst = WorstGroup(name="<i>land</i>", rows=30, accuracy=0.4, low=0.25, high=0.58)
    lines = {"zero_shot": (None, 0.6), "end_model": (-0.2, 0.4)}
    return {
        name: ComparisonLine(
            rows=60,
            accuracy=0.8,
            accuracy_low=0.68,
            accuracy_high=0.88,
            worst_group=worst,
            gap=gap,
            gap_change=change,
        )
        for name, (change, gap) in lines.items()
    }


@pytest.fixture
def images() -> ImageFigures:
    def sample(name: str, label: str | None) -> Sample:
        return Sample(id=name, text=f"<{name}>.jpg", label=label, confidence=0.75)

    return ImageFigures(
        num_faults=25,
        faults=(ImageFault(id="broken", text="<broken>.jpg", why="no such file"),),
        most_certain={"ham": (sample("a", "ham"), sample("b", "ham")), "spam": ()},
        most_contested={"ham": (sample("b", "ham"),), "spam": ()},
        ties=(sample("c", None),),
        uncovered={"ham": (), "spam": (sample("d", None),)},
    )


def some_nuisance() -> NuisanceFigures:
    return NuisanceFigures(
        column="<place>",
        rows=400,
        num_values=2,
        least=0.1,
        labels=Dependence(cramers_v=0.05, by_chance=0.12, follows=False),
        end_model=Dependence(cramers_v=None, by_chance=None, follows=False),
        programs={"links": Dependence(cramers_v=0.61, by_chance=0.12, follows=True)},
        labels_by_value={"<land>": {"ham": 150, "spam": 50}, "water": {"ham": 1234, "spam": 50}},
    )


def some_report(**changes: Any) -> Report:
    metrics = some_metrics()
    values: dict[str, Any] = {
        "task": "comments",
        "rows": 400,
        "rows_test": 60,
        "null_texts": 2,
        "coverage": 0.75,
        "class_balance": ClassBalance(source="estimated", values={"ham": 0.6, "spam": 0.4}),
        "programs": (
            ProgramFigures(
                name="links",
                digest="0" * 64,
                coverage=0.5,
                overlaps=0.25,
                conflicts=0.1,
                polarity=("spam",),
                faults=3,
                message="ValueError: <script>alert(1)</script>",
                estimated_accuracy=0.9,
                gold_accuracy=0.8,
            ),
        ),
        "faults": {"links": {"exception": 3}},
        "quarantined": {},
        "rejected_programs": {"bad": ("imports os",)},
        "metrics": MetricsByModel(majority_vote=metrics, label_model=metrics, end_model=metrics),
        "metrics_reason": None,
        "comparison": some_comparison(),
        "nuisance": some_nuisance(),
        "disagreement": Disagreement(
            rows=2, fraction=0.5, changes=(Change(majority_vote="ham", label_model=None, rows=2),)
        ),
        "label_model": LabelModelFigures(method="moment_matching", prior={"ham": 0.6, "spam": 0.4}),
        "end_model": {"features": "hashed_ngrams", "regularization": 1e-5, "losses": [0.5, 0.4]},
        "stages": {
            "index": StageFigures(seconds=0.5, rows=400, rows_per_s=800.0, status="computed"),
            "fit": StageFigures(seconds=1.5, rows=None, rows_per_s=None, status="reused"),
        },
        "annotator": AnnotatorFigures(
            models=("m-2026",),
            rows=30,
            baseline_rows=20,
            rest_rows=10,
            labeled=8,
            changed=7,
            faults={"unreadable": 2},
            shortened=1,
            requests=29,
            tokens_in=100,
            tokens_out=30,
            spent=0.25,
            currency="USD",
            baseline=Baseline(rows=20, accuracy={"annotator": 0.95, "label_model": None}),
        ),
        "money": Money(
            spent=None,
            tokens_in=10,
            tokens_out=20,
            direct_labeling_estimate=None,
            currency=None,
            reason="the task gives no price",
            unanswered=2,
            at_risk=None,
            by_model=(
                ModelMoney(model="m", requests=2, tokens_in=3, tokens_out=4, spent=0.5, currency="USD"),
                ModelMoney(model="n", requests=1, tokens_in=3, tokens_out=4, spent=None, currency=None),
            ),
        ),
        "sandbox": SandboxFigures(level=3, layers=("seccomp",)),
        "versions": {"python": "3.11"},
        "samples": Samples(
            most_certain=(Sample(id=7, text="<b>win</b> & \x00 free", label="spam", confidence=0.99),),
            uncovered=(Sample(id="f.csv:9", text=None, label=None, confidence=None),),
        ),
    }
    return Report(**(values | changes))
