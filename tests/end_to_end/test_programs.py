"""Programs that a language model wrote just now, and programs that misbehave, through the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

pytestmark = [pytest.mark.slow, pytest.mark.ray]

ALCHEMIST = str(Path(sys.executable).with_name("alchemist"))
ANSWERS = (
    "```python\ndef label_function(text):\n    return 1 if 'http' in text or 'free' in text else -1\n```",
    "Sure!\n```python\ndef label_function(text):\n    return 0 if 'love' in text or 'song' in text else -1\n```",
    "I cannot write programs.",
    "```python\ndef label_function(text):\n    return 1 if 'win' in text else 0 if 'nice' in text else -1\n```",
)


def alchemist(*arguments: str, folder: Path, code: int = 0, key: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command and check its exit code."""
    environment = os.environ | {"OPENAI_API_KEY": key}
    done = subprocess.run(
        [ALCHEMIST, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture
def endpoint() -> Iterator[tuple[str, list[str]]]:
    """A chat-completions endpoint on this machine that gives ANSWERS in turn; its URL and the prompts it got."""
    prompts: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = ANSWERS[len(prompts) % len(ANSWERS)]
            prompts.append(request["messages"][-1]["content"])
            message = {"role": "assistant", "content": answer}
            usage = {"prompt_tokens": 500, "completion_tokens": 100, "total_tokens": 600}
            body = {
                "id": "1",
                "object": "chat.completion",
                "created": 0,
                "model": "scripted-1",
                "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
                "usage": usage,
            }
            data = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1", prompts
    server.shutdown()
    server.server_close()
    thread.join()


def with_model(task: Path, url: str, **budget: float) -> None:
    """Let a language model write the programs of a task."""
    content = yaml.safe_load(task.read_text())
    content["programs"] = {"count": 4}
    price = {"input_per_million": 1.0, "output_per_million": 2.0}
    content["language_model"] = {"model": "scripted", "base_url": url, "price": price, "max_output_tokens": 1000}
    content["budget"] = budget
    # One answer a program, so that a test knows which it got.
    content["synthesis"] = {"repairs": 0, "diversity": False}
    task.write_text(yaml.safe_dump(content))


def test_a_model_writes_the_programs_and_is_asked_once(project: Callable[..., Path], endpoint: tuple[str, list[str]]):
    """Programs, provenance and money end in the run directory; a second run sends nothing; no row is in a prompt."""
    url, prompts = endpoint
    task = project()
    with_model(task, url, money=0.1)
    done = json.loads(alchemist("run", "task.yaml", "--out", "run", "--json", folder=task.parent).stdout)
    run = task.parent / "run"
    assert len(prompts) == 4
    assert len({*prompts}) == 4
    assert not any("beautiful" in prompt or "memories" in prompt for prompt in prompts)
    assert sorted(path.name for path in (run / "programs").glob("*.py")) == [
        "program_00.py",
        "program_01.py",
        "program_03.py",
    ]
    assert "# model: scripted-1" in (run / "programs" / "program_00.py").read_text()
    assert "I cannot write programs." in (run / "programs" / "rejected" / "program_02.txt").read_text()
    report = done["report"]
    assert list(report["rejected_programs"]) == ["program_02"]
    # 4 answers of 500 tokens in at 1 and 100 out at 2 dollars a million.
    assert report["money"]["spent"] == pytest.approx(4 * 0.0007)
    assert report["money"]["tokens_in"] == 2000
    assert report["money"]["direct_labeling_estimate"] > report["money"]["spent"]
    again = json.loads(alchemist("run", "task.yaml", "--out", "run", "--json", folder=task.parent).stdout)
    assert set(again["statuses"].values()) == {"reused"}
    assert list(again["report"]["rejected_programs"]) == ["program_02"]
    assert len(prompts) == 4


def test_the_budget_stops_the_asking_with_exit_code_3(project: Callable[..., Path], endpoint: tuple[str, list[str]]):
    """A request that could pass the budget is not sent; with more of it the run goes on from there."""
    url, prompts = endpoint
    task = project(num_rows=100)
    with_model(task, url, money=0.0035)
    said = alchemist("synthesize", "task.yaml", "--out", "run", folder=task.parent, code=3).stderr
    assert "`budget.money` is 0.0035" in said
    assert 0 < len(prompts) < 4
    with_model(task, url, money=0.1)
    alchemist("synthesize", "task.yaml", "--out", "run", folder=task.parent)
    assert len(prompts) == 4


def test_a_program_that_fails_everywhere_is_dropped_whole(project: Callable[..., Path]):
    """A quarantined program gives no column to the label model; the report and exit code 4 say so.

    Its trial is switched off here: it would be turned away before it ran.
    """
    good = "def label_function(text):\n    return {} if '{}' in text else -1\n"
    programs = {
        "a": good.format(1, "http"),
        "b": good.format(0, "love"),
        "broken": "def label_function(text):\n    return [][1]\n",
        "c": good.format(1, "free"),
    }
    task = project(num_rows=300, programs=programs)
    as_it_was = task.read_text()
    task.write_text(as_it_was + "admission: {rows: 0}\n")
    done = json.loads(alchemist("run", "task.yaml", "--out", "run", "--json", folder=task.parent, code=4).stdout)
    assert list(done["quarantined"]) == ["broken"]
    faults = done["report"]["faults"]
    assert set(faults["broken"]) == {"exception", "quarantined"} or set(faults["broken"]) == {"exception"}
    assert sum(faults["broken"].values()) == 300
    assert faults["a"] == {}
    model = json.loads((task.parent / "run" / "label_model.json").read_text())
    assert model["num_programs"] == 3
    assert "broken" in alchemist("report", "task.yaml", "--out", "run", folder=task.parent, code=4).stdout
    task.write_text(as_it_was)
    tried = json.loads(alchemist("report", "task.yaml", "--out", "run", "--json", folder=task.parent).stdout)
    assert "it was stopped" in tried["report"]["rejected_programs"]["broken"][0]
    assert tried["statuses"]["label"] == "reused", "the label matrix is the same without it"
    assert tried["report"]["programs"][0]["cpu_s_per_row"] > 0


def test_gold_labels_are_used_only_where_the_task_hands_them_over(project: Callable[..., Path]):
    """A dev file is read, voted on and counted; the report says so, and test rows in it are not used."""
    task = project(num_rows=400)
    rows = (task.parent / "comments.csv").read_text().split("\nend")
    (task.parent / "dev.csv").write_text("\nend".join(rows[:61]) + '\nend",ham,a\n')
    alchemist("fit", "task.yaml", "--out", "run", folder=task.parent)
    model = task.parent / "run" / "label_model.json"
    without = json.loads(model.read_text())
    task.write_text(task.read_text() + "label_model: {gold: dev.csv}\n")
    done = json.loads(alchemist("report", "task.yaml", "--out", "run", "--json", folder=task.parent).stdout)
    informed = json.loads(model.read_text())
    assert without["diagnostics"]["gold_rows"] == 0
    assert 20 < informed["diagnostics"]["gold_rows"] < 60
    assert informed["given_vote"] != without["given_vote"]
    assert done["report"]["gold_used_for"] == ["fit", "evaluate"]
    assert any("gold labels, of `label_model.gold`" in warning for warning in done["warnings"])
    assert any("have the text of a test row" in warning for warning in done["warnings"])
    assert done["statuses"]["apply"] == "reused"
    again = json.loads(alchemist("report", "task.yaml", "--out", "run", "--json", folder=task.parent).stdout)
    assert set(again["statuses"].values()) == {"reused"}
    (task.parent / "dev.csv").write_text("body,label,site\nhello,eggs,a\n")
    said = alchemist("fit", "task.yaml", "--out", "run", folder=task.parent, code=2).stderr
    assert "dev.csv" in said
    assert "'eggs'" in said


@pytest.mark.long
def test_people_change_programs_and_only_what_they_changed_is_computed(
    project: Callable[..., Path], endpoint: tuple[str, list[str]], tmp_path: Path
):
    """Edit, disable, enable: the model is asked no more, other columns stand, and asking anew loses no edit."""
    url, prompts = endpoint
    task = project(num_rows=200)
    with_model(task, url, money=0.1)
    folder, run = task.parent, task.parent / "run"

    def applied() -> dict[str, str]:
        return json.loads(alchemist("apply", "task.yaml", "--out", "run", "--json", folder=folder).stdout)["statuses"]

    def listed() -> dict[str, dict[str, object]]:
        found = json.loads(alchemist("programs", "list", "run", "--json", folder=folder).stdout)["programs"]
        return {entry["name"]: entry for entry in found}

    def votes() -> dict[str, int]:
        return {path.name: path.stat().st_mtime_ns for path in (run / "votes").glob("*.parquet")}

    applied()
    first = votes()
    assert {name: entry["state"] for name, entry in listed().items()} == {
        "program_00": "used",
        "program_01": "used",
        "program_02": "rejected",
        "program_03": "used",
    }
    (tmp_path / "new.py").write_text("def label_function(text):\n    return 1 if 'http' in text else -1\n")
    alchemist("programs", "edit", "run", "program_00", "--from", "new.py", "--by", "ann", folder=folder)
    entry = listed()["program_00"]
    assert (entry["state"], entry["edits"], entry["model"], entry["tokens_in"]) == ("new", 1, "scripted-1", 500)
    assert applied()["synthesis"] == "reused"
    both = votes()
    assert {name: both[name] for name in first} == first
    columns = [set(json.loads(path.read_text())) for path in sorted((run / "votes").glob("*.json"))]
    assert sorted(map(len, columns)) == [1, 3], "the edited program alone ran again"
    compared = json.loads(alchemist("programs", "diff", "run", "program_00", "--json", folder=folder).stdout)
    assert compared["votes"]["rows"] == 200
    assert compared["votes"]["changed"] == sum(kind["rows"] for kind in compared["votes"]["changes"]) > 0
    assert "-    return 1 if 'http' in text or 'free' in text else -1" in compared["diff"].splitlines()
    alchemist("programs", "disable", "run", "program_01", "--reason", "guesses", folder=folder)
    assert applied()["apply"] == "computed"
    assert listed()["program_01"]["reasons"] == ["guesses"]
    assert "program_01" not in json.loads((run / "run.json").read_text())["programs"]
    alchemist("programs", "enable", "run", "program_01", folder=folder)
    said = alchemist("apply", "task.yaml", "--out", "run", "--json", folder=folder)
    assert votes() == both, "enabling computes no votes"
    assert not any("replaced" in warning for warning in json.loads(said.stdout)["warnings"])
    assert len(prompts) == 4
    content = yaml.safe_load(task.read_text())
    task.write_text(yaml.safe_dump(content | {"programs": {"count": 5}}))
    alchemist("synthesize", "task.yaml", "--out", "run", folder=folder)
    kept = [path.read_text() for path in (run / "programs" / "replaced").glob("program_00-*.py")]
    assert any("# edited: " in text and "by ann" in text for text in kept)
    assert len(prompts) == 5
