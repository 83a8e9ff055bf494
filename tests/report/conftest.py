"""What the tests of pages share: pages made from real parts, and a browser to open them in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.landscape.test_forecast import Known

from superpose.interference import check
from superpose.report import Making, check_page, predict_page, tune_page, write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from superpose.landscape.forecast import Forecast

HOSTILE = (
    "<img src=x onerror=hacked()>",
    '"></script><script>hacked()</script>',
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}$(touch x)'`\u202e",
)
"""Names of adapters that mean something to HTML, JavaScript, spreadsheets, templates and shells."""

BASE = "/home/someone/models/tiny"
MADE = Making("superpose predict base a b", seeds=(0,), base=BASE)

KINDS = (
    "check", "three", pytest.param("twelve", marks=pytest.mark.hard), "hostile", "tune", "study",
    "lineage", "library", "index",
)  # fmt: skip
"""What there are pages of; that of twelve adapters, the largest, is looked at before a release."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A real browser without a window; without one the test is skipped, or fails where CI runs."""
    from playwright.sync_api import sync_playwright

    # Without the interface that a page never shows: a page costs it half of Chromium's time.
    programs = (shutil.which(name) for name in ("chromium-headless-shell", "chromium"))
    found = os.environ.get("SUPERPOSE_CHROMIUM") or next(filter(None, programs), None)
    if found is None:
        reason = "no browser: apt-get install chromium-headless-shell, or name SUPERPOSE_CHROMIUM"
        if os.environ.get("SUPERPOSE_NEEDS_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


Open = Callable[..., "Page"]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Open a page file; at the end nothing was said on the console and no request was made."""
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def open_it(path: Path, **settings: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | settings)
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert said == []
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert outside == []


@dataclass(frozen=True)
class Foreseen:
    """A forecast of known losses, and its page."""

    forecast: Forecast
    path: Path
    adapters: tuple[str, ...]


def foreseen(
    count: int, path: Path, names: tuple[str, ...] | None = None, rows: int = 20
) -> Foreseen:
    """Make a page from a forecast for so many adapters, each of which disturbs the others."""
    from superpose.landscape.advice import advise

    known = Known(count, 0.3, rows=rows, saturation=0.5 if count > 3 else 0.0).forecast()
    names = names or known.names
    forecast = replace(known, names=names, domains=tuple(f"{name}.jsonl" for name in names))
    advice = advise(forecast)
    found = {
        "base": BASE,
        **forecast.to_json(),
        "best": [row.to_json() for row in forecast.predict([list(advice.weights.values())])],
        "advice": advice.to_json(),
        "tuned": {"+".join(names): forecast.best_of(names)},
        "measured": [],
        "calibration": {"rows": rows * count},
    }
    adapters = tuple(f"runs/{name}" for name in names)
    figures = random_check(names) if count > 1 else None
    page = predict_page(found, forecast.to_model(), figures, adapters, MADE)
    write_page(path, page)
    return Foreseen(forecast, path, adapters)


def random_check(names: tuple[str, ...], layers: int = 4) -> Any:
    """Give `check --json` of adapters with random factors, called so."""
    from superpose.adapter import Adapter, Delta

    modules = [f"model.layers.{n}.{kind}" for n in range(layers) for kind in ("q_proj", "v_proj")]
    rng = np.random.default_rng(0)
    adapters = [
        Adapter(
            {
                module: Delta.of(rng.normal(size=(16, 2)), rng.normal(size=(2, 16)))
                for module in modules
            },
            name=name,
        )
        for name in names
    ]
    return check(adapters).to_json()


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for pages that many tests open."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def three(pages: Path) -> Foreseen:
    """A forecast of three adapters."""
    return foreseen(3, pages / "three.html")


@pytest.fixture(scope="session")
def twelve(pages: Path) -> Foreseen:
    """A forecast of twelve adapters, the most that the desk is made for."""
    return foreseen(12, pages / "twelve.html")


@pytest.fixture(scope="session")
def hostile(pages: Path) -> Foreseen:
    """A forecast of adapters with hostile names."""
    return foreseen(len(HOSTILE), pages / "hostile.html", HOSTILE)


@pytest.fixture(scope="session")
def checked(pages: Path) -> Path:
    """The page of a check."""
    path = pages / "check.html"
    write_page(path, check_page(random_check(("math", "medicine", "finance")), MADE))
    return path


@pytest.fixture(scope="session")
def tuned(pages: Path) -> Path:
    """The page of the best weights for three adapters of known losses."""
    from superpose.measure.tune import Point, Tuned

    known = Known(3, 0.3, rows=20)
    forecast = known.forecast()
    best = forecast.best("mean")
    methods = [("naive", np.ones(3)), ("average", np.ones(3) / 3), ("closed form", best)]
    own = [known.loss(d, np.eye(3)[d]) for d in range(3)]

    def point(method: str, weights: np.ndarray) -> Point:
        nll = [known.loss(d, weights) for d in range(3)]
        return Point(
            method, tuple(weights.tolist()), tuple(nll), float(np.mean(nll) - np.mean(own))
        )

    points = [point(*one) for one in (*methods, *(("single", weights) for weights in np.eye(3)))]
    found = {
        "base": BASE,
        **Tuned(forecast.names, forecast.domains, points[2], tuple(points)).to_json(),
        "predictions": [row.to_json() for row in forecast.predict([best])],
        "finer": None,
    }
    base = {name: known.loss(d, np.zeros(3)) for d, name in enumerate(forecast.domains)}
    path = pages / "tune.html"
    write_page(path, tune_page(found, base, forecast.to_model(), forecast.names, MADE))
    return path


@pytest.fixture(scope="session")
def studied(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a real study of two domains and two seeds, with page.html in it."""
    from superpose.cli.app import main

    folder = tmp_path_factory.mktemp("study")
    rows = {
        "sums": [(f"What is {a} plus {b}?", f"{a + b}.") for a in range(8) for b in range(4)],
        "coins": [(f"How many cents are {n} dimes?", f"{n} dimes: {10 * n}.") for n in range(32)],
    }
    for name, found in rows.items():
        lines = [json.dumps({"question": q, "answer": a}) for q, a in found]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    spec = {
        "name": "tiny",
        "base": str(tiny_base),
        "domains": {name: {"data": f"{name}.jsonl"} for name in rows},
        "train_rows": 8,
        "test_rows": 6,
        "calibration_rows": 6,
        "seeds": [0, 1],
        "prompt": {"max_tokens": 48},
        "lora": {"rank": 2, "alpha": 8, "dropout": 0, "targets": ["q_proj"]},
        "training": {"epochs": 1, "learning_rate": 0.02, "batch_size": 8},
    }
    (folder / "tiny.yaml").write_text(json.dumps(spec), encoding="utf-8")
    run = folder / "run"
    words = ["study", folder / "tiny.yaml", "-o", run, "--html", run / "page.html", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    assert not end.value.code
    return run


@pytest.fixture(scope="session")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a run with a fork, of adapters that began with one A, and of strangers."""
    from tests.library.making import Factors, moved, random_factors, write_factors

    import superpose

    def grown(factors: Factors, seed: int) -> Factors:
        return {name: (1.05 * B, A) for name, (B, A) in moved(factors, seed, 0.15).items()}

    top = tmp_path_factory.mktemp("shelf")
    factors = random_factors(50, rank=4)
    for step in (100, 200, 300):
        write_factors(top / "all" / "run" / f"checkpoint-{step}", factors)
        write_factors(top / "all" / f"fork {step} <b>&", grown(factors, 7 * step))
        factors = grown(factors, step)
    start = random_factors(60, rank=2)
    for number in range(3):
        other = random_factors(70 + number, rank=2)
        both = {m: (other[m][0], start[m][1]) for m in start}
        write_factors(top / "all" / f"same-a-{number}", both)
        write_factors(top / "all" / f"own-{number}", random_factors(number, rank=3))
    write_factors(top / "all" / "elsewhere", random_factors(1), base="org/<i>other")
    superpose.index(top / "all", top / "library.index")
    return top / "library.index"


def _page_of(words: list[str], path: Path) -> Path:
    from superpose.cli.app import main

    with pytest.raises(SystemExit) as end:
        main([*words, "--json", "--html", str(path)])
    assert not end.value.code
    return path


@pytest.fixture(scope="session")
def descended(indexed: Path, pages: Path) -> Path:
    """The page of a library's runs and cohorts."""
    return _page_of(["lineage", "--index", str(indexed)], pages / "lineage.html")


@pytest.fixture(scope="session")
def shelved(indexed: Path, pages: Path) -> Path:
    """The page of a library's check."""
    return _page_of(["check", "--index", str(indexed)], pages / "library.html")


@pytest.fixture(scope="session")
def held(indexed: Path, pages: Path) -> Path:
    """The page of what an index holds, and leaves out."""
    from tests.library.making import random_factors, write_factors

    top = pages.parent / "more <i>"
    write_factors(top / "dora &", random_factors(80), use_dora=True)
    write_factors(top / "nowhere", random_factors(81), base=None)
    out = pages.parent / "held.index"
    shutil.copytree(indexed, out)
    return _page_of(["index", str(top), "--out", str(out)], pages / "index.html")


PageOf = Callable[[str], Path]


@pytest.fixture
def page_of(request: pytest.FixtureRequest) -> PageOf:
    """Give the page of one of KINDS, and make no other: a study's takes training."""
    fixtures = {
        "check": "checked", "tune": "tuned", "study": "studied", "lineage": "descended",
        "library": "shelved", "index": "held",
    }  # fmt: skip

    def find(kind: str) -> Path:
        made = request.getfixturevalue(fixtures.get(kind, kind))
        if isinstance(made, Foreseen):
            return made.path
        return Path(made) / "page.html" if made.is_dir() else Path(made)

    return find
