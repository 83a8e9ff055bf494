"""`superpose add --for`: a rank that vLLM can be told, a file that llama.cpp reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import gguf
import numpy as np
import pytest

import superpose
from superpose.cli.app import main
from superpose.lowrank import dense

if TYPE_CHECKING:
    from tests.conftest import WriteAdapter

Q = "model.layers.0.self_attn.q_proj"


class Ended(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run `superpose ARGS` in this process."""

    def call(*args: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            main([*map(str, args)])
        captured = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return Ended(end.value.code, captured.out, captured.err)

    return call


@pytest.fixture
def pair(write_adapter: WriteAdapter) -> list[Path]:
    return [write_adapter("a", seed=1), write_adapter("b", seed=2, rank=3, use_rslora=True)]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """The configuration of a Llama with two heads; nothing else of it is there."""
    folder = tmp_path / "base"
    folder.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "num_attention_heads": 2}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_for_vllm_the_rank_is_padded_to_one_of_its_list_and_that_is_said(
    run: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = run("add", *pair, "-o", tmp_path / "sum", "--for", "vllm")
    assert ended.code == 0
    assert "rank 8, exact" in ended.out
    assert ended.err == "note: padded with zeros from rank 5 to 8\n"
    found, right = (
        superpose.load(tmp_path / "sum"),
        superpose.load(pair[0]) + superpose.load(pair[1]),
    )
    np.testing.assert_allclose(dense(found[Q].terms), dense(right[Q].terms), atol=1e-5)


def test_for_vllm_a_rank_it_does_not_serve_is_compressed_and_that_is_said(
    run: Callable[..., Ended], write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    many = [write_adapter(f"a{i}", seed=i, rank=270, width=600, modules=(Q,)) for i in range(2)]
    ended = run("add", *many, "-o", tmp_path / "sum", "--for", "vllm", "--json")
    assert ended.code == 0
    assert "rank 540 is compressed to 512" in ended.err
    assert "start vLLM with --max-lora-rank 512" in ended.err
    found = json.loads(ended.out)
    assert found["rank"] == 512
    assert 0.9 < found["energy_kept"] < 1.0
    note = json.loads((superpose.files.read_header(tmp_path / "sum/adapter_model.safetensors")
                       ).metadata["superpose"])  # fmt: skip
    assert note["made"]["energy_kept"] == found["energy_kept"]


def test_for_vllm_a_rank_above_its_list_is_not_asked_for(
    run: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = run("add", *pair, "-o", tmp_path / "sum", "--for", "vllm", "--rank", 600)
    assert ended.code == 2
    assert "vLLM serves at most 512" in ended.err


@pytest.mark.parametrize("given", [("--for", "llama.cpp"), ()])
def test_a_name_in_gguf_is_a_file_for_llama_cpp(
    given: tuple[str, ...],
    run: Callable[..., Ended],
    pair: list[Path],
    base: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "sum.gguf"
    ended = run("add", pair[0], f"{pair[1]}:-0.5", *given, "--base", base, "-o", path)
    assert (ended.code, ended.err) == (0, "")
    assert f"wrote {path}: a - 0.5*b\n  2 target modules, rank 5, exact\n  float32" in ended.out
    right = superpose.load(pair[0]) - 0.5 * superpose.load(pair[1])
    found = superpose.load(path)
    np.testing.assert_allclose(dense(found[Q].terms), dense(right[Q].terms), atol=1e-5)


def test_without_the_base_nothing_is_written_and_it_is_asked_for(
    run: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = run("add", *pair, "-o", tmp_path / "sum.gguf")
    assert ended.code == 3
    assert "`org/tiny-llama` is not here" in ended.err
    assert "--base" in ended.err
    assert not list(tmp_path.glob("*.gguf"))


def test_info_and_check_read_a_gguf_file_and_see_no_difference(
    run: Callable[..., Ended], pair: list[Path], base: Path, tmp_path: Path
) -> None:
    path = tmp_path / "a.gguf"
    run("add", pair[0], "--base", base, "-o", path)
    told = run("info", path)
    assert told.code == 0
    for words in ("org/tiny-llama", "target modules  2", "q_proj"):
        assert words in told.out
    checked = json.loads(run("check", path, pair[0], "--json").out)
    assert checked["pairs"][0]["cosine"] == pytest.approx(1.0)
    assert [module["name"] for module in checked["pairs"][0]["modules"]] == [
        Q,
        Q.replace("q_proj", "v_proj"),
    ]


def test_a_file_that_tells_no_heads_is_read_with_those_of_the_model_that_is_run(
    tmp_path: Path, base: Path
) -> None:
    from superpose.verbs.adapters import loaded_with_weights

    writer = gguf.GGUFWriter(tmp_path / "foreign.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    for side, shape in {"a": (2, 8), "b": (8, 2)}.items():
        writer.add_tensor(f"blk.0.attn_q.weight.lora_{side}", np.ones(shape, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    (adapter,), weights = loaded_with_weights([f"{tmp_path / 'foreign.gguf'}:0.5"], base=str(base))
    assert (list(adapter), weights) == ([Q], [0.5])


def test_an_engine_that_is_none_is_bad_input(
    run: Callable[..., Ended], pair: list[Path], tmp_path: Path
) -> None:
    ended = run("add", *pair, "-o", tmp_path / "sum", "--for", "ollama")
    assert ended.code == 2
    assert "there are peft, vllm, llama.cpp" in ended.err


def test_verify_reads_the_gguf_file_back_and_asks_peft(
    run: Callable[..., Ended], tiny_base: Path, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    modules = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.o_proj")
    parents = [write_adapter(n, seed=i, width=32, modules=modules) for i, n in enumerate("ab")]
    path = tmp_path / "sum.gguf"
    ended = run("add", *parents, "--base", tiny_base, "-o", path, "--verify", tiny_base, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["verify"]["holds"] is True
    again = run("add", path, "-o", tmp_path / "more", "--verify", tiny_base)
    assert again.code == 2
    assert "reads no GGUF" in again.err
