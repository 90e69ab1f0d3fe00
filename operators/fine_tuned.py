"""A fine-tuned encoder with a layer for the classes: a folder that transformers reads as any of its own.

`AutoModelForSequenceClassification.from_pretrained(folder)` and `AutoTokenizer.from_pretrained(folder)` take it as it
is. What is ours (how texts were cut, the temperature, how it was trained) stands under one key of its config.json.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from operators.end_model import CONFIG, CONFIG_KEYS, FORMAT, NESTED, read_config, readable, softmax
from operators.errors import InputError
from operators.features import FeatureSpec, Sparse
from operators.schema import Floats
from operators.storage import Folder, names_in
from operators.tokens import Tokens, padded
from operators.torchvision_ops import ensure_torchvision

_BATCH = 32


class TokenClassifier(torch.nn.Module):
    """A sequence classifier of transformers over rows of tokens; `features` of its calls are a CSR matrix of them."""

    def __init__(self, encoder: str, *, class_names: Sequence[str] | None) -> None:
        """Load an encoder, with a new layer for `class_names`; None takes the layer that is there.

        Raises:
            InputError: there is no encoder of this name, or it has no sequence classifier in transformers.
        """
        super().__init__()
        ensure_torchvision()
        from transformers import AutoModelForSequenceClassification

        names = list(class_names or ())
        more = {
            "num_labels": len(names),
            "id2label": dict(enumerate(names)),
            "label2id": {name: i for i, name in enumerate(names)},
            # An encoder that was fine-tuned before may have a layer for other classes.
            "ignore_mismatched_sizes": True,
        }
        try:
            with _quietly():
                self.model: Any = AutoModelForSequenceClassification.from_pretrained(
                    encoder, dtype=torch.float32, **(more if names else {})
                )
        except (OSError, ValueError) as error:
            raise InputError(
                f"encoder {encoder!r} cannot be loaded to be fine-tuned; name a folder with a transformers model and "
                f"its tokenizer, or a model of the hub: {error}"
            ) from error
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model.to(self.device)
        self.pad = int(self.model.config.pad_token_id or 0)
        self._half = has_bfloat16(self.device)

    def forward(self, features: Sparse) -> torch.Tensor:
        """Score n rows of tokens; (n, k) float32."""
        ids, mask = (torch.from_numpy(part).to(self.device) for part in padded(features, pad=self.pad))
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if self._half else nullcontext():
            scores: torch.Tensor = self.model(input_ids=ids, attention_mask=mask).logits
        return scores.float()

    def scores(self, features: Sparse) -> npt.NDArray[np.float32]:
        """Score n rows without learning from them, rows of a length together; (n, k), in their order."""
        self.eval()
        # By length, so that a batch holds little padding.
        order = np.argsort(np.diff(features.indptr), kind="stable")
        out = np.zeros((features.shape[0], self.model.config.num_labels), np.float32)
        with torch.inference_mode():
            for start in range(0, len(order), _BATCH):
                places = order[start : start + _BATCH]
                out[places] = self(features[places]).cpu().numpy()
        return out


class FineTunedModel:
    """A fine-tuned encoder, as `operators.models.TextModel`."""

    kind: ClassVar[str] = "fine_tune"

    def __init__(
        self,
        *,
        features: FeatureSpec,
        class_names: tuple[str, ...],
        temperature: float,
        extra: dict[str, Any],
        classifier: TokenClassifier,
        tokens: Tokens,
    ) -> None:
        self.features, self.class_names, self.temperature, self.extra = features, class_names, temperature, extra
        self.classifier, self.tokens = classifier, tokens

    def predict_proba(self, texts: Sequence[str | None]) -> Floats:
        """Return the probability of each class; (n, k), rows sum to 1. A null counts as an empty text."""
        if not texts:
            return np.zeros((0, len(self.class_names)))
        return softmax(self.classifier.scores(self._transformed(texts)) / self.temperature)

    def encoded(self, texts: Sequence[str | None]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the tokens of n texts, filled up to the longest, and the attention mask; (n, length) each."""
        return padded(self._transformed(texts), pad=self.classifier.pad)

    def _transformed(self, texts: Sequence[str | None]) -> Sparse:
        return self.tokens.transform([text or "" for text in texts])

    @classmethod
    def load(cls, folder: Folder) -> FineTunedModel:
        """Read what `save` wrote.

        Raises:
            InputError: there is no fine-tuned model in `folder`, or it is damaged.
        """
        config = read_config(folder)
        if not isinstance(folder, Path):
            # transformers reads local folders alone.
            with tempfile.TemporaryDirectory() as copy:
                for name in names_in(folder):
                    (Path(copy) / name).write_bytes((folder / name).read_bytes())
                return cls._read(Path(copy), config)
        return cls._read(folder, config)

    @classmethod
    def _read(cls, folder: Path, config: Mapping[str, Any]) -> FineTunedModel:
        from safetensors import SafetensorError

        with readable(folder, SafetensorError):
            features = FeatureSpec.from_json(config["features"])
            if features.max_tokens is None:
                raise ValueError("its features are no tokens")
            return cls(
                features=features,
                class_names=tuple(config["class_names"]),
                temperature=float(config["temperature"]),
                extra={key: value for key, value in config.items() if key not in CONFIG_KEYS},
                classifier=TokenClassifier(str(folder), class_names=None),
                tokens=Tokens(str(folder), max_tokens=features.max_tokens),
            )


def save(
    folder: Path,
    tensors: Mapping[str, npt.NDArray[Any]],
    *,
    features: FeatureSpec,
    class_names: Sequence[str],
    temperature: float,
    extra: Mapping[str, Any],
) -> None:
    """Write a fine-tuned encoder into an existing folder, with its tokenizer.

    Args:
        folder: for the files.
        tensors: state of the trained `TokenClassifier`, by name.
        features: of kind tokens; names the encoder that was fine-tuned.
        class_names: k names.
        temperature: see `FeatureModel`.
        extra: JSON values that are kept in the model's config.
    """
    if features.encoder is None or features.max_tokens is None:
        raise ValueError(f"a fine-tuned encoder has features of kind 'tokens', got {features.kind!r}")
    classifier = TokenClassifier(features.encoder, class_names=class_names)
    classifier.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in tensors.items()})
    # One file, by the name that the other kinds have.
    with _quietly():
        classifier.model.cpu().save_pretrained(folder, max_shard_size="1000GB")
    Tokens(features.encoder, max_tokens=features.max_tokens).tokenizer.save_pretrained(folder)
    ours = {
        "format": FORMAT,
        "kind": FineTunedModel.kind,
        "features": features.to_json(),
        "class_names": list(class_names),
        "temperature": temperature,
        **extra,
    }
    whole = json.loads((folder / CONFIG).read_text(encoding="utf-8")) | {NESTED: ours}
    (folder / CONFIG).write_text(json.dumps(whole, indent=2, allow_nan=False) + "\n", encoding="utf-8")


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep transformers from drawing bars, and from telling that the layer of the classes is new."""
    from transformers.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def has_bfloat16(device: torch.device) -> bool:
    """Say whether a device multiplies in bfloat16 faster than in float32."""
    if device.type == "cuda":
        # Devices before Ampere compute it step by step.
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # On a CPU the sums of a training step would be rounded too, and few have the instructions.
    return False
