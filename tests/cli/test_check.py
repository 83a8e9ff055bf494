"""`superpose check` from the outside: tables, JSON, exit codes, and no torch."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from superpose.errors import BadInput, DoesNotHold
from superpose.interference.conditions import parse_condition
from superpose.verbs.gate import gate_of_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Run
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
        "Most overlapping modules",
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
    found = check([load(str(f)) for f in folders])
    assert json.loads(ended.stdout) == {"schema": 1, **found.to_json()}


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
    assert "the same adapter" in ended.stdout


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
    gate = gate_of_pairs([read], [pair], {"math": None, "law": None}, 0.0)
    if met:
        with pytest.raises(DoesNotHold, match="math and law"):
            gate.insist()
    else:
        gate.insist()


@pytest.mark.parametrize("condition", ["cosine>0.1", "cosine<-0.1", "rms>9", "output>0.5"])
def test_a_condition_on_a_figure_that_does_not_exist_never_passes(
    run: Run, write_adapter: WriteAdapter, condition: str
) -> None:
    folders = (
        write_adapter("math", modules=("model.layers.0.q_proj",)),
        write_adapter("law", modules=("model.layers.0.v_proj",)),
    )
    ended = run("check", *folders, "--fail-on", condition, "--json")
    assert ended.code == 1
    meaning = {"c": "whole-adapter cosine", "r": "RMS cosine", "o": "overlap of the output"}
    assert f"math and law: there is no {meaning[condition[0]]}" in ended.err
    assert f"to judge by: no shared modules ({condition})" in ended.err
    assert json.loads(ended.out)["pairs"][0]["cosine"] is None


@pytest.mark.filterwarnings("ignore:.*lora_alpha is 0")
def test_beside_an_adapter_of_zeros_no_condition_on_norm_or_cosine_passes(
    run: Run, write_adapter: WriteAdapter
) -> None:
    folders = write_adapter("math"), write_adapter("zero", alpha=0.0)
    ended = run("check", *folders, "--fail-on", "norm>10", "--fail-on", "cosine>0.1")
    assert ended.code == 1
    assert ended.err.count("to judge by: adds nothing") == 2


@pytest.mark.filterwarnings("ignore:.*nothing shows")
def test_where_nothing_shows_one_base_the_verdict_says_so_and_how_to_go_on(
    run: Run, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, module in (("math", "layers.0.fc1"), ("law", "stages.1.conv")):
        folder = write_adapter(name, modules=(module,))
        config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        del config["base_model_name_or_path"]
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    (pair,) = json.loads(run("check", "math", "law", "--json").out)["pairs"]
    assert pair["verdict"] == "no shared modules"
    assert "neither touches" not in pair["reason"]
    assert "nothing shows that they have one base model" in pair["reason"]
    said, _, command = pair["next"].partition(": superpose ")
    assert said == "If you know that both have one base model"
    assert command == "add math law -o OUT --same-base"
    assert run(*shlex.split(command)).code == 0
    (told,) = json.loads(run("check", "math", "law", "--same-base", "--json").out)["pairs"]
    assert "neither touches what the other changes" in told["reason"]


def words_of(text: str) -> str:
    """What a terminal shows, whatever its width."""
    return " ".join(text.split())


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Pair]:
    """Write the two adapters made for a verdict as folders `a` and `b` here; give their check."""
    from tests.interference.pairs import READ_AS, Size

    from superpose.formats import load, save
    from superpose.interference import check

    def write(word: str) -> Pair:
        monkeypatch.chdir(tmp_path)
        size = Size(modules=8, width=40, narrow=40, rank=2)
        for adapter in READ_AS[word](size):
            save(adapter, adapter.name)
        return check([load("a"), load("b")]).pairs[0]

    return write


@pytest.mark.parametrize(
    "word",
    ["the same adapter", "a scaled copy", "nearly the same adapter", "one within the other",
     "continued training", "one drowns the other", "no shared modules",
     "a large common direction"],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::superpose.errors.SuperposeWarning")
def test_the_sum_that_the_next_step_names_can_be_pasted(
    run: Run, two: Callable[[str], Pair], word: str
) -> None:
    """And gives what it says: of a copy no more than one, of a part the rest, and so on."""
    from superpose.formats import load

    pair = two(word)
    assert pair.judgement.verdict == word
    said = run("check", "a", "b")
    assert words_of(pair.judgement.reason) in words_of(said.out)
    (line,) = [line for line in said.out.splitlines() if line.startswith("Next: ")]
    assert line == f"Next: {pair.judgement.next}"
    command = re.findall(r"superpose (add [^;()]*)", line)[-1]
    assert run(*shlex.split(command)).code == 0
    made, (a, b) = load("OUT"), (load("a"), load("b"))
    parts = {
        "the same adapter": a, "a scaled copy": a, "nearly the same adapter": 0.5 * a + 0.5 * b,
        "one within the other": b - a, "continued training": b - a, "no shared modules": a + b,
        "one drowns the other": a + 0.12 * b,
    }  # fmt: skip
    if word in parts:
        assert (made - parts[word]).norm() < 0.02 * made.norm()
    else:
        assert made.norm() == pytest.approx(math.hypot(a.norm(), b.norm()), rel=0.02)


@pytest.mark.parametrize(("key", "option"), [("score", "--heads none"), ("norm", "--base B/b")])
def test_the_sum_of_adapters_that_store_tensors_can_be_pasted_too(
    run: Run, two: Callable[[str], Pair], key: str, option: str
) -> None:
    """A head is left out, since no base has it; anything else needs the base."""
    from superpose.adapter import Adapter, Part, Replacement, Stored
    from superpose.formats import load, save

    two("one drowns the other")
    for name in "ab":
        held = Replacement(
            (Part(1.0, Stored(np.ones((3, 8), np.float32))),), f"{key}.weight", owner=key
        )
        whole = Adapter(load(name).deltas, name, "B/b", replacements={f"{key}.weight": held})
        save(whole, name, force=True)
    (pair,) = json.loads(run("check", "a", "b", "--json").out)["pairs"]
    command = re.findall(r"superpose (add .*)", pair["next"])[0]
    assert command == f"add a b:0.12 -o OUT {option}"
    ended = run(*shlex.split(command))
    assert ended.code == {"score": 0, "norm": 3}[key], ended.err


@pytest.mark.parametrize("word", ["a small common direction", "unrelated", "mixed signs"])
def test_the_prediction_that_the_next_step_names_can_be_pasted(
    run: Run, two: Callable[[str], Pair], word: str
) -> None:
    """With a base and questions in the places of those that only the user has."""
    command = re.findall(r"superpose (predict [^;]*)", two(word).judgement.next)[0]
    assert command == "predict BASE a b --data A.jsonl --data B.jsonl"
    for name in "AB":
        row = json.dumps({"question": "What is 2 plus 2?", "answer": "4"})
        Path(f"{name}.jsonl").write_text(f"{row}\n" * 4, encoding="utf-8")
    ended = run(*shlex.split(command))
    assert (ended.code, "the base model 'BASE' is not here" in ended.err) == (3, True)


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


def test_a_folder_and_a_quoted_pattern_stand_for_their_adapters_and_very_many_for_an_index(
    superpose: Superpose, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    for seed in range(13):
        write_adapter(f"fleet/own-{seed}", seed=seed)
    (tmp_path / "fleet" / "README.md").write_text("no adapter")
    (tmp_path / "fleet" / "logs").mkdir()
    whole = superpose("check", "fleet/", "--json", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    names = sorted(f"fleet/own-{seed}" for seed in range(13))
    assert json.loads(whole.stdout) == json.loads(
        superpose("check", *names, "--json", cwd=tmp_path).stdout
    )
    assert len(json.loads(whole.stdout)["pairs"]) == 78
    with_another = superpose("check", "fleet/own-1", "fleet/own-1*", "--json", cwd=tmp_path)
    assert len(json.loads(with_another.stdout)["adapters"]) == 5
    for seed in range(13, 65):
        shutil.copytree(tmp_path / "fleet/own-0", tmp_path / f"fleet/own-{seed}")
    very_many = superpose("check", "fleet", cwd=tmp_path)
    assert very_many.returncode == 2
    assert very_many.stderr.startswith("error: fleet: holds 65 adapters, which are 2,080 pairs\n")
    assert "superpose index fleet -o library.index" in very_many.stderr
    for seed in range(13, 65):
        shutil.rmtree(tmp_path / f"fleet/own-{seed}")
    indexed = superpose("index", "fleet", "-o", "library.index", cwd=tmp_path)
    assert indexed.returncode == 0, indexed.stderr
    compared = superpose("check", "--index", "library.index", cwd=tmp_path)
    assert compared.returncode == 0
    assert "superpose dupes" not in compared.stdout
    shutil.copytree(tmp_path / "fleet/own-0", tmp_path / "fleet/own-0-again")
    assert superpose("index", "-o", "library.index", cwd=tmp_path).returncode == 0
    with_copy = superpose("check", "--index", "library.index", cwd=tmp_path).stdout
    assert with_copy.endswith("which to keep: superpose dupes --index library.index\n"), with_copy
    told = json.loads(superpose("check", "--index", "library.index", "--json", cwd=tmp_path).stdout)
    first = told["bases"][0]["pairs"][0]
    assert {"cosine_floor", "rms_cosine"} <= first.keys()
    assert first["cosine"] == pytest.approx(1.0)
    nothing = superpose("check", "fleet/other-*", cwd=tmp_path)
    assert nothing.returncode == 2
    (tmp_path / "fleet" / "own-5" / "adapter_config.json").write_text("{}")
    damaged = superpose("check", *names, cwd=tmp_path)
    assert damaged.returncode == 2
    assert damaged.stderr.startswith("error: fleet/own-5/adapter_config.json: ")
    assert "leaves out what cannot be read" in damaged.stderr
    assert "superpose index" not in superpose("check", *names[:6], cwd=tmp_path).stderr
