"""What changed is told by name: settings with both values, programs and files as new, edited, gone or renamed."""

from __future__ import annotations

import json

import pytest

from engine.stages.inputs import Input, Inputs, changes, given
from engine.store import digest_of


def made(programs: dict[str, str], *, method: str = "a", version: int = 1, votes: str = "v") -> Inputs:
    return Inputs(
        stage="s",
        version=(version,),
        parts=(
            Input(name="the programs", value=list(programs.values()), kind="program", things=programs),
            given("the method", method),
            Input(name="the votes", value=votes, made_by=("apply",)),
        ),
    )


def told(before: Inputs, after: Inputs, **reasons: list[str]) -> list[str]:
    assert before.digest != after.digest
    kept = json.loads(json.dumps(before.to_json()))
    return changes(kept, after, reasons_of=lambda stage: reasons.get(stage, []))


OLD = {"01": "x", "02": "y", "03": "z"}


@pytest.mark.parametrize(
    ("programs", "message"),
    [
        ({**OLD, "03": "zz"}, "program 03 was edited"),
        ({**OLD, "04": "w"}, "program 04 is new"),
        ({**OLD, "04": "w", "05": "u"}, "programs 04, 05 are new"),
        ({"01": "x", "03": "z"}, "program 02 was removed"),
        ({"00": "z", "01": "x", "02": "y"}, "program 03 is now called 00"),
        ({"03": "z", "01": "x", "02": "y"}, "the programs stand in another order"),
        ({f"0{i}": f"n{i}" for i in range(1, 8)}, "programs 04, 05, 06 and 1 more are new"),
    ],
)
def test_programs(programs: dict[str, str], message: str):
    """A program is new, edited, gone, renamed or in another place; many are not all listed."""
    assert message in told(made(OLD), made(programs))


def test_a_setting_is_told_with_both_values():
    """What a user wrote before and what now; a long text is not repeated."""
    assert told(made(OLD), made(OLD, method="b")) == ["the method changed (a -> b)"]
    assert told(made(OLD), made(OLD, method="long " * 50)) == ["the method changed"]


def test_several_changes_are_all_told():
    """In the order of the inputs."""
    found = told(made(OLD), made({**OLD, "01": "X"}, method="b"))
    assert found == ["program 01 was edited", "the method changed (a -> b)"]


def test_what_an_earlier_stage_made_has_that_stages_reasons():
    """They are told once, and where that stage has none, what it made is named."""
    after = made({**OLD, "01": "X"}, votes="w")
    assert told(made(OLD), after, apply=["program 01 was edited"]) == ["program 01 was edited"]
    assert told(made(OLD), made(OLD, votes="w")) == ["the votes changed"]


def test_another_version_of_the_stage_and_a_run_without_names():
    """Both say that it is the engine that changed."""
    assert told(made(OLD), made(OLD, version=2)) == ["this version of the engine does it in another way"]
    assert "earlier version" in changes(None, made(OLD), reasons_of=lambda _: [])[0]


def test_the_digest_covers_the_values_in_their_order_and_no_names():
    """Digests of runs made before inputs had names stay valid."""
    assert made(OLD).digest == digest_of("s", 1, ["x", "y", "z"], "a", "v")


def test_thousands_of_files_are_not_listed_in_the_record():
    """Then only that they changed is told."""
    many = {f"f{i}": "d" for i in range(3000)}
    before = Inputs(stage="index", version=(1,), parts=(Input(name="the files", value=1, things=many),))
    after = Inputs(stage="index", version=(1,), parts=(Input(name="the files", value=2, things=many),))
    assert len(json.dumps(before.to_json())) < 200
    assert told(before, after) == ["the files changed"]
