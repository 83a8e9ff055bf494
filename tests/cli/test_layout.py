"""Every command's answer in narrow terminals: no figure is cut, and no word is broken."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file
from tests.conftest import write_questions
from tests.library.making import moved, random_factors, write_factors

import superpose
from superpose.cli.app import COMMANDS
from superpose.cli.folding import folded, wrapped
from superpose.cli.show import show
from superpose.shown import Cell, Column, Line, Part, Table
from superpose.studies.summary import Summary
from superpose.studies.tables import adapters_table, study_parts
from superpose.verbs.compare import Comparing

RESULTS = Path(__file__).parents[2] / "docs" / "results"
WIDE = 100_000

# Figures with what may stand around them: an interval's bracket, a foretold one's ~, a comma.
FIGURE = re.compile(r"[-+−±~×(\[]*\d[\d,.]*(?:e[-+]\d+)?[)\]%,;:.]*")
AROUND = "()[]{},;:.`'\"~"

LAYERS = tuple(f"model.layers.{n}.self_attn.{m}_proj" for n in range(2) for m in "oq")
BLOCKS = tuple(
    f"lora_unet_down_blocks_{n}_attentions_1_transformer_blocks_0_attn2_to_{m}"
    for n in range(3) for m in "kv"
)  # fmt: skip


def printed(parts: Iterable[Part], width: int) -> str:
    """What a terminal of so many columns shows."""
    heard = io.StringIO()
    show(parts, Console(file=heard, width=width, highlight=False, emoji=False))
    return heard.getvalue()


def assert_readable(parts: Iterable[Part], width: int) -> None:
    """Fail where a figure, or a word for which there is room, is not whole."""
    parts = tuple(parts)
    wide, narrow = printed(parts, WIDE), printed(parts, width)
    cut = [line for line in narrow.splitlines() if re.search(r"\d…|…\d", line)]
    assert not cut
    figures = {word for word in wide.split() if FIGURE.fullmatch(word)}
    assert figures - set(narrow.split()) == set()
    seen = {word.strip(AROUND) for word in narrow.split()}
    words = {word.strip(AROUND) for word in wide.split() if "─" not in word}
    # At a joint of a path or a module's name a word may be broken.
    assert {w for w in words if len(w) <= 12 and not re.search(r"[-._/:\\]", w)} - seen == set()
    pasted = {part.text.strip() for part in parts if isinstance(part, Line) and part.whole}
    for line in narrow.splitlines():
        if line.strip() in pasted:
            continue
        longest = max(map(len, line.split()), default=0)
        assert len(line) <= width or longest > width - 16 or "superpose " in line, line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Any:
    """A folder with adapters of the tiny base, question files, image LoRAs and a library."""
    top = tmp_path_factory.mktemp("place")
    for seed in range(14):
        rng = np.random.default_rng(seed)
        folder = top / f"run-of-{seed}-thousand" / "checkpoint-500"
        folder.mkdir(parents=True)
        tensors = {}
        for module in LAYERS:
            for factor, shape in {"lora_A": (2, 32), "lora_B": (32, 2)}.items():
                key = f"base_model.model.{module}.{factor}.weight"
                tensors[key] = rng.normal(size=shape).astype(np.float32)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 0.1,
                  "base_model_name_or_path": tiny_base.name,
                  "target_modules": ["o_proj", "q_proj"]}  # fmt: skip
        (folder / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    for seed, name in enumerate(("cats", "dogs")):
        rng = np.random.default_rng(seed)
        images: dict[str, Any] = {}
        for module in BLOCKS:
            images[f"{module}.lora_down.weight"] = rng.normal(size=(2, 8)).astype(np.float16)
            images[f"{module}.lora_up.weight"] = rng.normal(size=(8, 2)).astype(np.float16)
            images[f"{module}.alpha"] = np.array(1.0, np.float16)
        save_file(images, top / f"{name}.safetensors", {"ss_base_model_version": "sd_v1"})
    library = top / "library"
    for number in range(4):
        write_factors(library / f"own-{number}", random_factors(number))
    factors = random_factors(50)
    for step in (100, 200):
        write_factors(library / "run-of-them-all" / f"checkpoint-{step}", factors)
        factors = moved(factors, step, 0.1)
    write_factors(library / "the-same-again", random_factors(0), dtype="bfloat16")
    write_questions(top)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        superpose.index("library", "library.index")
        yield Place(tiny_base)


class Place:
    """What the commands are asked about; each answer is made once."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.all = [f"run-of-{seed}-thousand/checkpoint-500" for seed in range(14)]
        self.two = self.all[:2]
        self.data = ["sums.jsonl", "coins.jsonl"]
        self.four = {"questions": superpose.Calibration(rows=4)}

    def tested(self, verb: Callable[..., Any], **settings: Any) -> Any:
        return verb(self.base, self.two, self.data, **settings)


def baked(place: Place) -> Any:
    return superpose.bake(place.base, place.two, "baked")


def verified(place: Place) -> Any:
    superpose.add(place.two, "verified")
    return superpose.verify(place.base, place.two, "verified")


def expanded(place: Place) -> Any:
    superpose.compress(place.two, "joined", rank=2)
    return superpose.expand("joined/shared.safetensors", "expanded")


def extracted(place: Place) -> Any:
    superpose.bake(place.base, place.two, "whole")
    return superpose.extract(place.base, "whole", rank=2, out="extracted")


def trained(place: Place) -> Any:
    return superpose.train(
        place.base, place.data[0], "trained",
        lora=superpose.LoraSettings(rank=2, targets=("q_proj",)),
        questions=superpose.TrainingQuestions(rows=8),
    )  # fmt: skip


def studied(place: Place) -> Any:
    domains = {name: {"data": f"{name}.jsonl"} for name in ("sums", "coins")}
    study = {"name": "s", "base": str(place.base), "domains": domains, "seeds": [0],
             "train_rows": 8, "test_rows": 4, "calibration_rows": 4}  # fmt: skip
    return superpose.study(study, dry_run=True)


ANSWERS: dict[str, Callable[[Place], Any]] = {
    "check": lambda at: superpose.check(*at.two),
    "check of many": lambda at: superpose.check(*at.all),
    "check of images": lambda at: superpose.check("cats.safetensors", "dogs.safetensors"),
    "check of a library": lambda at: superpose.check(index="library.index"),
    "add": lambda at: superpose.add([at.two[0], f"{at.two[1]}:0.125"], "both"),
    "add of a rank": lambda at: superpose.add(at.all, "few", rank=2),
    "info": lambda at: superpose.info(at.two[0]),
    "info of images": lambda at: superpose.info("cats.safetensors"),
    "bake": baked,
    "verify": verified,
    "diff": lambda at: superpose.diff(*at.two),
    "cite": lambda _: superpose.cite(),
    "index": lambda at: superpose.index("library", "again.index"),
    "near": lambda at: superpose.near("library/own-0", "library.index"),
    "dupes": lambda at: superpose.dupes("library.index"),
    "lineage": lambda at: superpose.lineage("library.index"),
    "unmix": lambda at: superpose.unmix("library/own-1", "library.index"),
    "compress": lambda at: superpose.compress(at.two, "shared", rank=2),
    "expand": expanded,
    "extract": extracted,
    "train": trained,
    "statistics": lambda at: superpose.input_statistics(at.base, at.data[0]),
    "eval": lambda at: at.tested(superpose.evaluate, questions=superpose.TestQuestions(rows=4)),
    "ask": lambda at: superpose.ask(
        at.base, at.two, "1+1?", superpose.Answering(max_new_tokens=3)
    ),
    "predict": lambda at: at.tested(superpose.predict, plan="forecast", **at.four),
    "predict of weights": lambda at: at.tested(superpose.predict, weights=["1,0.5"], **at.four),
    "tune": lambda at: at.tested(superpose.tune, **at.four),
    "compare": lambda at: at.tested(
        superpose.compare, methods=("ties",),
        questions=Comparing(rows=4, test_rows=4, passes=3),
    ),
    "study": studied,
}  # fmt: skip


@pytest.mark.parametrize("command", ANSWERS)
def test_an_answer_is_readable_however_narrow_the_terminal(command: str, place: Place) -> None:
    parts = tuple(ANSWERS[command](place).shown())
    for width in (120, 80, 40, 20):
        assert_readable(parts, width)


def test_every_command_is_here_but_those_that_need_a_hub_or_ten_minutes() -> None:
    """What `demo` prints are the parts of a study, which stand recorded; `help` has no answer."""
    assert {name.partition(" of ")[0] for name in ANSWERS} == set(COMMANDS) - {
        "push",
        "demo",
        "help",
    }


@pytest.mark.parametrize("width", [80, 40, 20])
@pytest.mark.parametrize(
    "path", sorted(RESULTS.glob("*/summary.json")), ids=lambda p: p.parent.name
)
def test_a_recorded_study_is_readable_however_narrow_the_terminal(path: Path, width: int) -> None:
    summary = Summary.from_json(json.loads(path.read_text(encoding="utf-8")))
    assert_readable((adapters_table(summary), *study_parts(summary)), width)


SUMS = (("math", "medicine-and-law"), ("math", "finance"), ("math", "medicine-and-law", "finance"))


def of_sums(*titles: str) -> Table:
    columns = (Column("sum", lambda names: names), *(Column(t, len, ".6f") for t in titles))
    return Table.of("Sums", columns, SUMS)


def test_adapters_are_numbered_where_names_do_not_fit_and_that_is_said_once() -> None:
    tables = [of_sums(*(f"figure {n}" for n in range(each))) for each in (1, 4)]
    text = printed(tables, 60)
    assert text.count("Adapters: 1 math, 2 medicine-and-law and 3 finance.") == 1
    assert (
        re.findall(r"^ (\d[ \d+]*\d) ", text, re.MULTILINE) == ["1 + 2", "1 + 3", "1 + 2 + 3"] * 2
    )
    whole = printed(tables, 120)
    assert "Adapters:" not in whole
    assert whole.count("math + medicine-and-law + finance") == 2


def test_a_table_that_names_each_adapter_gives_the_numbers_itself() -> None:
    rows = [("math",), ("finance",), ("math", "finance")]
    columns = (Column("sum", lambda names: names), *(Column(t, len, ".9f") for t in "abc"))
    text = printed([Table.of("Sums", columns, rows)], 57)
    assert "Adapters:" not in text
    assert re.findall(r"^ (\d.*?)  ", text, re.MULTILINE) == ["1 math", "2 finance", "1 + 2"]


def test_what_all_names_of_modules_begin_with_is_said_once() -> None:
    columns = (Column("module", lambda name: name), Column("cosine", len, ".6f"))
    table = Table.of("Modules", columns, BLOCKS)
    assert printed([table], 120).count("lora_unet_down_blocks") == len(BLOCKS)
    text = printed([table], 70)
    assert "module, all of lora_unet_down_blocks " in text
    for name in BLOCKS:
        assert f" {name.removeprefix('lora_unet_down_blocks_')} " in text


def test_a_sentence_is_broken_at_spaces_and_a_command_stands_alone() -> None:
    path = "/a/very/long/path/" + 60 * "x"
    command = "superpose add " + 20 * "adapter "
    step = f"What came between is: {command.strip()}; or keep one"
    parts = (Line(f"written to {path} and nowhere else", "All:"),
             Line(step, "Next:", commands=(command.strip(),)))  # fmt: skip
    assert printed(parts, 40).splitlines() == [
        "All: written to", path, "and nowhere else",
        "Next: What came between is:", f"  {command.strip()}", "or keep one",
    ]  # fmt: skip


def test_what_is_read_by_nobody_s_terminal_keeps_its_sentences_whole() -> None:
    heard = io.StringIO()
    show([Line(40 * "word ")], Console(file=heard, width=80, soft_wrap=True))
    assert heard.getvalue() == 40 * "word " + "\n"


@pytest.mark.parametrize(
    ("text", "room", "lines"),
    [
        ("one two", 20, ["one two"]),
        ("one two", 4, ["one", "two"]),
        ("self_attn.q_proj", 10, ["self_attn.", "q_proj"]),
        ("abcdef", 4, ["abcd", "ef"]),
        ("数学数学", 5, ["数学", "数学"]),
        ("", 5, [""]),
    ],
)
def test_names_are_folded_at_their_joints(text: str, room: int, lines: list[str]) -> None:
    assert folded(text, room).split("\n") == lines


def test_words_are_never_broken_by_wrapping() -> None:
    assert wrapped("a bcdefgh i", 4) == "a\nbcdefgh\ni"
    assert wrapped("of 95 % in 12 s, 3 steps", 6) == "of\n95 %\nin\n12 s,\n3\nsteps"
    assert Cell.sum_of(["a", "b"]).text == "a + b"
