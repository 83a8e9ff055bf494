"""How a study's rows become tokens: the `prompt` of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field

from superpose.data.chat import ChatTemplate
from superpose.data.prompt import CHAT, Prompt
from superpose.errors import placed
from superpose.training.settings import MAX_TOKENS, STRICT

__all__ = ["PromptSettings", "Settings"]


class Settings(pydantic.BaseModel):
    """Base of what stands in a study file alone."""

    model_config = STRICT


class PromptSettings(Settings):
    """How a row becomes tokens."""

    max_tokens: int = Field(MAX_TOKENS, ge=8, description="longest question and answer, in tokens")
    template: str = Field(
        "",
        pattern=r"^$|^chat$|\.jinja$|\{question\}",
        description="text before the answer, with {question} in it; `chat`, or a .jinja file, for "
        "a chat template; by default what the rows are made for",
    )

    def prompt(self, tokenizer: Any, base: str, folder: Path) -> Prompt:
        """Give what makes tokens of rows. base: whose tokenizer it is. folder: the study file's."""
        template, chat = self.template, None
        if template.endswith(".jinja"):
            chat, template = ChatTemplate.in_file(folder / template, template), CHAT
        with placed("prompt.template"):
            return Prompt(
                tokenizer, max_tokens=self.max_tokens, template=template, chat=chat, base=base
            )
