"""lm-evaluation-harness evaluates a sum as `superpose eval` does, and as `hf` the baked one."""

from __future__ import annotations

import json
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import superpose
from superpose.errors import BadInput, BadSetting, DifferentBase, MissingBase, Refused

pytest.importorskip("lm_eval")
import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._index import TaskIndex

from superpose.harness import SuperposeLM, evaluate_sums
from superpose.harness.__main__ import each_sum, main
from superpose.model import base_model

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    {
        "question": f"{n} plus {n}?", "answer": f"{2 * n}",
        "choices": [f"{2 * n + k}" for k in (0, 1, 3)],
    }
    for n in range(12)
]  # fmt: skip

NO_OTHERS = TaskManager(include_defaults=False)
"""The harness's own tasks are not read: each reading takes seconds."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),  # the harness's own
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def adapters(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with `math`, `law` and `words`, the last one on the embedding."""
    import peft

    folder = tmp_path_factory.mktemp("adapters")
    targets = {"math": ["q_proj", "v_proj"], "law": ["o_proj"], "words": ["embed_tokens"]}
    for number, (name, modules) in enumerate(targets.items()):
        base = transformers.AutoModelForCausalLM.from_pretrained(tiny_base)
        made = peft.get_peft_model(base, peft.LoraConfig(target_modules=modules, r=4))
        torch.manual_seed(number)
        for key, x in made.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(x, std=0.5)
        made.save_pretrained(folder / name, save_embedding_layers=False)
    for name, settings in (("foreign", {"hidden_size": 32}), ("wide", {"hidden_size": 64})):
        config = transformers.AutoConfig.from_pretrained(tiny_base, head_dim=8, **settings)
        other = transformers.AutoModelForCausalLM.from_config(config)
        other.name_or_path = f"org/{name}"
        made = peft.get_peft_model(other, peft.LoraConfig(target_modules=["q_proj"], r=4))
        made.save_pretrained(folder / name)
    return folder


@pytest.fixture
def here(adapters: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(adapters)
    return adapters


def task(file: Path, kind: str = "multiple_choice") -> dict[str, Any]:
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(file)},
            "cache_dir": str(file.parent / "cache"),
        },
        "test_split": "test",
        "output_type": kind,
        "doc_to_text": "Question: {{question}}\nAnswer:",
    }
    if kind == "generate_until":
        return {
            **common,
            "task": "answers",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 6},
            "metric_list": [{"metric": "exact_match"}],
        }
    return {
        **common,
        "task": "sums",
        "doc_to_choice": lambda doc: doc["choices"],
        "doc_to_target": lambda doc: doc["choices"].index(doc["answer"]),
        "metric_list": [{"metric": metric} for metric in ("acc", "acc_norm")],
    }


def answered(model: Any, *tasks: Any, **options: Any) -> list[Any]:
    """Give every answer of a model: its log-likelihoods, or what it wrote."""
    found = lm_eval.simple_evaluate(
        model=model,
        tasks=list(tasks),
        bootstrap_iters=0,
        log_samples=True,
        task_manager=NO_OTHERS,
        **options,
    )
    answers = [
        each for rows in found["samples"].values() for row in rows for each in row["filtered_resps"]
    ]
    return [a if isinstance(a, str) else a[0] for a in answers]


def baked(base: Path, text: str, out: Path) -> Any:
    superpose.bake(str(base), text, out)
    model = transformers.AutoModelForCausalLM.from_pretrained(out, dtype="float32")
    return HFLM(pretrained=model, tokenizer=transformers.AutoTokenizer.from_pretrained(base))


@pytest.mark.parametrize(
    "text", ["math+0.5*law", pytest.param("math - law", marks=pytest.mark.hard), ""]
)
def test_answers_are_those_of_hf_on_the_baked_sum(
    text: str, tiny_base: Path, rows: Path, here: Path, tmp_path: Path
) -> None:
    ours = answered(
        "superpose", task(rows), task(rows, "generate_until"),
        model_args=f"base={tiny_base},sum={text}", batch_size=4, device="cpu",
    )  # fmt: skip
    if text:
        right = baked(tiny_base, text, tmp_path / "baked")
    else:
        right = HFLM(pretrained=str(tiny_base), device="cpu")
    theirs = answered(right, task(rows), task(rows, "generate_until"))
    assert len(ours) == len(theirs) == 48
    for found, expected in zip(ours, theirs, strict=True):
        assert found == (
            expected if isinstance(expected, str) else pytest.approx(expected, abs=1e-4)
        )
    alone = answered("superpose", task(rows), model_args={"base": str(tiny_base)})
    assert (alone == pytest.approx(ours[:36], abs=1e-4)) == (not text)


def test_accuracies_are_those_of_superpose_eval(tiny_base: Path, rows: Path, here: Path) -> None:
    found = evaluate_sums(
        str(tiny_base), ["math + 0.5*law"], [task(rows)], bootstrap_iters=0, task_manager=NO_OTHERS
    )
    (judged,) = (each["results"]["sums"] for each in found.values())
    ours = superpose.evaluate(str(tiny_base), "math + 0.5*law", [str(rows)], "sum").to_json()
    (row,) = (row for row in ours["evaluations"] if set(row["weights"].values()) == {1.0, 0.5})
    assert judged["acc,none"] == pytest.approx(row["acc"], abs=1e-6)
    assert judged["acc_norm,none"] == pytest.approx(row["acc_norm"], abs=1e-6)


def test_several_sums_share_one_loaded_base_and_do_not_disturb_each_other(
    tiny_base: Path, rows: Path, here: Path
) -> None:
    base_model._load.cache_clear()
    sums: Any = {"both": {"math": 1.0, "law": 1.0}, "less": {"math": 1.0, "law": -1.0}}
    one, other = (SuperposeLM(str(tiny_base), text) for text in ("math + law", "math - law"))
    first, second = answered(one, task(rows)), answered(other, task(rows))
    assert answered(one, task(rows)) == first != second
    assert base_model._load.cache_info().misses == 1
    found = evaluate_sums(
        str(tiny_base), sums, [task(rows)], bootstrap_iters=0, task_manager=NO_OTHERS
    )
    assert [each["config"]["superpose"]["sum"] for each in found.values()] == [
        "math + law", "math - law",
    ]  # fmt: skip
    assert base_model._load.cache_info().misses == 1
    one.remove()
    other.remove()
    model = one.model
    assert not any(module._forward_hooks for module in model.modules())


def test_a_mapping_of_names_and_a_text_are_one_sum(tiny_base: Path, rows: Path, here: Path) -> None:
    by_text = SuperposeLM(str(tiny_base), "2*math")
    by_args = SuperposeLM(base=str(tiny_base), sum="math:2", model="named", batch_size=2)
    assert answered(by_text, task(rows)) == pytest.approx(answered(by_args, task(rows)), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"sum": "math"}, BadSetting, "base: is missing"),
        ({"sum": "math", "peft": "law"}, BadSetting, "peft: is no argument"),
        ({"sum": "math", "pretrained": "x"}, BadSetting, "pretrained: is no argument"),
        ({"sum": "math", "parallelize": True}, BadSetting, "--model hf"),
        ({"sum": "math;law"}, BadSetting, "python -m superpose.harness"),
        ({"sum": "math + half*law"}, BadInput, "`half` before the * is no task weight"),
        ({"sum": "math + tax"}, BadInput, "tax: no such folder"),
        ({"sum": "math + foreign"}, DifferentBase, "same_base=True"),
        ({"sum": "wide"}, DifferentBase, "wide"),
        ({"base": "org/nowhere", "sum": "math"}, MissingBase, "org/nowhere"),
        ({"sum": "words"}, Refused, "superpose bake BASE ADAPTER"),
    ],
)
def test_what_cannot_be_evaluated_is_named(
    arguments: dict[str, Any], error: type[Exception], said: str, tiny_base: Path, here: Path
) -> None:
    if said != "base: is missing":
        arguments = {"base": str(tiny_base), **arguments}
    with pytest.raises(error) as raised:
        SuperposeLM(**arguments)
    assert said in str(raised.value)


def test_base_models_of_two_names_are_one_where_that_is_said(tiny_base: Path, here: Path) -> None:
    model = SuperposeLM(str(tiny_base), "math + foreign", same_base=True)
    assert model.get_model_info()["superpose"]["adapters"] == ["math", "foreign"]
    model.remove()


def test_the_way_out_for_other_layers_works(
    tiny_base: Path, rows: Path, here: Path, tmp_path: Path
) -> None:
    right = answered(baked(tiny_base, "words", tmp_path / "baked"), task(rows))
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_base)
    tokenizer.save_pretrained(tmp_path / "baked")
    found = answered("superpose", task(rows), model_args={"base": str(tmp_path / "baked")})
    assert found == pytest.approx(right, abs=1e-4)


def test_the_harness_cache_of_answers_is_refused_for_several_sums(tiny_base: Path) -> None:
    with pytest.raises(BadSetting, match="use_cache"):
        evaluate_sums(str(tiny_base), ["math"], ["sums"], use_cache="answers")
    words = ["run", "--model_args", "base=b,sum=math;law", "--use_cache", "answers"]
    assert main(words) == 2


def test_each_sum_of_a_command_line_is_a_run_of_its_own() -> None:
    words = [
        "run",
        "--model",
        "superpose",
        "--model_args",
        "base=b,sum=math;math + law,dtype=float32",
    ]
    first, second = each_sum(words)
    assert first[-1] == "base=b,sum=math,model=math,dtype=float32"
    assert second[-1] == "base=b,sum=math + law,model=math + law,dtype=float32"
    apart = ["--model_args", "base=b", "sum=math;law", "model=mine", "--tasks", "t"]
    assert [run[2] for run in each_sum(apart)] == ["sum=math", "sum=law"]
    assert [*each_sum(["run", "--model_args", "base=b,sum=math"])] == [
        ["run", "--model_args", "base=b,sum=math"]
    ]
    assert [run[-1] for run in each_sum(["--model_args=base=b,sum=math;law"])] == [
        "--model_args=base=b,sum=math,model=math",
        "--model_args=base=b,sum=law,model=law",
    ]


def test_the_command_line_evaluates_each_sum_and_names_its_results(
    tiny_base: Path,
    rows: Path,
    here: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No device is named; without the harness's own tasks, which `make test-pages` has it read."""
    without = partial(TaskManager, include_defaults=False)
    indexed: list[Path] = []
    files_in = TaskIndex._iter_yaml_files

    def counted(folder: Path) -> Any:
        indexed.append(folder)
        return files_in(folder)

    monkeypatch.setattr(TaskIndex, "_iter_yaml_files", staticmethod(counted))
    monkeypatch.setattr("lm_eval.tasks.TaskManager", without)
    data = {"data_files": {"test": str(rows)}, "cache_dir": str(tmp_path / "cache")}
    (tmp_path / "sums.yaml").write_text(
        f"task: sums\ndataset_path: json\n"
        f"dataset_kwargs: {json.dumps(data)}\n"
        "test_split: test\noutput_type: multiple_choice\n"
        'doc_to_text: "Question: {{question}}\\nAnswer:"\ndoc_to_choice: choices\n'
        "doc_to_target: 0\nmetric_list:\n  - {metric: acc}\n",
        encoding="utf-8",
    )
    code = main(
        ["run", "--model", "superpose", "--model_args", f"base={tiny_base},sum=math;math+-1*law",
         "--include_path", str(tmp_path), "--tasks", "sums",
         "--output_path", str(tmp_path / "results")]
    )  # fmt: skip
    assert code == 0
    assert indexed == [tmp_path]  # of both sums
    written = sorted((tmp_path / "results").rglob("results_*.json"))
    assert len(written) == 2
    assert len({path.parent.name for path in written}) == 2
    sums = {json.loads(path.read_text())["config"]["superpose"]["sum"] for path in written}
    assert sums == {"math", "math+-1*law"}
    assert main(["run", "--model", "superpose", "--model_args", f"base={tiny_base},sum=nan*math",
                 "--include_path", str(tmp_path), "--tasks", "sums"]) == 2  # fmt: skip
    assert "`nan` before the * is no task weight" in capsys.readouterr().err


def test_the_entry_point_of_the_harness_names_the_model() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module, _, name = project["entry-points"]["lm_eval.models"]["superpose"].partition(":")
    assert (module, name) == (SuperposeLM.__module__, SuperposeLM.__name__)
