"""The part of a labeling task that says how programs are asked for."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from engine.task_parts import LanguageModelSpec, Paths, TaskModel, as_tuple

Strategy = Literal["general", "description", "examples", "keywords", "rules"]
"""What a prompt offers besides the task: nothing, or one kind of knowledge."""


class SynthesisSpec(TaskModel):
    """How programs are asked for.

    Attributes:
        strategies: kinds of prompt; the programs are spread over them.
        stages: with `one`, the model that writes a program works out the knowledge first, in the same answer; with
            `two`, a model is asked for it beforehand, and it stands in `knowledge/` of the run directory for people to
            edit.
        knowledge_model: writes the knowledge; `language_model` unless given.
        documents: text, Markdown, CSV, HTML or PDF files of the user; passages of them are quoted to the model.
        retrieval: how passages are found: by words, or by an encoder.
        encoder: for `retrieval: dense`, a transformers folder or hub name.
        max_passages: of one prompt.
        chunk_chars: length of a passage at most.
        chunk_overlap: characters that a passage shares with the one before it.
        show_rows: training rows that a prompt may quote; with 0 no row is sent to a model, and what the programs lack
            is told by words that many rows share.
        repairs: how often a program that is turned away is asked for again, with the reason, besides the first time.
        sample_rows: training rows on which a new program is tried at once; 0 for no trial, and then nothing is known of
            what the programs lack.
        diversity: ask for what the programs so far lack, and refuse copies of them.
        max_likeness: of the code of two programs, 0..1; above it the later one is a copy.
        patience: programs in a row that bring no growth before no more are asked for; 0 asks for all of them.
    """

    strategies: Annotated[tuple[Strategy, ...], BeforeValidator(as_tuple), Field(min_length=1)] = ("general",)
    stages: Literal["one", "two"] = "one"
    knowledge_model: LanguageModelSpec | None = None
    documents: Paths = ()
    retrieval: Literal["bm25", "dense"] = "bm25"
    encoder: str | None = None
    max_passages: Annotated[int, Field(ge=1, le=100)] = 5
    chunk_chars: Annotated[int, Field(ge=100, le=20_000)] = 1000
    chunk_overlap: Annotated[int, Field(ge=0)] = 100
    show_rows: Annotated[int, Field(ge=0, le=100)] = 0
    repairs: Annotated[int, Field(ge=0, le=10)] = 2
    sample_rows: Annotated[int, Field(ge=0)] = 2000
    diversity: bool = True
    max_likeness: Annotated[float, Field(ge=0, le=1)] = 0.8
    patience: Annotated[int, Field(ge=0)] = 5

    @model_validator(mode="after")
    def _consistent(self) -> SynthesisSpec:
        if len(set(self.strategies)) != len(self.strategies):
            raise ValueError(f"`strategies` must differ, got {list(self.strategies)}")
        if self.knowledge_model is not None and self.stages == "one":
            raise ValueError("`knowledge_model` goes with `stages: two`; with one stage nobody asks it")
        if (self.retrieval == "dense") != (self.encoder is not None):
            raise ValueError("`retrieval: dense` and `encoder: <folder or hub name>` go together")
        if self.chunk_overlap > self.chunk_chars // 2:
            raise ValueError(
                f"`chunk_overlap` must be at most half of `chunk_chars` ({self.chunk_chars}), got {self.chunk_overlap}"
            )
        return self
