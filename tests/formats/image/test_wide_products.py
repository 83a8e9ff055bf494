"""LoKr and LoHa of real widths: figures without factors, and the way out to a rank followed."""

from __future__ import annotations

import json
import re
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose as sp
from superpose.compose import BestRank
from superpose.errors import Refused
from superpose.formats.expanded import size_of_factors
from superpose.lowrank import Hadamard, gram, is_unformed

M = "diffusion_model.single_blocks.{}.linear2"
OUT, IN = 3072, 15360
"""Of Flux' widest layer: 51 GB as factors in its 57 blocks and two parents."""


def lokr(path: Path, seed: int, blocks: int = 1, sides=((16, 16), (192, 960))) -> Path:
    g = np.random.default_rng(seed)
    tensors = {}
    for n in range(blocks):
        for name, shape in zip(("lokr_w1", "lokr_w2"), sides, strict=True):
            tensors[f"{M.format(n)}.{name}"] = (0.1 * g.standard_normal(shape)).astype("float16")
    save_file(tensors, path)
    return path


def loha(path: Path, seed: int, rank: int = 6) -> Path:
    g, m = np.random.default_rng(seed), M.format(0)
    sides = {"a": (60, rank), "b": (rank, 90)}
    shapes = {f"hada_w{n}_{side}": sides[side] for n in "12" for side in "ab"}
    made = {f"{m}.{k}": g.standard_normal(x).astype("float16") for k, x in shapes.items()}
    save_file(made, path)
    return path


def product(path: Path, n: int) -> np.ndarray:
    """The delta that a LoKr file says, float64."""
    found = load_file(path)
    return np.kron(*(found[f"{M.format(n)}.lokr_w{i}"].astype(np.float64) for i in (1, 2)))


def written(path: Path, n: int) -> np.ndarray:
    found = load_file(path)
    up, down = (found[f"{M.format(n)}.lora_{s}.weight"].astype(np.float64) for s in "BA")
    return up @ down


def test_the_exact_sum_is_refused_with_its_size_and_the_way_out_writes_the_best_of_a_rank(
    tmp_path: Path, superpose: Any
) -> None:
    """Against the dense products of both parents, in float64."""
    sides = ((16, 16), (128, 512))
    a, b = (lokr(tmp_path / f"{n}.safetensors", n, sides=sides) for n in (1, 2))
    out = tmp_path / "sum.safetensors"
    refused = superpose("add", a, f"{b}:0.5", "-o", out)
    assert refused.returncode == 2
    assert "1 LoHa or LoKr modules are 0.3 GB as LoRA factors" in refused.stderr
    way_out = re.findall(r"--rank \d+", refused.stderr)[0].split()
    done = superpose("add", a, f"{b}:0.5", "-o", out, *way_out, "--json")
    assert done.returncode == 0
    assert "would be 335.5 MB as exact factors, which are not formed; at rank 64" in done.stderr
    report = json.loads(done.stdout)
    dense = product(a, 0) + 0.5 * product(b, 0)
    whole, lost = np.linalg.norm(dense) ** 2, np.linalg.norm(dense - written(out, 0)) ** 2
    assert not report["exact"]
    assert report["rank"] == 64
    assert report["energy_kept"] == pytest.approx(1.0 - lost / whole, abs=1e-5)
    # A product of Gaussian sides has no small number of directions; this is what 64 of them hold.
    assert 0.05 < report["energy_kept"] < 0.2


def test_one_lokr_at_a_rank_is_exactly_the_best_of_its_dense_product(tmp_path: Path) -> None:
    path = lokr(tmp_path / "a.safetensors", 3, sides=((6, 4), (20, 30)))
    U, s, Vt = np.linalg.svd(product(path, 0), full_matrices=False)
    small = sp.load(path).compress(5)
    sp.save(small, tmp_path / "small.safetensors", dtype="float64")
    best = (U[:, :5] * s[:5]) @ Vt[:5]
    assert np.linalg.norm(written(tmp_path / "small.safetensors", 0) - best) <= 1e-12 * s[0]


def test_info_and_check_of_real_widths_stay_within_the_files_own_size(tmp_path: Path) -> None:
    """20 MB for what is 0.9 GB as factors of two parents."""
    paths = [lokr(tmp_path / f"{seed}.safetensors", seed) for seed in (1, 2)]
    tracemalloc.start()
    a, b = map(sp.load, paths)
    (pair,) = sp.check([a, b]).pairs
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()
    assert size_of_factors(a) == 8 * OUT * (OUT + IN)
    dense = [product(path, 0) for path in paths]
    norms = [np.linalg.norm(x) for x in dense]
    inner = np.vdot(*dense)
    assert a.norm() == pytest.approx(norms[0])
    assert pair.cosine == pytest.approx(inner / norms[0] / norms[1], abs=1e-9)
    assert pair.output_overlap == 1.0  # both write to every output
    assert pair.input_overlap == pytest.approx(OUT / IN, abs=0.02)


def test_a_loha_of_high_rank_is_added_at_a_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the most that is formed, which is put low here."""
    for module in ("superpose.lowrank.truncation", "superpose.formats.expanded"):
        monkeypatch.setattr(sys.modules[module], "MOST_OF_ONE", 1000)
    first, second = (sp.load(loha(tmp_path / f"{seed}.safetensors", seed)) for seed in (1, 2))
    assert isinstance(first[M.format(0)].terms[0], Hadamard)
    with pytest.raises(Refused, match="GB as LoRA factors"):
        sp.save(first, tmp_path / "sum.safetensors")
    small = BestRank(4).of(first + second)
    share = small.made.energy_kept
    sp.save(small, tmp_path / "sum.safetensors")
    assert small.made.exact is False
    total = sum(d.terms[0].rows(0, 60) for x in (first, second) for d in x.values())
    found = written(tmp_path / "sum.safetensors", 0)
    kept = 1.0 - (np.linalg.norm(total - found) / np.linalg.norm(total)) ** 2
    assert share == pytest.approx(kept, abs=1e-5)
    best = np.linalg.svd(total, compute_uv=False)[:4]
    assert share == pytest.approx((np.linalg.norm(best) / np.linalg.norm(total)) ** 2, rel=1e-3)
    (pair,) = sp.check([first, second]).pairs
    x, y = (next(iter(a.values())).terms[0].rows(0, 60) for a in (first, second))
    assert pair.cosine == pytest.approx(np.vdot(x, y) / np.linalg.norm(x) / np.linalg.norm(y))
    assert np.isnan(pair.output_overlap)  # no basis is held, and none is made up


def test_a_lokr_that_fits_is_added_exactly_as_before(tmp_path: Path) -> None:
    a, b = (
        lokr(tmp_path / f"{seed}.safetensors", seed, sides=((4, 4), (12, 6))) for seed in (1, 2)
    )
    total = sp.load(a) - 2 * sp.load(b)
    assert is_unformed(total[M.format(0)].terms)
    sp.save(total, tmp_path / "sum.safetensors", dtype="float64")
    expected = product(a, 0) - 2 * product(b, 0)
    assert np.linalg.norm(written(tmp_path / "sum.safetensors", 0) - expected) <= 1e-13


def test_two_ways_to_split_one_layer_are_compared_and_added(tmp_path: Path) -> None:
    """LyCORIS chooses the split by `factor`; inner products then have no short form."""
    paths = [
        lokr(tmp_path / f"{n}.safetensors", n, sides=sides)
        for n, sides in enumerate((((6, 4), (20, 30)), ((4, 2), (30, 60))))
    ]
    dense = [product(path, 0) for path in paths]
    a, b = map(sp.load, paths)
    cosine = np.vdot(*dense) / np.prod([np.linalg.norm(x) for x in dense])
    assert a.cosine(b) == pytest.approx(cosine, abs=1e-12)
    (pair,) = sp.check([a, b]).pairs
    bases = [
        np.linalg.svd(x.T, full_matrices=False)[0][:, : np.linalg.matrix_rank(x)] for x in dense
    ]
    ranks = [basis.shape[1] for basis in bases]
    shared = np.sum((bases[0].T @ bases[1]) ** 2) / min(ranks)
    assert pair.input_overlap == pytest.approx(shared)


@pytest.mark.parametrize(
    ("blocks", "exact"), [(8, "7.25 GB"), pytest.param(57, "51.64 GB", marks=pytest.mark.hard)]
)
def test_two_parents_of_flux_single_blocks_take_little_memory(
    blocks: int, exact: str, tmp_path: Path, superpose: Any
) -> None:
    """57 modules of 3072 x 15360, 51.6 GB as exact factors of the sum; measured: 24 s, 250 MB."""
    a, b = (lokr(tmp_path / f"{seed}.safetensors", seed, blocks=blocks) for seed in (1, 2))
    done = superpose("add", a, f"{b}:0.5", "-o", tmp_path / "sum.safetensors", "--rank", 16)
    assert done.returncode == 0
    assert f"would be {exact} as exact factors" in done.stderr
    assert done.seconds < 300  # of a core, whoever else is on the machine
    assert done.memory <= 1_000_000  # kB


def test_lohas_are_checked_in_a_memory_that_does_not_grow_with_their_modules(
    tmp_path: Path,
) -> None:
    """Ranks 24 x 24 in 640 x 640: factors of two parents' 12 modules would be 157 MB."""
    g, names = np.random.default_rng(0), ("a.safetensors", "b.safetensors")
    for name in names:
        sides = {"a": (640, 24), "b": (24, 640)}
        tensors = {
            f"{M.format(block)}.hada_w{n}_{side}": g.standard_normal(sides[side]).astype("float16")
            for block in range(12) for n in "12" for side in "ab"
        }  # fmt: skip
        save_file(tensors, tmp_path / name)
    x, y = (sp.load(tmp_path / name) for name in names)
    tracemalloc.start()
    found = sp.check(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6
    first = M.format(0)
    dense_x, dense_y = (t.rows(0, 640) for t in (each[first].terms[0] for each in (x, y)))
    found_gram = gram([each[first].terms for each in (x, y)])
    dense = np.stack([dense_x.ravel(), dense_y.ravel()])
    np.testing.assert_allclose(found_gram, dense @ dense.T, rtol=1e-12, atol=1e-6)
    assert abs(found.pairs[0].cosine) < 0.01
