"""The part of a labeling task that says how the model is distilled."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.task_parts import TaskModel


class EndModelSpec(TaskModel):
    """The model distilled from the soft labels.

    Attributes:
        head: `linear` is a logistic regression over the features, `mlp` has a hidden layer between; `fine_tune` trains
            the encoder itself.
        features: `columns` is for records: numbers as numbers, values as they are.
        encoder: for `features: encoder`, a transformers folder or hub name.
        num_features_log2: n-grams are hashed into 2 to this many buckets.
        max_char_ngram: above 0, characters within words are hashed too, in threes up to so many in a row; `auto` tries
            five on some thousand rows and keeps them where held-out soft labels are predicted better.
        feature_dropout: share of a row's features that training leaves out at random, so that the model does not lean
            on the programs' own words alone; .7 of n-grams and 0 of others unless given, and not for `fine_tune`.
        loss: `symmetric` and `generalized` forgive wrong soft labels more than cross entropy does.
        label_temperature: below 1, soft labels are sharpened before they are learned from.
        label_smoothing: share of a soft label that is spread evenly over the classes.
        confidence_weight: above 0, rows with an unsure soft label weigh less: their certainty to this power.
        balance_classes: whether rows are weighed so that every class counts the same.
        self_training: whether rows without a vote are learned from in a second pass, where the model is sure of them
            and held-out rows do not suffer; for the linear head.
        hidden_units: of `mlp`.
        max_tokens: where `fine_tune` cuts a text; 256 unless given, or fewer where the encoder takes no more.
        learning_rate: of `mlp` and `fine_tune`; .003 and .00005 unless given.
        batch_size: rows a step of `mlp` and `fine_tune`, of all workers together; 64 and 32 unless given.
        accumulate: parts that the rows of a step are computed in, where a device lacks the memory for all at once.
        epochs: passes over the rows at most, for each regularization; 40 unless given, and 4 for `fine_tune`.
        regularization: L2 weights to choose from, on held-out soft labels, relative to the mean loss of a row; of
            `linear` and `mlp`.
        trainer: `auto` trains in this process when the features fit there, and with Ray Train otherwise, or where an
            encoder is fine-tuned and the cluster has a GPU but this process none.
        num_workers: of Ray Train, at most; above 1, `auto` means Ray Train.
    """

    head: Literal["linear", "mlp", "fine_tune"] = "linear"
    features: Literal["hashed_ngrams", "encoder", "columns"] = "hashed_ngrams"
    encoder: str | None = None
    num_features_log2: Annotated[int, Field(ge=10, le=24)] = 18
    max_ngram: Annotated[int, Field(ge=1, le=3)] = 2
    max_char_ngram: Annotated[int, Field(ge=0, le=6)] | Literal["auto"] = "auto"
    feature_dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    loss: Literal["cross_entropy", "symmetric", "generalized"] = "cross_entropy"
    label_temperature: Annotated[float, Field(ge=0.05, le=20)] = 1.0
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    confidence_weight: Annotated[float, Field(ge=0, le=10)] = 0.0
    balance_classes: bool = False
    self_training: bool = False
    hidden_units: Annotated[int, Field(ge=1, le=4096)] = 64
    max_tokens: Annotated[int, Field(ge=8, le=8192)] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None
    accumulate: Annotated[int, Field(ge=1)] = 1
    epochs: Annotated[int, Field(ge=1)] | None = None
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
        if self.head == "fine_tune" and self.encoder is None:
            raise ValueError(
                "`head: fine_tune` trains an encoder: add `features: encoder` and `encoder: <folder or hub name>`"
            )
        if self.feature_dropout and self.head == "fine_tune":
            raise ValueError("`feature_dropout` is for `head: linear` and `head: mlp`; leave it out of a `fine_tune`")
        if self.self_training and self.head != "linear":
            raise ValueError(f"`self_training` is for `head: linear`, got `head: {self.head}`; leave one of them out")
        return self

    @property
    def tries_characters(self) -> bool:
        """Whether a trial is to say if characters are looked at."""
        return self.features == "hashed_ngrams" and self.max_char_ngram == "auto"

    @property
    def passes(self) -> int:
        """Passes over the rows at most, for each regularization."""
        return self.epochs or (4 if self.head == "fine_tune" else 40)
