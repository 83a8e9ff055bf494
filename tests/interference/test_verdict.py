"""A verdict names the weightiest finding, gives its reason and claims no more than weights tell."""

from __future__ import annotations

import numpy as np
import pytest

from superpose.adapter import Adapter, Delta
from superpose.interference import check


def verdict(a, b):
    (pair,) = check([a, b]).pairs
    result = pair.judgement
    assert result.reason.endswith("Whether the sum is good, only an evaluation tells.")
    return result


def wide(build, name, seed):
    """Modules so wide that chance overlap is small."""
    return build(name, seed, {f"m{n}": (200, 150) for n in range(4)})


def leaning(adapter, to, share, signs):
    """Add `share` of the other's factors to each of the adapter's, in each module with its sign."""
    deltas = {}
    for (module, delta), sign in zip(adapter.items(), signs, strict=True):
        ((c, B, A),), ((_, B2, A2),) = delta.terms, to[module].terms
        deltas[module] = Delta.of(B + share * B2, A + sign * share * A2, c)
    return Adapter(deltas, adapter.name)


def test_unrelated_adapters_are_nearly_orthogonal(build):
    result = verdict(wide(build, "a", 0), wide(build, "b", 1))
    assert result.verdict == "nearly orthogonal"
    assert "nothing in the weights speaks against adding them" in result.reason


@pytest.mark.parametrize(
    ("share", "least", "below", "said"),
    [
        (0.0, 0.0, 2.0, "its floor, as chance would be:"),
        (0.11, 2.0, 5.0, "its floor, a little more than chance, and far too small to matter:"),
        (0.15, 5.0, 20.0, "its floor, which is small but not chance:"),
    ],
)
def test_a_small_cosine_is_held_against_its_floor(build, share, least, below, said):
    """95 of 100 unrelated pairs lie within 2 floors: beyond, chance is not the likely cause."""
    a, b = wide(build, "a", 0), wide(build, "b", 1)
    b = leaning(b, a, share, (1, 1, 1, 1))
    (pair,) = check([a, b]).pairs
    assert least <= abs(pair.cosine) / pair.cosine_floor < below
    assert said in verdict(a, b).reason


def test_in_narrow_modules_a_cosine_beyond_chance_may_matter(build):
    a, b = (build(name, seed, {"q": (60, 40)}) for seed, name in enumerate("ab"))
    b = leaning(b, a, 0.25, (1,))
    (pair,) = check([a, b]).pairs
    assert 2.0 < pair.cosine / pair.cosine_floor < 5.0
    assert pair.cosine < 0.1
    assert "a little more than chance: nothing" in verdict(a, b).reason


@pytest.mark.parametrize(("sign", "word"), [(1, "aligned"), (-1, "opposed")])
def test_adapters_of_one_direction_are_aligned_or_opposed(build, sign, word):
    a, b = wide(build, "a", 0), wide(build, "b", 1)
    assert verdict(a, Adapter(sign * a + b, "b")).verdict == word


def test_a_much_larger_adapter_drowns_the_other_and_is_named(build):
    small, large = wide(build, "small", 0), Adapter(20 * wide(build, "b", 1), "large")
    for pair in ((small, large), (large, small)):
        result = verdict(*pair)
        assert result.verdict == "drowned"
        assert "large is" in result.reason
        assert "times as large as small" in result.reason


def test_an_adapter_of_zeros_adds_nothing_and_is_named(build):
    a = wide(build, "a", 0)
    result = verdict(Adapter(0 * a, "silent"), wide(build, "b", 1))
    assert result.verdict == "adds nothing"
    assert "silent" in result.reason
    assert "or the scaling is, as with lora_alpha 0" in result.reason


def test_adapters_without_a_common_module_do_not_touch(build):
    result = verdict(build("a", 0, {"q": (60, 50)}), build("b", 1, {"v": (60, 50)}))
    assert result.verdict == "no shared modules"


def test_modules_that_agree_and_oppose_are_uneven(build):
    a, b = wide(build, "a", 0), wide(build, "b", 1)
    result = verdict(a, leaning(b, a, 0.4, (1, -1, 1, -1)))
    assert result.verdict == "uneven"


def test_the_same_outputs_from_other_inputs_are_crowded(build):
    a, b = wide(build, "a", 0), wide(build, "b", 1)
    crowded = {m: Delta.of(a[m].terms[0].B, b[m].terms[0].A) for m in a}
    result = verdict(a, Adapter(crowded, "b"))
    assert result.verdict == "crowded outputs"
    assert "overlap 1.00" in result.reason


def trained_from(adapter, start, moved, seed):
    """Give the adapter a start's A, moved by so many times its own length."""
    rng = np.random.default_rng(seed)
    deltas = {}
    for module, delta in adapter.items():
        B, A = delta.terms[0].B, start[module].terms[0].A
        deltas[module] = Delta.of(B, A + moved * rng.standard_normal(A.shape).astype(A.dtype))
    return Adapter(deltas, adapter.name)


@pytest.mark.parametrize("moved", [0.0, 0.3, 1.0])
def test_a_shared_start_is_seen_although_both_have_moved_from_it(build, moved):
    a, b, start = (wide(build, name, seed) for seed, name in enumerate(["a", "b", "start"]))
    one, two = trained_from(a, start, moved, 10), trained_from(b, start, moved, 11)
    (pair,) = check([one, two]).pairs
    assert pair.shared_a
    assert verdict(one, two).verdict == "shared A"


def test_two_starts_are_not_taken_for_one_although_training_pulls_both_alike(build):
    """Both learn to read one direction: rows get it with random signs, as from unrelated starts."""
    a, b = wide(build, "a", 0), wide(build, "b", 1)
    rng = np.random.default_rng(7)
    direction = rng.standard_normal(150)

    def pulled(adapter):
        deltas = {}
        for module, delta in adapter.items():
            ((c, B, A),) = delta.terms
            deltas[module] = Delta.of(B, A + np.outer(np.sign(A @ direction), direction), c)
        return Adapter(deltas, adapter.name)

    (pair,) = check([pulled(a), pulled(b)]).pairs
    assert not pair.shared_a


def test_a_shared_start_survives_rewriting_and_compression(build, rebuilt):
    a, b, start = (wide(build, name, seed) for seed, name in enumerate(["a", "b", "start"]))
    one, two = trained_from(a, start, 0.2, 10), trained_from(b, start, 0.2, 11)
    R = np.random.default_rng(3).standard_normal((4, 4))
    rewritten = rebuilt(one, lambda c, B, A: (c, B @ np.linalg.inv(R), R @ A))
    assert check([rewritten, two]).pairs[0].shared_a


@pytest.mark.parametrize("rank", [1, 4])
def test_tiny_unrelated_adapters_share_no_start(build, rank):
    """Chance cosines and overlaps are large here; they are no evidence."""
    layout = {"q": (6, 8)}
    couples = [(build("a", n, layout, rank), build("b", 500 + n, layout, rank)) for n in range(60)]
    pairs = [check(couple).pairs[0] for couple in couples]
    assert not any(pair.shared_a for pair in pairs)


def test_several_findings_are_all_told(build):
    a = wide(build, "a", 0)
    result = verdict(a, Adapter(10 * a, "b"))
    assert result.verdict == "aligned"
    for part in ("drowns", "same A", "same outputs"):
        assert part in result.reason
