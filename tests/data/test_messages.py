"""Conversations in rows: which turn is the answer, what stands before it, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from superpose.data.domain import Row, fingerprint, question_key, read_rows, rows_of
from superpose.data.messages import Message
from superpose.errors import BadInput

USER = {"role": "user", "content": "What is 2 plus 2?"}
ANSWER = {"role": "assistant", "content": "4"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add"}}]}


def _row(**record: Any) -> Row:
    (row,) = rows_of([record])
    return row


def test_the_last_assistant_turn_is_the_answer_and_all_before_it_the_question() -> None:
    row = _row(messages=[{"role": "system", "content": "Be short."}, USER, ANSWER, USER, ANSWER])
    assert [message.role for message in row.messages] == [
        "system", "user", "assistant", "user", "assistant",
    ]  # fmt: skip
    assert row.answer == "4"
    assert row.question.startswith("system: Be short.\n\nuser: What is 2 plus 2?\n\nassistant: 4")
    assert _row(messages=[USER, ANSWER, USER]).messages == _row(messages=[USER, ANSWER]).messages


def test_a_lone_users_question_is_the_same_question_in_every_form() -> None:
    forms = [
        {"question": USER["content"], "answer": "4"},
        {"messages": [USER, ANSWER]},
        {"prompt": [USER], "completion": [ANSWER]},
        {"prompt": USER["content"], "completion": "4"},
        {"messages": json.dumps([USER, ANSWER])},
        {"conversations": [{"from": "human", "value": USER["content"]},
                           {"from": "gpt", "value": "4"}]},
        {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is "}, {"type": "text", "text": "2 plus 2?"}]}, ANSWER]},
    ]  # fmt: skip
    rows = [_row(**form) for form in forms]
    assert {question_key(row) for row in rows} == {"what is 2 plus 2?"}
    assert {row.answer for row in rows} == {"4"}
    chats = [row for row in rows if row.messages]
    assert len(chats) == 5
    assert {row.messages for row in chats} == {
        (Message("user", "What is 2 plus 2?"), Message("assistant", "4"))
    }


def test_a_prompt_and_its_completion_keep_their_white_space() -> None:
    row = _row(prompt="The sky is", completion=" blue.\n")
    assert (row.question, row.answer, row.joined) == ("The sky is", " blue.\n", True)
    named = rows_of([{"prompt": "The sky is", "completion": " blue."}], question="prompt",
                    answer="completion")  # fmt: skip
    assert named == [Row("The sky is", "blue.")]


def test_columns_of_other_names_may_hold_messages_too() -> None:
    record = {"chat": [USER, ANSWER], "asked": [USER], "said": "4"}
    whole = rows_of([record], question="chat", answer="answer")
    parts = rows_of([record], question="asked", answer="said")
    assert whole[0].messages == parts[0].messages == _row(messages=[USER, ANSWER]).messages


def test_a_question_and_an_answer_go_before_messages() -> None:
    assert _row(question="q", answer="a", messages=[USER, ANSWER]) == Row("q", "a")


def test_a_conversation_may_have_choices(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"messages": [USER, ANSWER], "choices": ["3", "4"]}))
    assert read_rows(path)[0].choices == ("3", "4")


def test_what_a_message_holds_besides_is_kept_and_what_is_empty_is_not() -> None:
    tool = {"role": "tool", "content": "4", "tool_call_id": "1", "name": None}
    tools = [{"type": "function", "function": {"name": "add"}}]
    row = _row(messages=[USER, CALL, tool, ANSWER], tools=tools)
    assert row.messages[1].to_template() == {**CALL, "content": ""}
    assert row.messages[2].to_template() == {"role": "tool", "content": "4", "tool_call_id": "1"}
    assert json.loads(row.tools) == tools
    plain = _row(messages=[USER, {**CALL, "content": "Let me see."}, tool, ANSWER])
    assert fingerprint([row]) != fingerprint([plain])


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"messages": []}, r"no assistant turn under 'messages' .*it has: nothing"),
        ({"messages": "text"}, "no list of messages under 'messages': str"),
        ({"messages": ["text"]}, "message 1 under 'messages' is str"),
        ({"messages": [{"content": "a"}]}, "message 1 under 'messages' has no `role`"),
        ({"messages": [USER, {"role": "assistant"}]}, "message 2 .* no text under 'content'"),
        ({"messages": [USER]}, r"no assistant turn under 'messages' .*it has: user"),
        ({"messages": [ANSWER]}, "nothing before the assistant turn"),
        ({"messages": [USER, CALL]}, "message 2 under 'messages', calls tools"),
        ({"messages": [USER, {**ANSWER, "content": " "}]}, "message 2 under 'messages', is empty"),
        ({"messages": [USER, {**ANSWER, "content": "\ud800"}]}, "half a surrogate pair"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]},
            "message 1 under 'messages' holds a part of type 'image_url'; only text is read",
        ),
        ({"messages": [USER, ANSWER], "images": ["a.png"]}, "a conversation with `images`"),
        ({"prompt": [USER], "completion": [ANSWER, USER]}, "2 messages under 'completion'"),
        ({"prompt": [USER], "completion": [USER]}, "no assistant turn"),
        ({"prompt": "a"}, r"no text under 'completion' \(it has: prompt\)"),
        ({"prompt": "a", "completion": [ANSWER]}, "no text under 'completion'"),
        ({"messages": None, "text": "a"}, r"no text under 'question' \(it has: messages, text\)"),
    ],
)
def test_what_is_no_conversation_is_refused_by_name(record: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        rows_of([record], where="mine")
    assert caught.value.where == "mine, row 1"
