"""Where the soft labels of a distilled model come from, and what gold says of it: what its card tells beside itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramOrigin:
    """A program whose votes count.

    Attributes:
        name: of its file, without `.py`.
        digest: sha256 of its source.
        coverage: share of rows in which it votes, 0..1; None without rows.
        model: that wrote it, None where its header does not say.
    """

    name: str
    digest: str
    coverage: float | None
    model: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where soft labels come from.

    Attributes:
        files: names of the corpus's files, within the corpus.
        fingerprint: of the paths, sizes and times of these files.
        rows: of the corpus.
        test_rows: of these, kept from all learning.
        programs: that vote.
        coverage: share of rows with a vote at least, 0..1; None without rows.
        label_model: method that made soft labels of votes.
        gold_rows: that the label model was fitted with; 0 unless the user handed some over.
        annotated_rows: whose label a language model gave directly.
        annotators: that language model, by all the names that it answered under.
    """

    files: tuple[str, ...]
    fingerprint: str
    rows: int
    test_rows: int
    programs: tuple[ProgramOrigin, ...]
    coverage: float | None
    label_model: str
    gold_rows: int
    annotated_rows: int
    annotators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What gold labels of test rows say.

    Attributes:
        figures: {"label_model" or "end_model": figures}; empty where nothing was measured.
        reason: why there are none; "" where there are.
    """

    figures: Mapping[str, Metrics]
    reason: str
