"""A method's settings are options of one command, and a method is made of its name and its own."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.compose.battery import assert_close, dense

import superpose as sp
from superpose.compose import (
    FROM_DATA,
    METHODS,
    CoreSpace,
    Ctm,
    Dare,
    EqualNorm,
    Star,
    Sum,
    Svc,
    Ties,
)
from superpose.errors import BadSetting
from superpose.verbs.merging import Merging, at_rank, offered

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter

ALL = {**METHODS, **FROM_DATA}
DOCS = Path(__file__).resolve().parents[2] / "docs" / "merging.md"


@pytest.fixture
def pair(write_adapter: WriteAdapter) -> list[Path]:
    return [write_adapter(name, seed=seed, rank=3) for seed, name in enumerate(("one", "two"))]


def test_every_setting_of_a_method_is_an_option_and_every_option_a_setting() -> None:
    theirs = {f.name for name in offered() for f in fields(ALL[name]) if f.repr} - {"rank"}
    assert {f.name for f in fields(Merging)} - {"method"} == theirs


def test_every_method_and_setting_stands_in_the_help_and_on_the_page() -> None:
    page = DOCS.read_text(encoding="utf-8")
    told = Merging.__annotations__["method"]
    for name in offered():
        assert f"`{name}`" in page
        assert name in told
    for field in fields(Merging):
        assert f"--{field.name}" in page


@pytest.mark.parametrize("name", offered())
def test_without_settings_a_method_has_its_own(name: str) -> None:
    assert Merging(method=name).chosen() == ALL[name]()


@pytest.mark.parametrize(
    ("merging", "right"),
    [
        (Merging("ties", density=0.3), Ties(density=0.3)),
        (Merging("core", density=0.3), CoreSpace(rule=Ties(density=0.3))),
        (Merging("core", rule="dare", seed=4), CoreSpace(rule=Dare(seed=4))),
        (Merging("core", rule="dare"), CoreSpace(rule=Dare())),
        (Merging("ctm", beta=0.5), Ctm(beta=0.5, rule=Ties(density=0.25))),
        (Merging("ctm", rule="ties"), Ctm(rule=Ties(density=0.25))),
        (Merging("svc", alpha=1.0, rule="ties", density=0.1), Svc(alpha=1.0, rule=Ties(0.1))),
        (Merging("equal-norm", rule="meta"), EqualNorm(rule="meta")),
        (Merging("star", each=True), Star(each=True)),
    ],
)
def test_settings_go_to_the_method_or_to_the_rule_in_it(merging: Merging, right: object) -> None:
    assert merging.chosen() == right


@pytest.mark.parametrize(
    ("merging", "where", "what"),
    [
        (Merging("tis"), "method", "`tis` is no method; there are sum, average"),
        (Merging("best rank"), "method", "is no method"),
        (Merging("sum", density=0.2), "density", "`sum` has no such setting; its settings: none"),
        (Merging("ties", eta=0.2), "eta", "`ties` has no such setting; its settings: density"),
        (Merging("ties", density=0.0), "density", "above 0 and at most 1"),
        (Merging("core", density=2.0), "density", "above 0 and at most 1"),
        (Merging("core", rule="tis"), "rule", "is no method"),
        (Merging("core", rule="average"), "rule", "cannot be a rule"),
        (Merging("ties", rule="ties"), "rule", "`ties` has no such setting"),
    ],
)
def test_what_is_wrong_is_named_by_its_setting(merging: Merging, where: str, what: str) -> None:
    with pytest.raises(BadSetting, match=what) as error:
        merging.chosen()
    assert error.value.where == where


def test_a_rank_is_the_methods_own_where_it_has_one() -> None:
    assert at_rank(Ties(), 4) == (Ties(rank=4), None)
    assert at_rank(Ties(rank=2), 4) == (Ties(rank=2), 4)
    assert at_rank(Ties(), None) == (Ties(), None)
    assert at_rank(Sum(), 4) == (Sum(), 4)


RULED = ("knots", "core", "ctm", "svc", "star")


@pytest.mark.parametrize("name", RULED)
def test_the_rules_that_an_error_names_can_be_rules_and_no_others_can(name: str) -> None:
    with pytest.raises(BadSetting) as error:
        Merging(name, rule="tis").chosen()
    told = error.value.problem.partition("there are ")[2].split(", ")
    assert "ties" in told
    for rule in offered():
        if rule in told:
            assert getattr(Merging(name, rule=rule).chosen(), "rule").name == rule  # noqa: B009
        else:
            with pytest.raises(BadSetting, match=f"`{rule}` cannot be a rule of `{name}`"):
                Merging(name, rule=rule).chosen()


@pytest.mark.parametrize("name", [name for name in offered() if name not in ("sum", *FROM_DATA)])
def test_the_shell_writes_what_python_merges_and_says_what_it_is(
    name: str, pair: list[Path], superpose: Superpose, tmp_path: Path
) -> None:
    run = superpose("add", *pair, "--method", name, "-o", tmp_path / "out", "--json")
    assert run.returncode == 0, run.stderr
    right = sp.merge([sp.load(path) for path in pair], None, ALL[name]())
    found = sp.load(tmp_path / "out")
    assert_close(dense(found), dense(right), tolerance=1e-5)
    assert found.made.method == name
    assert found.made.settings == ALL[name]().settings
    made = json.loads(run.stdout)["made"]
    assert (made["method"], made["energy_kept"]) == (name, right.made.energy_kept)
    assert json.loads(run.stdout)["exact"] is False
    said = superpose("info", tmp_path / "out").stdout
    assert right.made.what in " ".join(said.split())


def test_settings_and_a_rank_are_taken_and_the_energy_is_told(
    pair: list[Path], superpose: Superpose, tmp_path: Path
) -> None:
    run = superpose(
        "add", *pair, "--method", "ties", "--density", 0.5, "--rank", 2, "-o", tmp_path / "out"
    )  # fmt: skip
    found = sp.load(tmp_path / "out")
    assert found.rank == 2
    assert dict(found.made.settings) == {"rank": 2, "density": 0.5}
    assert found.made.energy_kept is not None
    assert "a TIES merge of deltas; cut to its rank it keeps" in run.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--method", "ties", "--density", "1.5"), "--density: density is 1.5"),
        (("--method", "ties", "--density", "0"), "--density: density is 0"),
        (("--method", "regmeen"), "--method: `regmeen` is no method"),
        (("--epsilon", "0.1"), "--epsilon: `sum` has no such setting"),
        (("--method", "tsv", "--rank", "7"), "--rank: rank is 7, and `tsv` of these adapters has"),
        (("--method", "ties", "--verify", "smollm2"), "--verify: PEFT knows no `ties`"),
    ],
)
def test_bad_input_is_exit_2_with_the_option_and_nothing_is_written(
    options: tuple[str, ...], words: str, pair: list[Path], superpose: Superpose, tmp_path: Path
) -> None:
    run = superpose("add", *pair, *options, "-o", tmp_path / "out")
    assert run.returncode == 2
    assert words in " ".join(run.stderr.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", list(FROM_DATA))
def test_a_method_that_asks_for_rows_is_refused_without_by_the_option_that_gives_them(
    name: str, pair: list[Path], superpose: Superpose, tmp_path: Path
) -> None:
    ended = superpose("add", *pair, "--method", name, "-o", tmp_path / "out")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: --data: `{name}` needs")
    assert not (tmp_path / "out").exists()


def test_a_method_where_weights_are_expected_is_told_where_it_stands() -> None:
    with pytest.raises(BadSetting, match="no list of task weights") as caught:
        sp.merge(["math", "medicine"], Ties())  # type: ignore[arg-type]
    assert caught.value.hint is not None
    assert "method=Ties(" in caught.value.hint
