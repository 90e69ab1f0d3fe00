"""A lost class is noticed by shares alone, and the setting that loses fewest is taken."""

from __future__ import annotations

import numpy as np

from engine.distillation.choice import Choice
from engine.distillation.losses import Loss
from engine.distillation.safety import Tried, best_of, settings, warning

NAMES = ("ham", "spam")
ALL = settings((1e-2, 1e-3), Loss(name="generalized", smoothing=0.1))


def _tried(
    place: int, predicted: tuple[float, float], labeled: tuple[float, float] = (0.9, 0.1), rows: int = 1000
) -> Tried:
    return Tried(setting=ALL[place], choice=Choice.none(np.zeros(1)), predicted=predicted, labeled=labeled, rows=rows)


def test_a_class_is_lost_below_a_quarter_of_its_share() -> None:
    """A quarter of the label model's share is the border; a class that it hardly gives cannot be lost."""
    assert _tried(0, (0.98, 0.02)).lost == (1,)
    assert _tried(0, (0.97, 0.03)).lost == ()
    assert _tried(0, (1.0, 0.0), (0.99, 0.01)).lost == ()


def test_a_handful_of_held_out_rows_does_not_say_that_a_class_is_lost() -> None:
    """Nine rows of a class are too few, ten are enough."""
    assert _tried(0, (1.0, 0.0), rows=90).lost == ()
    assert _tried(0, (1.0, 0.0), rows=100).lost == (1,)


def test_the_first_setting_is_the_tasks_own_and_the_others_are_plainer() -> None:
    """Safer settings drop a robust loss and regularize less; the last weighs classes alike."""
    assert ALL[0].loss == Loss(name="generalized", smoothing=0.1)
    assert max(ALL[1].regularization) < 1e-3
    assert {setting.loss.name for setting in ALL[1:]} == {"cross_entropy"}
    assert [setting.loss.by_class for setting in ALL] == [False, False, True]


def test_fewest_lost_classes_win_then_the_nearest_shares() -> None:
    """Whatever keeps the class is taken; among such the shares decide, and among equals the task's own."""
    lost, far, near = _tried(0, (1.0, 0.0)), _tried(1, (0.5, 0.5)), _tried(2, (0.85, 0.15))
    assert best_of([lost, far, near]) is near
    assert best_of([lost, far]) is far
    assert best_of([lost, _tried(1, (1.0, 0.0))]) is lost


def test_the_warning_says_what_was_done() -> None:
    """Nothing where nothing was lost; else what was lost, and what was taken or that nothing helped."""
    assert warning([_tried(0, (0.9, 0.1))], NAMES) is None
    lost = _tried(0, (1.0, 0.0))
    mended = warning([lost, _tried(1, (0.9, 0.1))], NAMES)
    assert mended is not None
    assert "spam" in mended
    assert ALL[1].name in mended
    assert "did no better" in str(warning([lost, _tried(1, (1.0, 0.0)), _tried(2, (1.0, 0.0))], NAMES))
