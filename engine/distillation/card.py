"""The model card: what a distilled model is, for whoever finds its folder. Laid out as Hugging Face's are.

It is made from the model's own config.json and from what the config leaves out, since the model does not change by
it: where the soft labels come from, and what gold says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from engine.distillation.origin import Measured, Origin
from engine.metrics import Metrics
from operators.end_model import EMBEDDED_BY, FIELDS

CARD = "README.md"

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
_WAYS = {"label_model": "label model, from votes", "end_model": "this model"}
_MOST_FILES = 5
_NOT_YET = Measured(figures={}, reason="the run has not got that far")


def model_card(config: Mapping[str, Any], *, origin: Origin | None, measured: Measured | None) -> str:
    """Write the card as Markdown.

    Args:
        config: of the model, by `operators.end_model.read_config`.
        origin: of its soft labels; None where it was not distilled by a run.
        measured: None where the run has not been evaluated yet.
    """
    measured = measured or _NOT_YET
    training, facts = config["training"], config["facts"]
    sections = (
        _front_matter(config),
        [f"# Distilled model: {facts.get('task', 'labels')}", "", _what(training["head"], origin)],
        ["## Model details", "", *_details(config)],
        ["## How to use it", "", *_use(training["head"], facts)],
        ["## Training data", "", *_data(origin)],
        ["## Training procedure", "", *_procedure(config)],
        ["## Evaluation", "", *_evaluation(measured)],
        ["## Known limits", "", *(f"- {limit}" for limit in _limits(config, origin, measured))],
    )
    return "\n\n".join("\n".join(lines).rstrip() for lines in sections) + "\n"


def _front_matter(config: Mapping[str, Any]) -> list[str]:
    facts, tuned = config["facts"], config["kind"] == "fine_tune"
    kind = "image" if EMBEDDED_BY in facts else "tabular" if FIELDS in facts and not tuned else "text"
    told = {
        "library_name": "transformers" if tuned else "alchemist-labeling",
        "pipeline_tag": f"{kind}-classification",
        "tags": ["weak-supervision", "programmatic-labeling", "distillation"],
    }
    return ["---", yaml.safe_dump(told, sort_keys=False).rstrip(), "---"]


def _what(head: str, origin: Origin | None) -> str:
    start = f"{_HEADS[head]}, trained on the soft labels of labeling programs; "
    if origin is not None and origin.gold_rows:
        return (
            f"{start}{origin.gold_rows} gold labels that the user handed over went into fitting the label model, and "
            "no other gold label was read to make it."
        )
    return f"{start}no gold label was read to make it."


def _details(config: Mapping[str, Any]) -> list[str]:
    told = {name: value for name, value in config["facts"].items() if name != FIELDS}
    if FIELDS in config["facts"]:
        told["reads the columns"] = ", ".join(config["facts"][FIELDS]["columns"])
    features = {name: value for name, value in config["features"].items() if value is not None and name != "columns"}
    return _table(("", ""), [*told.items(), ("classes", ", ".join(config["class_names"])), *features.items()])


def _use(head: str, facts: Mapping[str, Any]) -> list[str]:
    row: Any = "photo.jpg" if EMBEDDED_BY in facts else "a text"
    if FIELDS in facts:
        row = dict.fromkeys(facts[FIELDS]["columns"])
    return [
        "```python",
        "from engine.distillation.end_model import EndModel",
        "",
        f'EndModel.load("<this folder>").predict([{row!r}])',
        "```",
        "",
        *(_AS_TRANSFORMERS if head == "fine_tune" else ()),
    ]


def _data(origin: Origin | None) -> list[str]:
    if origin is None:
        return ["Soft labels that were handed over; where they come from is not known here."]
    files = ", ".join(origin.files[:_MOST_FILES])
    if len(origin.files) > _MOST_FILES:
        files += f" and {len(origin.files) - _MOST_FILES} more"
    rows: list[tuple[str, object]] = [
        ("corpus", files),
        ("rows", f"{origin.rows}, of which {origin.test_rows} are test rows that nothing learns from"),
        ("fingerprint of the corpus", f"{origin.fingerprint} (paths, sizes and times of its files)"),
        ("label model", origin.label_model),
        ("coverage", f"{_share(origin.coverage)} of the rows have a vote"),
        ("gold labels in fitting the label model", origin.gold_rows or "none"),
    ]
    if origin.annotated_rows:
        by = ", ".join(origin.annotators) or "a language model"
        rows.append(("labeled directly", f"{origin.annotated_rows} rows, by {by}, in the place of programs"))
    programs = [(p.name, p.digest[:16], _share(p.coverage), p.model or "not stated") for p in origin.programs]
    return [
        *_table(("", ""), rows),
        "",
        "The programs that voted, with the sha256 of their sources; the run keeps them in `programs/`:",
        "",
        *_table(("program", "sha256", "coverage", "written by"), programs),
    ]


def _procedure(config: Mapping[str, Any]) -> list[str]:
    done = config["training"]
    loss = done["heldout_loss"]
    chosen = "chosen on held-out soft labels" if done["num_heldout"] else "not chosen, as no row was held out"
    dropout = done.get("feature_dropout", 0.0)  # Models of before do not say.
    of_thinned = ", of rows with as much left out" if dropout else ""
    held_out = f"of which {done['num_heldout']} held out"
    if done["num_heldout"] == done["num_rows"]:
        held_out = "all of them held out in turn"
    rows: list[tuple[str, object]] = [
        ("rows", f"{done['num_rows']}, {held_out}"),
        ("regularization, epoch", f"{done['regularization']:g}, {done['epoch']} ({chosen})"),
        *([("left out in training", f"{dropout:.0%} of each row's features, at random")] if dropout else []),
        *([("trained with", done["setting"])] if done["setting"] else []),
        ("temperature", f"{config['temperature']:.3f} (makes its confidence that of held-out soft labels)"),
        ("held-out loss", "none, as no row was held out" if loss is None else f"{loss:.4f}{of_thinned}"),
        ("trainer", f"{done['trainer']}: {done['trainer_reason']}"),
    ]
    shares = [(name, f"{soft:.3f}", f"{done['predicted_shares'][name]:.3f}") for name, soft in _soft(done)]
    return [*_table(("", ""), rows), "", *_table(("class", "soft labels", "predicted, held out"), shares)]


def _evaluation(measured: Measured) -> list[str]:
    if not measured.figures:
        return [f"Not measured on gold labels: {measured.reason}."]
    ways = [way for way in _WAYS if way in measured.figures]
    found = [measured.figures[way] for way in ways]
    lines = [
        (name, *(_share(getattr(figures, key)) for figures in found))
        for name, key in (
            ("accuracy", "accuracy"),
            ("its 95% interval, from", "accuracy_low"),
            ("to", "accuracy_high"),
            ("accuracy, rows with a vote", "accuracy_covered"),
            ("F1", "f1"),
            ("log loss", "log_loss"),
            ("calibration error", "calibration_error"),
        )
    ]
    return [
        f"On {found[0].rows} test rows with gold labels, which nothing was chosen by:",
        "",
        *_table(("", *(_WAYS[way] for way in ways)), lines),
    ]


def _limits(config: Mapping[str, Any], origin: Origin | None, measured: Measured) -> Iterable[str]:
    done = config["training"]
    yield "It repeats what its programs get wrong: a mistake that they share is learned."
    own = measured.figures.get("end_model")
    if own is None:
        yield f"Its accuracy is not known ({measured.reason}): measure it on gold labels before relying on it."
    else:
        yield from _weakest(own)
    if origin is not None and origin.coverage is not None and origin.coverage < 1:
        yield (
            f"No program votes on {1 - origin.coverage:.1%} of the rows: it was taught none like them, and answers "
            "all the same."
        )
    if done["learned_heldout"]:
        yield (
            "Held-out rows were learned from in the end, once they had chosen: the held-out loss, the shares, the "
            "temperature and the calibration are of what was trained before, without them."
        )
    if not done["num_heldout"]:
        yield "No row was held out: nothing was chosen, and its confidence is not calibrated."
    if config["features"]["kind"] == "hashed_ngrams":
        yield "Words that its corpus lacks tell it nothing: of another source or language, measure it first."
    if config["features"].get("max_tokens"):
        yield f"It reads the first {config['features']['max_tokens']} tokens of a text."
    for warning in done["warnings"]:
        yield f"Warning: {_cell(warning)}"


def _weakest(figures: Metrics) -> Iterable[str]:
    known = [(told.recall, name) for name, told in figures.per_class.items() if told.recall is not None]
    if known:
        recall, name = min(known)
        yield (
            f"Of the {figures.per_class[name].support} test rows of class {_cell(name)} it finds {recall:.1%}, the "
            "least of any class."
        )
    worst = figures.worst_group
    if worst is not None:
        yield f"Its worst group is {_cell(worst.name)}: accuracy {worst.accuracy:.4f} on {worst.rows} test rows."


def _soft(done: Mapping[str, Any]) -> Iterable[tuple[str, float]]:
    shares: Mapping[str, float] = done["soft_shares"]
    return shares.items()


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return [f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
