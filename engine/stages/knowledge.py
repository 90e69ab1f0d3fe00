"""What synthesis knows besides the task: passages of documents, rows that may be shown, and knowledge asked for first.

Documents are read on the machine that runs this stage; what of them, and of the rows, leaves it is what prompts quote.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.rows import text_of
from engine.synthesis.knowledge import gather
from engine.synthesis.strategies import DOCUMENTS, ROWS
from engine.task import LabelingTask
from engine.task_parts import LanguageModelSpec
from operators.sample import sample_texts

if TYPE_CHECKING:
    from engine.synthesis.ledger import Ledger

_ROW_CHARS = 500
"""Of a row that is shown; its opening says what rows are like, and the rest costs money."""


def knowledge_folder(ctx: Context) -> Path:
    """Where the knowledge of a run stands."""
    return ctx.run.path / "knowledge"


def state(ctx: Context, corpus: Corpus | None) -> list[object]:
    """Return JSON values that change whenever the knowledge that prompts would quote may change.

    Nothing is asked, and documents are not parsed: a run with nothing to do should stay quick.

    Raises:
        ConfigError: a document is missing.
    """
    from engine.synthesis.documents import find_documents

    spec = ctx.task.synthesis
    documents = {str(path): _digest(path) for path in find_documents(spec.documents)}
    written = {path.name: _digest(path) for path in sorted(knowledge_folder(ctx).glob("*.md"))}
    rows = None if corpus is None or not spec.show_rows else [corpus.rows, corpus.keys]
    return [spec.model_dump(), documents, written, rows]


def prepare(ctx: Context, corpus: Corpus | None, ledger: Ledger) -> dict[str, str]:
    """Bring all knowledge together; with two stages ask a model for what is not there.

    Args:
        ctx: of the run.
        corpus: where rows to show are taken from.
        ledger: what is asked is paid from the same budget as programs.

    Returns:
        {kind: text}, with passages under "documents" and rows under "rows".

    Raises:
        ConfigError: a document or a file of knowledge cannot be read, or a package for it is missing.
        LLMError, BudgetReached: as the model.
    """
    from engine.synthesis.llm import OpenAIModel

    task = ctx.task
    given = _passages(ctx) | _rows(ctx, corpus)
    spec = knowledge_model(task)
    with ExitStack() as stack:
        # The budget may come down to the last request; a model that is not needed is not even made.
        asks = task.synthesis.stages == "two" and spec is not None
        model = stack.enter_context(OpenAIModel(spec, ledger, task.budget)) if asks and spec is not None else None
        return gather(task, model, folder=knowledge_folder(ctx), given=given)


def knowledge_model(task: LabelingTask) -> LanguageModelSpec | None:
    """Return the model that is asked for knowledge."""
    return task.synthesis.knowledge_model or task.language_model


def _passages(ctx: Context) -> dict[str, str]:
    from engine.synthesis.documents import find_documents, read_passages
    from engine.synthesis.retrieval import find_passages, questions, quote

    spec = ctx.task.synthesis
    paths = find_documents(spec.documents)
    if not paths:
        return {}
    passages = [
        passage
        for path in paths
        for passage in read_passages(path, max_chars=spec.chunk_chars, overlap=spec.chunk_overlap)
    ]
    encode = None
    if spec.retrieval == "dense" and spec.encoder is not None:
        from operators.encoder import Encoder

        encode = Encoder(spec.encoder).encode
    found = find_passages(passages, questions(ctx.task), count=spec.max_passages, encode=encode)
    if not found:
        ctx.warn(
            f"none of the {len(passages)} passages in `synthesis.documents` shares a word with the instruction or the "
            "classes, so none is quoted; describe the classes in the words of the documents, or use `retrieval: dense`"
        )
        return {}
    return {DOCUMENTS: quote(found)}


def _rows(ctx: Context, corpus: Corpus | None) -> dict[str, str]:
    spec = ctx.task.synthesis
    if not spec.show_rows or "examples" not in spec.strategies or corpus is None:
        return {}
    texts = sample_texts(
        corpus.shards,
        folder=ctx.run.path,
        digest=corpus.rows,
        text=text_of(ctx.task),
        id_column=ctx.task.columns.id,
        num_rows=spec.show_rows,
    ).to_pylist()
    ctx.warn(
        f"`synthesis.show_rows` is {spec.show_rows}: prompts quote {len(texts)} training rows, so these leave this "
        "machine for the language model; test rows never do"
    )
    return {ROWS: "\n".join(f"- {_clipped(text)}" for text in texts)} if texts else {}


def _clipped(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _ROW_CHARS else f"{plain[:_ROW_CHARS]} ..."


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
