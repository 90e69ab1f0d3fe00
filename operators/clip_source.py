"""What a CLIP of open_clip is like before its weights are read: its files, its preprocessing and its memory.

The driver asks for these: embeddings are kept under the first two, and actors are placed by the third.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from operators.errors import InputError
from operators.torchvision_ops import ensure_torchvision

_FOLDER, _HUB = "local-dir:", "hf-hub:"
"""How open_clip's names of models begin that bring their own weights."""

_CHOICES = {"interpolation": ("bicubic", "bilinear"), "resize_mode": ("shortest", "longest", "squash")}

_BESIDE_WEIGHTS = 512 << 20
"""Bytes of a worker with torch and open_clip (430 MB), and of the images that are prepared ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSource:
    """Which model, and how images are brought to it.

    Attributes:
        model: architecture, by open_clip's name; `local-dir:FOLDER` and `hf-hub:NAME` hold weights too.
        pretrained: tag of its weights, or the path of a checkpoint; empty where `model` holds them.
        config: path of a JSON file that describes the architecture, for one that open_clip does not know.
        mean: of the channels in 0..1, one number or three; what goes with the weights unless given.
        std: likewise.
        interpolation: bicubic or bilinear, likewise.
        resize_mode: shortest (and the middle is cut out), longest (and filled up) or squash, likewise.
    """

    model: str = "ViT-B-32"
    pretrained: str = ""
    config: str | None = None
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    interpolation: str | None = None
    resize_mode: str | None = None

    def __post_init__(self) -> None:
        brings = self.model.startswith((_FOLDER, _HUB))
        if brings and self.pretrained:
            raise InputError(f"CLIP {self.model} brings its weights; leave out `pretrained`, {self.pretrained!r}")
        if not brings and not self.pretrained:
            raise InputError(
                f"CLIP {self.model} needs weights: give `pretrained`, a tag such as laion2b_s34b_b79k or the path of a "
                "checkpoint; with random ones its scores say nothing"
            )

    def files(self) -> list[Path]:
        """List the files behind the paths, in a fixed order."""
        found = [Path(path) for path in (self.pretrained, self.config) if path and Path(path).is_file()]
        if self.model.startswith(_FOLDER):
            found += sorted(path for path in Path(self.model.removeprefix(_FOLDER)).glob("*") if path.is_file())
        return found

    def preprocessing(self) -> dict[str, Any]:
        """Say how images are brought to the model: mean, std, interpolation and resize_mode, as open_clip takes them.

        For a checkpoint by path it is that of the weights that open_clip knows for the architecture, and where it knows
        none, what open_clip trains with unless told otherwise. Of a model that describes itself, only what is given.

        Raises:
            InputError: an option is wrong, or the weights that open_clip knows differ in one that is not given.
        """
        given = self._given()
        if self.model.startswith((_FOLDER, _HUB)):
            return given
        open_clip = self.library()
        tags = [self.pretrained] if self._tag else open_clip.list_pretrained_tags_by_model(self._name)
        usual = open_clip.transform.PreprocessCfg()
        found: dict[str, Any] = {}
        for option in ("mean", "std", *_CHOICES):
            values: dict[Any, list[str]] = {}
            for tag in tags:
                value = open_clip.get_pretrained_cfg(self._name, tag).get(option) or getattr(usual, option)
                values.setdefault(value, []).append(tag)
            if option not in given and len(values) > 1:
                told = " or ".join(f"{value} ({', '.join(of)})" for value, of in values.items())
                raise InputError(
                    f"CLIP {self.model} with weights {self.pretrained!r}: a path does not tell what they were trained "
                    f"with, and those that open_clip knows of this architecture differ; give the option `{option}`, "
                    f"{told}"
                )
            found[option] = next(iter(values), getattr(usual, option))
        return found | given

    @property
    def quick_gelu(self) -> bool:
        """Whether weights by tag were trained with this activation; where `model` lacks it, open_clip only warns."""
        return bool(self._tag.get("quick_gelu"))

    def load(self) -> tuple[Any, Any]:
        """Return the model, on the CPU, and open_clip's transforms of an image.

        Raises:
            InputError: there is no such model, or its weights cannot be had.
        """
        shaping = {f"image_{option}": value for option, value in self.preprocessing().items()}
        try:
            model, _, preprocess = self.library().create_model_and_transforms(
                self.model,
                pretrained=self.pretrained or None,
                force_quick_gelu=self.quick_gelu,
                **shaping,
            )
        except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise InputError(
                f"CLIP {self.model} with weights {self.pretrained!r} cannot be loaded: {error}; `model` is an "
                "architecture of open_clip, `pretrained` one of its tags or the path of a checkpoint"
            ) from error
        return model, preprocess

    def tokenizer(self) -> Any:
        """Return what turns texts into tokens.

        Raises:
            InputError: it cannot be had. Of SigLIP and others it is on the hub, apart from the weights.
        """
        try:
            return self.library().get_tokenizer(self.model)
        except (OSError, ValueError, ImportError) as error:
            raise InputError(
                f"the tokenizer of CLIP {self.model} cannot be had: {error}; it comes from the hub. Without a network, "
                "download the whole model into a folder and name it as `model: local-dir:FOLDER`, without `pretrained`"
            ) from error

    def memory_bytes(self) -> int | None:
        """Estimate what a worker needs while it loads the model in float32, when the weights are there twice.

        Returns:
            None where that is not known before weights are fetched.

        Raises:
            InputError: there is no such model.
        """
        sizes = [path.stat().st_size for path in self.files() if path.suffix != ".json"]
        if self.model.startswith(_HUB):
            return None
        try:
            # Without the numbers. Some text towers are described on the hub alone.
            with torch.device("meta"):
                made = self.library().create_model(self.model, load_weights=False, pretrained_text=False, device="meta")
        except OSError:
            return 2 * max(sizes) + _BESIDE_WEIGHTS if sizes else None
        except (RuntimeError, ValueError) as error:
            raise InputError(f"CLIP {self.model} is no architecture that open_clip can make: {error}") from error
        numbers: int = sum(parameter.numel() for parameter in made.parameters())
        return 2 * 4 * numbers + _BESIDE_WEIGHTS

    def library(self) -> Any:
        """Return open_clip, which knows the architecture of `config`.

        Raises:
            InputError: it is not installed.
        """
        try:
            ensure_torchvision()
            import open_clip
        except ImportError as error:
            raise InputError(
                f"CLIP needs open_clip: {error}; install the extra on all nodes: pip install -e '.[image]'"
            ) from error
        if self.config is not None:
            open_clip.add_model_config(self.config)
        return open_clip

    @property
    def _name(self) -> str:
        return self.model.replace("/", "-")

    @property
    def _tag(self) -> dict[str, Any]:
        """What open_clip knows of the weights, where they are a tag."""
        return dict(self.library().get_pretrained_cfg(self._name, self.pretrained)) if self.pretrained else {}

    def _given(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for option, choices in _CHOICES.items():
            if (value := getattr(self, option)) is not None:
                if value not in choices:
                    raise InputError(f"CLIP's option `{option}` is {value!r}; expected one of {', '.join(choices)}")
                given[option] = value
        for option in ("mean", "std"):
            if (value := getattr(self, option)) is not None:
                values = (value,) * 3 if isinstance(value, int | float) else tuple(value)
                if len(values) != 3 or not all(isinstance(number, int | float) for number in values):
                    raise InputError(f"CLIP's option `{option}` is {value!r}; expected a number, or three in a list")
                given[option] = values
        return given
