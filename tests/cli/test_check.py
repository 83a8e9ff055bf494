"""`superpose check` from the outside: tables, JSON, exit codes, and no torch."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from superpose.cli.fail_on import insist, parse_condition
from superpose.errors import BadInput, DoesNotHold

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Superpose, WriteAdapter

    from superpose.interference import Pair


@pytest.fixture
def pair() -> Pair:
    from superpose.adapter import Adapter, Delta
    from superpose.interference import check

    rng = np.random.default_rng(0)
    a, b = (
        Adapter({"q": Delta.of(rng.standard_normal((30, 2)), rng.standard_normal((2, 20)))}, name)
        for name in ("math", "law")
    )
    return check([a, Adapter(30 * b + a, "law")]).pairs[0]


def test_the_table_names_adapters_verdicts_modules_and_the_sum(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = [write_adapter(name, seed=seed) for seed, name in enumerate(["math", "law", "music"])]
    ended = superpose("check", *folders)
    assert ended.returncode == 0, ended.stderr
    text = " ".join(ended.stdout.split())
    for part in (
        "math + law",
        "math + music",
        "law + music",
        "RMS cosine",
        "most overlapping modules",
        "layers.0.self_attn.q_proj",
        "only an evaluation tells",
        "The sum of all 3",
    ):
        assert part in text
    assert ended.stderr == ""


def test_json_stands_alone_on_standard_output_and_agrees_with_the_library(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    from superpose.formats import load
    from superpose.interference import check

    folders = [write_adapter(name, seed=seed) for seed, name in enumerate(["math", "law"])]
    ended = superpose("check", "--json", *folders)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == check([load(str(f)) for f in folders]).to_json()


def test_folders_of_one_name_are_told_apart_by_their_path(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = [write_adapter("one/math", seed=1), write_adapter("two/math", seed=2)]
    ended = superpose("check", "--json", *folders)
    names = [adapter["name"] for adapter in json.loads(ended.stdout)["adapters"]]
    assert names == [str(folder) for folder in folders]


def test_a_name_that_looks_like_markup_is_printed_as_it_is(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    ended = superpose("check", write_adapter("[bold]", seed=1), write_adapter("[red]", seed=2))
    assert ended.returncode == 0, ended.stderr
    assert "[bold] + [red]" in ended.stdout


def test_a_condition_that_is_met_ends_with_one_and_names_the_pair(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("math")
    twin = write_adapter("twin")
    ended = superpose("check", folder, twin, "--fail-on", "norm>10", "--fail-on", "cosine>0.1")
    assert ended.returncode == 1
    assert "math and twin: whole-adapter cosine, signed is 1 (cosine>0.1)" in ended.stderr
    assert "norm>10" not in ended.stderr
    assert "aligned" in ended.stdout


def test_conditions_that_are_not_met_end_with_zero(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = write_adapter("math", seed=1), write_adapter("law", seed=2)
    conditions = ("norm>50", "rms>50", "shared-a")
    ended = superpose("check", *folders, *(p for c in conditions for p in ("--fail-on", c)))
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("condition", ["rms=3", "rms>", "loss>3", "rms>nan", "shared-a>1", ""])
def test_a_malformed_condition_is_bad_input_and_says_what_can_be_written(
    superpose: Superpose, write_adapter: WriteAdapter, condition: str
) -> None:
    with pytest.raises(BadInput, match="is no condition") as error:
        parse_condition(condition)
    assert "shared-a" in str(error.value)


def test_a_malformed_condition_is_found_before_anything_is_read(superpose: Superpose) -> None:
    ended = superpose("check", "not", "there", "--fail-on", "rms=3")
    assert ended.returncode == 2
    assert "`rms=3` is no condition" in ended.stderr


def test_one_adapter_alone_is_bad_input(superpose: Superpose, write_adapter: WriteAdapter) -> None:
    ended = superpose("check", write_adapter("math"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "superpose check A B" in ended.stderr


def test_another_base_model_is_bad_input_until_same_base_is_said(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = (
        write_adapter("math", seed=1, base_model="a/one"),
        write_adapter("law", seed=2, base_model="b/two"),
    )
    ended = superpose("check", *folders)
    assert ended.returncode == 2
    for part in ("a/one", "b/two", "--same-base"):
        assert part in ended.stderr
    assert superpose("check", *folders, "--same-base").returncode == 0


def test_other_shapes_are_bad_input_whatever_is_said(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = write_adapter("math", width=8), write_adapter("law", width=12)
    ended = superpose("check", *folders, "--same-base")
    assert ended.returncode == 2
    assert "(8, 8)" in ended.stderr
    assert "(12, 12)" in ended.stderr


def test_a_check_never_imports_torch(write_adapter: WriteAdapter) -> None:
    folders = [str(write_adapter(name, seed=seed)) for seed, name in enumerate(["math", "law"])]
    program = (
        "import sys\n"
        "from superpose.cli.app import main\n"
        "try:\n"
        "    main(['check', *sys.argv[1:]])\n"
        "except SystemExit as end:\n"
        "    heavy = {'torch', 'transformers', 'peft', 'array_api_compat.numpy', 'numpy.f2py'}\n"
        "    print(end.code, sorted(heavy & set(sys.modules)))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, *folders], capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("rms>1e9", False),
        ("rms > 0", True),
        ("cosine<-0.1", False),
        ("cosine<1.1", True),
        ("output>0.99", True),
        ("input<0.5", False),
        ("norm>10", True),
        ("norm>1000", False),
        ("shared-a", True),
    ],
)
def test_each_condition_reads_its_own_figure(pair: Pair, condition: str, met: bool) -> None:
    read = parse_condition(condition)
    assert read.is_met(pair) is met
    if met:
        with pytest.raises(DoesNotHold, match="math and law"):
            insist([read], [pair])
    else:
        insist([read], [pair])


def test_a_figure_that_does_not_exist_meets_no_condition(
    superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folders = (
        write_adapter("math", modules=("model.layers.0.q_proj",)),
        write_adapter("law", modules=("model.layers.0.v_proj",)),
    )
    ended = superpose("check", *folders, "--fail-on", "cosine<1", "--fail-on", "rms<9", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["pairs"][0]["cosine"] is None


# PEFT's own use of a name that transformers 5 deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_what_peft_writes_is_checked_as_peft_applies_it(tmp_path: Path) -> None:
    """Two adapters trained apart by PEFT: rsLoRA here, plain there; cosines from merged weights."""
    peft, torch, transformers = (pytest.importorskip(m) for m in ("peft", "torch", "transformers"))
    from superpose.formats import load
    from superpose.interference import check

    config = transformers.LlamaConfig(
        vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    merged = []
    for seed, rslora in ((1, True), (2, False)):
        base = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "base")
        before = {name: p.detach().clone() for name, p in base.named_parameters()}
        torch.manual_seed(seed)
        settings = peft.LoraConfig(
            r=3, lora_alpha=5, use_rslora=rslora, init_lora_weights=False,
            target_modules=["q_proj", "down_proj"],
        )  # fmt: skip
        model = peft.get_peft_model(base, settings)
        model.save_pretrained(tmp_path / str(seed))
        after = dict(model.merge_and_unload().named_parameters())
        moved = [(after[n] - before[n]).detach().double().flatten() for n in sorted(before)]
        merged.append(torch.cat(moved).numpy())
    result = check([load(str(tmp_path / "1")), load(str(tmp_path / "2"))])
    x, y = merged
    expected = x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    assert result.pairs[0].cosine == pytest.approx(expected, abs=1e-5)
    for adapter, delta in zip(result.adapters, merged, strict=True):
        assert adapter.norm == pytest.approx(np.linalg.norm(delta), rel=1e-5)


def test_help_shows_an_example_that_can_be_run(superpose: Superpose) -> None:
    ended = superpose("check", "--help")
    assert ended.returncode == 0
    assert "superpose check runs/math runs/medicine --fail-on" in " ".join(ended.stdout.split())
