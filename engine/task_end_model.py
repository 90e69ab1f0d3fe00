"""The part of a labeling task that says how the model is distilled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.task_parts import TaskModel


class EndModelSpec(TaskModel):
    """The model distilled from the soft labels.

    Attributes:
        encoder: for `features: encoder`, a transformers folder or hub name.
        num_features_log2: n-grams are hashed into 2 to this many buckets.
        max_char_ngram: above 0, characters within words are hashed too, in threes up to so many in a row.
        loss: `symmetric` and `generalized` forgive wrong soft labels more than cross entropy does.
        label_temperature: below 1, soft labels are sharpened before they are learned from.
        label_smoothing: share of a soft label that is spread evenly over the classes.
        confidence_weight: above 0, rows with an unsure soft label weigh less: their certainty to this power.
        balance_classes: whether rows are weighed so that every class counts the same.
        self_training: whether rows without a vote are learned from in a second pass, where the model is sure of them
            and held-out rows do not suffer.
        epochs: passes over the rows at most, for each regularization.
        regularization: L2 weights to choose from, on held-out soft labels, relative to the mean loss of a row.
        trainer: `auto` trains in this process when the features fit there, and with Ray Train otherwise.
        num_workers: of Ray Train; above 1, `auto` means Ray Train.
    """

    features: Literal["hashed_ngrams", "encoder"] = "hashed_ngrams"
    encoder: str | None = None
    num_features_log2: Annotated[int, Field(ge=10, le=24)] = 18
    max_ngram: Annotated[int, Field(ge=1, le=3)] = 2
    max_char_ngram: Annotated[int, Field(ge=0, le=6)] = 0
    loss: Literal["cross_entropy", "symmetric", "generalized"] = "cross_entropy"
    label_temperature: Annotated[float, Field(ge=0.05, le=20)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    confidence_weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    balance_classes: bool = False
    self_training: bool = False
    epochs: Annotated[int, Field(ge=1)] = 40
    regularization: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        1e-2,
        1e-3,
        1e-4,
        3e-5,
        1e-5,
        3e-6,
        1e-6,
        3e-7,
    )
    trainer: Literal["auto", "process", "ray"] = "auto"
    num_workers: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _encoder_named(self) -> EndModelSpec:
        if (self.features == "encoder") != (self.encoder is not None):
            raise ValueError("`features: encoder` and `encoder: <folder or hub name>` go together")
        return self
