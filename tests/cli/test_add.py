"""`superpose add` writes the sum and says what it wrote, or writes nothing and says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.cli.app import main
from superpose.compose import METHODS
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

WEIGHTS = "adapter_model.safetensors"
Q = "model.layers.0.self_attn.q_proj"


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def add(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `superpose add ARGS` in this process."""

    def run(*args: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(["add", *map(str, args)])
        captured = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, captured.out, captured.err)

    return run


@pytest.fixture
def pair(write_adapter: WriteAdapter) -> list[Path]:
    return [write_adapter("a", seed=1), write_adapter("b", seed=2, rank=3, use_rslora=True)]


def test_weights_behind_colons_and_in_a_list_give_the_same_sum(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    a, b = pair
    assert add(a, f"{b}:-0.5", "-o", tmp_path / "one").code == 0
    assert add(a, b, "--weights", "1,-0.5", "-o", tmp_path / "two").code == 0
    one, two = (superpose.load(tmp_path / name) for name in ("one", "two"))
    right = superpose.load(a) - 0.5 * superpose.load(b)
    for total in (one, two):
        np.testing.assert_allclose(dense(total[Q].terms), dense(right[Q].terms), atol=1e-6)


def test_it_says_what_was_written(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = add(*pair, "-o", tmp_path / "sum")
    assert ended.err == ""
    for words in (f"wrote {tmp_path / 'sum'}: a + b", "2 target modules, rank 5, exact", "float32"):
        assert words in ended.out


def test_json_is_alone_on_standard_output_and_the_header_holds_the_same(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    from superpose.files import read_header

    ended = add(*pair, "-o", tmp_path / "sum", "--rank", 2, "--dtype", "bfloat16", "--json")
    found = json.loads(ended.out)
    noted = json.loads(read_header(tmp_path / "sum" / WEIGHTS).metadata["superpose"])
    assert found["rank"] == 2
    assert found["dtype"] == "bfloat16"
    assert found["verify"] is None
    assert 0 < found["energy_kept"] < 1
    assert 0 < found["rounding_error"] < 0.01
    assert noted["made"]["energy_kept"] == found["energy_kept"]
    assert noted["made"]["rounding_error"] == found["rounding_error"]
    assert noted["parents"] == found["parents"]
    assert [parent["name"] for parent in found["parents"]] == ["a", "b"]
    assert superpose.load(tmp_path / "sum").parents[1].path == str(pair[1])


def test_the_model_card_is_valid_and_names_base_parents_and_figures(
    add: Callable[..., Ended], write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    yaml = pytest.importorskip("yaml", reason="the card is read with PyYAML")
    base = "org/base-1.5"
    a, b = (write_adapter(name, base_model=base) for name in ("a", "b | c"))
    add(a, f"{b}:0.25", "-o", tmp_path / "sum", "--rank", 1)
    card = (tmp_path / "sum/README.md").read_text()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["base_model"] == base
    assert front["library_name"] == "peft"
    assert "superpose" in front["tags"]
    for words in ("| a | 1 |", r"| b \| c | 0.25 |", "| energy kept |", "| rounding error |"):
        assert words in card


@pytest.mark.parametrize("method", [name for name in METHODS if " " not in name])
def test_a_rank_above_what_exists_is_an_error_with_every_method(
    method: str, add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = add(*pair, "-o", tmp_path / "sum", "--rank", 50, "--method", method)
    assert ended.code == 2
    assert f"--rank: rank is 50, and `{method}` of these adapters has at most" in ended.err
    assert not (tmp_path / "sum").exists()


def test_at_the_sums_own_rank_it_is_exact(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = add(*pair, "-o", tmp_path / "sum", "--rank", 5)
    assert ended.code == 0, ended.err
    assert "rank 5, exact" in ended.out


@pytest.mark.parametrize(
    ("dtypes", "written"),
    [
        (("float16", "float16"), "float16"),
        (("float16", "float32"), "float32"),
        (("float16", "bfloat16"), "float32"),
        (("bfloat16", "bfloat16"), "bfloat16"),
        (("float32", "float64"), "float64"),
    ],
)
def test_the_dtype_is_the_narrowest_that_holds_every_parent(
    dtypes: tuple[str, str],
    written: str,
    add: Callable[..., Ended],
    pair: list[Path],
    tmp_path: Path,
) -> None:
    """Also where the SVD of `--rank` has made float32 factors of them."""
    import ml_dtypes

    for folder, dtype in zip(pair, dtypes, strict=True):
        kind = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
        path = folder / WEIGHTS
        save_file({k: v.astype(kind) for k, v in load_file(path).items()}, path)
    for rank in ((), ("--rank", 2)):
        ended = add(*pair, "-o", tmp_path / "sum", "--force", *rank, "--json")
        assert json.loads(ended.out)["dtype"] == written


def test_force_replaces_the_sum_and_even_a_parent(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    right = superpose.load(pair[0]) + superpose.load(pair[1])
    assert add(*pair, "-o", pair[0], "--force").code == 0
    np.testing.assert_allclose(
        dense(superpose.load(pair[0])[Q].terms), dense(right[Q].terms), atol=1e-6
    )
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_force_replaces_what_superpose_train_wrote(
    add: Callable[..., Ended], pair: list[Path]
) -> None:
    from superpose.training.train import FILES, RECORD

    for name in FILES:
        (pair[0] / name).touch()
    (pair[0] / RECORD).write_text("{}")
    assert add(*pair, "-o", pair[0], "--force").code == 0
    assert not (pair[0] / RECORD).exists(), "a sum was not trained"
    (pair[0] / "notes.txt").touch()
    ended = add(*pair, "-o", pair[0], "--force")
    assert ended.code == 2
    assert "holds other things than an adapter (notes.txt)" in ended.err


@pytest.mark.parametrize(
    ("rank", "said"),
    [
        (8, ""),
        (9, "note: rank 18: start vLLM with --max-lora-rank 32\n"),
        (64, "note: rank 128: start vLLM with --max-lora-rank 128\n"),
        (256, "note: rank 512: start vLLM with --max-lora-rank 512\n"),
        (257, "warning: rank 514 is more than vLLM serves"),
    ],
)
def test_what_vllm_must_be_told_of_the_rank_is_told(
    rank: int,
    said: str,
    add: Callable[..., Ended],
    write_adapter: WriteAdapter,
    tmp_path: Path,
) -> None:
    """Of itself vLLM serves rank 16, and never more than 512 (PEFTHelper, v0.26)."""
    parents = [write_adapter(name, rank=rank, seed=rank) for name in ("a", "b")]
    ended = add(*parents, "-o", tmp_path / "sum", "--json")
    assert ended.err[: len(said) or None] == said
    assert json.loads(ended.out)["rank"] == 2 * rank
    assert add(*parents, "-o", tmp_path / "compact", "--compact").err == ""


def damaged(tensor: str, value: float) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        name = next(name for name in tensors if tensor in name)
        tensors[name][0, 0] = value
        save_file(tensors, folder / WEIGHTS)

    return damage


def changed(**settings: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | settings))

    return change


def replaced(name: str, content: bytes | None) -> Callable[[Path], None]:
    def replace(folder: Path) -> None:
        if content is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(content)

    return replace


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "adapter_model.bin")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 133\n"

# What is done to the second adapter, what else stands on the command line, what the message says.
WRONG: dict[str, tuple[Callable[[Path], None] | None, list[str], str]] = {
    "not an adapter folder": (replaced("adapter_config.json", None), [], "adapter_config.json is"),
    "missing weights": (replaced(WEIGHTS, None), [], "adapter_model.safetensors is missing"),
    "truncated weights": (replaced(WEIGHTS, b"\xff\0\0\0\0\0\0\0{"), [], "truncated"),
    "other weights": (replaced(WEIGHTS, b"hello, this is text"), [], "not a safetensors file"),
    "pickle": (pickled, [], "torch.load"),
    "lfs pointer": (replaced(WEIGHTS, POINTER), [], "git lfs pull"),
    "mlx": (replaced("adapter_config.json", b'{"fine_tune_type": "lora"}'), [], "an MLX adapter"),
    "other base": (changed(base_model_name_or_path="org/other"), [], "--same-base"),
    "nan": (damaged("lora_A", float("nan")), [], "holds NaN or infinity"),
    "infinity": (damaged("lora_B", float("inf")), [], "q_proj.lora_B.weight"),
    "dora": (changed(use_dora=True), [], "use_dora"),
    "unknown key": (changed(novelty=1), [], "--ignore-key novelty"),
    "fewer weights": (None, ["--weights", "1"], "2 adapters and 1 task weight"),
    "more weights": (None, ["--weights", "1,2,3"], "2 adapters and 3 task weights"),
    "nan weight": (None, ["--weights", "1,nan"], "must be finite"),
    "words as weights": (None, ["--weights", "one,two"], "no list of task weights"),
    "rank 0": (None, ["--rank", "0"], "at least 1"),
    "unknown dtype": (None, ["--dtype", "int8"], "--dtype: 'int8' is none of"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_exit_code_2_with_a_clear_message_and_nothing_written(
    case: str, add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    damage, options, words = WRONG[case]
    if damage is not None:
        damage(pair[1])
    before = sorted(tmp_path.rglob("*"))
    ended = add(*pair, "-o", tmp_path / "deep/sum", *options)
    assert ended.code == 2
    assert ended.out == ""
    assert words in ended.err
    assert sorted(tmp_path.rglob("*")) == before


def test_other_shapes_name_the_module_and_both_shapes(
    add: Callable[..., Ended], write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    a, b = write_adapter("a", width=8), write_adapter("b", width=12)
    ended = add(a, b, "-o", tmp_path / "sum", "--same-base")
    assert ended.code == 2
    for words in (Q, "(8, 8)", "(12, 12)", "another base model?"):
        assert words in ended.err
    assert not (tmp_path / "sum").exists()


def test_an_output_that_exists_is_refused_before_an_adapter_is_read(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "sum").mkdir()
    (pair[0] / WEIGHTS).write_bytes(b"broken")
    ended = add(*pair, "-o", tmp_path / "sum")
    assert ended.code == 2
    assert "already exists" in ended.err
    assert list((tmp_path / "sum").iterdir()) == []


def test_values_too_large_for_float16_name_the_tensor(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    damaged("q_proj.lora_B", 1e6)(pair[0])
    ended = add(*pair, "-o", tmp_path / "sum", "--dtype", "float16")
    assert ended.code == 2
    assert f"{Q}.lora_B.weight` holds values too large for float16" in ended.err
    assert not (tmp_path / "sum").exists()


def test_what_is_too_large_for_a_dtype_is_told_the_next_wider_one(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    damaged("q_proj.lora_B", 1e30)(pair[0])
    config = json.loads((pair[0] / "adapter_config.json").read_text())
    (pair[0] / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 1e30}))
    for dtype, wider in (("float16", "float32"), ("float32", "float64")):
        ended = add(*pair, "-o", tmp_path / "sum", "--dtype", dtype)
        assert ended.code == 2
        assert (
            f"too large for {dtype}; nothing was written\n--dtype {wider} holds more" in ended.err
        )
    assert add(*pair, "-o", tmp_path / "sum", "--dtype", "float64").code == 0


def test_weights_given_twice_are_refused(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = add(f"{pair[0]}:2", pair[1], "--weights", "1,1", "-o", tmp_path / "sum")
    assert ended.code == 2
    assert "given twice" in ended.err


def test_a_weight_with_a_comma_is_answered_with_how_it_is_written(
    add: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = add(f"{pair[0]}:0,5", pair[1], "-o", tmp_path / "sum")
    assert ended.code == 2
    assert "`0,5` after the colon is no task weight" in ended.err
