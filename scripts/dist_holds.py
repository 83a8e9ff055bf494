"""Hold a built sdist and wheel against what they promise; ends with 1 where they fall short.

python -m build --no-isolation && python scripts/dist_holds.py dist

The wheel has every file of the package and nothing else, with the version, the licence and the
extras that pyproject.toml declares; the sdist has every file of the repository; a
second build has the same bytes.
"""

from __future__ import annotations

import email
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

__all__ = ["shortfalls"]

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".gitignore", ".git/")
"""What git knows and an sdist has no use for."""


def shortfalls(dist: Path, root: Path = ROOT) -> Iterator[str]:
    """What the one wheel and the one sdist in a folder do not keep of the promises, in words."""
    wheels, sdists = sorted(dist.glob("*.whl")), sorted(dist.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        yield f"{dist}: {len(wheels)} wheels and {len(sdists)} sdists; there is one of each"
        return
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield from _of_wheel(wheels[0], root, project)
    yield from _of_sdist(sdists[0], root)
    yield from _of_second_build([*wheels, *sdists], root)


def _of_wheel(wheel: Path, root: Path, project: dict[str, object]) -> Iterator[str]:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        info = next(name for name in held if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(info))
    package = {name for name in held if name.startswith("superpose/")}
    known = {name.removeprefix("src/") for name in _tracked(root) if name.startswith("src/")}
    yield from (f"{wheel.name}: {name} is not in it" for name in sorted(known - package))
    yield from (f"{wheel.name}: {name} is no file of ours" for name in sorted(package - known))
    beside = {name for name in held - package if ".dist-info/" not in name}
    yield from (f"{wheel.name}: {name} would lie beside the package" for name in sorted(beside))
    for wanted in ("superpose/py.typed", f"{Path(info).parent}/licenses/LICENSE"):
        if wanted not in held:
            yield f"{wheel.name}: {wanted} is not in it"
    yield from (f"{wheel.name}: {each}" for each in _of_metadata(metadata, root, project))


def _of_metadata(metadata: Message, root: Path, project: dict[str, object]) -> Iterator[str]:
    version = (root / "src/superpose/_version.py").read_text(encoding="utf-8")
    if f'"{metadata["Version"]}"' not in version:
        yield f"version {metadata['Version']} is not the one of _version.py"
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    if set(metadata.get_all("Provides-Extra", [])) != set(extras):
        yield "its extras are not those of pyproject.toml"
    if (root / "README.md").read_text(encoding="utf-8").strip() not in _text(metadata):
        yield "its description is not README.md"


def _text(metadata: Message) -> str:
    text = metadata.get_payload(decode=True)
    assert isinstance(text, bytes)
    return text.decode()


def _of_sdist(sdist: Path, root: Path) -> Iterator[str]:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    known = {name for name in _tracked(root) if not name.startswith(LEFT_OUT)}
    yield from (f"{sdist.name}: {name} is not in it" for name in sorted(known - held))
    extra = held - known - {"PKG-INFO", ".gitignore", ""}
    yield from (f"{sdist.name}: {name} is no file of ours" for name in sorted(extra))


def _of_second_build(built: list[Path], root: Path) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, root],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for path in built:
            if _digest(path) != _digest(Path(folder) / path.name):
                yield f"{path.name}: a second build has other bytes"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tracked(root: Path) -> set[str]:
    """Give the files that git knows or would take; where there is no git, those that lie there."""
    if not (root / ".git").exists():
        return {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
    listed = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name for name in listed.stdout.split("\0") if name and (root / name).is_file()}


if __name__ == "__main__":
    found = list(shortfalls(Path(sys.argv[1])))
    for each in found:
        print(each, file=sys.stderr)
    sys.exit(bool(found))
