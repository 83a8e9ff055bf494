"""A verdict says what is true of a pair, by borders that are documented, whatever the sizes are."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from tests.interference import pairs as made
from tests.interference.pairs import READ_AS, SIZES, Size
from tests.shown.reading import Reading

from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput
from superpose.interference import VERDICTS, borders, check
from superpose.interference.agreement import sign_test
from superpose.interference.reading import is_explained
from superpose.shown.words import true_minus

SOME = settings(max_examples=15)
"""Each example is two adapters of up to two dozen modules."""


AT_SOME_SIZES = ("crowded outputs", "shared A", "a faint relation", "mixed signs")
"""What chance hides, or makes, in narrow modules of rank 1: one direction is all that they have."""


SENTENCES = EXPLAINED, MORE, CHANCE = (
    "which the overlap of their sides explains", "more than chance gives", "as chance would be",
)  # fmt: skip


def pair_of(two):
    (pair,) = check(list(two)).pairs
    return pair


def verdict(two):
    return pair_of(two).judgement


def test_every_verdict_is_reached_by_a_pair_made_for_it():
    assert {*READ_AS, "no cosine"} == set(VERDICTS)
    assert {word: verdict(make(Size())).verdict for word, make in READ_AS.items()} == {
        word: word for word in READ_AS
    }


def test_what_is_said_of_a_cosine_is_what_it_is():
    """Beyond chance or not, and explained by the sides or not, for every kind of pair."""
    said = set()
    for make in READ_AS.values():
        pair = pair_of(make(Size()))
        sentence = next((s for s in SENTENCES if s in pair.judgement.reason), None)
        if sentence is not None:
            beyond = abs(pair.multiple) >= borders.CLEAR_OF_CHANCE
            expected = (EXPLAINED if is_explained(pair) else MORE) if beyond else CHANCE
            assert sentence == expected, pair.judgement
            said.add(sentence)
    assert said == set(SENTENCES)


def test_a_cosine_is_more_than_chance_from_its_border_on():
    pair = replace(pair_of(made.unrelated(Size())), cosine_floor=2.0**-7)
    at = borders.CLEAR_OF_CHANCE * 2.0**-7
    for cosine, said in ((at, MORE), (math.nextafter(at, 0.0), CHANCE)):
        for sign in (-1.0, 1.0):
            assert said in replace(pair, cosine=sign * cosine).judgement.reason


@pytest.mark.parametrize("word", [w for w in READ_AS if w not in AT_SOME_SIZES])
@given(size=SIZES)
@SOME
def test_a_relation_is_read_alike_at_every_size(word, size):
    assert verdict(READ_AS[word](size)).verdict == word


@pytest.mark.parametrize("word", READ_AS)
def test_the_order_of_two_adapters_changes_no_verdict(word):
    a, b = READ_AS[word](Size())
    one, two = pair_of((a, b)), pair_of((b, a))
    assert one.judgement.verdict == two.judgement.verdict
    for name, value in vars(one.agreement).items():
        assert vars(two.agreement)[name] == (
            value if not isinstance(value, float) else pytest.approx(value, rel=1e-3, nan_ok=True)
        )
    assert two.energy_shared == pytest.approx(one.energy_shared, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("word", [w for w in READ_AS if w not in ("no deltas", "shared A")])
def test_refactored_deltas_change_no_verdict(word):
    """A -> R A, B -> B R^-1. That two started from one A is the one reading that it hides."""
    a, b = READ_AS[word](Size())
    rng = np.random.default_rng(3)

    def refactored(delta):
        terms = []
        for c, B, A in delta.terms:
            R = rng.standard_normal((A.shape[0], A.shape[0])) + 3.0 * np.eye(A.shape[0])
            terms.append((c, B.astype(np.float64) @ np.linalg.inv(R), R @ A.astype(np.float64)))
        return Delta(tuple(terms))

    rewritten = Adapter({name: refactored(delta) for name, delta in a.items()}, a.name)
    assert verdict((rewritten, b)).verdict == word


@pytest.mark.parametrize(
    ("modules", "width", "rank", "seeds"),
    [(1, 16, 1, 150), (1, 128, 4, 100), (4, 64, 1, 100), (24, 32, 2, 60), (72, 48, 4, 40)],
)
def test_at_most_three_in_a_hundred_unrelated_pairs_are_read_as_anything_else(
    modules, width, rank, seeds
):
    found = [
        verdict(made.unrelated(Size(modules, width, width, rank, seed))).verdict
        for seed in range(seeds)
    ]
    assert sum(word != "unrelated" for word in found) <= 0.03 * seeds


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        ({"cosine": borders.COPY, "norm_ratio": borders.EQUAL_NORMS}, "the same adapter"),
        ({"cosine": borders.COPY, "norm_ratio": 1.02}, "a scaled copy"),
        ({"cosine": -borders.COPY}, "a negated copy"),
        ({"cosine": borders.NEARLY_COPY}, "nearly the same adapter"),
        ({"cosine": borders.CANCELLING}, "cancelling"),
        (
            {"cosine": borders.ONE_RUN, "input_overlap": borders.ONE_RUN_INPUTS},
            "continued training",
        ),
        ({"norm_ratio": borders.DROWNED}, "one drowns the other"),
        ({"cosine": borders.LARGE}, "a large common direction"),
        ({"cosine": -borders.LARGE}, "a large opposing direction"),
        ({"cosine": borders.FAINT, "cosine_floor": 1e-4}, "a small common direction"),
        ({"cosine": -borders.FAINT, "cosine_floor": 1e-4}, "a small opposing direction"),
    ],
)
def test_a_border_belongs_to_the_reading_that_begins_there(figures, word):
    """And a hair before it the pair is read as something else."""
    pair = pair_of(made.unrelated(Size()))
    assert replace(pair, **figures).judgement.verdict == word
    before = {name: math.nextafter(value, 0.0) for name, value in figures.items()}
    if figures.get("norm_ratio") == borders.EQUAL_NORMS:
        before["norm_ratio"] = math.nextafter(borders.EQUAL_NORMS, 2.0)
    assert replace(pair, **before).judgement.verdict != word


@given(size=SIZES, cosine=st.floats(0.03, 0.2), sign=st.sampled_from([-1, 1]))
@SOME
def test_a_small_direction_is_one_thing_from_a_thirtieth_to_a_fifth(size, cosine, sign):
    """Nothing happens at 0.1."""
    word = {1: "a small common direction", -1: "a small opposing direction"}[sign]
    wide = replace(size, modules=24, width=160, narrow=160)
    assert verdict(made.common(wide, sign * cosine)).verdict == word


def test_a_small_common_direction_is_told_with_signs_floor_energy_and_overlaps():
    pair = pair_of(made.common(Size(modules=24)))
    reason = pair.judgement.reason
    assert pair.cosine == pytest.approx(0.1, abs=0.02)
    assert f"Cosine {pair.cosine:+.3f}, {pair.multiple:.0f} times its floor" in reason
    assert "24 of 24 modules have a positive cosine (sign test p = 1e-07; their mean" in reason
    assert f"mean lies {pair.agreement.z:.0f} standard deviations from chance): it is sys" in reason
    assert "it is systematic, in nearly every module." in reason
    assert f"The sum has {100 * pair.energy_shared:.0f} % more energy than that of two" in reason
    times = pair.output_overlap / pair.output_chance
    assert f"Overlap of outputs {pair.output_overlap:.3f}, {times:.1f} times chance" in reason
    assert reason.endswith("Whether the sum is good, only an evaluation tells.")


def test_the_energy_that_is_said_is_the_sum_s_own():
    for two in (made.common(Size()), made.common(Size(), -0.35), made.scaled(Size())):
        found = check(list(two))
        assert found.energy_ratio == pytest.approx(1.0 + found.pairs[0].energy_shared, rel=1e-6)
    assert "times more" not in verdict(made.common(Size(), -0.35)).reason
    assert "less energy than that of two unrelated adapters: what they oppose cancels" in (
        verdict(made.common(Size(), -0.35)).reason
    )


@pytest.mark.parametrize(("cosine", "sign"), [(0.4, "positive"), (-0.4, "negative")])
def test_of_as_many_signs_the_one_of_the_whole_is_counted(cosine, sign):
    half = {m: (1.5 if m % 2 else -1.0) * cosine for m in range(12)}
    reason = verdict(made.planted(Size(), half)).reason
    assert f"6 of 12 modules have a {sign} cosine (sign test p = 1;" in reason


def test_the_counts_of_signs_are_those_of_the_modules():
    pair = pair_of(made.mixed(Size()))
    signs = np.sign([module.cosine for module in pair.modules])
    found = pair.agreement
    assert found.positive_modules == np.sum(signs > 0)
    assert found.negative_modules == np.sum(signs < 0)
    assert found.mean_cosine == pytest.approx(np.mean([m.cosine for m in pair.modules]))
    floors = np.array([m.cosine_floor for m in pair.modules])
    assert found.z == pytest.approx(
        found.mean_cosine * len(floors) / np.sqrt(np.sum(floors**2)), rel=1e-6
    )


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_sign_test_counts_what_it_says(positive, negative):
    count, most = positive + negative, max(positive, negative)
    if not count:
        assert math.isnan(sign_test(0, 0))
        return
    tail = sum(math.comb(count, k) for k in range(most, count + 1)) / 2**count
    assert sign_test(positive, negative) == pytest.approx(min(1.0, 2 * tail))


@pytest.mark.parametrize(("more", "less"), [(520, 481), (560, 441), (600, 401), (1001, 0)])
def test_of_many_signs_a_gaussian_is_near_enough(more, less):
    exact = sum(math.comb(more + less, k) for k in range(more, more + less + 1)) / 2 ** (
        more + less - 1
    )
    assert sign_test(more, less) == pytest.approx(min(1.0, exact), rel=0.05, abs=1e-9)


def test_one_module_that_stands_out_is_named_with_what_it_carries():
    result = verdict(made.one_module(Size(modules=20)))
    (said,) = re.findall(
        r"Far beyond the others: ([^.]*\.\d+\)), (\d+) of (\d+) mod", result.reason
    )
    assert said[0].startswith("m10 (+0.9")
    assert said[1:] == ("1", "20")
    pair = pair_of(made.one_module(Size(modules=20)))
    assert f"with {100 * pair.agreement.carried:.0f} % of what the two have" in result.reason
    assert f"without them the cosine is {pair.agreement.rest_cosine:+.4f}." in result.reason
    assert abs(pair.agreement.rest_cosine) < 0.01 < pair.cosine


@given(size=SIZES)
@SOME
def test_no_pair_is_uneven_in_which_most_modules_agree(size):
    """What every other module has is no exception among them."""
    some = dict.fromkeys(range(0, size.modules, 2), 0.6)
    assert verdict(made.planted(size, some)).verdict != "uneven"


def test_the_rest_of_an_uneven_pair_is_what_the_others_have():
    two = made.one_module(Size(modules=20))
    others = [Adapter({n: d for n, d in x.items() if n != "m10"}, x.name) for x in two]
    inner = others[0].inner(others[1])
    pair = pair_of(two)
    assert pair.agreement.rest_cosine == pytest.approx(inner / math.prod(pair.norms), abs=1e-6)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("the same adapter", "The sum is twice either."),
        ("a scaled copy", "b is 2.00 times a: the sum is 3.00 times a."),
        ("a negated copy", "the sum is nothing."),
        ("nearly the same adapter", "the sum is about 2.0 times"),
        ("continued training", "two points of one training, or one that went on from the other"),
        ("one within the other", "lies within b, as a part lies within a sum; b holds it +1.0"),
        ("one drowns the other", "b is 8.0 times as large as a and drowns it: a has 1.5 %"),
        ("no shared modules", "neither touches what the other changes, and there is no cosine"),
        ("adds nothing", "All deltas of b are zero"),
        ("adds nothing", "or the scaling is, as with lora_alpha 0): there is no cosine"),
        ("no deltas", "b: no delta to compare. What is stored in place of the base model's own"),
        ("orthogonal", "12 modules with a cosine of exactly 0."),
        ("crowded outputs", "They write to the same outputs."),
        ("shared A", "They started from the same A"),
        ("mixed signs", "They agree in some modules and oppose in others: RMS cosine 0.4"),
        ("unrelated", "as chance would be"),
    ],
)
def test_a_reason_says_what_the_two_are_to_each_other(word, said):
    assert said in verdict(READ_AS[word](Size())).reason


def test_a_module_that_only_one_changes_is_no_common_one():
    result = verdict(made.silent_where_the_other_is_not(Size()))
    assert result.verdict == "no shared modules"
    assert "In the one target module that both have, the delta of one is zero" in (result.reason)


def test_two_without_any_delta_are_checked_all_the_same():
    heads = [made.stored_alone(Size())[1], made.stored_alone(Size())[1]]
    result = verdict(heads)
    assert result.verdict == "no deltas"
    assert result.reason.startswith("b (1) and b (2): no delta to compare.")


def test_what_is_not_shared_is_said():
    a, b = made.common(Size())
    result = verdict((a, Adapter({n: b[n] for n in list(b)[:8]}, "b")))
    assert "They share 8 of 12 and 8 target modules; the others count in the norms" in result.reason


def test_a_part_taken_out_of_another_is_found_with_its_sign():
    a, c = made.random(Size(), 0), made.random(Size(), 1)
    pair = pair_of((Adapter((c - 0.5 * a).deltas, "whole"), Adapter(a.deltas, "part")))
    assert pair.contained is not None
    assert pair.contained.part == 1
    assert pair.contained.times == pytest.approx(-0.5, abs=0.05)
    assert "All that part reads and writes lies within whole" in pair.judgement.reason


@pytest.mark.parametrize("times", [0.99, 1.01])
def test_nothing_happens_at_a_cosine_of_a_tenth(times):
    at = [verdict(made.common(Size(seed=s), 0.1 * times)).verdict for s in range(5)]
    assert at == ["a small common direction"] * 5


def test_figures_beside_the_word_have_no_border():
    """Beyond a border the word changes and the sentences with the figures stay."""
    below, above = (verdict(made.common(Size(modules=24), borders.LARGE * x)) for x in (0.8, 1.25))
    assert below.verdict != above.verdict
    shape = [re.sub(r"[-+]?[\d.,]+(e-\d+)?", "0", v.reason) for v in (below, above)]
    assert shape[0] == shape[1]


@pytest.mark.parametrize("cosine", [math.nan, math.inf])
def test_a_cosine_that_is_no_number_is_never_read_as_one(cosine):
    """Whatever the other figures are."""
    for make in (made.unrelated, made.common, made.rounded):
        found = replace(pair_of(make(Size())), cosine=cosine).judgement
        assert found.verdict == "no cosine"
        assert "there is no cosine, and nothing is known of the pair" in found.reason


def test_deltas_beyond_float64_are_refused_by_name():
    a, b = made.unrelated(Size())
    B, A = b["m3"].terms[0][1:]
    huge = Delta.of(1e200 * B.astype(np.float64), 1e200 * A.astype(np.float64))
    with pytest.raises(BadInput, match=r"m3: the factors of a delta are too large"):
        check([a, Adapter({**b, "m3": huge}, "b")])


def verdict_lines(label, pair):
    """The verdict as terminal and notebook say it."""
    found = pair.judgement
    return [f"{label}: {found.verdict}. {found.reason}", f"Next: {found.next}"]


@pytest.mark.parametrize("word", READ_AS)
def test_a_notebook_and_the_json_say_the_same_words(word):
    found = check(list(READ_AS[word](Size())))
    (pair,) = found.pairs
    assert all(pair.judgement)
    (written,) = found.to_json()["pairs"]
    assert tuple(written[key] for key in ("verdict", "reason", "next")) == pair.judgement
    for html in (found._repr_html_(), pair._repr_html_()):
        for line in verdict_lines("a + b", pair):
            assert true_minus(line) in Reading(html).lines


def test_base_and_options_of_the_next_step_are_those_of_the_pair():
    a, b = made.common(Size())
    plain = verdict((a, b)).next
    assert plain.startswith(
        "Predict the sum from a few questions of each: superpose predict BASE a"
    )
    named = verdict((a.on_base("org/base"), b.on_base("org/base"))).next
    assert "superpose predict org/base a b --data" in named
    folder = verdict((a.on_base("/home/me/base"), b.on_base("/home/me/base"))).next
    assert "superpose predict BASE a b" in folder
    (pair,) = check([a.on_base("org/base"), b.on_base("org/other")], same_base=True).pairs
    assert pair.judgement.next.endswith("-o OUT --same-base")


def test_the_weights_in_the_next_step_give_the_energy_of_two_unrelated_adapters():
    a, b = made.common(Size(), 0.2)
    (weight,) = set(re.findall(r"[ab]:([\d.]+)", verdict((a, b)).next))
    lowered = float(weight) * (a + b)
    assert lowered.norm() ** 2 == pytest.approx(a.norm() ** 2 + b.norm() ** 2, rel=0.02)


def wide(build, name, seed):
    """Modules so wide that chance overlap is small."""
    return build(name, seed, {f"m{n}": (200, 150) for n in range(4)})


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
    assert verdict((one, two)).verdict == "shared A"


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


def test_several_findings_are_all_told():
    a, b = made.unrelated(Size())
    sides = {
        n: Delta.of(d.terms[0].B, 2 * d.terms[0].A + b[n].terms[0].A, 8.0) for n, d in a.items()
    }
    result = verdict((a, Adapter(sides, "b")))
    assert result.verdict == "continued training"
    for part in ("drowns", "same A", "same outputs"):
        assert part in result.reason
