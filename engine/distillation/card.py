"""The model card: what a distilled model is, for whoever finds its folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from operators.end_model import EMBEDDED_BY

if TYPE_CHECKING:
    from engine.distillation.outcome import Distillation

_HEADS = {
    "linear": "A multinomial logistic regression",
    "mlp": "A perceptron with one hidden layer",
    "fine_tune": "A fine-tuned encoder with a layer for the classes",
}
_AS_TRANSFORMERS = (
    "`AutoModelForSequenceClassification.from_pretrained` and `AutoTokenizer.from_pretrained` read the folder too;",
    "their scores are to be divided by the temperature below before the softmax.",
    "",
)


def model_card(done: Distillation, *, features: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Write the card as Markdown."""
    lines = [
        f"# Distilled model: {facts.get('task', 'labels')}",
        "",
        f"{_HEADS[done.head]}, trained on the soft labels of labeling programs; no gold label was read.",
        "",
        "```python",
        "from engine.distillation.end_model import EndModel",
        "",
        f'EndModel.load("<this folder>").predict(["{"photo.jpg" if EMBEDDED_BY in facts else "a text"}"])',
        "```",
        "",
        *(_AS_TRANSFORMERS if done.head == "fine_tune" else ()),
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in facts.items()),
        *(f"| {name} | {_cell(value)} |" for name, value in features.items() if value is not None),
        f"| rows | {done.num_rows}, of which {done.num_heldout} held out |",
        f"| regularization, epoch | {done.regularization:g}, {done.epoch} (chosen on held-out soft labels) |",
        *([f"| trained with | {done.setting} |"] if done.setting else []),
        f"| temperature | {done.temperature:.3f} (makes its confidence that of held-out soft labels) |",
        f"| held-out loss | {done.heldout_loss:.4f} |",
        f"| trainer | {done.trainer}: {done.trainer_reason} |",
        "",
        "| class | soft labels | predicted, held out |",
        "|---|---|---|",
        *(
            f"| {_cell(name)} | {share:.3f} | {done.predicted_shares[name]:.3f} |"
            for name, share in done.soft_shares.items()
        ),
        "",
        *(f"- Warning: {warning}" for warning in done.warnings),
        "It repeats what its programs get wrong: measure it on gold labels before relying on it.",
        "",
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
