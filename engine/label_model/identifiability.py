"""What the votes do not determine, in words that say what to add."""

from __future__ import annotations

import numpy as np

from engine.errors import NotIdentifiable
from engine.label_model.anchor import Tokens
from operators.moments import Moments
from operators.schema import Floats

_MUCH_UNCOVERED = 0.1


def refuse_nothing(moments: Moments) -> None:
    """Refuse moments without rows or programs.

    Raises:
        NotIdentifiable: there is no row or no program.
    """
    if moments.num_programs == 0:
        raise NotIdentifiable(
            "a label model needs the votes of at least one program, and there is none; "
            "add programs, or enable some again"
        )
    if moments.num_rows == 0:
        raise NotIdentifiable(
            "a label model needs at least one row, and the train split has none; check the split column"
        )


def doubtful_votes(moments: Moments) -> tuple[str, ...]:
    """List programs that never vote and classes that nobody votes for; empty where there are none."""
    if not moments.first.any():
        return (
            "no program votes on any row: every soft label is the prior. Look at the faults in the report, "
            "and add programs that vote",
        )
    found = []
    silent = np.flatnonzero(moments.first.sum(axis=1) == 0)
    if len(silent):
        found.append(f"programs {_some(silent)} never vote and change nothing; mend them or leave them out")
    missing = np.flatnonzero(moments.first.sum(axis=0) == 0)
    if len(missing):
        found.append(
            f"no program votes for class {_some(missing)}, so hardly any row is labeled so; add programs for it"
        )
    return tuple(found)


def doubtful_fit(moments: Moments, tokens: Tokens, *, balance_given: bool) -> tuple[str, ...]:
    """List what stands on an assumption rather than on the votes; empty where nothing does.

    Args:
        moments: of the votes.
        tokens: read from them.
        balance_given: the user gave the class balance, so that it need not be estimated.
    """
    voting = np.unique(tokens.programs)
    if not len(voting):
        return ()
    found = []
    if len(voting) < 3:
        found.append(
            f"{len(voting)} of {moments.num_programs} programs vote, and the agreement of fewer than 3 "
            "does not tell which of them is right: accuracies are read off the vote shares. Add programs"
        )
    elif tokens.num_pairs == 0 or not tokens.meeting.any():
        found.append(
            "hardly two programs vote on the same rows, so their agreement says nothing and accuracies are "
            "read off the vote shares. Add programs that cover the rows of others"
        )
    else:
        if tokens.num_pairs <= tokens.num_parameters:
            found.append(
                f"{tokens.num_pairs} pairs of votes are too few for {tokens.num_parameters} unknowns: "
                "accuracies stay close to the vote shares. Add programs, or let them cover more rows"
            )
        met = np.unique(tokens.programs[tokens.meeting.any(axis=1)])
        alone = np.setdiff1d(voting, met)
        if len(alone):
            found.append(
                f"programs {_some(alone)} share no row with others: their accuracies are read off "
                "the vote shares. Add programs that cover the same rows"
            )
    uncovered = 1.0 - moments.num_covered / moments.num_rows
    if uncovered > _MUCH_UNCOVERED and not balance_given:
        found.append(
            f"{uncovered:.0%} of the rows have no vote, and the class balance is estimated from the others; "
            "give `class_balance` if it is known"
        )
    return tuple(found)


def worse_than_chance(tokens: Tokens, table: Floats) -> tuple[str, ...]:
    """List votes that are estimated to be right less often than by chance: rows may get another label than they say.

    Args:
        tokens: N of them.
        table: (N, k) P(class | token).
    """
    k = table.shape[1]
    wrong = np.flatnonzero(table[np.arange(len(table)), tokens.classes] * k < 1.0)
    found = [f"program {tokens.programs[t]} for class {tokens.classes[t]}" for t in wrong[:10]]
    if not found:
        return ()
    more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
    return (
        f"the votes of {', '.join(found)}{more} are estimated to be right less often than by chance, so rows may get "
        "another label than all their votes say; look at these programs",
    )


def _some(numbers: np.ndarray) -> str:
    shown = ", ".join(str(number) for number in numbers[:10])
    return shown + (f" and {len(numbers) - 10} more" if len(numbers) > 10 else "")
