"""One basis for several adapters: what is said, what is written, and what comes back."""

from __future__ import annotations

import copy
import json
import shlex
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from tests.library.making import (
    SHAPES,
    Factors,
    dense,
    moved,
    random_factors,
    split_anew,
    write_factors,
)

import superpose
from superpose.errors import BadInput, BadSetting, OutputExists, SuperposeError, SuperposeWarning
from superpose.files import open_tensors, write_tensors
from superpose.verbs.adapter_folders import folder_names

FILE, REPORT = "shared.safetensors", "compression.json"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Factors]:
    """Four adapters that went on from one, in the working folder."""
    monkeypatch.chdir(tmp_path)
    start = random_factors(1, rank=3)
    found = {f"a{n}": moved(start, n, 0.3) for n in range(4)}
    for name, factors in found.items():
        write_factors(tmp_path / name, factors)
    return found


def written(folder: Path) -> np.ndarray:
    """All deltas of a written adapter, dense float64, by PEFT's plain rule."""
    tensors = load_file(folder / "adapter_model.safetensors")
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["lora_alpha"] == config["r"]
    factors = {
        name: tuple(
            tensors[f"base_model.model.{name}.lora_{side}.weight"].astype(float) for side in "BA"
        )
        for name in SHAPES
    }
    return dense(factors)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [None, "float16", "bfloat16", "float64"])
def test_the_error_that_is_said_is_that_of_the_files(
    shelf: dict[str, Factors], dtype: str | None
) -> None:
    found = superpose.compress(list(shelf), "out", rank=4, writing=superpose.Writing(dtype=dtype))
    for one in found.adapters:
        right = dense(shelf[one.name])
        back = superpose.load(f"out/{one.name}")
        ours = dense({
            name: (delta.terms[0].coefficient * delta.terms[0].B.astype(float),
                   delta.terms[0].A.astype(float))
            for name, delta in back.items()
        })  # fmt: skip
        error = float(np.linalg.norm(ours - right) / np.linalg.norm(right))
        assert one.error == pytest.approx(error, rel=1e-6)
        for module in one.modules:
            x, y = dense({module.name: shelf[one.name][module.name]}), ours
            inside = x != 0.0
            own = np.linalg.norm((y - right)[inside]) / np.linalg.norm(right[inside])
            assert module.error == pytest.approx(float(own), rel=1e-6)
            assert module.alone is not None
            assert module.alone <= module.error + 1e-12
            assert (module.rank, module.basis) == (3, 4)
    if dtype is None:
        assert np.array_equal(written(Path("out/a0")), ours_of("out/a0"))


def ours_of(path: str) -> np.ndarray:
    """The same by superpose's own reader."""
    return dense({n: (d.terms[0].B, d.terms[0].A) for n, d in superpose.load(path).items()})


def test_what_is_measured_on_the_disk_is_what_lies_there(shelf: dict[str, Factors]) -> None:
    found = superpose.compress(list(shelf), "out", rank=3)
    length = {
        where: sum(path.stat().st_size for path in Path(where).glob("*/adapter_model.safetensors"))
        for where in (".", "out")
    }
    assert found.bytes.given == length["."]
    assert found.bytes.ordinary == length["out"]
    assert found.bytes.shared == Path("out", FILE).stat().st_size
    assert found.bytes.shared < found.bytes.given
    dry = superpose.compress(list(shelf), rank=3)
    assert dry.bytes == found.bytes
    assert dry.to_json()["adapters"] == found.to_json()["adapters"]
    assert json.loads(Path("out", REPORT).read_text()) == found.to_json()


def test_strangers_cost_more_in_one_basis_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for n in range(2):
        write_factors(tmp_path / f"x{n}", random_factors(n, rank=3))
    found = superpose.compress(["x0", "x1"], "out", rank=6)
    assert max(one.error for one in found.adapters) < 1e-6
    assert found.bytes.given is not None
    assert found.bytes.shared > found.bytes.given
    assert "more" in str(found.shown()[-1])


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("form", ["both", "shared"])
def test_the_shared_form_gives_the_ordinary_adapters_to_the_bit(
    shelf: dict[str, Factors], count: int, form: str
) -> None:
    names = list(shelf)[:count]
    superpose.compress(names, "ordinary", energy=0.9, form="ordinary")
    superpose.compress(names, "out", energy=0.9, form=form)
    assert not Path("ordinary", FILE).exists()
    assert Path("out/a0").exists() == (form == "both")
    superpose.expand(Path("out"), "back")
    for name in names:
        for file in Path("ordinary", name).iterdir():
            assert file.read_bytes() == Path("back", name, file.name).read_bytes()
    (only,) = superpose.expand("out/shared.safetensors", only=["a0"]).adapters
    assert only.modules == superpose.load("ordinary/a0").modules


def test_ranks_splits_scalings_and_dtypes_may_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    factors = random_factors(3, rank=2)
    write_factors(tmp_path / "plain", factors)
    write_factors(tmp_path / "rs", factors, use_rslora=True, alpha=7.0)
    write_factors(tmp_path / "split", split_anew(factors, 1))
    write_factors(tmp_path / "halves", factors, dtype="bfloat16")
    write_factors(tmp_path / "other", random_factors(4, rank=5, modules=3))
    names = ["plain", "rs", "split", "halves", "other"]
    found = superpose.compress(names, "out", rank=9)
    for one in found.adapters:
        before, after = superpose.load(one.name), superpose.load(f"out/{one.name}")
        assert one.error < (1e-2 if one.name == "halves" else 1e-5)
        assert before.cosine(after) == pytest.approx(1.0, abs=1e-4)
        assert after.norm() == pytest.approx(before.norm(), rel=1e-2)
    dtypes = {name: {d for x in superpose.load(f"out/{name}").values() for d in x.stored}
              for name in ("plain", "halves")}  # fmt: skip
    assert dtypes == {"plain": {"float32"}, "halves": {"bfloat16"}}


def test_an_adapter_of_zeros_comes_back_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    factors = random_factors(1)
    write_factors(tmp_path / "one", factors)
    write_factors(tmp_path / "zero", {name: (0.0 * B, A) for name, (B, A) in factors.items()})
    with pytest.warns(SuperposeWarning, match="adds nothing"):
        found = superpose.compress(["one", "zero"], "out", rank=2)
    assert found.to_json()["adapters"][1]["error"] is None
    superpose.expand("out", "back")
    for folder in ("out", "back"):
        with pytest.warns(SuperposeWarning, match="adds nothing"):
            zero = superpose.load(f"{folder}/zero")
        assert zero.norm() == 0.0
        assert set(zero.modules) == set(factors)


def test_what_was_done_is_said_of_the_file(shelf: dict[str, Factors]) -> None:
    superpose.compress(list(shelf), "out", rank=3)
    back = superpose.load("out/a1")
    assert back.made.method == "one basis"
    assert dict(back.made.settings) == {"rank": 3, "adapters": 4}
    kept = 1.0 - superpose.compress(list(shelf), rank=3).adapters[1].error ** 2
    assert back.made.energy_kept == pytest.approx(kept, abs=1e-6)
    assert "one basis of 4 adapters" in str(back)
    assert [parent.name for parent in back.parents] == ["a1"]
    exact = superpose.compress(list(shelf), "exact", rank=12)
    assert exact.ordinary[0].made.exact
    halves = superpose.Writing(dtype="bfloat16")
    superpose.compress(list(shelf), "halves", rank=12, writing=halves)
    rounding = superpose.load("halves/a0").made.rounding_error
    assert rounding is not None
    assert 1e-4 < rounding < 1e-2


def test_the_command_says_it_and_writes_it(shelf: dict[str, Factors], superpose: Any) -> None:
    ended = superpose("compress", "--shared", *shelf, "--rank", 3, "-o", "out", cwd=Path.cwd())
    assert ended.returncode == 0, ended.stderr
    assert "less" in ended.stdout
    ended = superpose("expand", "out", "-o", "back", "--only", "a2", "--json", cwd=Path.cwd())
    assert json.loads(ended.stdout)["adapters"][0]["output"] == "a2"
    assert [path.name for path in Path("back").iterdir()] == ["a2"]
    dry = superpose("compress", "--shared", *shelf, "--dry-run", "--json", cwd=Path.cwd())
    assert json.loads(dry.stdout)["output"] is None


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a0", "-o", "new"], "--shared"),
        (["--shared", "a0"], "--out"),
        (["--shared", "a0", "-o", "new", "--dry-run"], "--out"),
        (["--shared", "a0", "-o", "new", "--form", "x"], "--form"),
        (["--shared", "a0", "-o", "new", "--energy", "2"], "--energy"),
        (["--shared", "a0", "-o", "new", "--rank", "0"], "rank"),
        (["--shared", "a0", "-o", "a0"], "already exists"),
        (["--shared", "a0", "-o", "a0", "--force"], "holds other things"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    shelf: dict[str, Factors], superpose: Any, words: list[str], said: str
) -> None:
    before = sorted(Path.cwd().rglob("*"))
    ended = superpose("compress", *words, cwd=Path.cwd())
    assert ended.returncode == 2
    assert said in ended.stderr
    assert sorted(Path.cwd().rglob("*")) == before


def test_force_replaces_an_earlier_run_and_nothing_that_lies_beside_it(
    shelf: dict[str, Factors],
) -> None:
    superpose.compress(list(shelf), "out", rank=2)
    with pytest.raises(OutputExists):
        superpose.compress(list(shelf), "out", rank=3)
    anew = superpose.Writing(force=True)
    superpose.compress(["a0"], "out", rank=3, writing=anew)
    assert sorted(path.name for path in Path("out").iterdir()) == ["a0", REPORT, FILE]
    Path("out/a0/mine.txt").write_text("mine")
    with pytest.raises(OutputExists, match=r"mine\.txt"):
        superpose.compress(["a0"], "out", rank=3, writing=anew)
    Path("out/a0/mine.txt").unlink()
    Path("out/notes").mkdir()
    with pytest.raises(OutputExists, match="notes"):
        superpose.compress(["a0"], "out", rank=3, writing=anew)


def test_the_shared_form_is_no_adapter_and_the_way_out_works(
    shelf: dict[str, Factors], superpose: Any
) -> None:
    superpose("compress", "--shared", *shelf, "-o", "out it", cwd=Path.cwd())
    ended = superpose("info", f"out it/{FILE}", cwd=Path.cwd())
    assert ended.returncode == 2
    assert "several adapters" in ended.stderr
    command = shlex.split(ended.stderr.partition("superpose expand")[2].splitlines()[0])
    assert superpose("expand", *command, cwd=Path.cwd()).returncode == 0
    assert superpose("info", "ADAPTERS/a1", cwd=Path.cwd()).returncode == 0


def test_a_file_of_another_version_or_damaged_is_refused_by_name(
    shelf: dict[str, Factors],
) -> None:
    superpose.compress(list(shelf), "out", rank=2, form="shared")
    file = open_tensors(Path("out", FILE)).read()
    told = json.loads(file.metadata["superpose_shared"])

    def refused(name: str, tensors: Any, changed: Any) -> str:
        write_tensors(Path(name), tensors, {"superpose_shared": json.dumps(changed)})
        with pytest.raises(BadInput) as error:
            superpose.expand(name)
        assert name in str(error.value)
        return str(error.value)

    assert "version 2" in refused("v", file.tensors, {**told, "version": 2})
    for gone in ("modules", "adapters", "dtype"):
        rest = {key: value for key, value in told.items() if key != gone}
        assert gone in refused(f"no-{gone}", file.tensors, rest)
    for gone in file.tensors:
        rest = {key: value for key, value in file.tensors.items() if key != gone}
        assert "damaged" in refused(f"without-{gone}", rest, told)
    cores = {**file.tensors, "adapter.0.cores": file.tensors["adapter.0.cores"][:-1]}
    assert "damaged" in refused("short", cores, told)
    short = {**file.tensors, "basis.0.output": file.tensors["basis.0.output"][:, :1]}
    assert "damaged" in refused("narrow", short, told)
    data = Path("out", FILE).read_bytes()
    Path("half").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInput, match="half"):
        superpose.expand("half")
    with pytest.raises(BadInput, match="no shared form"):
        superpose.expand("a0/adapter_model.safetensors")
    with pytest.raises(BadSetting, match="a0, a1, a2, a3"):
        superpose.expand("out", only=["b"])


def test_an_end_by_ctrl_c_leaves_nothing(shelf: dict[str, Factors]) -> None:
    def stop(done: float, of: float | None, what: str) -> None:
        if what == "write adapters" and done == 2:
            raise KeyboardInterrupt

    before = sorted(Path.cwd().rglob("*"))
    with pytest.raises(KeyboardInterrupt):
        superpose.compress(list(shelf), "out", rank=2, progress=stop)
    assert sorted(Path.cwd().rglob("*")) == before


def test_adapters_of_one_name_get_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, top in enumerate(("x", "y")):
        write_factors(tmp_path / top / "math", random_factors(n))
    found = superpose.compress(["x/math", "y/math"], "out", rank=9)
    assert [one.output for one in found.adapters] == ["math", "math-2"]
    assert superpose.diff("y/math", "out/math-2", tolerance=1e-5).same
    names = ["../../etc", "a/b", "A_b", "", "shared.safetensors", "con: x", ".hidden"]
    assert folder_names(names) == (
        "etc", "a_b", "A_b-2", "adapter", "shared.safetensors-2", "con_x", "hidden",
    )  # fmt: skip


def test_loaded_adapters_are_taken_and_their_files_are_not_measured(
    shelf: dict[str, Factors],
) -> None:
    both = superpose.load("a0") + superpose.load("a1")
    found = superpose.compress([both, superpose.load("a2")], rank=4)
    assert found.bytes.given is None
    assert found.adapters[0].before == 6
    assert found.ordinary[0].rank == 4


def test_no_description_of_a_shared_form_makes_a_traceback(shelf: dict[str, Factors]) -> None:
    superpose.compress(["a0", "a1"], "out", rank=2, form="shared")
    file = open_tensors(Path("out", FILE)).read()
    told = json.loads(file.metadata["superpose_shared"])

    def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        inside = value.items() if isinstance(value, dict) else enumerate(value[:1])
        found = [(*path, key) for key, _ in inside]
        for key, one in value.items() if isinstance(value, dict) else enumerate(value[:1]):
            found += places(one, (*path, key)) if isinstance(one, dict | list) else []
        return found

    count = 0
    for path in places(told):
        for wrong in (None, "x", 10**12, {"x": 1}):
            changed = copy.deepcopy(told)
            at = changed
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = wrong
            Path("wrong").unlink(missing_ok=True)
            write_tensors(Path("wrong"), file.tensors, {"superpose_shared": json.dumps(changed)})
            with suppress(SuperposeError):
                superpose.expand("wrong", f"to-{count}")
            count += 1
    assert count > 150


def test_a_delta_is_in_a_basis_that_there_is_and_zeros_are_of_a_size_that_can_be(
    shelf: dict[str, Factors],
) -> None:
    superpose.compress(["a0", "a1"], "out", rank=2, form="shared")
    file = open_tensors(Path("out", FILE)).read()
    told = json.loads(file.metadata["superpose_shared"])

    def refused(change: Any) -> None:
        changed = copy.deepcopy(told)
        change(changed)
        Path("wrong").unlink(missing_ok=True)
        write_tensors(Path("wrong"), file.tensors, {"superpose_shared": json.dumps(changed)})
        with pytest.raises(BadInput, match=r"^wrong: is damaged"):
            superpose.expand("wrong", "to")
        assert not Path("to").exists()

    for at in (-1, True, len(told["modules"]), 0.0, "x"):
        refused(lambda t, at=at: t["adapters"][0]["deltas"][0].update(module=at))
    refused(lambda t: t.update(modules="abcdefgh"[: len(t["modules"])]))
    refused(lambda t: t.update(modules=[t["modules"][0]] * len(t["modules"])))
    for sizes in ([10**10, 4], [4, 0], [-1, 4], [1.5, 4], [True, 4]):
        zero = {"key": "model.layers.7.mlp.up_proj", "zero": sizes}
        refused(lambda t, zero=zero: t["adapters"][0]["deltas"].append(zero))
    many = [{"key": f"model.layers.{n}.mlp.up_proj", "zero": [10**6] * 2} for n in range(99)]
    refused(lambda t: t["adapters"][0]["deltas"].extend(many))
