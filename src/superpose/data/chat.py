"""A tokenizer's chat template: messages as the one text that a model was tuned to read.

The template is Jinja, and transformers runs it in its sandbox. What is asked and what is answered
are told apart as trl's SFTTrainer does for rows with a prompt and a completion (`tokenize_fn` of
`trl/trainer/sft_trainer.py`, 1.16): the messages before the answer with the generation prompt, all
messages without it, and the answer begins where their tokens part. So the end of the turn, and
whatever the template writes behind it, is learned and scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superpose.data.messages import ASSISTANT, CALLS, Message
from superpose.errors import BadInput
from superpose.files.text import with_an_end

__all__ = ["CHAT_FILE", "CHAT_FILES", "ChatTemplate", "common_start"]

CHAT_FILE = "chat_template.jinja"
"""What transformers calls the file of it."""

CHAT_FILES = (CHAT_FILE, "tokenizer_config.json")
"""Files that may hold a chat template; the first that does counts."""

_LARGEST = 1_000_000


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template. text: in Jinja. of: whose it is: a base model, an adapter, a file."""

    text: str
    of: str

    @property
    def mark(self) -> str:
        """The start of its SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, str]:
        """Give whose it is, and its mark."""
        return {"of": self.of, "sha256": self.mark}

    @classmethod
    def of_tokenizer(cls, tokenizer: Any, of: str) -> ChatTemplate | None:
        """Give that of a loaded tokenizer, the `default` one of several; None where it has none."""
        found = getattr(tokenizer, "chat_template", None)
        text = found.get("default") if isinstance(found, Mapping) else found
        return cls(text, of) if isinstance(text, str) and text.strip() else None

    @classmethod
    def in_file(cls, path: Path, of: str) -> ChatTemplate | None:
        """Read a `.jinja` file, or what a `tokenizer_config.json` has; None where it has none.

        Raises BadInput for a file that cannot be read or is far too large.
        """
        try:
            if with_an_end(path).stat().st_size > _LARGEST:
                raise BadInput(f"larger than {_LARGEST:,} bytes: no chat template", where=path)
            text: object = path.read_text(encoding="utf-8")
            if path.suffix == ".json":
                text = _in_config(json.loads(str(text)))
        except (OSError, ValueError, RecursionError) as error:
            raise BadInput(f"no chat template can be read of it: {error}", where=path) from None
        return cls(text, of) if isinstance(text, str) and text.strip() else None

    def written(
        self, tokenizer: Any, messages: Sequence[Message], tools: str = "", *, asking: bool
    ) -> str:
        """Give messages as text. asking: with what makes the model answer behind them.

        Raises BadInput, naming the message, where the template refuses one or leaves it out.
        """
        import jinja2

        try:
            text = tokenizer.apply_chat_template(
                [message.to_template() for message in messages],
                tools=json.loads(tools) if tools else None,
                chat_template=self.text,
                add_generation_prompt=asking,
                tokenize=False,
            )
        except (
            jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError,
            AttributeError, RecursionError,
        ) as error:  # fmt: skip
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise BadInput(
                f"the chat template of {self.of} refuses a row: {reason}",
                hint=f"It is the row that begins with {messages[0].content[:60]!r}.",
            ) from None
        self._check_whole(str(text), messages, tools)
        return str(text)

    def _check_whole(self, text: str, messages: Sequence[Message], tools: str) -> None:
        """Raise BadInput for what the template leaves out; earlier answers it may shorten."""
        bare = _bare(text)
        for number, message in enumerate(messages, start=1):
            said = message.content
            shown = _bare(said) in bare or _bare(json.dumps(said, ensure_ascii=False)[1:-1]) in bare
            last = number == len(messages)
            if not shown and (message.role != ASSISTANT or last):
                raise self._left_out(f"message {number}, of role {message.role!r},")
            for name in _called(message):
                if name not in text:
                    raise self._left_out(f"the call of `{name}` in message {number}")
        for name in _names(json.loads(tools) if tools else []):
            if name not in text:
                raise self._left_out(f"the tool `{name}`")

    def _left_out(self, what: str) -> BadInput:
        return BadInput(
            f"the chat template of {self.of} leaves out {what} of a row",
            hint="Take it out of the rows, or give a template that shows it: --template FILE.jinja",
        )


def common_start(texts: Sequence[tuple[int, ...]]) -> int:
    """Give how many tokens all of these begin with."""
    first, last = min(texts), max(texts)
    return next((n for n, (x, y) in enumerate(zip(first, last, strict=False)) if x != y),
                min(len(first), len(last)))  # fmt: skip


def _in_config(content: Any) -> object:
    """Give the template in a tokenizer's configuration: a text, or the default one of several."""
    found = content.get("chat_template") if isinstance(content, Mapping) else None
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, Mapping)}
        return named.get("default")
    return found


def _bare(text: str) -> str:
    return "".join(text.split())


def _called(message: Message) -> list[str]:
    held = message.to_template()
    return [name for key in CALLS for name in _names(held.get(key))]


def _names(tools: object) -> list[str]:
    """Give the names of functions: `{"function": {"name": ...}}` or `{"name": ...}` of each."""
    found = []
    for one in tools if isinstance(tools, list) else [tools]:
        function = one.get("function", one) if isinstance(one, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        found += [name] if isinstance(name, str) else []
    return found
