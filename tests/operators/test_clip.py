"""CLIP by open_clip, with random weights in a local checkpoint: it loads, scores, and finds its batch size."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch

from operators.clip import OpenClip, fitting_batch, in_batches
from operators.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


def test_a_batch_without_memory_is_halved_and_nothing_is_lost():
    """Where at most 5 rows fit, 23 come back in order, whatever the first size."""
    tried = []

    def encode(rows):
        tried.append(len(rows))
        if len(rows) > 5:
            raise torch.OutOfMemoryError("simulated")
        return np.array(rows, np.float32).reshape(-1, 1)

    parts, size = in_batches(encode, list(range(23)), batch_size=16)
    assert np.concatenate(parts).ravel().tolist() == list(range(23))
    assert size == 4
    assert tried[:3] == [16, 8, 4]
    parts, size = in_batches(encode, list(range(7)), batch_size=64)
    assert np.concatenate(parts).ravel().tolist() == list(range(7))
    assert size == 3


def test_a_row_that_does_not_fit_is_an_error():
    """Memory for not even one row is the device's trouble, and is said."""

    def encode(rows):
        raise torch.OutOfMemoryError("simulated")

    with pytest.raises(torch.OutOfMemoryError):
        in_batches(encode, [1, 2, 3], batch_size=2)


@pytest.mark.parametrize(
    ("free", "peak", "rows", "size"),
    [
        (8 << 30, 160 << 20, 16, 512),
        (1 << 30, 160 << 20, 16, 64),
        (1 << 30, 160 << 20, 2, 8),
        (10 << 20, 160 << 20, 16, 1),
        (0, 160 << 20, 16, 1),
        (8 << 30, 0, 16, 512),
    ],
)
def test_the_batch_follows_free_memory(free, peak, rows, size):
    """Of 1 GB with 10 MB a row four fifths hold 81 rows, so 64 go at once; never more than 512 nor less than 1."""
    assert fitting_batch(free_bytes=free, peak_bytes=peak, rows=rows) == size


def test_without_weights_it_refuses():
    """Random weights are never taken silently."""
    with pytest.raises(InputError, match="needs weights"):
        OpenClip(model="ViT-B-32")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A saved checkpoint of a tiny architecture."""
    from operators.torchvision_ops import ensure_torchvision

    ensure_torchvision()
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    folder = tmp_path_factory.mktemp("clip")
    config = folder / "tiny-test-clip.json"
    config.write_text(json.dumps(TINY))
    open_clip.add_model_config(str(config))
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-test-clip")
    torch.save(model.state_dict(), folder / "weights.pt")
    return {"model": "tiny-test-clip", "pretrained": str(folder / "weights.pt"), "config": str(config)}


def photos(count):
    generator = np.random.default_rng(0)
    for i in range(count):
        buffer = io.BytesIO()
        Image.fromarray(generator.integers(0, 256, (40 + i, 60, 3), dtype=np.uint8)).save(buffer, "PNG")
        yield buffer.getvalue()


@pytest.mark.slow
def test_a_local_checkpoint_gives_what_open_clip_gives(checkpoint):
    """Embeddings and scores equal those of open_clip's own preprocessing and model, whatever the batch size."""
    import open_clip

    clip = OpenClip(**checkpoint, batch_size=3)
    images = list(photos(7))
    embeddings = clip.embed([clip.prepare(data) for data in images])
    assert embeddings.shape == (7, clip.num_features) == (7, 16)
    assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    model, _, preprocess = open_clip.create_model_and_transforms(
        checkpoint["model"], pretrained=checkpoint["pretrained"]
    )
    model.eval()
    with torch.inference_mode():
        pixels = torch.stack([preprocess(Image.open(io.BytesIO(data))) for data in images])
        theirs = model.encode_image(pixels, normalize=True)
        texts = model.encode_text(open_clip.get_tokenizer(checkpoint["model"])(["an ant", "a bee"]), normalize=True)
        scores = model.logit_scale.exp() * theirs @ texts.T
    assert np.allclose(embeddings, theirs.numpy(), atol=1e-5)
    given = clip.scores(embeddings, ["an ant", "a bee"])
    assert np.allclose(given, scores.numpy(), atol=1e-3)
    assert np.array_equal(given, clip.scores(embeddings, ["an ant", "a bee"]))


@pytest.mark.slow
def test_weights_that_are_not_there_are_told(checkpoint, tmp_path):
    """An unknown architecture, tag or damaged file is an error that says what was expected."""
    (tmp_path / "bad.pt").write_bytes(b"no weights")
    for options in ({"model": "none"}, {"pretrained": "no-such-tag"}, {"pretrained": str(tmp_path / "bad.pt")}):
        with pytest.raises(InputError, match="cannot be loaded"):
            OpenClip(**(checkpoint | options))


@pytest.mark.slow
def test_embedding_goes_on_with_a_smaller_batch(checkpoint):
    """Where the model has memory for 3 rows, `embed` gives the same embeddings and keeps to 3 from then on."""
    clip = OpenClip(**checkpoint, batch_size=8)
    rows = [clip.prepare(data) for data in photos(7)]
    whole = clip.embed(rows)
    assert clip.batch_size == 8
    encode, tried = clip._model.encode_image, []

    def short_of_memory(images, **how):
        tried.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("simulated")
        return encode(images, **how)

    clip._model.encode_image = short_of_memory
    assert np.allclose(clip.embed(rows), whole, atol=1e-6)
    # The first batch is of 7 rows.
    assert tried == [7, 3, 3, 1]
    assert clip.batch_size == 3


@pytest.mark.slow
def test_other_weights_or_preprocessing_are_other_embeddings(tmp_path):
    """The identity follows the file, the preprocessing and the precision, and not the size of a batch."""
    pytest.importorskip("open_clip", reason="open_clip is not installed")
    path = tmp_path / "w.pt"
    path.write_bytes(b"1")
    weights = {"pretrained": str(path), "model": "ViT-B-32"}
    before = OpenClip.identity(**weights)
    assert OpenClip.identity(**weights, batch_size=7) == before
    assert OpenClip.identity(**weights, mean=[0.48145466, 0.4578275, 0.40821073]) == before
    others = [{"mean": 0.5}, {"resize_mode": "squash"}, {"interpolation": "bilinear"}, {"precision": "float32"}]
    assert len({before, *(OpenClip.identity(**weights, **other) for other in others)}) == 5
    path.write_bytes(b"12")
    assert OpenClip.identity(**weights) != before
