"""An adapter is a vector. Add them.

    import superpose
    math, medicine = superpose.load("math"), superpose.load("medicine")
    both = math + 0.5 * medicine
    both.compress(rank=8).save("both")

What is listed below is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from superpose import errors
from superpose._version import __version__

if TYPE_CHECKING:
    from superpose.adapter import Adapter, Delta
    from superpose.compose import exact_sum
    from superpose.executor import Execution
    from superpose.formats import load, save
    from superpose.model import load_base
    from superpose.training.settings import LoraSettings, TrainingSettings
    from superpose.verbs.add import add
    from superpose.verbs.ask import Answering, ask
    from superpose.verbs.bake import bake
    from superpose.verbs.check import check
    from superpose.verbs.cite import cite
    from superpose.verbs.compare import Comparing, compare
    from superpose.verbs.compress import compress
    from superpose.verbs.cosine import cosine
    from superpose.verbs.demo import demo, demo_questions
    from superpose.verbs.diff import diff
    from superpose.verbs.dupes import dupes
    from superpose.verbs.evaluate import TestQuestions, evaluate
    from superpose.verbs.expand import expand
    from superpose.verbs.extract import extract
    from superpose.verbs.index import index
    from superpose.verbs.info import info
    from superpose.verbs.input_statistics import InputQuestions, input_statistics
    from superpose.verbs.lineage import lineage
    from superpose.verbs.merge import merge
    from superpose.verbs.near import near
    from superpose.verbs.predict import predict
    from superpose.verbs.push import push
    from superpose.verbs.settings import (
        Calibration,
        Loading,
        MergeQuestions,
        Questions,
        Writing,
    )
    from superpose.verbs.study import study
    from superpose.verbs.train import TrainingQuestions, train
    from superpose.verbs.tune import Goal, tune
    from superpose.verbs.unmix import unmix
    from superpose.verbs.verify import verify

__all__ = [
    "Adapter",
    "Answering",
    "Calibration",
    "Comparing",
    "Delta",
    "Execution",
    "Goal",
    "InputQuestions",
    "Loading",
    "LoraSettings",
    "MergeQuestions",
    "Questions",
    "TestQuestions",
    "TrainingQuestions",
    "TrainingSettings",
    "Writing",
    "__version__",
    "add",
    "ask",
    "bake",
    "check",
    "cite",
    "compare",
    "compress",
    "cosine",
    "demo",
    "demo_questions",
    "diff",
    "dupes",
    "errors",
    "evaluate",
    "exact_sum",
    "expand",
    "extract",
    "index",
    "info",
    "input_statistics",
    "lineage",
    "load",
    "load_base",
    "merge",
    "near",
    "predict",
    "push",
    "save",
    "study",
    "train",
    "tune",
    "unmix",
    "verify",
]

_HOMES = {
    "Adapter": "superpose.adapter",
    "Answering": "superpose.verbs.ask",
    "Calibration": "superpose.verbs.settings",
    "Comparing": "superpose.verbs.compare",
    "Delta": "superpose.adapter",
    "Execution": "superpose.executor",
    "Goal": "superpose.verbs.tune",
    "InputQuestions": "superpose.verbs.input_statistics",
    "Loading": "superpose.verbs.settings",
    "LoraSettings": "superpose.training.settings",
    "MergeQuestions": "superpose.verbs.settings",
    "Questions": "superpose.verbs.settings",
    "TestQuestions": "superpose.verbs.evaluate",
    "TrainingQuestions": "superpose.verbs.train",
    "TrainingSettings": "superpose.training.settings",
    "Writing": "superpose.verbs.settings",
    "add": "superpose.verbs.add",
    "ask": "superpose.verbs.ask",
    "bake": "superpose.verbs.bake",
    "check": "superpose.verbs.check",
    "cite": "superpose.verbs.cite",
    "compare": "superpose.verbs.compare",
    "compress": "superpose.verbs.compress",
    "cosine": "superpose.verbs.cosine",
    "demo": "superpose.verbs.demo",
    "demo_questions": "superpose.verbs.demo",
    "diff": "superpose.verbs.diff",
    "dupes": "superpose.verbs.dupes",
    "evaluate": "superpose.verbs.evaluate",
    "exact_sum": "superpose.compose",
    "expand": "superpose.verbs.expand",
    "extract": "superpose.verbs.extract",
    "index": "superpose.verbs.index",
    "info": "superpose.verbs.info",
    "input_statistics": "superpose.verbs.input_statistics",
    "lineage": "superpose.verbs.lineage",
    "load": "superpose.formats",
    "load_base": "superpose.model",
    "merge": "superpose.verbs.merge",
    "near": "superpose.verbs.near",
    "predict": "superpose.verbs.predict",
    "push": "superpose.verbs.push",
    "save": "superpose.formats",
    "study": "superpose.verbs.study",
    "train": "superpose.verbs.train",
    "tune": "superpose.verbs.tune",
    "unmix": "superpose.verbs.unmix",
    "verify": "superpose.verbs.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value  # asked for once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
