"""What a run would take, said before anything is run or sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.prices import list_price
from engine.stages.admission import measured_speed
from engine.stages.corpus import plan
from engine.stages.score import plan_images
from engine.task import LabelingTask


def make_plan(task: LabelingTask, *, out: str | Path | None = None) -> dict[str, Any]:
    """Say what a run would take, without running anything.

    Args:
        task: what to label.
        out: the run directory, from which the programs' measured speed is taken if they were tried there, and concepts.

    Returns:
        rows, shards, bytes; CPU seconds of the programs over all rows, None where they were not tried; for synthesis
        requests, tokens and price, None where a price is unknown; the same of the annotator; `price_as_of` and
        `price_source` of a list price, None where the task gives the price.
    """
    from engine.synthesis.estimates import annotator_estimate, direct_labeling_estimate, estimate

    shards = plan_images(task) if task.modality == "image" else plan(task)
    asked = estimate(task, run=None if out is None else Path(out))
    num_bytes = sum(piece.num_bytes for shard in shards for piece in shard.pieces)
    rows = sum(shard.num_rows for shard in shards)
    direct, reason = direct_labeling_estimate(num_rows=rows, text_bytes=num_bytes, task=task)
    rest = annotator_estimate(task, num_rows=rows, text_bytes=num_bytes)
    model = task.language_model
    listed = None if model is None or model.price is not None else list_price(model)
    speeds = {} if out is None else measured_speed(Path(out))
    return {
        "rows": rows,
        "shards": len(shards),
        "bytes": num_bytes,
        "programs_tried": len(speeds),
        "programs_cpu_s": sum(speeds.values()) * rows if speeds else None,
        "requests": asked.requests,
        "repairs_max": asked.repairs,
        "tokens_in": asked.tokens_in,
        "tokens_out_max": asked.tokens_out_max,
        "synthesis_cost_max": asked.cost,
        "annotator_requests_max": rest.requests,
        "annotator_tokens_max": rest.tokens_in + rest.tokens_out_max,
        "annotator_cost_max": rest.cost,
        "direct_labeling_estimate": direct,
        "currency": asked.currency,
        "price_as_of": None if listed is None else listed.as_of,
        "price_source": None if listed is None else listed.source,
        "price_unknown_because": asked.reason or reason,
    }
