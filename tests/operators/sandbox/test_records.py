"""Programs that are given dicts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from operators.sandbox.pool import Limits, Sandbox
from operators.schema import Fault

OLD = "def label_function(row):\n    age = row['age']\n    return -1 if age is None else int(age > 40)\n"
SPOILER = "def label_function(row):\n    row['age'] = 99\n    row.pop('city')\n    return int(type(row) is dict)\n"
CITY = "def label_function(row):\n    return int(row['city'] == 'Zürich')\n"
LIMITS = Limits(records=True, required_level=0)

ROWS = [{"age": 41, "city": "Zürich"}, {"age": None, "city": ""}, {"age": 7.5, "city": '\ud83d\ude00 "x"'}]


@pytest.mark.parametrize("group_size", [1, 3])
def test_each_program_gets_dicts_of_its_own(group_size: int) -> None:
    """Values keep their types, and what one program does to a row no other sees."""
    texts = [json.dumps(row) for row in ROWS] + [None]
    limits = replace(LIMITS, group_size=group_size)
    with Sandbox([SPOILER, OLD, CITY], num_classes=2, limits=limits) as sandbox:
        outcome = sandbox.run(texts, seed=0)
    assert outcome.votes.tolist() == [[1, 1, 1], [1, -1, 0], [1, 0, 0], [-1, -1, -1]]
    assert not outcome.faults.any()


@pytest.mark.slow
def test_a_record_that_takes_too_long_is_one_fault(tmp_path: object) -> None:
    """The limits hold for dicts as for texts; the rows after it are voted on, beyond a piece of 1024 too."""
    source = "def label_function(row):\n    while row['n'] == 5:\n        pass\n    return row['n'] % 2\n"
    with Sandbox([source], num_classes=2, limits=LIMITS) as sandbox:
        outcome = sandbox.run([json.dumps({"n": n}) for n in range(3000)], seed=0)
    assert outcome.faults[5, 0] == Fault.TIMEOUT
    assert outcome.votes[:, 0].tolist() == [-1 if n == 5 else n % 2 for n in range(3000)]
