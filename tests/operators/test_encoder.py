"""An encoder's embedding of a text does not depend on the texts beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from operators.errors import InputError
from operators.features import FeatureSpec, Featurizer
from operators.torchvision_ops import ensure_torchvision

pytestmark = pytest.mark.slow


def _tiny_encoder(folder: Path) -> Path:
    """Write a BERT of two small layers with random weights and a vocabulary of a few words."""
    ensure_torchvision()
    import torch
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import BertProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]
    folder.mkdir()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    # Transformers 5 ignores `vocab_file`, and every word would be the unknown one.
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    return folder


def test_padding_and_order_do_not_matter(tmp_path: Path) -> None:
    """Texts of any length embed the same alone and together, in their order, at length 1; long ones are cut."""
    spec = FeatureSpec(kind="encoder", encoder=str(_tiny_encoder(tmp_path / "encoder")))
    featurizer = Featurizer(spec)
    texts = ["good film film film film bad", "bad", None, "good " * 500]
    together = featurizer.transform(texts).toarray()
    alone = np.concatenate([featurizer.transform([text]).toarray() for text in texts])
    assert together.shape == (4, featurizer.num_features) == (4, 16)
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    assert not np.allclose(together[0], together[1], atol=1e-2)
    good, bad = featurizer.transform(["good", "bad"]).toarray()
    assert not np.allclose(good, bad, atol=1e-2), "words are told apart, not all unknown"


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    """A folder that is not there is an error that says what to name."""
    missing = str(tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere.*cannot be loaded"):
        Featurizer(FeatureSpec(kind="encoder", encoder=missing))
