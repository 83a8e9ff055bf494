"""What huggingface_hub raises, in superpose's words: what is wrong, of which name, what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from superpose.errors import BadInput, Missing, SuperposeError
from superpose.files.hub_name import HubName, is_hub_address
from superpose.files.hub_wait import SLOW, VARIABLE, answers_awaited, seconds

_NETWORK = {"httpcore", "httpcore2", "httpx", "httpx2", "requests", "urllib3"}
"""Who raises what goes wrong on the way to the hub."""

LOGIN = "`hf auth login` or HF_TOKEN gives a token"


@contextmanager
def hub_errors(given: str, name: HubName, *, may_be_here: bool = True) -> Iterator[None]:
    """Turn what the client raises in this block into superpose's errors; what it says is kept back.

    Its progress bars stay where standard error is a terminal. given: what the user wrote.
    may_be_here: it could have been a mistyped path.

    Raises BadInput where the hub says no (no such repository, revision or file, no access), Missing
    where it could not be asked (no network, offline, too busy).
    """
    try:
        with _quiet_client(), answers_awaited():
            yield
    except SuperposeError:
        raise
    except Exception as error:  # the client's errors have no common base
        start = ""
        if may_be_here and not is_hub_address(given):
            start = f"is no {'file' if name.kind == 'dataset' else 'folder'} here, and "
        raise _translated(given, name, start, error) from error


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Let huggingface_hub warn of nothing, and draw bars for somebody who sees them only.

    What matters of its warnings (nothing matched, nothing changed) is in superpose's own answer.
    """
    import logging  # 4 ms, which no other command should pay for

    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    undecided = constants.HF_HUB_DISABLE_PROGRESS_BARS is None and not are_progress_bars_disabled()
    hide = undecided and not sys.stderr.isatty()
    logger.setLevel(logging.ERROR)
    if hide:
        disable_progress_bars()
    try:
        yield
    finally:
        logger.setLevel(level)
        if hide:
            enable_progress_bars()


def _translated(given: str, name: HubName, start: str, error: Exception) -> SuperposeError:
    from huggingface_hub import errors

    if isinstance(error, errors.HFValidationError):
        return BadInput(f"{start}{name.repo} is no name of the hub: {said(error)}", where=given)
    if isinstance(error, errors.GatedRepoError):
        return BadInput(
            "is gated on the hub, and access was not granted",
            where=given,
            hint=f"Ask for it at {hub_page(name)}; {LOGIN}.",
        )
    # Without a token the hub tells a repository that is not there from a private one to nobody; of
    # a mirror's 401 the client makes no error of its own.
    if isinstance(error, errors.RepositoryNotFoundError) or _hidden(error):
        return BadInput(
            f"{start}the hub has no {_kind(name)} {name.repo}, or does not show it to you",
            where=given,
            hint=f"Check the spelling; for a private one, {LOGIN}.",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return BadInput(
            f"{name.repo} has no revision `{name.revision or 'main'}`",
            where=given,
            hint=_of_revisions(name),
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, FileNotFoundError):
        return BadInput(f"{name.repo} has no such file", where=given)
    return _unanswered(given, start, error)


def _unanswered(given: str, start: str, error: Exception) -> SuperposeError:
    """The hub gave no answer, or one about the asker: by status, then by what went wrong."""
    status = _status(error)
    if status is not None and status < 429:
        return _refused(given, status, error)
    if status is not None:
        return Missing(
            f"{start}the hub is too busy or down ({status})", where=given, hint="Try again."
        )
    if _offline(error):
        cached = f"{start}it is not in the hub's cache, and " if start else ""
        return Missing(
            f"{cached}HF_HUB_OFFLINE forbids asking the hub",
            where=given,
            hint="Check the spelling, or run it once with HF_HUB_OFFLINE=0.",
        )
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        return BadInput(f"the hub's cache takes it not: {error.strerror}", where=given)
    cause = _cause(error)
    problem = f"the hub's answer is not understood ({type(cause).__name__}: {said(cause)})"
    if isinstance(cause, OSError) or type(cause).__module__.partition(".")[0] in _NETWORK:
        problem = f"the hub cannot be reached ({said(cause)})"
        if "Timeout" in type(cause).__name__:
            waited = f"{SLOW} over" if SLOW in str(cause) else "the hub did not answer within"
            problem = f"{waited} {seconds():g} s (--hub-timeout and {VARIABLE} set that limit)"
    return Missing(
        f"{start}{problem}",
        where=given,
        hint=f"Check the spelling and the network; the hub is {endpoint()} (HF_ENDPOINT).",
    )


def _refused(given: str, status: int, error: Exception) -> BadInput:
    """The hub says no to the asker."""
    if status == 401:
        return BadInput("the hub does not accept your token", where=given, hint=f"{LOGIN}.")
    if status == 403:
        return BadInput(
            "the hub forbids it to your token",
            where=given,
            hint="Is the token one that may do this, and is the repository yours to use so?",
        )
    return BadInput(f"the hub refuses it ({status}): {said(error)}", where=given)


def said(error: BaseException) -> str:
    """The first line of an error's message that says something, or its type."""
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line), type(error).__name__)[:300]


def endpoint() -> str:
    """The address of the hub that is asked."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def hub_page(name: HubName) -> str:
    """The web page of a repository, folder or file on the hub."""
    kind = "datasets/" if name.kind == "dataset" else ""
    page = f"{endpoint()}/{kind}{name.repo}"
    if not name.path and name.revision is None:
        return page
    revision = (name.revision or "main").replace("/", "%2F")
    return f"{page}/tree/{revision}" + (f"/{name.path}" if name.path else "")


def _kind(name: HubName) -> str:
    return "data set" if name.kind == "dataset" else "repository"


def _of_revisions(name: HubName) -> str:
    start, slash, rest = (name.revision or "").partition("/")
    if slash and not name.path:
        return f"The revision stands last: {name.repo}/{rest}@{start}"
    return f"Its branches and tags: {hub_page(HubName(name.repo, kind=name.kind))}/tree/main"


def _status(error: BaseException) -> int | None:
    """The HTTP status behind an error, or behind what it was raised from."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is None and error.__cause__ is not None:
        return _status(error.__cause__)
    return status


def _hidden(error: Exception) -> bool:
    """Whether the hub asks for a token, and has not refused one."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    refused = str(headers.get("X-Error-Message", "")).startswith("Invalid credentials")
    return _status(error) == 401 and not refused


def _cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _cause(error.__cause__)


def _offline(error: BaseException) -> bool:
    from huggingface_hub import errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return True
    return error.__cause__ is not None and _offline(error.__cause__)
