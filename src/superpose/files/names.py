"""What a name means: a folder or file here, or a place on the hub."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from superpose.errors import BadInput, Missing
from superpose.files.file_format import ENDINGS, IN_FOLDERS, PEFT
from superpose.files.home import with_home
from superpose.files.hub_name import HubName, is_hub_address, parse_hub_name
from superpose.files.pickles import PICKLES, refused_pickle
from superpose.files.text import no_regular_file


def locate(given: str | os.PathLike[str]) -> Path:
    """Give what an adapter's name means: a PEFT folder, or the one file of another format.

    given: a path (`~` is the home folder) or a hub name: `org/name`, `org/name/folder@revision`,
    `hf://...`, an address from a browser. Whatever exists here wins over the hub. A folder that
    holds diffusers' one file and no PEFT adapter means that file.

    Raises BadInput when there is no such thing, or not on the hub; Missing when it can only be a
    hub name and the hub cannot be asked, MissingExtra then without huggingface_hub.
    """
    if not isinstance(given, str | os.PathLike):
        raise BadInput(f"{given!r} is no adapter: neither a name nor a path")
    text = os.fspath(given)
    if not text:
        raise BadInput("the name of an adapter is empty")
    path = with_home(text)
    if is_here(path):
        held = [path / file for file in IN_FOLDERS if (path / file).is_file()]
        return held[0] if held and not exists(path / PEFT.folder[0], given) else path
    if exists(path, given):
        return _adapter_file(path, given)
    if is_hub_name(given):
        from superpose.files.hub import fetch  # only who names something of the hub pays for it

        return fetch(text)
    from superpose.files.embedded import NAME

    hint = "That is the embedded base model; an adapter is needed here." if text == NAME else None
    raise BadInput("no such folder or file", where=given, hint=hint)


def is_hub_name(
    given: str | os.PathLike[str], parse: Callable[[str], HubName | None] = parse_hub_name
) -> bool:
    """Say whether a name that does not exist here may be asked of the hub."""
    if not isinstance(given, str):
        return False
    if is_hub_address(given):
        return True
    # `runs/math` with a folder `runs` here is a mistyped path, not somebody's repository.
    return parse(given) is not None and not exists(Path(given.partition("/")[0]), given)


def _adapter_file(path: Path, given: object) -> Path:
    """Give the path of a file that may be an adapter; raises BadInput for all others."""
    if path.suffix in PICKLES:
        raise refused_pickle(path, given)
    if not path.is_file():
        raise no_regular_file(given)
    if path.name in PEFT.folder or not path.name.endswith(ENDINGS):
        raise BadInput(
            "is a file; a PEFT adapter is a folder, and other adapters end in "
            f"{' or '.join(ENDINGS)}",
            where=given,
            hint=f"Give the folder: {folder_of(path)}",
        )
    return path


def folder_of(path: Path) -> str:
    """Give the folder of a file so that it can be pasted anywhere: `.` is a hint for nobody."""
    return shlex.quote(str(path.absolute().parent))


def is_here(given: str | os.PathLike[str]) -> bool:
    """Say whether `given` is a folder on this machine, and so no hub name."""
    return os.path.isdir(with_home(given))  # noqa: PTH112  False, not an error, for any


def exists(path: Path, given: object) -> bool:
    """Say whether anything stands at `path`; raises BadInput when the system does not tell.

    given: what the user called it. A folder may be closed to us, and a name too long for any.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror or error}", where=given) from error
    except ValueError as error:  # a null byte
        raise BadInput(f"is no name ({error})", where=given) from error
    return True


def listing(given: str | os.PathLike[str], folder: Path) -> list[str]:
    """Give what lies at `given`, as sorted relative paths, to say what it is if no adapter.

    folder: what `locate` gave for it. Of a folder here, two levels; of a hub repository, of which
    only an adapter's files were fetched, all files, or those that were where the hub does not tell.
    """
    if not is_here(given):
        with suppress(BadInput, Missing):
            from superpose.files.hub import hub_files

            return hub_files(os.fspath(given))
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def called(given: str | os.PathLike[str]) -> str:
    """Give the name that a thing given as `given` keeps: an address of the hub in its short form.

    >>> called("https://huggingface.co/org/math/tree/v1/best")
    'org/math/best@v1'
    """
    text = os.fspath(given)
    name = parse_hub_name(text) if is_hub_address(text) else None
    return text if name is None else str(name)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Give each name's last part where that still tells it from the others.

    >>> short_names(["runs/math", "runs/law", "old/law"])
    {'runs/math': 'math', 'runs/law': 'runs/law', 'old/law': 'old/law'}
    """
    short = {name: name.replace("\\", "/").rstrip("/").rpartition("/")[2] for name in names}
    often = Counter(short.values())
    return {name: s if s and often[s] == 1 else name for name, s in short.items()}


def short_name(given: str | os.PathLike[str]) -> str:
    """Give what people call an adapter that was given as `given`: the last part of it.

    Of a file the name without its ending, of a hub's address the name in the repository.
    """
    last = called(given).replace("\\", "/").rstrip("/").rpartition("/")[2]
    # `.` and `..` name nothing; the folder they stand for does.
    if not last.strip("."):
        return Path(os.path.realpath(given)).name or "adapter"
    for ending in ENDINGS:
        last = last.removesuffix(ending)
    return last or "adapter"
