"""A fine-tuned encoder as an ONNX graph: the tokens of texts go in, calibrated probabilities come out."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import ConfigError
from operators.errors import InputError
from operators.fine_tuned import FineTunedModel
from operators.tokens import Tokens

_MOST_BYTES = (1 << 31) - (16 << 20)
"""Protobuf, which an ONNX file is, ends at 2 GiB; some room for what is no weight."""

_INPUTS = ("input_ids", "attention_mask")


class Probabilities(torch.nn.Module):
    """From tokens to probabilities on the CPU, in float32, whatever the model itself computes on."""

    def __init__(self, model: FineTunedModel) -> None:
        super().__init__()
        self.classifier = copy.deepcopy(model.classifier.model).cpu().float()
        self.temperature = model.temperature
        # All of it: the exporter brings every part back to the mode of the whole.
        self.eval()

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the probability of each class; (n, k)."""
        scores = self.classifier(input_ids=input_ids, attention_mask=attention_mask).logits
        return torch.softmax(scores / self.temperature, dim=-1)


def encoder_inputs(model: FineTunedModel, texts: Sequence[str | None]) -> dict[str, npt.NDArray[np.int64]]:
    """Return what the graph takes for n texts: their tokens, and the attention mask; (n, longest) each."""
    return dict(zip(_INPUTS, model.encoded(texts), strict=True))


def encoder_graph(torch_model: Probabilities, sample: Mapping[str, npt.NDArray[np.int64]], *, opset: int) -> Any:
    """Trace the graph with the tokens of a few texts; rows and their length stay open.

    Raises:
        ConfigError: the weights are too many for one file.
    """
    import onnx

    size = sum(weight.numel() * weight.element_size() for weight in torch_model.parameters())
    if size > _MOST_BYTES:
        raise ConfigError(
            f"the encoder has {size >> 20} MiB of weights, and an ONNX file holds {_MOST_BYTES >> 20} MiB; distill a "
            "smaller encoder, or serve the model's folder with transformers"
        )
    axes = {0: "rows", 1: "tokens"}
    with TemporaryDirectory() as scratch, warnings.catch_warnings():
        # It is called deprecated, and so are parts of it that it calls; torch's other exporter needs onnxscript, takes
        # five times as long and gives the same numbers. What tracing might fix is checked with other shapes.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torch_model,
            tuple(torch.from_numpy(sample[name]) for name in _INPUTS),
            Path(scratch) / "model.onnx",
            input_names=list(_INPUTS),
            output_names=["probabilities"],
            dynamic_axes={**dict.fromkeys(_INPUTS, axes), "probabilities": {0: "rows"}},
            opset_version=opset,
            dynamo=False,
        )
        return onnx.load(Path(scratch) / "model.onnx")


def expected_of(
    torch_model: Probabilities, batches: Sequence[Mapping[str, npt.NDArray[np.int64]]]
) -> Iterator[npt.NDArray[np.float32]]:
    """Give torch's own answer to each batch; (n, k)."""
    with torch.inference_mode():
        for batch in batches:
            yield torch_model(*(torch.from_numpy(batch[name]) for name in _INPUTS)).numpy()


def put_tokenizer(model: FineTunedModel, folder: Path) -> None:
    """Write the files of the tokenizer into a folder, unless it is there.

    Raises:
        ConfigError: the folder has another tokenizer; nothing is written.
    """
    tokenizer = model.tokens.tokenizer
    with TemporaryDirectory() as scratch:
        tokenizer.save_pretrained(scratch)
        files = {path.name: path.read_bytes() for path in sorted(Path(scratch).iterdir())}
    present = [name for name in files if (folder / name).exists()]
    if present:
        # By what it knows: its files also hold where it last cut a text.
        if _vocabulary(folder) != tokenizer.get_vocab():
            raise ConfigError(
                f"{folder / present[0]}: is of another tokenizer, and that of the model goes beside its graph; name a "
                "file in another folder"
            )
        return
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _vocabulary(folder: Path) -> dict[str, int]:
    """Return the vocabulary of the tokenizer in a folder, empty where what is there is none."""
    try:
        return dict(Tokens(str(folder), max_tokens=1).tokenizer.get_vocab())
    except InputError:
        return {}
