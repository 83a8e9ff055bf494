"""Install what `pip install` would, with uv where the package index has it: a third of the work.

python scripts/install.py [--into PYTHON] -c constraints.txt -e ".[study,dev]"

Takes the options that pip and uv share. What pip is set to, such as indexes, folders of wheels,
constraints and certificates, uv is told. Where pip is set to something that is not known here,
where uv cannot be had, and where uv fails, pip itself installs.
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
from pathlib import Path

__all__ = ["settings_of_pip", "told_to_uv"]

UV = "uv==0.13.9"
SHARED = {"constraint", "extra-index-url", "find-links", "index-url", "no-index"}
"""What pip may be set to that uv has as an option of the same name."""
CERTIFICATES = "cert"
"""What uv takes as an environment variable."""
HARMLESS = {
    "config-file", "default-timeout", "disable-pip-version-check", "no-compile", "no-input",
    "timeout",
}  # fmt: skip
"""What pip may be set to that changes nothing of what is installed."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def settings_of_pip() -> dict[str, str]:
    """What pip is set to, by files and by its environment, which wins; option -> value."""
    said = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, dict[str, str]] = {}
    for line in said.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        found.setdefault(section, {})[option] = str(ast.literal_eval(value))
    order = ("global", "install", ":env:")
    return {option: v for section in order for option, v in found.get(section, {}).items()}


def told_to_uv(settings: dict[str, str]) -> tuple[list[str], dict[str, str]] | None:
    """Give uv's options and environment for what pip is set to; None where some is unknown."""
    if not settings.keys() <= SHARED | HARMLESS | {CERTIFICATES}:
        return None
    # As pip does: the highest version of all indexes, and not that of the first that has any.
    options = ["--index-strategy", "unsafe-best-match"]
    here_alone = settings.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    unused = {"extra-index-url", "index-url"} if here_alone else {"no-index"}
    for option in sorted(SHARED & settings.keys() - unused):
        values = [""] if option == "no-index" else settings[option].split()
        options += [word for value in values for word in (f"--{option}", value) if word]
    certificates = settings.get(CERTIFICATES)
    return options, {"SSL_CERT_FILE": certificates} if certificates else {}


def _with_uv(python: str, args: list[str]) -> bool:
    """Whether uv has installed it."""
    told = told_to_uv(settings_of_pip())
    if told is None:
        return False
    options, environment = told
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        subprocess.run([*PIP, "install", "--quiet", UV], capture_output=True, check=False)
    if not uv.exists():
        return False
    command = [str(uv), "pip", "install", "--quiet", "--python", python, *options, *args]
    return not subprocess.run(command, env=os.environ | environment, check=False).returncode


def main(args: list[str]) -> int:
    """Install, and give the exit code."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--into", default=sys.executable)
    asked, rest = parser.parse_known_args(args)
    if _with_uv(asked.into, rest):
        return 0
    print("installing with pip, which takes longer than uv", file=sys.stderr)
    # Modules are compiled when they are first imported: most of what is installed never is.
    command = [*PIP, "--python", asked.into, "install", "--quiet", "--no-compile", *rest]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
