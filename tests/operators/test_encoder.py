"""An encoder's embedding of a text does not depend on the texts beside it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from operators.encoder import Encoder
from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer

pytestmark = pytest.mark.slow

WORDS = ("good", "bad", "film")


def test_padding_and_order_do_not_matter(tmp_path: Path, make_encoder: Callable[..., Path]) -> None:
    """Texts of any length embed the same alone and together, in their order, at length 1; long ones are cut."""
    spec = FeatureSpec(kind="encoder", encoder=str(make_encoder(tmp_path / "encoder", WORDS)))
    featurizer = Featurizer(spec)
    texts = ["good film film film film bad", "bad", None, "good " * 500]
    together = featurizer.transform(texts).toarray()
    alone = np.concatenate([featurizer.transform([text]).toarray() for text in texts])
    assert together.shape == (4, featurizer.num_features) == (4, 16)
    # A step of half precision, in which embeddings are kept.
    assert np.allclose(together, alone, atol=5e-4)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-2)
    good, bad = featurizer.transform(["good", "bad"]).toarray()
    assert not np.allclose(good, bad, atol=1e-2), "words are told apart, not all unknown"


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_a_checkpoint_is_computed_in_whole_precision(
    tmp_path: Path, make_encoder: Callable[..., Path], precision: str
) -> None:
    """On a CPU an encoder that is kept in half precision embeds as its float32 copy does."""
    import torch
    from transformers import AutoModel

    kept = make_encoder(tmp_path / "kept", WORDS)
    copy = shutil.copytree(kept, tmp_path / "copy")
    model = AutoModel.from_pretrained(kept).to(getattr(torch, precision))
    model.save_pretrained(kept)
    model.float().save_pretrained(copy)
    assert AutoModel.from_pretrained(kept).dtype == getattr(torch, precision)
    texts = ["good film film", "bad", "film good bad bad"]
    one, two = (Encoder(str(folder)).encode(texts) for folder in (kept, copy))
    assert np.allclose(one, two, atol=1e-6)


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    """A folder that is not there is an error that says what to name."""
    missing = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere.*cannot be loaded"):
        Featurizer(FeatureSpec(kind="encoder", encoder=missing))
