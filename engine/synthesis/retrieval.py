"""Passages that are worth quoting: ranked for the task as a whole and for each class, and taken in turn.

By words with bm25s (the extra `rag`), or by an encoder that the caller brings, since this package knows no torch.
One question for the whole task would let the class with the longest chapter have all the places.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from engine.errors import ConfigError
from engine.synthesis.documents import Passage
from engine.task import LabelingTask

Encode = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""n texts to (n, d) embeddings."""

# Chinese and Japanese put no blanks between words; there each character is a token.
_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+")


def questions(task: LabelingTask) -> tuple[str, ...]:
    """Return what is looked for in the documents: the task in its own words, then each class in its own."""
    names = ", ".join(task.class_names)
    return (f"{task.instruction} {names}", *(f"{c.name} {c.description}".strip() for c in task.classes))


def find_passages(
    passages: Sequence[Passage], asked: Sequence[str], *, count: int, encode: Encode | None = None
) -> list[Passage]:
    """Take the best passages for each question in turn, until there are `count`.

    Args:
        passages: of all documents.
        asked: questions; the first one chooses first.
        count: at most so many; fewer where no more passages have anything to do with any question.
        encode: ranks by meaning; by words without it.

    Returns:
        different passages, in the order chosen.

    Raises:
        ConfigError: bm25s is not installed.
    """
    ranked = _by_words(passages, asked) if encode is None else _by_meaning(passages, asked, encode)
    chosen: dict[str, Passage] = {}
    for place in range(len(passages)):
        for order in ranked:
            if place < len(order) and len(chosen) < count:
                # By text: a document that is there twice takes one place.
                chosen.setdefault(passages[order[place]].text, passages[order[place]])
    return list(chosen.values())


def quote(passages: Sequence[Passage]) -> str:
    """Write passages below their sources; indented, so that no passage can write a source line of its own."""
    parts = []
    for passage in passages:
        lines = "\n".join(f"  {line}" for line in passage.text.splitlines())
        parts.append(f"[{' '.join(passage.source.split())}]\n{lines}")
    return "\n".join(parts)


def tokens(text: str) -> list[str]:
    """Split a text into lower-case words, and into single characters where a script has no blanks.

    Example:
        >>> tokens("Colon-cancer, 肺癌!")
        ['colon', 'cancer', '肺', '癌']
    """
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def _by_words(passages: Sequence[Passage], asked: Sequence[str]) -> list[list[int]]:
    try:
        import bm25s
    except ImportError as error:
        raise ConfigError(
            "`retrieval: bm25` needs the extra `rag`: pip install 'alchemist-labeling[rag]'; or take `retrieval: dense`"
        ) from error
    corpus = [tokens(passage.text) for passage in passages]
    vocabulary = {token for words in corpus for token in words}
    if not vocabulary:
        return []
    index = bm25s.BM25()
    index.index(corpus, show_progress=False)
    ranked = []
    for question in asked:
        # A word that stands nowhere is an error to bm25s.
        known = [token for token in dict.fromkeys(tokens(question)) if token in vocabulary]
        scores = index.get_scores(known) if known else np.zeros(len(passages))
        order = np.argsort(-scores, kind="stable")
        ranked.append([int(i) for i in order if scores[i] > 0])
    return ranked


def _by_meaning(passages: Sequence[Passage], asked: Sequence[str], encode: Encode) -> list[list[int]]:
    found = _unit(encode([passage.text for passage in passages]))
    likeness = _unit(encode(list(asked))) @ found.T
    return [[int(i) for i in np.argsort(-row, kind="stable")] for row in likeness]


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
