"""Stage one: a model writes down what it knows of the subject, before any program is written.

What it writes stands in `knowledge/<kind>.md` of the run directory, for people to read and correct. A file that
somebody edited, or put there, is used as it stands and nothing is asked for again; one that nobody touched is asked
for anew when the question changes. Which of the two a file is, its first line tells: it holds digests of the question
and of the answer below.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.errors import ConfigError, LLMError
from engine.synthesis.llm import LanguageModel, UnusableAnswer
from engine.synthesis.prompts import Prompt, rendered, words_of
from engine.synthesis.strategies import DOCUMENTS, ROWS
from engine.task import LabelingTask
from operators.commit import commit

KINDS = ("description", "examples", "keywords", "rules")
"""Of knowledge; a strategy is one of these, or `general`."""

_MARK = re.compile(
    r"<!-- written by (?P<model>.*), question (?P<question>[0-9a-f]{64}), text (?P<text>[0-9a-f]{64}); .*-->"
)
_NOTE = "edit the text and it stays as you leave it"


def gather(
    task: LabelingTask,
    model: LanguageModel | None,
    *,
    folder: Path,
    given: Mapping[str, str],
    on_answer: Callable[[int], None] | None = None,
) -> dict[str, str]:
    """Bring the knowledge of the task's strategies together; with two stages, ask for what is not there.

    Args:
        task: its strategies and its words; no row and no gold value is shown.
        model: who is asked; None for nobody, and then what is not there is left out.
        folder: of the knowledge.
        given: passages under "documents", rows under "rows"; both are handed on.
        on_answer: called after each answer with how many there are.

    Returns:
        `given`, and {kind: text}.

    Raises:
        LLMError: the model gave no answer, or none of use.
        BudgetReached, ConfigError: as the model; a file of the folder cannot be read.
    """
    found = dict(given)
    answered = 0
    for kind in kinds_of(task, given):
        prompt = question(task, kind=kind, documents=given.get(DOCUMENTS, ""))
        path = folder / f"{kind}.md"
        text = _standing(path, prompt)
        if text is None and model is not None and task.synthesis.stages == "two":
            text = _asked(model, prompt, kind=kind, path=path)
            answered += 1
            if on_answer is not None:
                on_answer(answered)
        if text:
            found[kind] = text
    return found


def kinds_of(task: LabelingTask, given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the kinds of knowledge that the strategies use; rows that are shown take the place of invented ones."""
    kinds = (kind for kind in KINDS if kind in task.synthesis.strategies)
    return tuple(kind for kind in kinds if kind != "examples" or not given.get(ROWS))


def question(task: LabelingTask, *, kind: str, documents: str = "") -> Prompt:
    """Write the question for one kind of knowledge.

    Args:
        task: read for its words.
        kind: one of `KINDS`.
        documents: passages with their sources, "" for none.
    """
    user = rendered(f"ask_{kind}.jinja", **words_of(task), documents=documents.strip())
    return Prompt(system=rendered("ask_system.jinja"), user=user)


def read_knowledge(path: Path) -> str | None:
    """Return the text of a file of knowledge without its first line of digests; None where there is no file.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """
    found = _read(path)
    return None if found is None else found[1]


def _standing(path: Path, prompt: Prompt) -> str | None:
    """Return what stands in a file unless it is a model's untouched answer to another question."""
    found = _read(path)
    if found is None:
        return None
    mark, text = found
    untouched = mark is not None and mark["text"] == _digest(text)
    stale = mark is not None and untouched and mark["question"] != prompt.digest
    return None if stale else text


def _asked(model: LanguageModel, prompt: Prompt, *, kind: str, path: Path) -> str:
    try:
        completion = model.complete(prompt, variant=KINDS.index(kind))
    except UnusableAnswer as error:
        raise LLMError(
            f"stage one got no {kind} from {error.completion.model}: {error.problem}. You can write {path} yourself, "
            f"or leave {kind!r} out of `synthesis.strategies`"
        ) from error
    text = completion.text.rpartition("</think>")[2].strip()
    if not text:
        raise LLMError(
            f"stage one got no {kind} from {completion.model}: the answer holds nothing but thoughts. Write {path} "
            f"yourself, or leave {kind!r} out of `synthesis.strategies`"
        )
    # A name that ended the comment would become part of the text.
    name = " ".join(completion.model.replace("-->", "").split())
    mark = f"<!-- written by {name}, question {prompt.digest}, text {_digest(text)}; {_NOTE} -->"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = f"{mark}\n\n{text}\n"
    commit(path, lambda attempt: attempt.write_text(content, "utf-8", "backslashreplace", "\n"), replace=True)
    return text


def _read(path: Path) -> tuple[re.Match[str] | None, str] | None:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8: {error}; save it again, or delete it") from error
    first, _, rest = content.partition("\n")
    mark = _MARK.fullmatch(first.strip())
    return mark, (content if mark is None else rest).strip()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
