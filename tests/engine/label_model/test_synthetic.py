"""What is drawn follows the table that it is drawn from."""

from __future__ import annotations

import numpy as np

from engine.label_model.synthetic import plant, plant_table


def test_frequencies_follow_the_table() -> None:
    """Over many rows, shares of votes in each class come near theta."""
    rng = np.random.default_rng(4)
    theta = plant_table(num_programs=3, num_classes=3, rng=rng)
    np.testing.assert_allclose(theta.sum(axis=1), 1.0)
    data = plant(theta=theta, class_balance=np.array([0.2, 0.3, 0.5]), num_rows=60_000, rng=rng)
    for y in range(3):
        votes = data.votes[data.gold == y]
        shares = np.stack([(votes == a).mean(axis=0) for a in (0, 1, 2, -1)], axis=1)
        # Five standard errors of a share over the 12,000 rows of the rarest class.
        assert np.abs(shares - theta[:, :, y]).max() < 5 * 0.5 / np.sqrt(12_000)


def test_a_seed_gives_the_same_rows() -> None:
    """Randomness comes from the generator alone."""
    drawn = []
    for _ in range(2):
        rng = np.random.default_rng(8)
        theta = plant_table(num_programs=2, num_classes=2, rng=rng)
        drawn.append(plant(theta=theta, class_balance=np.array([0.5, 0.5]), num_rows=50, rng=rng).votes)
    assert np.array_equal(*drawn)
