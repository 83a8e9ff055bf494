"""Every merge method keeps what all must keep; a new one is an entry in `battery.ENTRIES`."""

from __future__ import annotations

import dataclasses
import inspect
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.compose.battery import (
    DATA_ENTRIES,
    ENTRIES,
    LAYER,
    SHAPES,
    VARIANTS,
    WEIGHTS,
    Entry,
    adapter,
    assert_close,
    assert_defined,
    delta,
    dense,
    merged,
    rebuilt,
    three,
    told_of,
    weighted,
    write_base,
)

import superpose
from superpose.adapter import Adapter
from superpose.compose import FROM_DATA, METHODS, Method
from superpose.compose.by_module import ByModule
from superpose.errors import BadInput, Refused, SuperposeWarning


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base(tmp_path_factory.mktemp("battery") / "base")


@pytest.fixture(params=[*METHODS, *FROM_DATA, *VARIANTS])
def entry(request: pytest.FixtureRequest) -> Entry:
    name: str = request.param
    known = {**ENTRIES, **DATA_ENTRIES, **VARIANTS}
    assert name in known, f"`{name}` has no entry in tests/compose/battery.py"
    return known[name]


@pytest.fixture
def method(entry: Entry, base: Path) -> Method:
    return entry.make(base)


def test_the_table_and_the_battery_name_the_same_methods(base: Path) -> None:
    assert set(ENTRIES) == set(METHODS)
    assert set(DATA_ENTRIES) == set(FROM_DATA)
    for name, kind in {**METHODS, **FROM_DATA}.items():
        assert kind.name == name
        assert type({**ENTRIES, **DATA_ENTRIES}[name].make(base)) is kind


def test_a_method_is_a_frozen_object_in_a_file_of_its_own_and_says_what_it_is(
    method: Method,
) -> None:
    kind = type(method)
    own = [c for c in vars(inspect.getmodule(kind)).values() if inspect.isclass(c)]
    defined = [c for c in own if issubclass(c, Method) and c.__module__ == kind.__module__]
    assert defined == [kind]
    assert inspect.getdoc(kind) not in (None, inspect.getdoc(Method))
    assert hash(method) == hash(method)
    for field in dataclasses.fields(method):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(method, field.name, None)
    assert all(isinstance(value, str | int | float | None) for _, value in method.settings)


def test_it_gives_what_its_definition_gives(entry: Entry, method: Method) -> None:
    assert_defined(entry, method, three(), WEIGHTS)


def test_it_gives_the_same_twice_to_the_bit(method: Method) -> None:
    first, second = (dense(merged(three(), method, WEIGHTS)) for _ in range(2))
    assert all(np.array_equal(first[module], second[module]) for module in first)


def test_another_seed_gives_another_result(method: Method) -> None:
    seed = dict(method.settings).get("seed")
    if seed is None:
        assert "seed" not in {field.name for field in dataclasses.fields(method)}
        return
    other = dataclasses.replace(method, seed=int(seed) + 1)  # type: ignore[call-arg]
    first, second = (dense(merged(three(), each, WEIGHTS)) for each in (method, other))
    assert any(not np.array_equal(first[module], second[module]) for module in first)


def test_its_inputs_stay_as_they_were(method: Method) -> None:
    adapters, before = three(), [dense(a) for a in three()]
    found = merged(adapters, method, WEIGHTS)
    for given, right in zip(adapters, before, strict=True):
        assert_close(dense(given), right, tolerance=0.0)
        assert given.made == superpose.adapter.Made()
    assert found.made.inputs == ()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", [(0,), (0, 1, 2)], ids=["one of them", "all of them"])
def test_another_split_of_the_same_deltas_gives_the_same(
    seed: int, which: tuple[int, ...], method: Method
) -> None:
    rng = np.random.default_rng(seed)

    def change(B: np.ndarray, A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        R = rng.standard_normal((len(A), len(A))) + 4.0 * np.eye(len(A))
        R = R * 4.0 if seed else R
        return B @ np.linalg.inv(R), R @ A

    adapters = three()
    others = [rebuilt(a, change) if i in which else a for i, a in enumerate(adapters)]
    right = dense(merged(adapters, method, WEIGHTS))
    assert_close(dense(merged(others, method, WEIGHTS)), right)


def test_the_order_of_the_adapters_counts_only_where_it_should(
    entry: Entry, method: Method
) -> None:
    right = dense(merged(three(), method, WEIGHTS))
    turned = dense(merged(three()[::-1], method, WEIGHTS[::-1]))
    if entry.ordered:
        assert any(not np.allclose(turned[m], right[m]) for m in right)
    else:
        assert_close(turned, right)


def test_one_adapter_comes_back_where_it_should(entry: Entry, method: Method) -> None:
    alone = adapter(5, "alone")
    if entry.gives_one_back:
        assert_close(dense(merged([alone], method)), dense(alone))
    assert_defined(entry, method, [alone], [1.0])


def test_an_adapter_of_zeros_breaks_nothing(entry: Entry, method: Method) -> None:
    zero = rebuilt(adapter(4, "zero"), lambda B, A: (np.zeros_like(B), A.copy()))
    adapters = [*three(), zero]
    found = dense(merged(adapters, method, (*WEIGHTS, 1.0)))
    assert all(np.isfinite(x).all() for x in found.values())
    assert_defined(entry, method, adapters, (*WEIGHTS, 1.0))
    if entry.zero_is_nothing:
        assert_close(found, dense(merged(three(), method, WEIGHTS)))


def test_an_adapter_and_its_opposite_break_nothing(entry: Entry, method: Method) -> None:
    one = adapter(5, "one")
    opposite = rebuilt(one, lambda B, A: (-B, A.copy()))
    pair = [one, dataclasses.replace(opposite, name="opposite")]
    assert all(np.isfinite(x).all() for x in dense(merged(pair, method)).values())
    if entry.oracle is weighted and not entry.seeds and entry.oracle_of is None:
        assert_close(dense(merged(pair, method)), weighted([dense(a) for a in pair], (1.0, 1.0)))


def sized(given: Adapter, power: int) -> Adapter:
    """Give the adapter times 2^power, under its name, by which draws at random go."""
    deltas = {
        key: each.with_coefficients(lambda c: math.ldexp(c, power)) for key, each in given.items()
    }
    return dataclasses.replace(given, deltas=deltas)


@pytest.mark.parametrize("power", [-900, -600, -200, 200, 600, 900])
def test_adapters_of_any_size_are_merged_as_usual_ones(method: Method, power: int) -> None:
    """2^900 is 8e270, whose square is no float64. That of 2^200 is one: nothing is taken out."""
    found = merged([sized(each, power) for each in three()], method)
    assert_close(dense(sized(found, -power)), dense(merged(three(), method)))


def test_adapters_too_far_apart_for_squares_are_refused_by_name_or_merged(method: Method) -> None:
    first, second, third = three()
    given = [first, sized(second, -1000), third]
    if isinstance(method, ByModule):
        with pytest.raises(Refused, match=rf"q_proj: {second.name} is 1e-30\d times as large"):
            merged(given, method)
    else:
        assert all(np.isfinite(each).all() for each in dense(merged(given, method)).values())


def test_nothing_but_zeros_gives_zero_and_is_said(method: Method) -> None:
    zeros = [rebuilt(adapter(6, n), lambda B, A: (0.0 * B, A.copy())) for n in ("one", "two")]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = superpose.merge(zeros, None, told_of(method, zeros))
    assert any("the sum is zero" in str(w.message) for w in said)
    assert not any(x.any() for x in dense(found).values())
    assert found.made.energy_kept is None


def test_adapters_that_share_one_a_are_merged_by_the_same_definition(
    entry: Entry, method: Method
) -> None:
    first = adapter(7, "first")
    rng = np.random.default_rng(8)
    second = Adapter(
        {m: delta(rng.standard_normal(d.terms[0].B.shape), d.terms[0].A) for m, d in first.items()},
        "second",
        "org/tiny",
    )
    assert_defined(entry, method, [first, second], [1.0, 1.0])


def test_two_names_of_one_weight_meet(method: Method) -> None:
    long, short = adapter(1, "long"), adapter(2, "short", layer="layers.0")
    found = merged([long, short], method)
    assert set(found) == {f"{LAYER}.{module}" for module in SHAPES}
    assert_close(dense(found), dense(merged([long, adapter(2, "short")], method)))


def test_how_it_was_made_is_true(entry: Entry, method: Method) -> None:
    adapters = three()
    found = merged(adapters, method, WEIGHTS)
    made, total = found.made, weighted([dense(a) for a in adapters], WEIGHTS)
    assert (made.method, made.settings) == (method.name, method.settings)
    result = dense(found)
    apart = max(float(np.abs(result[m] - total[m]).max()) for m in total)
    assert made.exact is (apart < 1e-9), "`made.exact` says whether it is the weighted sum"
    if made.energy_kept is not None:
        whole = entry.approximates([dense(a) for a in adapters], WEIGHTS)
        whole, kept = (sum(float(np.sum(x * x)) for x in of.values()) for of in (whole, result))
        assert made.energy_kept == pytest.approx(kept / whole, rel=1e-9)
    assert [(p.name, p.weight) for p in found.parents] == list(
        zip(("math", "law", "art"), WEIGHTS, strict=True)
    )
    if not made.exact:
        assert method.name in made.suffix or "rank" in made.suffix
        assert str(made) in repr(found)


def test_an_adapter_that_stands_twice_is_told_as_it_was_merged(
    entry: Entry, method: Method, tmp_path: Path
) -> None:
    """A sum has it once with both weights; what is no sum has each."""
    one, other = three()[:2]
    found = merged([one, other, one], method, (1.0, -0.5, 0.25))
    given = [("math", 1.0), ("law", -0.5), ("math", 0.25)]
    joined = [("math", 1.25), ("law", -0.5)]
    told = [(parent.name, parent.weight) for parent in found.parents]
    assert told == (joined if method.adds else given)
    assert_defined(entry, method, [one, other, one], (1.0, -0.5, 0.25))
    superpose.save(found, tmp_path / "out", dtype="float32")
    back = superpose.load(tmp_path / "out")
    assert [(parent.name, parent.weight) for parent in back.parents] == told
    if method.adds:
        assert_close(dense(found), dense(merged([one, other], method, (1.25, -0.5))))


def test_what_is_written_and_read_back_says_how_it_was_made(method: Method, tmp_path: Path) -> None:
    found = merged(three(), method, WEIGHTS)
    written = superpose.save(found, tmp_path / "out", dtype="float32")
    back = superpose.load(tmp_path / "out")
    assert back.made == found.made.written(written.rounding_error)
    assert back.made.method == method.name
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"{found.made}. Written by superpose" in card
    assert f"| method | {method.name} |" in card
    assert ("adapters: a weighted sum of deltas." in card) is (method.name == "sum")


def test_an_approximation_among_its_inputs_is_named(method: Method) -> None:
    first, second = three()[:2]
    found = merged([first.compress(1), second], method)
    assert any(name == "math" for name, _ in found.made.inputs)
    assert "math is the best approximation of rank 1" in str(found.made)


def test_its_weights_are_checked_and_its_bases_compared(method: Method) -> None:
    with pytest.raises(BadInput, match="3 adapters and 1 task weight"):
        superpose.merge(three(), [1.0], method)
    with pytest.raises(BadInput, match="must be finite"):
        superpose.merge(three(), [1.0, float("nan"), 1.0], told_of(method, three()))
    other = dataclasses.replace(adapter(2, "other"), base_model="org/other")
    with pytest.raises(superpose.errors.DifferentBase):
        superpose.merge([adapter(1, "x"), other], None, told_of(method, [adapter(1, "x"), other]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SuperposeWarning)
        pair = [adapter(1, "x"), other]
        found = superpose.merge(pair, None, told_of(method, pair), same_base=True)
    assert found.base_model == "org/tiny"
