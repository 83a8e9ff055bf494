"""Conversations through every verb: asked in a chat template, which is said and noted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chat_templates import TEMPLATES, chat_tokenizer, write_chat_llama
from tests.verbs.given import as_json, shell

import superpose
from superpose.cli.app import main
from superpose.compose import RegMean
from superpose.data.chat import ChatTemplate
from superpose.data.domain import read_rows
from superpose.data.prompt import DEFAULT_TEMPLATE, Prompt
from superpose.errors import BadInput, BadSetting
from superpose.measure.evaluate import score
from superpose.model import load_base
from superpose.verbs.notes import heard_by

CHATML = ChatTemplate(TEMPLATES["chatml"], "").mark


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A tiny base whose tokenizer has a chat template, and one without."""
    folder = tmp_path_factory.mktemp("chat bases")
    write_chat_llama(folder / "chatty")
    write_chat_llama(folder / "mute", template=None)
    return {name: folder / name for name in ("chatty", "mute")}


@pytest.fixture
def chats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Two domains of conversations, with a system turn; the working folder is theirs."""
    monkeypatch.chdir(tmp_path)
    files = {}
    for name, word in (("sums", "plus"), ("coins", "times")):
        files[name] = tmp_path / f"{name}.jsonl"
        lines = [
            json.dumps({"messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": f"What is {a} {word} {b}?"},
                {"role": "assistant", "content": f"The answer is {a + b}."},
            ]})
            for a in range(8) for b in range(3)
        ]  # fmt: skip
        files[name].write_text("\n".join(lines), encoding="utf-8")
    return files


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What verbs have to say on their way."""
    heard: list[str] = []
    with heard_by(lambda kind, text: heard.append(f"{kind}: {text}")):
        yield heard


def trained(base: Path, data: Path, out: str, **questions: Any) -> dict[str, Any]:
    """Train a small adapter, and give the note beside it."""
    superpose.train(
        base, data, out, superpose.LoraSettings(rank=2, targets=("q_proj", "o_proj")),
        superpose.TrainingSettings(learning_rate=0.05, batch_size=4),
        superpose.TrainingQuestions(rows=8, **questions),
    )  # fmt: skip
    noted: dict[str, Any] = json.loads(Path(out, "training.json").read_text(encoding="utf-8"))
    return noted


def test_an_adapter_notes_the_chat_template_that_it_was_trained_in_and_keeps_it(
    bases: dict[str, Path], chats: dict[str, Path], said: list[str]
) -> None:
    noted = trained(bases["chatty"], chats["sums"], "adapter")
    chat = {"of": str(bases["chatty"]), "sha256": CHATML}
    assert noted["prompt"] == {"templates": {"rows": ["chat"]}, "chat_template": chat}
    assert Path("adapter/chat_template.jinja").read_text() == TEMPLATES["chatml"]
    assert said == [f"note: sums: asked in the chat template of {bases['chatty']}"]
    plain = trained(bases["chatty"], chats["sums"], "plain", template=DEFAULT_TEMPLATE)
    assert plain["prompt"] == {"templates": {"rows": [DEFAULT_TEMPLATE]}, "chat_template": None}
    assert not Path("plain/chat_template.jinja").exists()
    superpose.train(bases["chatty"], chats["sums"], "adapter", force=True)


@pytest.fixture
def pair(bases: dict[str, Path], chats: dict[str, Path]) -> list[str]:
    """Two adapters of the base with a chat template, each trained on its conversations."""
    for name, path in chats.items():
        trained(bases["chatty"], path, name)
    return list(chats)


def test_every_verb_asks_conversations_in_the_chat_template_and_says_so(
    bases: dict[str, Path], chats: dict[str, Path], pair: list[str], said: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    base, files = str(bases["chatty"]), list(chats.values())
    few, data = {"rows": 6}, [word for path in files for word in ("--data", path)]
    found = {
        "eval": superpose.evaluate(base, pair, files, questions=superpose.TestQuestions(**few)),
        "predict": superpose.predict(base, pair, files, questions=superpose.Calibration(**few)),
        "tune": superpose.tune(base, pair, files, questions=superpose.Calibration(**few)),
    }
    assert len(said) >= 3
    assert said.count(f"note: sums, coins: asked in the chat template of {Path('sums')}") == 3
    for command, result in found.items():
        printed = shell(capsys, command, base, *pair, *data, "--rows", 6)
        assert printed["prompt"] == as_json(result)["prompt"]
        assert printed["prompt"]["templates"] == {"sums": ["chat"], "coins": ["chat"]}
        assert printed["prompt"]["chat_template"]["sha256"] == CHATML
    asked = superpose.ask(base, pair, "What is 1 plus 1?", superpose.Answering(max_new_tokens=3))
    assert as_json(asked)["prompt"]["templates"] == {"questions": ["chat"]}
    compared = superpose.compare(
        base, pair, files, methods=["average"],
        questions=superpose.Comparing(rows=6, test_rows=6, passes=1),
    )  # fmt: skip
    assert as_json(compared)["prompt"]["chat_template"]["sha256"] == CHATML
    said.clear()
    few_merged = superpose.MergeQuestions(rows=6)
    merged = superpose.merge(pair, method=RegMean(), data=files, base=base, questions=few_merged)
    assert merged.made.method == "regmean"
    assert said == [f"note: sums, coins: asked in the chat template of {Path('sums')}"]


def test_the_figures_are_those_of_the_conversations_tokens(
    bases: dict[str, Path], chats: dict[str, Path]
) -> None:
    base = load_base(str(bases["chatty"]))
    rows = read_rows(chats["sums"])
    examples = []
    tokenizer = chat_tokenizer()
    for row in rows:
        messages = [message.to_template() for message in row.messages]
        start = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True)
        whole = tokenizer.apply_chat_template(messages)["input_ids"]
        count = len(start["input_ids"])
        assert whole[:count] == start["input_ids"]
        (example,) = Prompt(tokenizer, max_tokens=None).encode_all([row])
        assert list(example.answer) == whole[count:]
        examples.append(example)
    found = superpose.evaluate(base, [], [chats["sums"]])
    assert found.evaluations[0].score.perplexity == pytest.approx(
        score(base.model, examples).perplexity
    )


def test_questions_are_asked_as_all_adapters_were_trained_unless_told_otherwise(
    bases: dict[str, Path], pair: list[str], question_files: dict[str, Path], said: list[str],
) -> None:  # fmt: skip
    base, few = bases["chatty"], superpose.TestQuestions(rows=4)
    found = superpose.evaluate(base, pair, question_files, questions=few)
    assert found.prompt["templates"] == {"sums": ["chat"], "coins": ["chat"]}
    said.clear()
    plain = superpose.TestQuestions(rows=4, template=DEFAULT_TEMPLATE)
    found = superpose.evaluate(base, pair, question_files, questions=plain)
    assert found.prompt == {
        "templates": {"sums": [DEFAULT_TEMPLATE], "coins": [DEFAULT_TEMPLATE]},
        "chat_template": None,
    }
    assert [text for text in said if text.startswith("warning")] == [
        f"warning: `{name}` was trained on 'chat', and is not asked so: --template" for name in pair
    ]
    own = trained(base, question_files["sums"], "own", template="{question}?")
    assert own["prompt"]["templates"] == {"rows": ["{question}?"]}
    said.clear()
    found = superpose.evaluate(base, ["own"], [question_files["sums"]], questions=few)
    assert found.prompt["templates"] == {"sums": ["{question}?"]}
    assert said == ["note: sums: asked as '{question}?', which the adapters were trained with"]


def test_an_adapter_from_elsewhere_with_a_chat_template_says_that_questions_are_not_asked_in_it(
    bases: dict[str, Path], pair: list[str], question_files: dict[str, Path], said: list[str],
) -> None:  # fmt: skip
    Path("sums/training.json").unlink()
    few = superpose.TestQuestions(rows=4)
    superpose.evaluate(bases["chatty"], ["sums"], [question_files["sums"]], questions=few)
    (only,) = said
    assert only.startswith("note: beside `sums` lies a chat template, and it is asked as 'Question")
    assert only.endswith("--template chat")


def test_the_adapters_chat_template_goes_before_the_bases_and_two_are_one_too_many(
    bases: dict[str, Path], chats: dict[str, Path], pair: list[str], said: list[str]
) -> None:
    files = list(chats.values())
    for name in pair:
        Path(name, "chat_template.jinja").write_text(TEMPLATES["no end"], encoding="utf-8")
    few = superpose.TestQuestions(rows=4)
    found = superpose.evaluate(bases["chatty"], pair, files, questions=few)
    mark = ChatTemplate(TEMPLATES["no end"], "").mark
    assert found.prompt["chat_template"] == {"of": "sums", "sha256": mark}
    on_mute = superpose.evaluate(bases["mute"], pair, files, questions=few)
    assert on_mute.prompt == found.prompt
    Path("coins/chat_template.jinja").write_text(TEMPLATES["thinking"], encoding="utf-8")
    with pytest.raises(BadSetting, match="sums and coins have different chat templates") as caught:
        superpose.evaluate(bases["chatty"], pair, files, questions=few)
    assert caught.value.where == "template"
    chosen = superpose.TestQuestions(rows=4, template="coins/chat_template.jinja")
    found = superpose.evaluate(bases["chatty"], pair, files, questions=chosen)
    mark = ChatTemplate(TEMPLATES["thinking"], "").mark
    assert found.prompt["chat_template"] == {"of": "coins/chat_template.jinja", "sha256": mark}
    shutil.rmtree("coins")


def test_without_a_chat_template_conversations_are_refused_with_the_way_out(
    bases: dict[str, Path], chats: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = chats["sums"]
    with pytest.raises(BadInput, match=r"rows are conversations, and the tokenizer of .*mute has"):
        superpose.train(bases["mute"], path, "out")
    with pytest.raises(SystemExit) as end:
        main(["train", str(bases["mute"]), str(path), "-o", "out", "--template", "chat"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert "error: --template: `chat` asks for it, and the tokenizer of" in error
    assert "--template FILE.jinja" in error
    noted = trained(bases["mute"], path, "out", template="{question}")
    assert noted["prompt"]["templates"] == {"rows": ["{question}"]}


def test_a_turn_that_the_template_refuses_is_refused_with_the_domain(
    bases: dict[str, Path], chats: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "no system.jinja"
    path.write_text(TEMPLATES["no system"], encoding="utf-8")
    questions = superpose.TestQuestions(template=str(path))
    with pytest.raises(BadInput, match=r"^sums: the chat template of .*System role not supported"):
        superpose.evaluate(bases["chatty"], [], [chats["sums"]], questions=questions)


def test_an_answer_ends_where_the_turn_ends(bases: dict[str, Path], tmp_path: Path) -> None:
    base = load_base(str(bases["chatty"]))
    prompt = Prompt(base.tokenizer, max_tokens=None, template="chat")
    from superpose.measure.ending import ending

    end = base.tokenizer.convert_tokens_to_ids("<|im_end|>")
    own = base.model.generation_config.eos_token_id
    assert ending(base.model, prompt, prompt.question_ends("Why?"))["eos_token_id"] == [own, end]
    plain = Prompt(base.tokenizer, max_tokens=None)
    assert ending(base.model, plain, plain.question_ends("Why?")) == {"pad_token_id": own}


def test_a_study_of_conversations_says_what_they_were_asked_in(
    bases: dict[str, Path], chats: dict[str, Path], tmp_path: Path
) -> None:
    content = {
        "name": "chats", "base": str(bases["chatty"]),
        "domains": {name: {"data": str(path)} for name, path in chats.items()},
        "train_rows": 8, "test_rows": 4, "calibration_rows": 0, "seeds": [0],
        "lora": {"rank": 2, "dropout": 0, "targets": ["q_proj"]},
        "training": {"batch_size": 4},
    }  # fmt: skip
    found = superpose.study(content, tmp_path / "run")
    assert found.summary is not None
    asked = found.summary.settings["prompt"]
    assert asked["templates"] == {"sums": ["chat"], "coins": ["chat"]}
    assert asked["chat_template"] == {"of": str(bases["chatty"]), "sha256": CHATML}
    assert found.summary.remarks[0].startswith("sums, coins: asked in the chat template of ")
    noted = json.loads((tmp_path / "run/adapters/seed-0/single-sums/training.json").read_text())
    assert noted["prompt"]["templates"] == {"rows": ["chat"]}
    again = superpose.study(content, tmp_path / "run")
    assert again.summary is not None
    assert again.summary.settings == found.summary.settings
    (tmp_path / "own.jinja").write_text(TEMPLATES["no end"], encoding="utf-8")
    other = {**content, "prompt": {"template": str(tmp_path / "own.jinja")}}
    with pytest.raises(BadInput, match="another study"):
        superpose.study(other, tmp_path / "run")
    with pytest.raises(BadInput, match=r"conversations, and the tokenizer of .*mute has no chat"):
        superpose.study({**content, "base": str(bases["mute"])}, tmp_path / "mute")
