"""Changed files to every reader: only superpose's own errors come out, soon and in little memory.

python -m tests.hard.fuzz --inputs 100000 --seed 0 --goes-on FOLDER

An input is known by the seed and its number, and made anew from them. FOLDER keeps how far a run
came, and each input that something else came out of, with its traceback: a run that was ended goes
on there.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.hard.changes import changed
from tests.hard.corpus import CORPUS, READERS

__all__ = ["Fuzzed", "fuzzed", "input_of", "main"]

SECONDS = 20
MEMORY = 1 << 30
"""Bytes more than the reader's process has when it begins."""

LOT = 500
"""Inputs that one process reads: a new one begins with a clean heap."""


class Fuzzed(Counter[str]):
    """How many inputs there were, by `READER: refused`, `READER: read` and `READER: WRONG`."""

    @property
    def wrong(self) -> int:
        """Inputs of which anything but one of superpose's errors came."""
        return sum(count for name, count in self.items() if name.endswith(": WRONG"))


def input_of(seed: int, number: int, place: Path) -> str:
    """Write one input below a folder; gives the name of the reader that it is for."""
    reader = list(READERS)[number % len(READERS)]
    name = READERS[reader][0]
    rng = random.Random(f"{seed} {number}")
    source, target = CORPUS / name, place / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    files = sorted(p for p in (target.rglob("*") if target.is_dir() else [target]) if p.is_file())
    file = rng.choice(files)
    file.write_bytes(changed(file.read_bytes(), rng))
    return reader


def fuzzed(seed: int, numbers: range, folder: Path) -> Fuzzed:
    """Read these inputs in processes of their own, and count what came out.

    folder: gets what went wrong, as `NUMBER.txt` and the input beside it.
    """
    found: Fuzzed = Fuzzed()
    at = numbers.start
    log = folder / "log.txt"
    while at < numbers.stop:
        child = os.fork()
        if not child:
            _read_lot(seed, range(at, min(at + LOT, numbers.stop)), folder, log)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        found.update(lines)
        at += len(lines)
        if status:  # the process died of the input that it had begun
            reader = input_of(seed, at, folder / "input")
            _keep(folder, at, f"the process ended with {status}")
            found[f"{reader}: WRONG"] += 1
            at += 1
    shutil.rmtree(folder / "input", ignore_errors=True)
    return found


def _read_lot(seed: int, numbers: range, folder: Path, log: Path) -> None:
    """Read in this process, and end it; a line of the log for each input that is done."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    # The alarm that a reader catches is followed by the system's, which nothing catches.
    signal.signal(signal.SIGALRM, _late)
    with log.open("w", encoding="utf-8") as lines:
        for number in numbers:
            reader = input_of(seed, number, folder / "input")
            signal.alarm(SECONDS)
            outcome = _outcome(reader, folder / "input", folder, number)
            signal.alarm(0)
            lines.write(f"{reader}: {outcome}\n")
            lines.flush()
    os._exit(0)


def _outcome(reader: str, place: Path, folder: Path, number: int) -> str:
    from superpose.errors import SuperposeError, SuperposeWarning

    name, read = READERS[reader]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", SuperposeWarning)
            read(place / name)
    except SuperposeError as error:
        if error.exit_code == 2 and str(error):
            return "refused"
        _keep(folder, number, f"exit code {error.exit_code}: {error}")
        return "WRONG"
    except BaseException:  # noqa: BLE001  whatever it is, it is wrong
        _keep(folder, number, traceback.format_exc())
        return "WRONG"
    return "read"


def _late(number: int, frame: object) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(SECONDS)
    raise TimeoutError(f"more than {SECONDS} s")


def _keep(folder: Path, number: int, told: str) -> None:
    (folder / f"{number}.txt").write_text(told, encoding="utf-8", errors="backslashreplace")
    shutil.copytree(folder / "input", folder / f"{number}.input", dirs_exist_ok=True)


def main() -> int:
    """Go through the inputs; 0 where nothing went wrong, 1 otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--goes-on", type=Path, required=True, metavar="FOLDER")
    args = parser.parse_args()
    folder = args.goes_on / f"seed-{args.seed}"
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / "state.json"
    begun = json.loads(state.read_text()) if state.exists() else {"next": 0, "found": {}, "s": 0}
    found, seconds, at = Fuzzed(begun["found"]), begun["s"], begun["next"]
    while at < args.inputs:
        until, start = min(at + 10 * LOT, args.inputs), time.monotonic()
        found += fuzzed(args.seed, range(at, until), folder)
        seconds, at = seconds + time.monotonic() - start, until
        state.write_text(json.dumps({"next": at, "found": found, "s": round(seconds, 1)}))
        print(f"{at:,} of {args.inputs:,} inputs, {Fuzzed(found).wrong} wrong, {seconds:,.0f} s")  # noqa: T201
        sys.stdout.flush()
    for name, count in sorted(found.items()):
        print(f"{count:9,}  {name}")  # noqa: T201
    if path := os.environ.get("FIGURES"):
        _figures(Path(path), found, at, seconds)
    return int(Fuzzed(found).wrong > 0)


def _figures(file: Path, found: Mapping[str, int], inputs: int, seconds: float) -> None:
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    known["fuzz"] = {"inputs": inputs, "seconds": round(seconds), **found}
    text = json.dumps(known, indent=1, sort_keys=True)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
