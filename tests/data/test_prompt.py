"""The text of a row as tokens, of tokenizers with an end-of-text, without one, and that put it."""

from __future__ import annotations

from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from superpose.data.domain import Row, rows_of
from superpose.data.prompt import AS_IT_STANDS, Example, Prompt
from superpose.errors import BadInput

WORDS = ["<end>", "<unk>", "two", "plus", "is", "four", "five", "Question", "Answer", ":"]
END = 0
JOINED = Row("two plus two is", " four", choices=("four", "five"), joined=True)


def tokenizer(*, end: bool = True, puts_it: bool = False) -> Any:
    """One word, one token; end: whether it knows an end-of-text. puts_it: behind every text."""
    made = Tokenizer(models.WordLevel({w: n for n, w in enumerate(WORDS)}, "<unk>"))
    made.add_special_tokens(["<end>"])
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if puts_it:
        made.post_processor = processors.TemplateProcessing(
            single="$A <end>", special_tokens=[("<end>", END)]
        )
    own = {"eos_token": "<end>"} if end else {}
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", **own)


def ids(*words: str) -> tuple[int, ...]:
    return tuple(WORDS.index(word) for word in words)


def prompt(max_tokens: int | None = None, **how: bool) -> Prompt:
    return Prompt(tokenizer(**how), max_tokens=max_tokens, template=AS_IT_STANDS)


def test_an_answer_ends_with_the_end_of_text_where_there_is_one() -> None:
    row = Row("two plus two is", "four")
    for end in (True, False):
        found = prompt(end=end).encode(row)
        answer = ids("four", *(["<end>"] if end else []))
        assert found == Example(ids("two", "plus", "two", "is"), answer)


def test_a_question_is_left_open_by_a_tokenizer_that_closes_every_text() -> None:
    row = Row("two plus two is", "four")
    closed = tokenizer(puts_it=True)
    assert closed(row.question)["input_ids"][-1] == END
    assert prompt(puts_it=True).asked_ids(row) == ids("two", "plus", "two", "is")
    assert prompt(puts_it=True).encode(row) == prompt().encode(row)


def test_each_choice_stands_where_the_completion_stood() -> None:
    found = prompt().encode_choices(JOINED)
    assert found is not None
    assert found.question == ids("two", "plus", "two", "is")
    assert found.choices == (ids("four", "<end>"), ids("five", "<end>"))
    assert found.right == 0


def test_a_template_without_a_place_for_the_question_is_refused() -> None:
    for given in ({"template": "Q: {Question}"}, {"usual": "Q"}):
        with pytest.raises(BadInput, match=r"the template 'Q.*' has no \{question\} in it"):
            Prompt(tokenizer(), max_tokens=None, **given)


def test_a_row_without_room_for_its_answer_is_named_where_all_must_fit() -> None:
    short, long = Row("is", "four"), Row("two plus two is", "four")
    with pytest.raises(BadInput, match=r"math: .*no room within 4 tokens: 'two plus two is'"):
        prompt(4).encode_all([short, long], "math")
    assert prompt(4).encode_all([short]) == [Example(ids("is"), ids("four", "<end>"))]
    assert prompt(4).fitting([short, long]) == [short]


def test_no_rows_in_memory_are_bad_input_as_an_empty_file_is() -> None:
    with pytest.raises(BadInput, match="rows: no questions in it"):
        rows_of([])
