"""What rows are scored by: the concepts, and the prompts of the baselines that programs are held against."""

from __future__ import annotations

from engine.errors import ConfigError
from engine.stages.context import Context
from engine.synthesis.concepts import FILE, Concepts, concepts_file, read_concepts
from engine.task import LabelingTask
from operators.featurizer import Traits
from operators.score import Texts

ZERO_SHOT, GROUP_PROMPTS = "zero_shot", "group_prompts"


def descriptions(ctx: Context, traits: Traits) -> tuple[Concepts, Texts]:
    """Bring together what a featurizer of such traits scores; a language model may be asked for the concepts.

    Raises:
        ConfigError: there are no concepts, the file of them is wrong, or the featurizer does not know a description.
        LLMError, BudgetReached: as the language model.
    """
    concepts, task = _concepts(ctx, traits), ctx.task
    baselines = _baselines(task, traits)
    return concepts, Texts(concepts=concepts.texts(), normalisation=task.scoring.normalisation, baselines=baselines)


def _concepts(ctx: Context, traits: Traits) -> Concepts:
    """Read the concepts from where the task, the programs or the run have them, or have them written."""
    task = ctx.task
    found = concepts_file(task, run=ctx.run.path)
    if found is not None:
        return read_concepts(found, class_names=task.class_names, traits=traits)
    if task.language_model is None:
        raise ConfigError(
            f"there are no concepts to score images by: name a file in `scoring.concepts`, put a {FILE} beside the "
            "programs, or name a `language_model` that writes one"
        )
    from engine.synthesis.asked_concepts import ask_concepts
    from engine.synthesis.ledger import Ledger
    from engine.synthesis.llm import OpenAIModel

    with Ledger.open(ctx.run.path / "completions.sqlite") as ledger:
        with OpenAIModel(task.language_model, ledger, task.budget) as model:
            return ask_concepts(task, model, path=ctx.run.path / FILE, traits=traits)


def _baselines(task: LabelingTask, traits: Traits) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return the prompts of each baseline with the indices of their classes.

    Raises:
        ConfigError: the featurizer does not know a prompt.
    """
    spec, names = task.scoring, task.class_names
    prompts: dict[str, tuple[tuple[str, int], ...]] = {}
    if traits.texts is None or spec.zero_shot:
        of_class = "an image of" if traits.row == "image" else f"{traits.row} of"
        prompts[ZERO_SHOT] = tuple((spec.zero_shot.get(name, f"{of_class} {name}"), y) for y, name in enumerate(names))
    if spec.group_prompts:
        prompts[GROUP_PROMPTS] = tuple((text, names.index(name)) for text, name in spec.group_prompts.items())
    for key, pairs in prompts.items():
        for text, _ in pairs:
            if (reason := traits.why_not(text)) is not None:
                raise ConfigError(f"`scoring.{key}`: {reason}; name one for each class, or leave `{key}` out")
    return prompts
