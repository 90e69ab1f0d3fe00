"""The annotator: rows that the language model labels directly, one request a row.

Workers rank rows (`operators.annotate`); requests leave from this process alone, several in flight, because the key
stays where it is, and because one ledger, one budget and one limit of the rate cannot be kept from many machines.
What is asked is decided over all shards first and committed shard by shard, so that a killed run goes on where it was;
an answer that was bought and not yet committed is in the ledger.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.errors import LLMRefused
from engine.prices import base_url
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.fit import Models
from engine.stages.inputs import Input, Inputs
from engine.stages.rows import text_of
from engine.stages.votes import Voted
from engine.storage import keep_only
from engine.synthesis.annotator import label_in, question
from engine.synthesis.ledger import Ledger
from engine.synthesis.llm import Completion, OpenAIModel, UnusableAnswer
from engine.synthesis.prompts import Prompt
from engine.task import LabelingTask
from operators.annotate import ANNOTATION, PickShard, annotations_path, picked_path
from operators.commit import commit_table
from operators.schema import ABSTAIN
from operators.storage import Folder, map_files, read_table

_ROWS_A_BATCH = 16
"""For each request in flight: enough that the last of a batch leave few places idle, and little is in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotated:
    """What the annotator came to.

    Attributes:
        digest: in the names of the annotation files.
        facts: JSON: rows asked about, faults, tokens and money.
    """

    digest: str
    facts: dict[str, Any]


def annotate(ctx: Context, corpus: Corpus, voted: Voted, models: Models) -> Annotated | None:
    """Have the rows labeled that the task names; None where it names none. Gold is not read.

    Raises:
        BudgetReached, LLMError, ConfigError: as the language model; what is answered is kept.
    """
    start = time.perf_counter()
    task, folder = ctx.task, ctx.run.shards
    spec, model = task.annotate, task.language_model
    if not spec.wanted or model is None:
        ctx.run.forget("annotate")
        keep_only(folder / "annotations", [])
        return None
    who = [model.provider, model.model, base_url(model), model.temperature, model.extra]
    inputs = Inputs(
        stage="annotate",
        version=(1,),
        parts=(
            *corpus.as_inputs(),
            Input(name="the label model", value=models.digest, made_by=("fit",)),
            Input(name="`annotate`", value=spec.model_dump(), settings=spec.model_dump()),
            Input(name="the language model", value=who),
            Input(name="what it is asked", value=question(task, "").digest),
        ),
    )
    name = inputs.digest
    paths = {key: annotations_path(folder, key, name) for key in corpus.keys}
    missing = [shard for shard in corpus.shards if not paths[shard.key].exists()]
    record = ctx.reuse(inputs, complete=not missing)
    if record is None:
        _pick(ctx, corpus, voted, models, name)
        picks = {key: picked_path(folder, key, name) for key in corpus.keys}
        cuts = {
            kind: _cut([read_table(path, columns=[kind]) for path in picks.values()], limit)
            for kind, limit in (("rest", spec.max_rows if spec.label_rest else 0), ("baseline", spec.baseline_rows))
        }
        ctx.watch.begin("annotate", len(missing))
        with Ledger.open(ctx.run.path / "completions.sqlite") as ledger:
            answering = model.model_copy(update={"max_output_tokens": spec.max_output_tokens})
            with OpenAIModel(answering, ledger, task.budget) as llm:
                size = _ROWS_A_BATCH * model.max_concurrency
                for batch in _batches([shard.key for shard in missing], picks, cuts, size):
                    _answer(ctx, llm, batch, paths)
        keep_only(folder / "annotations", paths.values())
        facts = _facts(list(map_files(read_table, list(paths.values()))))
        keep_only(folder / "picked", [])
        record = ctx.finish(inputs, since=start, rows=facts["rows"], result=facts)
    if record.result["faults"]:
        told = ", ".join(f"{n} {kind}" for kind, n in record.result["faults"].items())
        ctx.warn(f"annotator: some answers gave no label ({told}); these rows keep what they had")
    return Annotated(digest=name, facts=record.result)


def _pick(ctx: Context, corpus: Corpus, voted: Voted, models: Models, name: str) -> None:
    spec = ctx.task.annotate
    missing = [s.to_json() for s in corpus.shards if not picked_path(ctx.run.shards, s.key, name).exists()]
    args = {
        "folder": str(ctx.run.shards),
        "rows": corpus.rows,
        "text": text_of(ctx.task),
        "id_column": ctx.task.columns.id,
        "program_keys": voted.keys,
        "evidence": models.chosen.evidence,
        "baseline_rows": spec.baseline_rows,
        "rest_rows": spec.max_rows if spec.label_rest else 0,
        "uncovered": spec.uncovered,
        "below_confidence": spec.below_confidence,
        "max_text_chars": spec.max_text_chars,
        "digest": name,
    }
    for _ in ctx.stream("annotate", missing, PickShard, step_args=args):
        pass


def _cut(columns: Sequence[pa.Table], limit: int) -> float:
    """Return the largest rank that is asked about; -1 where none is."""
    ranks = np.sort(pa.concat_tables(columns).column(0).drop_null().to_numpy())[:limit]
    return float(ranks[-1]) if len(ranks) else -1.0


def _batches(
    keys: Sequence[str], picks: dict[str, Folder], cuts: dict[str, float], size: int
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Give the rows to ask about, shard by shard, in batches of about `size`."""
    batch: dict[str, list[dict[str, Any]]] = {}
    for key in keys:
        rows = []
        for row in read_table(picks[key]).to_pylist():
            for kind, cut in cuts.items():
                row[f"is_{kind}"] = row[kind] is not None and row[kind] <= cut
            if row["is_rest"] or row["is_baseline"]:
                rows.append(row)
        batch[key] = rows
        if sum(map(len, batch.values())) >= size:
            yield batch
            batch = {}
    if batch:
        yield batch


def _answer(ctx: Context, llm: OpenAIModel, batch: dict[str, list[dict[str, Any]]], paths: dict[str, Folder]) -> None:
    """Ask about the rows of a batch and commit its shards."""
    rows = [row for shard in batch.values() for row in shard]
    prompts = [question(ctx.task, row["text"]) for row in rows]
    answers = llm.complete_many(prompts)
    refused = [answer for answer in answers if isinstance(answer, LLMRefused)]
    if refused and len(refused) == len(answers):
        # Then it is not these rows that the endpoint minds.
        raise refused[0]
    said = iter([_said(ctx.task, *asked) for asked in zip(prompts, answers, strict=True)])
    for key, shard in batch.items():
        table = pa.Table.from_pylist([row | next(said) for row in shard], schema=ANNOTATION)
        commit_table(paths[key], table)
        ctx.watch.advance("annotate")


def _said(task: LabelingTask, prompt: Prompt, answer: Completion | UnusableAnswer | LLMRefused) -> dict[str, Any]:
    if isinstance(answer, LLMRefused):
        return {"label": ABSTAIN, "fault": "refused", "question": prompt.digest, "cost": 0.0}
    completion = answer.completion if isinstance(answer, UnusableAnswer) else answer
    label = None if isinstance(answer, UnusableAnswer) else label_in(task, completion.text)
    fault = "unusable" if isinstance(answer, UnusableAnswer) else "unreadable" if label is None else None
    return {
        "label": ABSTAIN if label is None else label,
        "fault": fault,
        "question": prompt.digest,
        "model": completion.model,
        "tokens_in": completion.tokens_in,
        "tokens_out": completion.tokens_out,
        "cost": completion.cost,
        "currency": completion.currency,
    }


def _facts(tables: Sequence[pa.Table]) -> dict[str, Any]:
    """Add up annotated shards; a request that several rows share counts once."""
    rows = pa.concat_tables(tables).to_pylist()
    requests = list({row["question"]: row for row in rows}.values())
    paid = [row for row in requests if row["fault"] != "refused"]
    currencies = sorted({row["currency"] for row in paid} - {None})
    known = all(row["cost"] is not None for row in paid) and len(currencies) <= 1
    faults: dict[str, int] = {}
    for row in rows:
        if row["fault"] is not None:
            faults[row["fault"]] = faults.get(row["fault"], 0) + 1
    return {
        "rows": len(rows),
        "rest_rows": sum(row["is_rest"] for row in rows),
        "baseline_rows": sum(row["is_baseline"] for row in rows),
        "requests": len(paid),
        "faults": dict(sorted(faults.items())),
        "shortened": sum(row["shortened"] for row in rows),
        "models": sorted({row["model"] for row in paid}),
        "tokens_in": sum(row["tokens_in"] for row in paid),
        "tokens_out": sum(row["tokens_out"] for row in paid),
        "spent": math.fsum(row["cost"] for row in paid) if known else None,
        "currency": currencies[0] if known and currencies else None,
    }
