"""What synthesis may take at most, said before anything is sent."""

from __future__ import annotations

from engine.synthesis.estimates import Estimate, estimate
from engine.task import LabelingTask


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
