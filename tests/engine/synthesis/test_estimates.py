"""What synthesis may take, with and without stage one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.synthesis.estimates import Estimate, direct_labeling_estimate, estimate
from engine.task import LabelingTask

PRICE = {"input_per_million": 1.0, "output_per_million": 10.0}


def task(**synthesis: object) -> LabelingTask:
    return LabelingTask.model_validate(
        {
            "name": "comments",
            "data": {"source": "comments.csv"},
            "classes": [{"name": "ham"}, {"name": "spam"}],
            "instruction": "Is it spam?",
            "programs": {"count": 10},
            "language_model": {"model": "m", "max_output_tokens": 1000, "price": PRICE},
            "synthesis": {"repairs": 0, **synthesis},
        }
    )


FIVE = {"strategies": ["general", "description", "examples", "keywords", "rules"], "stages": "two"}


def test_one_stage_is_a_request_a_program() -> None:
    """Ten programs are ten requests, priced by the model that writes them."""
    found = estimate(task())
    assert (found.requests, found.tokens_out_max) == (10, 10_000)
    assert found.cost == pytest.approx((found.tokens_in + 10 * found.tokens_out_max) / 1e6)


def test_stage_one_is_counted_at_its_own_models_price() -> None:
    """Four questions more; what they may answer is in the prompts of eight programs."""
    other = {"model": "n", "max_output_tokens": 500, "price": {"input_per_million": 100.0, "output_per_million": 0.0}}
    one, two = estimate(task()), estimate(task(**FIVE, knowledge_model=other))
    assert two.requests == 14
    assert two.tokens_out_max == 10 * 1000 + 4 * 500
    assert two.tokens_in > one.tokens_in + 8 * 500
    # The questions are a small part of what is sent, at a hundred times the price.
    free = {**other, "price": {"input_per_million": 0.0, "output_per_million": 0.0}}
    cheap = estimate(task(**FIVE, knowledge_model=free))
    assert two.cost is not None
    assert cheap.cost is not None
    questions = (two.cost - cheap.cost) * 1e6 / 100
    assert 400 < questions < 4000


def test_rows_that_are_shown_need_no_question() -> None:
    """Invented examples are not asked for where real rows stand in their place."""
    assert estimate(task(**FIVE, show_rows=5)).requests == 13


def test_documents_count_as_long_as_they_may_become() -> None:
    """Five passages of a thousand characters in ten prompts, without opening the file."""
    found = estimate(task(documents=["nowhere.pdf"]))
    assert found.tokens_in - estimate(task()).tokens_in >= 10 * 5 * 1000 / 3


def test_an_unknown_price_of_either_model_makes_the_cost_unknown() -> None:
    """None with the model's name, never a part of the sum."""
    found = estimate(task(**FIVE, knowledge_model={"model": "unpriced"}))
    assert found.cost is None
    assert "unpriced" in str(found.reason)
    euro = {"model": "n", "price": PRICE | {"currency": "EUR"}}
    assert "EUR and USD" in str(estimate(task(**FIVE, knowledge_model=euro)).reason)


def images(**changes: object) -> LabelingTask:
    return LabelingTask.model_validate({**task(repairs=2).model_dump(), "modality": "image", **changes})


def test_the_question_for_concepts_is_counted(tmp_path: Path) -> None:
    """One request and its repairs, also where the programs come from a folder; none where there is a file of them."""
    folder = {"folder": str(tmp_path)}
    assert (estimate(images()).requests, estimate(images()).repairs) == (11, 22)
    alone = estimate(images(programs=folder))
    assert (alone.requests, alone.repairs, alone.tokens_out_max) == (1, 2, 3000)
    assert alone.cost == pytest.approx((alone.tokens_in + 10 * 3000) / 1e6)
    assert estimate(images(programs=folder, language_model=None)).requests == 0
    assert estimate(images(scoring={"concepts": "mine.yaml"})).requests == 10
    (tmp_path / "concepts.yaml").write_text("concepts: []")
    assert estimate(images(), run=tmp_path).requests == 10
    assert estimate(images(programs=folder)).requests == 0


def test_prompts_over_concepts_count_their_descriptions() -> None:
    """They are not there yet, so each counts as long as one may be."""
    many = [{"name": f"kind {i}"} for i in range(40)]
    found = [estimate(images(classes=many, modality=m, scoring={"concepts": "c.yaml"})) for m in ("image", "text")]
    assert found[0].tokens_in - found[1].tokens_in > 10 * 40 * 200 / 4


def test_images_have_no_estimate_of_direct_labeling() -> None:
    """Bytes of a JPEG are no measure of what a vision model charges; unknown, with the reason."""
    cost, reason = direct_labeling_estimate(num_rows=10, text_bytes=1_500_000, task=images())
    assert cost is None
    assert "images" in str(reason)
    assert direct_labeling_estimate(num_rows=10, text_bytes=1_500_000, task=task())[0] is not None


def estimated(**synthesis: object) -> Estimate:
    return estimate(
        LabelingTask.model_validate(
            {
                "name": "t",
                "data": {"source": "x.csv"},
                "classes": [{"name": "a"}, {"name": "b"}],
                "instruction": "Label it.",
                "programs": {"count": 4},
                "language_model": {
                    "model": "m",
                    "max_output_tokens": 1000,
                    "price": {"input_per_million": 1.0, "output_per_million": 2.0},
                },
                "synthesis": synthesis,
            }
        )
    )


def test_repairs_count_at_their_most() -> None:
    """Each program may be asked for three times, and a repair carries the answer before it."""
    plain, repaired = estimated(repairs=0), estimated(repairs=2)
    assert (plain.requests, plain.repairs, plain.tokens_out_max) == (4, 0, 4000)
    assert (repaired.requests, repaired.repairs, repaired.tokens_out_max) == (4, 8, 12000)
    assert repaired.tokens_in > 3 * plain.tokens_in + 8 * 1000
    assert plain.cost == (plain.tokens_in + 2 * 4000) / 1e6
    assert repaired.cost == (repaired.tokens_in + 2 * 12000) / 1e6


def test_rows_that_may_be_quoted_are_counted() -> None:
    """A hundred rows in a prompt are not for nothing."""
    assert estimated(show_rows=100).tokens_in > estimated(show_rows=0).tokens_in + 100 * 100
