"""Reading a distilled model of any kind from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from operators.end_model import CONFIG, WEIGHTS, LinearModel, read_config
from operators.errors import InputError
from operators.features import FeatureSpec
from operators.mlp import MlpModel
from operators.schema import Floats
from operators.storage import Folder, folder_of


class TextModel(Protocol):
    """What every kind can do; `FeatureModel` says what the members mean."""

    @property
    def features(self) -> FeatureSpec: ...  # noqa: D102

    @property
    def class_names(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def temperature(self) -> float: ...  # noqa: D102

    @property
    def extra(self) -> dict[str, Any]: ...  # noqa: D102

    def predict_proba(self, texts: Sequence[str | None]) -> Floats: ...  # noqa: D102


def model_files(folder: Path) -> tuple[str, ...]:
    """Return the names of the files that make up a model, weights and config first.

    Raises:
        InputError: there is no distilled model in `folder`.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no distilled model, {name} is missing; a run writes one to its folder `model`")
    if read_config(folder)["kind"] != "fine_tune":
        return CONFIG, WEIGHTS
    # Its tokenizer too, whose files have other names for each encoder.
    known = (CONFIG, WEIGHTS, "README.md")
    others = [path.name for path in folder.iterdir() if path.is_file() and path.suffix != ".onnx"]
    return CONFIG, WEIGHTS, *sorted(name for name in others if name not in known)


def load_model(folder: str | Folder) -> TextModel:
    """Read the model in a folder.

    Raises:
        InputError: there is no distilled model in `folder`, it is damaged, or it is of another version.
    """
    place = folder_of(folder) if isinstance(folder, str) else folder
    kind = read_config(place)["kind"]
    if kind == LinearModel.kind:
        return LinearModel.load(place)
    if kind == MlpModel.kind:
        return MlpModel.load(place)
    if kind == "fine_tune":
        # Imported here: torch and transformers take seconds, and the other kinds need neither.
        from operators.fine_tuned import FineTunedModel

        return FineTunedModel.load(place)
    raise InputError(f"{place}: a model of kind {kind!r}, which this version does not know; update alchemist")
