"""What open_clip's weights are preprocessed by, tags and files alike, and what they take; nothing is downloaded."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch

from operators.clip import OpenClip
from operators.clip_source import ClipSource
from operators.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
pytestmark = pytest.mark.slow

INCEPTION = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "interpolation": "bicubic", "resize_mode": "squash"}

# As SigLIP is, of a layer: no class token but pooling by attention, a bias of the logits, its own tokenizer.
TINY_SIGLIP = {
    "embed_dim": 32,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 32, "heads": 2, "layers": 1, "no_causal_mask": True},
}


@pytest.fixture(scope="module")
def open_clip():
    """The library, as `ClipSource` imports it."""
    pytest.importorskip("open_clip", reason="open_clip is not installed")
    return ClipSource(pretrained="openai").library()


@pytest.fixture
def siglip(open_clip, tmp_path, monkeypatch):
    """A tiny architecture under the name of a SigLIP, with random weights in a file and a tokenizer nowhere."""
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", dict(open_clip.factory._MODEL_CONFIGS))
    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIG_PATHS", list(open_clip.factory._MODEL_CONFIG_PATHS))
    config = tmp_path / "ViT-B-16-SigLIP.json"
    text = TINY_SIGLIP["text_cfg"] | {"hf_tokenizer_name": str(tmp_path / "no" / "tokenizer")}
    config.write_text(json.dumps(TINY_SIGLIP | {"text_cfg": text}))
    open_clip.add_model_config(str(config))
    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-16-SigLIP").state_dict(), tmp_path / "weights.pt")
    return {"model": "ViT-B-16-SigLIP", "pretrained": str(tmp_path / "weights.pt"), "config": str(config)}


def photo():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue(), Image.fromarray(pixels)


def test_siglip_by_path_is_preprocessed_as_by_tag(siglip, open_clip):
    """A file gives what open_clip gives with the preprocessing of the architecture's tag: squashed, mean 0.5."""
    clip = OpenClip(**siglip)
    data, image = photo()
    cfg = open_clip.get_pretrained_cfg("ViT-B-16-SigLIP", "webli")
    names = ("mean", "std", "interpolation", "resize_mode")
    transform = open_clip.image_transform(32, is_train=False, **{name: cfg[name] for name in names})
    model = open_clip.create_model(siglip["model"], pretrained=siglip["pretrained"]).eval()
    with torch.inference_mode():
        theirs = model.encode_image(transform(image)[None], normalize=True)
    assert np.allclose(clip.embed([clip.prepare(data)]), theirs.numpy(), atol=1e-5)
    cut = OpenClip(**siglip, resize_mode="shortest")
    assert not np.allclose(cut.embed([cut.prepare(data)]), theirs.numpy(), atol=1e-3)


def test_a_tokenizer_that_cannot_be_had_is_told(siglip):
    """Images are embedded without one; texts say where it comes from."""
    clip = OpenClip(**siglip)
    with pytest.raises(InputError, match=r"tokenizer of CLIP ViT-B-16-SigLIP .* local-dir:FOLDER"):
        clip.encode_texts(["an ant"])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"model": "ViT-B-16-SigLIP", "pretrained": "weights.pt"}, INCEPTION),
        ({"model": "ViT-B-16-SigLIP", "pretrained": "webli"}, INCEPTION),
        ({"model": "ViT-L-14", "pretrained": "laion2b_s32b_b82k"}, INCEPTION | {"resize_mode": "shortest"}),
        ({"model": "ViT-B-16-SigLIP", "pretrained": "weights.pt", "mean": 0.4}, INCEPTION | {"mean": (0.4,) * 3}),
        ({"model": "ViT-L-14", "pretrained": "w.pt", "mean": 0.5, "std": [0.5, 0.5, 0.5]}, {"std": (0.5,) * 3}),
    ],
)
def test_preprocessing_goes_with_the_weights(open_clip, options, expected):
    """By tag it is the tag's, by path that of the tags of the architecture, and an option comes before both."""
    found = ClipSource(**options).preprocessing()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "ViT-L-14", "pretrained": "w.pt"}, r"option `mean`, .*openai.* or \(0.5.*laion2b_s32b_b82k"),
        ({"pretrained": "w.pt", "mean": [0.5, 0.5]}, "a number, or three"),
        ({"pretrained": "w.pt", "resize_mode": "stretch"}, "expected one of shortest"),
        ({"model": "local-dir:x", "pretrained": "openai"}, "brings its weights"),
    ],
)
def test_what_is_not_certain_is_asked_for(open_clip, options, told):
    """Weights of one architecture that were trained differently are not guessed at, and wrong options are errors."""
    with pytest.raises(InputError, match=told):
        ClipSource(**options).preprocessing()


def test_a_folder_brings_all_it_needs(open_clip, tmp_path):
    """Architecture, weights and preprocessing of open_clip's own folders; its files are the identity."""
    torch.manual_seed(0)
    text = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
    described = {"model_cfg": TINY_SIGLIP | {"text_cfg": text}, "preprocess_cfg": INCEPTION}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described))
    options = {"model": f"local-dir:{tmp_path}"}
    torch.save(open_clip.create_model(options["model"]).state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    before = OpenClip.identity(**options)
    clip = OpenClip(**options)
    assert clip.prepare(photo()[0]).shape == (32, 32, 3)
    assert clip._mean.flatten().tolist() == [0.5] * 3
    assert clip.encode_texts(["an ant", "a bee"]).shape == (2, 32)
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described, indent=1))
    assert OpenClip.identity(**options) != before


def test_memory_is_told_before_weights_are_read(open_clip, tmp_path):
    """The weights of ViT-B/32 are 605 MB; loading takes them twice, and a worker has half a gigabyte beside."""
    told = ClipSource(model="ViT-B-32", pretrained="openai").memory_bytes()
    assert 1.2e9 + (512 << 20) < told < 1.25e9 + (512 << 20)
    assert ClipSource(model="hf-hub:timm/ViT-B-16-SigLIP").memory_bytes() is None
    with pytest.raises(InputError, match="no architecture"):
        ClipSource(model="none", pretrained="openai").memory_bytes()


def test_weights_trained_with_quick_gelu_get_it(open_clip):
    """open_clip only warns where an architecture is named without the activation that its weights were trained with."""
    assert ClipSource(model="ViT-L-14", pretrained="openai").quick_gelu
    assert not ClipSource(model="ViT-L-14", pretrained="datacomp_xl_s13b_b90k").quick_gelu
