"""Every format, by the one table: what tells it, where it goes, what is said before the work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import superpose
from superpose.adapter import Adapter, Delta
from superpose.errors import BadInput, MissingExtra, SuperposeError
from superpose.files.file_format import ENDINGS, FILE_FORMATS, family_of_format
from superpose.formats import ENGINES, check_output
from superpose.formats.gguf import base_numbers, to_llama_cpp, to_transformers
from superpose.formats.table import FORMATS, format_of

NAMES = [one.name for one in FILE_FORMATS]
OUTPUTS = ["out", *(f"out{ending}" for ending in ENDINGS), "v1.5"]
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8,
    "num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1,
}  # fmt: skip


def delta() -> Delta:
    generator = np.random.default_rng(3)
    B, A = generator.normal(size=(8, 2)), generator.normal(size=(2, 8))
    return Delta.of(B.astype(np.float32), A.astype(np.float32))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return folder


def made(name: str, base: Path) -> Adapter:
    """An adapter of each format. A new format needs one here."""
    peft = Adapter({"model.layers.0.self_attn.q_proj": delta()}, name="a", base_model=str(base))
    numbers = base_numbers(peft, base)
    return {
        "peft": lambda: peft,
        "llama.cpp": lambda: to_llama_cpp(peft, numbers),
        "gguf": lambda: to_transformers(to_llama_cpp(peft, numbers), numbers),
        "kohya": lambda: Adapter({"lora_unet_x": delta()}, name="a", format="kohya"),
        "diffusers": lambda: Adapter(
            {"unet.mid_block.attentions.0.proj_in": delta()}, name="a", format="diffusers"
        ),
    }[name]()


def raised(act: Callable[[], object]) -> tuple[type[SuperposeError], str] | None:
    try:
        act()
    except SuperposeError as error:
        return type(error), error.problem
    return None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("engine", [None, *ENGINES])
def test_what_save_refuses_of_a_format_is_refused_before_the_work_in_the_same_words(
    name: str, output: str, engine: str | None, tmp_path: Path, base: Path
) -> None:
    adapter, path = made(name, base), tmp_path / output
    assert adapter.format == name
    before = raised(lambda: check_output(path, adapter_format=name, engine=engine))
    after = raised(lambda: superpose.save(adapter, path, engine=engine, base=base))
    assert before == after
    assert path.exists() == (after is None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize(
    "options", [{"dtype": "int3"}, {"dtype": "float64"}, {"compact": True}, {}], ids=str
)
def test_options_and_a_taken_place_are_refused_as_save_refuses_them(
    name: str, output: str, options: dict[str, object], tmp_path: Path, base: Path
) -> None:
    adapter, path = made(name, base), tmp_path / output
    path.mkdir() if not options else None
    before = raised(lambda: check_output(path, adapter_format=name, **options))
    assert before == raised(lambda: superpose.save(adapter, path, base=base, **options))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_written_is_told_as_its_format_and_read_back(
    name: str, tmp_path: Path, base: Path
) -> None:
    adapter = made(name, base)
    for kind in (one for one in FORMATS if name in one.holds):
        for ending in kind.file.endings:
            path = tmp_path / f"{kind.file.name}{ending}"
            superpose.save(adapter, path, base=base)
            inside = [path / file for file in kind.file.folder if kind.file.ending]
            there = inside[0] if inside and path.is_dir() else path
            assert format_of(there).read is kind.read
            assert family_of_format(superpose.load(path, base=base).format) in {
                family_of_format(held) for held in kind.holds
            }


def test_while_the_format_is_not_known_nothing_is_refused_that_one_of_them_could_do(
    tmp_path: Path,
) -> None:
    for output in OUTPUTS:
        check_output(tmp_path / output)
    with pytest.raises(BadInput, match="'x' is no format; there are diffusers, gguf, kohya"):
        check_output(tmp_path / "out", adapter_format="x")


def test_every_format_of_an_adapter_can_be_written() -> None:
    assert set(NAMES) == set().union(*(one.holds for one in FORMATS))
    assert len(NAMES) == len(set(NAMES))


def test_what_writing_needs_is_said_by_the_extra_that_brings_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in FORMATS:
        if one.extra is None:
            continue
        monkeypatch.setitem(sys.modules, one.extra, None)
        with pytest.raises(MissingExtra) as caught:
            check_output(tmp_path / f"out{one.file.endings[0]}", adapter_format=min(one.holds))
        assert f"superpose[{one.extra}]" in str(caught.value.hint)


def test_a_format_that_nobody_knows_is_not_written_as_peft(tmp_path: Path, base: Path) -> None:
    with pytest.raises(BadInput, match="is no format"):
        superpose.save(replace(made("peft", base), format="odd"), tmp_path / "out")
