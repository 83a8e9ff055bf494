"""Odd adapters, odd places and odd names are answered in a sentence that is true."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from tests.library.making import random_factors, write_factors

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, SuperposeWarning
from superpose.library.opened import open_library
from superpose.shown import Line


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of adapters of odd ranks, of few modules, of zeros, of no base, left out, alone."""
    top = tmp_path_factory.mktemp("odd") / "all"
    for number in range(4):
        write_factors(top / f"own-{number}", random_factors(number, rank=1 + number))
    ranks = {
        name: (B[:, : 1 + at % 3], A[: 1 + at % 3])
        for at, (name, (B, A)) in enumerate(random_factors(20).items())
    }
    pattern = {name: len(A) for name, (_, A) in ranks.items()}
    write_factors(top / "ranks", ranks, rank_pattern=pattern, alpha_pattern=pattern)
    write_factors(top / "few", random_factors(21, rank=2, modules=2))
    write_factors(top / "zero", {name: (0 * B, A) for name, (B, A) in random_factors(22).items()})
    write_factors(top / "unnamed", random_factors(23), base=None)
    write_factors(top / "alone", random_factors(24), base="org/other")
    write_factors(top / "x" / "same", random_factors(25))
    write_factors(top / "y" / "same", random_factors(26))
    write_factors(top / "dora", random_factors(27), use_dora=True)
    superpose.index(top, top.parent / "odd.index")
    return top.parent / "odd.index"


def test_of_an_adapter_of_zeros_nothing_is_near_and_nothing_is_a_part(odd: Path) -> None:
    near = superpose.near("zero", odd)
    assert (near.found, near.to_json()["zero"]) == ((), True)
    assert near.shown() == (Line("changes nothing, and so no adapter is like it.", "zero"),)
    found = superpose.unmix("zero", odd)
    assert (found.parents, found.zero) == ((), True)
    assert found.verdict == "changes nothing, and so there is nothing to take apart."
    assert "zero" not in {one.name for one in superpose.near("own-1", odd, most=99).found}
    assert superpose.dupes(odd).zero == ("zero",)


def test_the_only_adapter_of_a_base_model_is_said_to_be_that(odd: Path) -> None:
    assert superpose.unmix("alone", odd).verdict.startswith("is the only adapter of org/other")
    (line,) = superpose.near("alone", odd).shown()
    assert line == Line("no other adapter of org/other in the library is there.", "alone:")
    said = [part for part in superpose.check(index=odd).shown() if isinstance(part, Line)]
    assert any(part.text.startswith("alone is the only adapter of this base") for part in said)


@pytest.mark.parametrize(
    ("name", "said", "way_out"),
    [
        ("same", "is what 2 adapters of .* are called", "x/same or .*y/same$"),
        ("own-11", "is no adapter of .*, and no such folder or file is here", "mean `own-1`"),
        ("dora", "is left out of .*: .*use_dora", ""),
    ],
)
def test_a_name_that_means_nothing_says_what_is_there(
    odd: Path, name: str, said: str, way_out: str
) -> None:
    for ask in (superpose.near, superpose.unmix):
        with pytest.raises(BadInput, match=said) as refused:
            ask(name, odd)
        assert refused.value.where == name
        assert re.search(way_out, refused.value.hint or "")


def test_one_that_names_no_base_model_is_put_where_alone_its_modules_are_and_that_is_said(
    odd: Path, tmp_path: Path
) -> None:
    ours = superpose.index([odd.parent / "all" / "own-1", odd.parent / "all" / "unnamed"], tmp_path)
    assert ours.bases == {"org/tiny-llama": 2}
    (remark,) = [entry.remark for entry in ours.entries if entry.name == "unnamed"]
    assert remark == "names no base model; its modules are those of org/tiny-llama"
    two = superpose.index([], odd)  # of two base models with these modules it may be either's
    assert two.bases["not named"] == 1


def test_what_lies_behind_a_link_is_found_once_and_under_its_own_name_where_it_has_one(
    tmp_path: Path,
) -> None:
    top = tmp_path / "all"
    write_factors(top / "z-here", random_factors(1))
    write_factors(tmp_path / "elsewhere" / "far" / "checkpoint-1", random_factors(2))
    (top / "a-again").symlink_to(top / "z-here")
    (top / "linked").symlink_to(tmp_path / "elsewhere")
    (top / "round").symlink_to(top)
    (top / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    found = superpose.index(top, tmp_path / "i")
    assert {e.name for e in found.entries if e.sound} == {"z-here", "linked/far/checkpoint-1"}
    (problem,) = found.to_json()["problems"]
    assert (problem["name"], problem["problem"]) == (
        "gone.safetensors", "cannot be read: No such file or directory"
    )  # fmt: skip


def test_a_link_to_what_holds_the_library_is_left_out_and_told(tmp_path: Path) -> None:
    top = tmp_path / "all"
    write_factors(top / "own", random_factors(1))
    write_factors(tmp_path / "other", random_factors(2))
    (top / "own-again").symlink_to(top)
    for name, target in (("out", tmp_path), ("root", Path("/")), ("up", Path(".."))):
        (top / name).symlink_to(target)
    with pytest.warns(SuperposeWarning, match="is a link to .*, which holds") as told:
        found = superpose.index(top, tmp_path / "i")
    assert len(told) == 3
    assert [e.name for e in found.entries] == ["own"]


def test_what_never_ends_is_listed_with_its_reason(tmp_path: Path) -> None:
    top = tmp_path / "all"
    write_factors(top / "own", random_factors(1))
    write_factors(top / "piped", random_factors(2))
    (top / "piped" / "adapter_model.safetensors").unlink()
    for name in ("piped/adapter_model.safetensors", "a.gguf", "b.safetensors"):
        os.mkfifo(top / name)
    (top / "zero.gguf").symlink_to("/dev/zero")
    found = superpose.index(top, tmp_path / "i")
    problems = {one["name"]: one["problem"] for one in found.to_json()["problems"]}
    assert sorted(problems) == ["a.gguf", "b.safetensors", "piped", "zero.gguf"]
    assert all("pipe, a device or a socket" in problem for problem in problems.values())
    assert [e.name for e in found.entries if e.sound] == ["own"]


def test_ranks_and_modules_may_differ_from_adapter_to_adapter_and_parents_are_found(
    odd: Path,
) -> None:
    library = open_library(odd)
    parts = {e.name: superpose.load(e.given) for e in library.entries if e.norm > 0.0}
    merged = 0.5 * parts["ranks"] - 1.2 * parts["few"] + 0.3 * parts["own-3"]
    found = superpose.unmix(merged, odd)
    told = {one.name: one.weight for one in found.parents}
    assert told == pytest.approx({"few": -1.2, "ranks": 0.5, "own-3": 0.3}, abs=1e-6)
    assert found.complete
    # One that changes other modules beside is a sum of these and of what is not from here.
    more = Delta.of(*random_factors(40)["model.layers.0.self_attn.q_proj"])
    other = Adapter({"model.layers.7.self_attn.q_proj": more}, base_model="org/tiny-llama")
    wider = superpose.unmix(merged + other, odd)
    assert {one.name for one in wider.parents} == told.keys()
    assert not wider.complete


def test_adapters_of_other_modules_alone_have_nothing_in_common_and_it_is_said(odd: Path) -> None:
    B, A = random_factors(41)["model.layers.0.self_attn.q_proj"]
    other = Adapter(
        {"model.layers.9.self_attn.q_proj": Delta.of(B, A)}, base_model="org/tiny-llama"
    )
    found = superpose.unmix(other, odd)
    assert found.verdict.startswith("not from this library")
    assert {one.shared for one in superpose.near(other, odd).found} == {0}


def test_one_parent_is_told_as_one_whether_it_was_cut_or_not(odd: Path) -> None:
    whole = superpose.load(odd.parent / "all" / "own-3")
    assert (
        superpose.unmix(-0.5 * whole, odd).verdict == "is this one times its weight, to rounding."
    )
    cut = superpose.unmix((2.0 * whole).compress(2), odd)
    assert cut.verdict == (
        "is the best rank-2 approximation of this one times its weight, to rounding."
    )
    assert [(one.name, round(one.weight, 5)) for one in cut.parents] == [("own-3", 2.0)]


def test_an_image_loras_folder_is_its_file_in_the_index(tmp_path: Path) -> None:
    corpus = Path(__file__).parents[1] / "hard" / "corpus"
    shutil.copytree(corpus / "diffusers", tmp_path / "all" / "image")
    shutil.copy(corpus / "kohya.safetensors", tmp_path / "all" / "other.safetensors")
    assert superpose.index(tmp_path / "all", tmp_path / "i").bases == {"not named": 1, "sd_v1": 1}
    near = superpose.near(tmp_path / "all" / "image", tmp_path / "i")
    assert near.found == ()
    assert superpose.unmix(tmp_path / "all" / "image", tmp_path / "i").indexed


def test_an_empty_folder_and_a_library_of_one_are_answered_in_words(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = superpose.index(tmp_path / "empty", tmp_path / "none")
    (line,) = found.shown()
    assert isinstance(line, Line)
    assert line.text.endswith("0 adapters (nothing that may be one lies below what was named)")
    write_factors(tmp_path / "one", random_factors(1))
    superpose.index(tmp_path / "one", tmp_path / "i")
    (line,) = superpose.lineage(tmp_path / "i").shown()
    assert line == Line("one adapter alone has no relatives.")
