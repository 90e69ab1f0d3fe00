"""Concepts come from one file, and a program reads the scores of those that its header names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import ConfigError, ProgramRejected
from engine.synthesis.concepts import concepts_file, concepts_of, header_line, read_concepts
from engine.synthesis.llm import ScriptedLLM
from engine.synthesis.programs import from_text, load_folder
from engine.synthesis.synthesize import synthesize
from engine.task import LabelingTask
from operators.featurizer import Traits

FILE = """\
concepts:
  - name: feet
    descriptions: {land: claws, water: webs}
  - name: place
    spurious: true
    descriptions: {land: a forest, water: a lake}
  - name: bill
    descriptions: {water: a flat bill, land: a short bill}
"""
CLASSES = ("land", "water")
SOURCE = "def label_function(scores):\n    return int(scores[1] > scores[0])\n"


@pytest.fixture
def concepts(tmp_path: Path):
    (tmp_path / "concepts.yaml").write_text(FILE)
    return read_concepts(tmp_path / "concepts.yaml", class_names=CLASSES)


def test_descriptions_stand_in_the_order_of_the_classes(concepts) -> None:
    """Spurious concepts are excluded by name and scored for nobody."""
    assert concepts.texts() == (("claws", "webs"), ("a short bill", "a flat bill"))
    assert concepts.excluded == ("place",)


@pytest.mark.parametrize(
    ("named", "row", "seen"),
    [("feet", [1, 2, 3, 4], [1, 2]), ("bill", [1, 2, 3, 4], [3, 4]), ("bill, feet", [1, 2, 3, 4], [3, 4, 1, 2])],
)
def test_a_program_gets_the_scores_of_its_own_concepts(concepts, named, row, seen) -> None:
    """A row holds all scores; what a program is called with follows its header, in that order."""
    program = from_text("p", f"# concepts: {named}\ndef label_function(scores):\n    return scores\n")
    names: dict[str, object] = {}
    exec(concepts.bound(program).source, names)  # noqa: S102 - three lines that stand above
    assert names["label_function"](row) == seen


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("", "names no concept"),
        ("# concepts: tail\n", "not in concepts.yaml"),
        ("# concepts: place\n", "marked spurious"),
    ],
)
def test_programs_with_other_concepts_are_refused(concepts, header, reason) -> None:
    """A program without a concept, or with one that is unknown or spurious, does not run; others go on."""
    bad, good = from_text("bad", header + SOURCE), from_text("good", header_line(["feet"]) + SOURCE)
    with pytest.raises(ProgramRejected, match=reason):
        concepts.bound(bad)
    bound, rejected = concepts.bound_all([bad, good])
    assert [program.name for program in bound] == ["good"]
    assert reason in rejected["bad"][0]
    with pytest.raises(ProgramRejected):
        concepts.bound_all([bad])


def test_the_same_comparison_of_two_concepts_is_two_programs(concepts, tmp_path) -> None:
    """What tells programs over scores apart is the concept too; a copy for the same concept is still a copy."""
    for name, concept in (("a", "feet"), ("b", "bill"), ("c", "bill")):
        (tmp_path / f"{name}.py").write_text(header_line([concept]) + SOURCE)
    programs, rejected = load_folder(tmp_path)
    assert [concepts_of(program) for program in programs] == [("feet",), ("bill",)]
    assert [error.name for error in rejected] == ["c"]
    digests = {concepts.bound(program).digest for program in programs}
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[", "cannot be read as YAML"),
        ("feet", "expected `concepts:`"),
        ("concepts: []", "concepts"),
        ("concepts: [{name: a, descriptions: {land: x}}]", "a description for each class"),
        ("concepts: [{name: a, descriptions: {land: x, water: y}, odd: 1}]", "odd"),
        (
            "concepts: [{name: a, spurious: true, descriptions: {land: x, water: y}}]",
            "every concept is marked spurious",
        ),
        ("concepts: [&a {name: a, descriptions: {land: x, water: y}}, *a]", "must differ"),
    ],
)
def test_a_wrong_file_is_told(tmp_path, content, reason) -> None:
    """The message names the file and what was expected."""
    (tmp_path / "c.yaml").write_text(content)
    with pytest.raises(ConfigError, match=f"c.yaml: .*{reason}"):
        read_concepts(tmp_path / "c.yaml", class_names=CLASSES)


TASK = LabelingTask(
    name="birds",
    modality="image",
    data={"source": "images"},
    classes=[{"name": "land"}, {"name": "water"}],
    instruction="Label birds.",
)


def test_where_concepts_are_looked_for(tmp_path) -> None:
    """What the task names, there or not; else beside the programs, else in the run; else a model has to be asked."""
    programs, run = tmp_path / "programs", tmp_path / "run"
    programs.mkdir()
    run.mkdir()
    plain = TASK.model_copy(update={"programs": TASK.programs.model_copy(update={"folder": str(programs)})})
    assert concepts_file(plain, run=run) is None
    (run / "concepts.yaml").write_text(FILE)
    assert concepts_file(plain, run=run) == run / "concepts.yaml"
    assert concepts_file(plain, run=None) is None
    (programs / "concepts.yaml").write_text(FILE)
    assert concepts_file(plain, run=run) == programs / "concepts.yaml"
    named = plain.model_copy(update={"scoring": plain.scoring.model_copy(update={"concepts": "nowhere.yaml"})})
    assert concepts_file(named, run=run) == Path("nowhere.yaml")


def test_a_featurizer_without_free_text_is_given_what_it_knows(tmp_path) -> None:
    """The message names file, concept and description; what is spurious is scored for nobody, and may say anything."""
    (tmp_path / "c.yaml").write_text(FILE)
    known = ("claws", "webs", "a short bill", "a flat bill")
    assert read_concepts(tmp_path / "c.yaml", class_names=CLASSES, traits=Traits(texts=known)).traits.texts == known
    with pytest.raises(
        ConfigError, match=r"c\.yaml: concept 'bill': 'a flat bill' is no description .* 'a short bill'"
    ):
        read_concepts(tmp_path / "c.yaml", class_names=CLASSES, traits=Traits(texts=known[:3]))


ANSWERS = [
    "```python\ndef label_function(scores):\n    return 0 if scores[0] > 0.7 else -1\n```",
    "```python\ndef label_function(values):\n    lead = max(values) - min(values)\n"
    "    return values.index(max(values)) if lead > 0.3 else -1\n```",
    "```python\nimport math\n\ndef label_function(row):\n"
    "    return 1 if math.log(row[1] + 1) > 0.5 else 0 if math.log(row[0] + 1) > 0.5 else -1\n```",
]


def test_each_program_is_asked_for_with_its_own_concept(concepts) -> None:
    """Concepts go round; a prompt describes the scores of its concept alone, and the header says which."""
    model = ScriptedLLM(ANSWERS)
    done = synthesize(TASK, model, count=3, concepts=concepts)
    assert [concepts_of(program) for program in done.programs] == [("feet",), ("bill",), ("feet",)]
    assert all(concepts.bound(program) for program in done.programs)
    first, second, _ = (prompt.user for prompt in model.prompts)
    assert "scores[0]: claws" in first
    assert "scores[1]: webs" in first
    assert "sum to 1" in first
    assert "bill" not in first
    assert "scores[1]: a flat bill" in second
    assert "a lake" not in first + second


def test_a_prompt_says_how_the_scores_are_normalised(concepts) -> None:
    """The task's normalisation reaches the prompt, and so does what the featurizer calls a row."""
    named = replace(concepts, traits=Traits(row="recording", scale="A score is in decibels."))
    raw = TASK.model_copy(update={"scoring": TASK.scoring.model_copy(update={"normalisation": "none"})})
    model = ScriptedLLM(ANSWERS)
    synthesize(raw, model, count=1, concepts=named)
    asked = model.prompts[0]
    assert "A score is in decibels." in asked.user
    assert "between 0 and 1" not in asked.user
    assert "is a single recording" in asked.user
    assert "label one recording row" in asked.system
