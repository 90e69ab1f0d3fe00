"""The model card of a run: where its soft labels come from, and once they are there, the figures on gold."""

from __future__ import annotations

from engine.distillation.card import CARD, model_card
from engine.distillation.origin import Measured, Origin, ProgramOrigin
from engine.stages.annotate import Annotated
from engine.stages.context import Context
from engine.stages.corpus import Corpus
from engine.stages.distill import Distilled
from engine.stages.evaluate import Evaluation, figures_of
from engine.stages.fit import Models
from engine.stages.label import Labeled
from engine.stages.programs import ProgramSet
from engine.stages.votes import Voted
from engine.store import digest_of
from engine.synthesis.programs import provenance
from operators.commit import commit
from operators.end_model import read_config


def origin_of(
    ctx: Context,
    corpus: Corpus,
    programs: ProgramSet,
    voted: Voted,
    models: Models,
    annotated: Annotated | None,
    labeled: Labeled,
) -> Origin:
    """Say where the soft labels of a run come from."""
    shards = corpus.shards if ctx.images is None else tuple(ctx.images.shards.values())
    tally = voted.counts.train + voted.counts.test
    by_key = dict(zip(programs.keys, programs.programs, strict=True))
    voting = [by_key[key] for key in voted.keys]
    coverage = [row["Coverage"] for row in tally.lf_summary()] if tally.num_rows else [None] * len(voting)
    return Origin(
        files=tuple(dict.fromkeys(piece.name for shard in shards for piece in shard.pieces)),
        fingerprint=digest_of("fingerprint", [shard.key for shard in shards]),
        rows=corpus.counts.rows,
        test_rows=corpus.counts.test_rows,
        programs=tuple(
            ProgramOrigin(name=p.name, digest=p.digest, coverage=share, model=provenance(p).model)
            for p, share in zip(voting, coverage, strict=True)
        ),
        coverage=tally.coverage,
        label_model=models.chosen.method,
        gold_rows=models.gold_rows,
        annotated_rows=int(labeled.counts.annotated.sum()),
        annotators=() if annotated is None else tuple(annotated.facts["models"]),
    )


def write_card(ctx: Context, model: Distilled, origin: Origin, evaluation: Evaluation, models: Models) -> None:
    """Write the card of a model that was judged, unless the one that is there came from the same."""
    judged = evaluation.judged
    figures = (
        {}
        if judged is None
        else {way: figures_of(ctx, models, judged.confusions[way]) for way in ("label_model", "end_model")}
    )
    measured = Measured(figures=figures, reason=evaluation.reason or "")
    text = model_card(read_config(model.folder), origin=origin, measured=measured)
    path, digest = model.folder / CARD, digest_of("card", text)
    if ctx.run.noted("card") != digest or not path.exists():
        commit(path, lambda attempt: attempt.write_text(text, encoding="utf-8"), replace=True)
        ctx.run.note(card=digest)
