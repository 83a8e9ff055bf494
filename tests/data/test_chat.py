"""Conversations as tokens: transformers' own apply_chat_template, parted where trl parts them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.chat_templates import TEMPLATES, chat_tokenizer

from superpose.data.chat import ChatTemplate
from superpose.data.domain import Row, rows_of
from superpose.data.prompt import AS_IT_STANDS, CHAT, DEFAULT_TEMPLATE, Example, Prompt
from superpose.errors import BadInput

USER = {"role": "user", "content": "What is two plus two?"}
ANSWER = {"role": "assistant", "content": "The answer is four."}
THOUGHT = {"role": "assistant", "content": "<think>I have to add. </think> It is four."}
SYSTEM = {"role": "system", "content": "Be short."}
CALL = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "add"}}]}
RESULT = {"role": "tool", "content": '"4"\n', "name": "add"}
ADD = [{"type": "function", "function": {"name": "add", "parameters": {}}}]

CASES: list[tuple[str, list[dict[str, Any]]]] = [
    *((name, [USER, ANSWER]) for name in TEMPLATES),
    *((name, [USER, ANSWER, USER, ANSWER]) for name in TEMPLATES),
    *((name, [SYSTEM, USER, ANSWER]) for name in TEMPLATES if name != "no system"),
    ("thinking", [USER, THOUGHT, USER, THOUGHT]),
    ("chatml", [USER, {**ANSWER, "content": "  \n  It is four.\n\n"}]),
    ("no end", [USER, {**ANSWER, "content": " four"}]),
    ("tools", [USER, CALL, RESULT, ANSWER]),
]


def row_of(messages: list[dict[str, Any]], **more: Any) -> Row:
    (row,) = rows_of([{"messages": messages, **more}])
    return row


def as_trl_does(
    tokenizer: Any, messages: list[dict[str, Any]], tools: list[Any] | None = None
) -> tuple[list[int], list[int]]:
    """What is read, and what is learned: trl's `tokenize_fn` for a prompt and a completion."""
    prompt = tokenizer.apply_chat_template(
        messages[:-1], tools=tools, add_generation_prompt=True, return_dict=True
    )["input_ids"]
    whole = tokenizer.apply_chat_template(messages, tools=tools, return_dict=True)["input_ids"]
    same = 0
    while same < len(prompt) and same < len(whole) and prompt[same] == whole[same]:
        same += 1
    return whole[:same], whole[same:]


@pytest.mark.parametrize(("name", "messages"), CASES)
def test_a_conversation_has_the_tokens_of_transformers_and_the_border_of_trl(
    name: str, messages: list[dict[str, Any]]
) -> None:
    tokenizer = chat_tokenizer(TEMPLATES[name])
    tools = ADD if name == "tools" else None
    found = Prompt(tokenizer, max_tokens=None).encode(row_of(messages, tools=tools))
    question, answer = as_trl_does(tokenizer, messages, tools)
    assert found == Example(tuple(question), tuple(answer))
    assert len(answer) > 2
    if name != "no end":
        assert tokenizer.convert_tokens_to_ids("<|im_end|>") in answer


def test_the_border_may_lie_before_the_end_of_the_prompt() -> None:
    tokenizer = chat_tokenizer(TEMPLATES["thinking"])
    prompt = Prompt(tokenizer, max_tokens=None)
    row = row_of([USER, ANSWER])
    found = prompt.encode(row)
    assert found is not None
    asked = prompt.asked_ids(row)
    assert found.question == asked[: len(found.question)]
    assert tokenizer.decode(asked[len(found.question) :]).startswith("<think>")


def test_a_long_answer_is_cut_and_a_long_question_has_no_example() -> None:
    tokenizer = chat_tokenizer()
    whole = Prompt(tokenizer, max_tokens=None).encode(row_of([USER, ANSWER]))
    assert whole is not None
    count = len(whole.question)
    cut = Prompt(tokenizer, max_tokens=count + 2).encode(row_of([USER, ANSWER]))
    assert cut == Example(whole.question, whole.answer[:2], cut=True)
    assert Prompt(tokenizer, max_tokens=count).encode(row_of([USER, ANSWER])) is None


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "no end"])
def test_each_choice_has_the_tokens_that_it_has_as_an_answer(name: str) -> None:
    tokenizer = chat_tokenizer(TEMPLATES[name])
    prompt = Prompt(tokenizer, max_tokens=None)
    row = row_of([USER, ANSWER], choices=["It is blue.", ANSWER["content"]])
    asked = prompt.encode_choices(row)
    assert asked is not None
    for choice, text in zip(asked.choices, row.choices, strict=True):
        question, answer = as_trl_does(tokenizer, [USER, {**ANSWER, "content": text}])
        assert list(asked.question + choice) == question + answer
        assert tokenizer.decode(choice[-asked.ended :]) == "<|im_end|>\n"
    assert asked.right == 1
    assert prompt.ends_of(row) == (tokenizer.convert_tokens_to_ids("<|im_end|>"),)


def test_a_question_and_its_answer_are_two_turns_where_chat_is_asked_for() -> None:
    tokenizer = chat_tokenizer()
    row = Row(USER["content"], ANSWER["content"])
    chat = Prompt(tokenizer, max_tokens=None, template=CHAT)
    assert chat.encode(row) == Prompt(tokenizer, max_tokens=None).encode(row_of([USER, ANSWER]))
    asked = tokenizer.apply_chat_template([USER], add_generation_prompt=True)["input_ids"]
    assert list(chat.question_ids(USER["content"])) == asked
    joined = Row(f"\n{USER['content']}", f"{ANSWER['content']} ", joined=True)
    assert chat.encode(joined) == chat.encode(row)


def test_each_row_has_what_it_is_made_for_unless_a_template_is_named() -> None:
    tokenizer = chat_tokenizer()
    rows = [row_of([USER, ANSWER]), Row("The sky is", " blue", joined=True), Row("q", "a")]
    prompt = Prompt(tokenizer, max_tokens=None)
    assert prompt.used(rows) == (CHAT, AS_IT_STANDS, DEFAULT_TEMPLATE)
    assert prompt.to_json({"x": rows[2:]}) == {
        "templates": {"x": [DEFAULT_TEMPLATE]}, "chat_template": None,
    }  # fmt: skip
    assert prompt.to_json({"x": rows[:1]})["chat_template"] == {
        "of": "the base model", "sha256": ChatTemplate(TEMPLATES["chatml"], "").mark,
    }  # fmt: skip
    assert Prompt(tokenizer, max_tokens=None, template="{question}!").used(rows) == ("{question}!",)
    named = Prompt(tokenizer, max_tokens=None, template="{question}!")
    found = named.encode(rows[0])
    assert found is not None
    assert tokenizer.decode(found.question) == f"{USER['content']}!"
    assert tokenizer.decode(found.answer) == f" {ANSWER['content']}<end>"


@pytest.mark.parametrize("pair", [("The sky is", " blue."), ("Q: two?\nA:", "four"), ("a ", "b")])
def test_a_prompt_and_its_completion_have_the_tokens_that_trl_gives_them(
    pair: tuple[str, str],
) -> None:
    tokenizer = chat_tokenizer()
    (row,) = rows_of([{"prompt": pair[0], "completion": pair[1]}])
    found = Prompt(tokenizer, max_tokens=None).encode(row)
    prompt, whole = (tokenizer(text)["input_ids"] for text in (pair[0], f"{''.join(pair)}<end>"))
    same = 0
    while same < len(prompt) and prompt[same] == whole[same]:
        same += 1
    assert found == Example(tuple(whole[:same]), tuple(whole[same:]))


@pytest.mark.parametrize(
    ("name", "messages", "message"),
    [
        ("no system", [SYSTEM, USER, ANSWER], "refuses a row: System role not supported"),
        ("chatml", [USER, CALL, RESULT, ANSWER], "leaves out the call of `add` in message 2"),
        ("bare", [USER, ANSWER], r"leaves out message 1, of role 'user', of a row"),
        ("broken", [USER, ANSWER], "refuses a row: Unexpected end of template"),
        ("endless", [USER, ANSWER], "refuses a row: "),
        ("sly", [USER, ANSWER], "refuses a row: .*unsafe"),
    ],
)
def test_what_a_template_cannot_show_is_refused_by_name(
    name: str, messages: list[dict[str, Any]], message: str
) -> None:
    texts = {
        "bare": "{{ messages[-1]['content'] }}",
        "broken": "{% for m in messages %}",
        "endless": "{% for n in range(999999999) %}{% endfor %}",
        "sly": "{{ messages.__class__.__mro__ }}",
    }
    chat = ChatTemplate({**TEMPLATES, **texts}[name], "org/base")
    prompt = Prompt(chat_tokenizer(None), max_tokens=None, chat=chat)
    with pytest.raises(BadInput, match=f"the chat template of org/base {message}"):
        prompt.encode(row_of(messages))


def test_tools_that_a_template_leaves_out_are_named() -> None:
    prompt = Prompt(chat_tokenizer(), max_tokens=None)
    with pytest.raises(BadInput, match="leaves out the tool `add` of a row"):
        prompt.encode(row_of([USER, ANSWER], tools=ADD))
    plain = Prompt(chat_tokenizer(), max_tokens=None, template="{question}")
    with pytest.raises(BadInput, match="cannot show tools"):
        plain.encode(row_of([USER, CALL, RESULT, ANSWER]))


def test_without_a_chat_template_a_conversation_is_refused_with_the_way_out() -> None:
    prompt = Prompt(chat_tokenizer(None), max_tokens=None, base="org/base")
    assert prompt.encode(Row("q", "a")) is not None
    message = "conversations, and the tokenizer of org/base has no chat template"
    with pytest.raises(BadInput, match=message) as caught:
        prompt.encode(row_of([USER, ANSWER]))
    assert caught.value.hint is not None
    assert "--template FILE.jinja" in caught.value.hint
    with pytest.raises(BadInput, match="`chat` asks for it, and the tokenizer of org/base has no"):
        Prompt(chat_tokenizer(None), max_tokens=None, template=CHAT, base="org/base")


def test_a_chat_template_is_read_where_transformers_writes_it(tmp_path: Path) -> None:
    tokenizer = chat_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    found = ChatTemplate.in_file(tmp_path / "chat_template.jinja", "a")
    assert found == ChatTemplate.of_tokenizer(tokenizer, "a") == ChatTemplate(
        TEMPLATES["chatml"], "a"
    )  # fmt: skip
    config = tmp_path / "tokenizer_config.json"
    assert ChatTemplate.in_file(config, "a") is None
    several = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "y"}]
    for held, text in (("y", "y"), (several, "y")):
        config.write_text(json.dumps({"chat_template": held}))
        assert ChatTemplate.in_file(config, "a") == ChatTemplate(text, "a")
    tokenizer.chat_template = {"default": "y", "tool_use": "x"}
    assert ChatTemplate.of_tokenizer(tokenizer, "a") == ChatTemplate("y", "a")
    config.write_text("{")
    with pytest.raises(BadInput, match=r"tokenizer_config\.json: no chat template can be read"):
        ChatTemplate.in_file(config, "a")
    (tmp_path / "large.jinja").write_text("a" * 1_000_001)
    with pytest.raises(BadInput, match="larger than 1,000,000 bytes"):
        ChatTemplate.in_file(tmp_path / "large.jinja", "a")
