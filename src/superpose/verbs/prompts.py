"""How rows become tokens beside a base and its adapters: which template, and whose it is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from superpose.data.chat import CHAT_FILE, CHAT_FILES, ChatTemplate
from superpose.data.prompt import AS_IT_STANDS, CHAT, DEFAULT_TEMPLATE, Prompt
from superpose.errors import BadInput, BadSetting
from superpose.formats.peft import TRAINING
from superpose.verbs.notes import note

if TYPE_CHECKING:
    from superpose.adapter import Adapter
    from superpose.data.domain import Row
    from superpose.model import BaseModel

__all__ = ["asked_in", "prompt_of"]


def prompt_of(
    base: BaseModel,
    max_tokens: int | None,
    template: str,
    rows: Iterable[Row] = (),
    adapters: Sequence[Adapter] = (),
) -> Prompt:
    """How rows become tokens.

    template: as of a `Prompt`, or a .jinja file. rows: all that will be asked. A chat template is
    that which lies beside adapters before the base's own. What is neither a conversation nor a
    prompt with its completion has the template that all adapters were trained with, where they say
    so (`training.json`).

    Raises BadSetting for a template that is none or where there is none, and where adapters have
    different chat templates and one is asked for; BadInput where one cannot be read.
    """
    chat, usual = None, "" if template else _trained_with(adapters)
    if template.endswith(".jinja"):
        chat, template = ChatTemplate.in_file(Path(template), template), CHAT
    elif CHAT in (template, usual) or (not template and any(row.messages for row in rows)):
        chat = _beside(adapters)
    try:
        return Prompt(
            base.tokenizer,
            max_tokens=max_tokens,
            template=template,
            usual=usual or DEFAULT_TEMPLATE,
            chat=chat,
            base=base.name,
        )
    except BadInput as error:
        raise BadSetting(error.problem, where="template", hint=error.hint) from None


def asked_in(
    prompt: Prompt, domains: Mapping[str, Iterable[Row]], adapters: Sequence[Adapter] = ()
) -> dict[str, Any]:
    """Say what domains' rows are asked in, where it is not the default, and give it for JSON."""
    found = prompt.to_json(domains)
    used = found["templates"]
    every = list(dict.fromkeys(template for of in used.values() for template in of))
    for template in every:
        where = ", ".join(name for name, of in used.items() if template in of)
        if said := _said(prompt, template):
            note("note", f"{where}: {said}")
    for adapter in adapters:
        for kind, said in _otherwise(adapter, every):
            note(kind, said)
    return found


def _said(prompt: Prompt, template: str) -> str:
    if template == CHAT and prompt.chat is not None:
        return f"asked in the chat template of {prompt.chat.of}"
    if template == AS_IT_STANDS and not prompt.template:
        return "prompts and completions, asked as they stand"
    if not prompt.template and template != DEFAULT_TEMPLATE:
        return f"asked as {template!r}, which the adapters were trained with"
    return ""


def _otherwise(adapter: Adapter, used: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Give notes of an adapter that was trained in another form than it is asked in."""
    trained = _trained(adapter)
    if trained and not set(trained) & set(used):
        forms = ", ".join(map(repr, trained))
        yield "warning", f"{adapter.label} was trained on {forms}, and is not asked so: --template"
    elif not trained and used == [DEFAULT_TEMPLATE] and _has_chat_template(adapter):
        yield (
            "note",
            f"beside {adapter.label} lies a chat template, and it is asked as "
            f"{DEFAULT_TEMPLATE!r}; if it was trained on chats: --template chat",
        )


def _trained_with(adapters: Sequence[Adapter]) -> str:
    """Give the one template that all adapters were trained with; empty where they do not say it."""
    each = [_trained(adapter) for adapter in adapters]
    return each[0][0] if each and each == [each[0]] * len(each) and len(each[0]) == 1 else ""


def _trained(adapter: Adapter) -> tuple[str, ...]:
    """Give the templates that an adapter was trained with, as `train` noted them beside it."""
    path = None if adapter.path is None else Path(adapter.path) / TRAINING
    try:
        noted = json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}
        each = noted["prompt"]["templates"].values()
        return tuple(dict.fromkeys(str(template) for of in each for template in of))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()  # of before it was noted, or somebody else's


def _beside(adapters: Sequence[Adapter]) -> ChatTemplate | None:
    """Give the chat template beside adapters; those without one say nothing against it."""
    found: dict[str, ChatTemplate] = {}
    for adapter in adapters:
        if (own := _own(adapter)) is not None:
            found.setdefault(own.text, own)
    if len(found) > 1:
        owners = " and ".join(one.of for one in found.values())
        raise BadSetting(
            f"{owners} have different chat templates, and a sum is asked in one",
            where="template",
            hint="Choose: --template ADAPTER/chat_template.jinja",
        )
    return next(iter(found.values()), None)


def _has_chat_template(adapter: Adapter) -> bool:
    """Whether a chat template lies beside an adapter, as far as that is told without the hub."""
    held = {one.file: one.folder for one in adapter.beside if one.kind == "tokenizer"}
    here = all(held[name] is not None for name in CHAT_FILES if name in held)
    return CHAT_FILE in held or (here and _own(adapter) is not None)


def _own(adapter: Adapter) -> ChatTemplate | None:
    called = adapter.path or adapter.name
    files = (ChatTemplate.in_file(path, called) for path in _files(adapter))
    return next((chat for chat in files if chat is not None), None)


def _files(adapter: Adapter) -> list[Path]:
    """Give the files beside an adapter that may hold its chat template; fetched from the hub."""
    found = {one.file: one for one in adapter.beside if one.kind == "tokenizer"}
    held = [found[name] for name in CHAT_FILES if name in found]
    if any(one.folder is None for one in held):
        from superpose.files.hub import fetch_beside

        return [fetch_beside(one.adapter, CHAT_FILES) / one.file for one in held]
    return [Path(one.folder or "") / one.file for one in held]
