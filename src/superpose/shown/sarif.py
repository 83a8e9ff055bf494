"""SARIF 2.1.0 (OASIS, 2020), as GitHub's code scanning reads it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from superpose.shown.gate import Tested, Tests, plain

__all__ = ["sarif"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_MOST = 5000
"""Results that code scanning shows of one run; it refuses a file of more than 25,000."""


def sarif(run: Tests) -> str:
    """Give a run as one log: a rule for each that was asked, a result for each that failed.

    Files below the current folder are named from there (`%SRCROOT%`), others by their full URI.
    Where the command itself failed, the invocation says so, and there is no result.
    """
    rules = list(run.rules)
    failed = [test for test in run.tests if test.passed is False]
    errors = [test for test in run.tests if test.passed is None]
    driver = {
        "name": "superpose",
        "version": run.version,
        "rules": [_rule(name, said) for name, said in run.rules.items()],
    }
    invocation = {
        "executionSuccessful": not errors,
        "toolExecutionNotifications": [
            {"level": "error", "message": _message(test.said), **_locations(test)}
            for test in errors
        ],
    }
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "automationDetails": {"id": f"superpose {run.command}/"},
                "invocations": [invocation],
                "results": [_result(test, rules.index(test.rule)) for test in failed[:_MOST]],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _rule(name: str, said: str) -> dict[str, Any]:
    return {
        "id": f"superpose/{name}",
        "name": "".join(word.capitalize() for word in name.split("-")),
        "shortDescription": {"text": said},
        "fullDescription": {"text": said},
        "help": {"text": said},
        "defaultConfiguration": {"level": "error"},
    }


def _result(test: Tested, index: int) -> dict[str, Any]:
    # What it is about and not what it measured: a figure that moves is the same alert.
    mark = hashlib.sha256(plain(f"{test.rule}\n{test.path}\n{test.name}").encode()).hexdigest()
    return {
        "ruleId": f"superpose/{test.rule}",
        "ruleIndex": index,
        "level": "error",
        "message": _message(test.said),
        "partialFingerprints": {"superpose/v1": mark[:32]},
        **_locations(test),
    }


def _message(text: str) -> dict[str, str]:
    # In a message of SARIF `[text](address)` is a link, and `{0}` an argument; no name makes one.
    told = plain(text).replace("](", "\\](")
    return {"text": told.replace("{", "{{").replace("}", "}}")}


def _locations(test: Tested) -> dict[str, Any]:
    if test.path is None:
        return {}
    place = {"artifactLocation": _artifact(test.path), "region": {"startLine": 1}}
    return {"locations": [{"physicalLocation": place}]}


def _artifact(path: str) -> dict[str, str]:
    whole, here = Path(path).resolve(), Path.cwd().resolve()
    if not whole.is_relative_to(here):
        return {"uri": whole.as_uri()}
    inside = os.fsencode(whole.relative_to(here).as_posix())
    return {"uri": quote(inside), "uriBaseId": "%SRCROOT%"}
