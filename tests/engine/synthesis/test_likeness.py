"""When two programs are copies: names, layout and order are taken away, words and shape stay."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.synthesis.likeness import fingerprint, likeness, vote_likeness
from engine.synthesis_spec import SynthesisSpec

PROGRAM = '''
import re

WORDS = {"free", "win", "prize"}
LINK = re.compile(r"https?://")


def label_function(text):
    """Spam or not."""
    words = text.lower().split()
    hits = sum(word in WORDS for word in words)  # count
    if LINK.search(text) or hits >= 2:
        return 1
    return 0 if len(words) < 12 else -1
'''
ALLOWED = SynthesisSpec().max_likeness
REAL = Path(__file__).resolve().parents[3] / "../shared/programs"


def alike(one: str, other: str) -> float:
    return likeness(fingerprint(one), fingerprint(other))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hits", "matches"),
        ("WORDS", "SPAM_VOCABULARY"),
        ("text", "row"),
        ('    """Spam or not."""\n', ""),
        ("  # count", "  # something else"),
        ('{"free", "win", "prize"}', '{"prize", "free", "win"}'),
        ('{"free", "win", "prize"}', '[\n    "prize",\n    "free",\n    "win",\n]'),
        ("def label_function(text)", "def label_function(text: str) -> int"),
        ("import re", "import re\nimport string"),
    ],
)
def test_what_changes_no_vote_changes_no_likeness(old: str, new: str) -> None:
    """Names, docstrings, comments, layout, annotations and the order of a word list tell no programs apart."""
    assert old in PROGRAM
    assert alike(PROGRAM, PROGRAM.replace(old, new)) == 1.0


def test_other_words_in_the_same_code_are_another_program() -> None:
    """A template filled with other keywords looks for other rows."""
    other = PROGRAM.replace('"free", "win", "prize"', '"song", "voice", "album"').replace("https?", "lyrics")
    assert alike(PROGRAM, other) < ALLOWED


def test_the_same_words_in_other_code_are_another_program() -> None:
    """What is done with the words counts as well."""
    other = (
        "def label_function(text):\n"
        "    for word in ('free', 'win', 'prize', 'http', 's'):\n"
        "        if text.startswith(word):\n"
        "            return 1\n"
        "    return -1\n"
    )
    assert alike(PROGRAM, other) < ALLOWED


def test_one_more_word_leaves_a_copy_a_copy() -> None:
    """A model that adds a keyword to its last answer has written nothing new."""
    assert alike(PROGRAM, PROGRAM.replace('"prize"', '"prize", "offer"')) > ALLOWED


def test_a_builtin_that_is_called_is_no_name_to_be_renamed() -> None:
    """`any` and `all` decide differently."""
    program = "def label_function(text):\n    return 1 if any(w in text for w in ('a', 'b')) else -1\n"
    assert alike(program, program.replace("any", "all")) < 1.0


@given(st.lists(st.sampled_from(["free", "win", "song", "http", "love", "nice", "video"]), min_size=1, max_size=6))
def test_likeness_is_symmetric_and_within_bounds(words: list[str]) -> None:
    """Which of two comes first does not matter, and nothing is liker than a program to itself."""
    other = PROGRAM.replace('"free", "win", "prize"', ", ".join(map(repr, words)))
    assert alike(PROGRAM, other) == alike(other, PROGRAM)
    assert 0.0 <= alike(PROGRAM, other) <= 1.0
    assert alike(other, other) == 1.0


def test_deep_nesting_is_no_trouble() -> None:
    """A long chain of operators, as models write them, is read without recursion."""
    chain = " + ".join(["len(text)"] * 600)
    assert alike(f"def label_function(text):\n    return {chain}\n", PROGRAM) < ALLOWED


def test_equal_votes_are_counted_where_either_votes() -> None:
    """Worked by hand: of 30 rows that one gives a class 27 agree; rows where both abstain prove nothing."""
    one = np.array([1] * 30 + [-1] * 70, np.int8)
    other = one.copy()
    other[:3] = [0, -1, 0]
    assert vote_likeness(one, other) == pytest.approx(0.9)
    assert vote_likeness(one, one) == 1.0


def test_a_large_class_hides_no_difference_on_a_small_one() -> None:
    """Both call 960 of 1000 rows class 0, and each finds 20 others of class 1: they are no copies."""
    one, other = np.zeros(1000, np.int8), np.zeros(1000, np.int8)
    one[:20] = 1
    other[20:40] = 1
    assert vote_likeness(one, other) == 0.0


def test_a_few_equal_votes_prove_nothing() -> None:
    """Two careful programs may well meet on five rows."""
    one = np.array([1] * 5 + [-1] * 95, np.int8)
    assert vote_likeness(one, one) == 0.0


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason=f"no real programs in {REAL}")
def test_no_two_real_programs_of_a_task_are_taken_for_copies() -> None:
    """Ten programs that one model wrote for one task differ by far more than the limit."""
    for folder in sorted(path for path in REAL.iterdir() if path.is_dir()):
        marks = [fingerprint(path.read_text()) for path in sorted(folder.glob("*.py"))]
        assert max(likeness(a, b) for a, b in combinations(marks, 2)) < ALLOWED
