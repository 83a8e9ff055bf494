"""Links in a base model's folder that lead out of it: what lies there is not passed on.

A base from elsewhere can call any file of this machine its own. What is read as a configuration, a
tokenizer or tensors is checked for being that; what is written into a result or said is the base's
own. Weights may lie elsewhere, as they do where a folder was fetched by link. A named pipe in place
of a file is waited for by nobody.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.chat_templates import write_chat_llama
from tests.cli.conftest import SECRET

from superpose.files import read_header

if TYPE_CHECKING:
    from tests.cli.conftest import Ended, Run
    from tests.conftest import WriteAdapter

INDEX = "model.safetensors.index.json"

PIPE = "a pipe"

CARRIED = ("LICENSE", "added_tokens.json", "vocab.txt", "additional_chat_templates/x.jinja")
"""What the base itself has not, and would be carried along."""

FILES = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
         "chat_template.jinja", "model.safetensors")  # fmt: skip

LOADED = ("config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors")
"""For what takes longer: it loads a base as `eval` does, and writes other files."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of two layers with a chat template."""
    folder = tmp_path_factory.mktemp("bases") / "clean"
    write_chat_llama(folder)
    return folder


@pytest.fixture
def place(world: Path, clean: Path, write_adapter: WriteAdapter, run: Run) -> Path:
    """Beside `here/clean` an adapter of it, what it makes, and questions."""
    shutil.copytree(clean, "clean")
    for seed, name in enumerate(("own", "other")):
        write_adapter(
            f"here/{name}", width=32, modules=("model.layers.0.self_attn.q_proj",), seed=seed
        )
    for first, file in enumerate(("chats.jsonl", "more.jsonl"), start=1):
        Path(file).write_text("".join(map(chat, [first] * 4, range(4))), encoding="utf-8")
    domain = {"train": "chats.jsonl", "test": "more.jsonl"}
    study = {"name": "s", "base": "base", "domains": {"x": domain, "y": domain}, "seeds": [0]}
    study |= {"train_rows": 2, "test_rows": 2, "calibration_rows": 2, "methods": ["regmean"]}
    Path("study.yaml").write_text(json.dumps(study), encoding="utf-8")
    ended = run("bake", "clean", "own", "-o", "baked")
    assert ended.code == 0, ended.err
    return world


def chat(a: int, b: int) -> str:
    """A line of a file of conversations."""
    said = [
        {"role": "user", "content": f"{a} + {b}?"},
        {"role": "assistant", "content": f"{a + b}"},
    ]
    return json.dumps({"messages": said}) + "\n"


@pytest.fixture
def elsewhere(place: Path) -> list[tuple[str, str, Path | None]]:
    """What each file of a base is replaced by; None for a pipe."""
    pipes = [(file, PIPE, None) for file in (*FILES, INDEX, *CARRIED)]
    return [*lying_elsewhere(place), *pipes]


def lying_elsewhere(place: Path) -> Iterator[tuple[str, str, Path]]:
    """Write what each file of a base is replaced by: file, kind, and where it lies.

    The secret as it stands, and a file that is what it should be and holds the secret too.
    """
    for file in (*FILES, INDEX, *CARRIED):
        whole = Path("clean") / file
        fitting = SECRET
        if whole.suffix == ".json":
            held = json.loads(whole.read_text(encoding="utf-8")) if whole.exists() else {}
            if file == "tokenizer.json":  # tokenizers takes no other key
                held["added_tokens"].append({**held["added_tokens"][-1], "content": SECRET})
            else:
                held["note"] = SECRET
            fitting = json.dumps(held)
        elif whole.suffix == ".jinja":
            held = whole.read_text(encoding="utf-8") if whole.exists() else ""
            fitting = f"{{# {SECRET} #}}{SECRET}{held}"
        for kind, text in (("a secret", SECRET), ("one with a secret", fitting)):
            target = place / "outside" / f"{whole.name} is {kind}"
            target.write_text(text, encoding="utf-8")
            yield file, kind, target


def tried(
    elsewhere: list[tuple[str, str, Path | None]], files: tuple[str, ...], run: Run, *words: str
) -> Iterator[tuple[str, str, Ended]]:
    """Run a command on bases in which one of these files is a link; what it wrote holds no secret.

    Gives file, kind and how it ended.
    """
    there = {*Path().iterdir(), Path("base")}
    for file, kind, target in elsewhere:
        if file not in files:
            continue
        shutil.rmtree("base", ignore_errors=True)
        shutil.copytree("clean", "base")
        link = Path("base") / file
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        if target is None:
            with written_into(link):
                ended = run(*words)
        else:
            link.symlink_to(target)
            ended = run(*words)
        # To verify, a copy of the base is a model without the adapters.
        known = (0, 1, 2) if words[0] == "verify" else (0, 2)
        assert ended.code in known, (file, kind, ended)
        assert "Traceback" not in ended.err
        for new in set(Path().iterdir()) - there:
            held = [path for path in (new, *new.rglob("*")) if path.is_file()]
            assert not [p for p in held if SECRET.encode() in p.read_bytes()], (file, kind)
            shutil.rmtree(new) if new.is_dir() else new.unlink()
        yield file, kind, ended


@contextmanager
def written_into(pipe: Path) -> Iterator[None]:
    """A named pipe with somebody at its other end: who opens it fails the test, and does not hang.

    What is loaded by another library than Python's own cannot be stopped there.
    """
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", 'while :; do echo "{" > "$0"; done', pipe])
    try:
        yield
    finally:
        writer.kill()
        writer.wait()


def test_what_bake_copies_or_writes_anew_is_the_bases_own(
    elsewhere: list[tuple[str, str, Path | None]], run: Run, unharmed: Callable[..., None]
) -> None:
    for file, _, ended in tried(
        elsewhere, (*FILES, *CARRIED), run, "bake", "base", "own", "-o", "out"
    ):
        unharmed(ended.out, ended.err)
        assert ended.code == 2, file
        assert Path(file).name in ended.err


def test_an_index_of_shards_that_lies_elsewhere_is_not_written_anew(place: Path, run: Run) -> None:
    shard = "model-00001-of-00001.safetensors"
    shutil.move("clean/model.safetensors", f"clean/{shard}")
    names = read_header(Path("clean") / shard).entries
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
    (Path("clean") / INDEX).write_text(json.dumps(index), encoding="utf-8")
    assert run("bake", "clean", "own", "-o", "whole").code == 0
    shutil.copy(Path("clean") / INDEX, place / "outside/adapter")
    shutil.copytree("clean", "base")
    (Path("base") / INDEX).unlink()
    (Path("base") / INDEX).symlink_to(place / "outside/adapter" / INDEX)
    ended = run("bake", "base", "own", "-o", "out")
    assert ended.code == 2
    assert f"{INDEX}: is a link out of its folder" in ended.err


@pytest.mark.parametrize(
    "command",
    ["verify base own baked", "verify clean own base", "extract base baked -o out --rank 2",
     "extract clean base -o out --rank 2", "add own -o out.gguf --base base",
     "add own other -o out --rank 2 --base base", "check own own --base base",
     "compress --shared own other -o out --rank 2 --base base"],
)  # fmt: skip
def test_what_reads_a_base_without_loading_it_passes_nothing_on(
    command: str,
    elsewhere: list[tuple[str, str, Path | None]],
    run: Run,
    unharmed: Callable[..., None],
) -> None:
    for file, kind, ended in tried(elsewhere, (*FILES, INDEX, *CARRIED), run, *command.split()):
        unharmed(ended.out, ended.err)
        if kind == PIPE and file == "config.json":
            assert ended.code == 2
            assert f"{file}: is a pipe" in ended.err


ROWS = "-d chats.jsonl -d chats.jsonl"


QUICK = [
    ("train base chats.jsonl -o out --targets q_proj --epochs 1 -q", FILES),
    ("eval base own --data chats.jsonl --json -q", FILES),
    ("statistics base chats.jsonl -o out -q", FILES),
    ("add own -o out --verify base", FILES),
    ("ask base own -p 1 --template chat --max-new-tokens 2 --json", FILES),
    (f"predict base own other {ROWS} -o out --html page.html --json", LOADED),
    (f"add own other -o out --method regmean --base base {ROWS}", LOADED),
]
LONGER = [
    (f"predict base own other {ROWS} --plan forecast --csv", LOADED),
    (f"tune base own other {ROWS} -o out --html page.html --json", LOADED),
    (f"compare base own other {ROWS} -t more.jsonl -t more.jsonl --methods sum,regmean "
     "-o out --html page.html --json", LOADED),
    (f"add own other -o out --method ssr --base base {ROWS}", LOADED),
    (f"add own other -o out --method tuned --by adapter --base base {ROWS}", LOADED),
    (f"add own other -o out --method regmean-tuned --base base {ROWS}", LOADED),
    ("study study.yaml -o out --html page.html --paper paper --json", LOADED),
]  # fmt: skip
"""They load a base by the same way as those above."""


@pytest.mark.filterwarnings("default")  # as a command has them: a tuned sum may be zero here
@pytest.mark.parametrize(
    ("command", "files"),
    [*QUICK, *(pytest.param(*each, marks=pytest.mark.hard) for each in LONGER)],
)
def test_what_loads_a_base_passes_nothing_on(
    command: str,
    files: tuple[str, ...],
    elsewhere: list[tuple[str, str, Path | None]],
    run: Run,
    unharmed: Callable[..., None],
) -> None:
    codes = {}
    for file, kind, ended in tried(elsewhere, files, run, *command.split()):
        unharmed(ended.out, ended.err)
        codes[file, kind] = ended.code
        if kind == PIPE:
            assert ended.code == 2, file
            assert f"{file}: is " in ended.err
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        assert codes[file, "a secret"] == 2, file
    assert codes["config.json", "one with a secret"] == 0
    assert codes["tokenizer.json", "one with a secret"] == 0
    if command.startswith(("train", "study")):  # which write the template beside the adapter
        assert codes["chat_template.jinja", "one with a secret"] == 2


def test_weights_that_lie_elsewhere_are_read(place: Path, run: Run) -> None:
    """As in a folder that an earlier huggingface-cli made of links into its cache."""
    shutil.copytree("clean", "base")
    shutil.move("base/model.safetensors", place / "outside/weights")
    Path("base/model.safetensors").symlink_to(place / "outside/weights")
    ended = run("bake", "base", "own", "-o", "out")
    assert ended.code == 0, ended.err
    made, right = (Path(name, "model.safetensors").read_bytes() for name in ("out", "baked"))
    assert made == right


@pytest.mark.filterwarnings("default")  # as a command has them
@pytest.mark.parametrize("file", ["vocab.txt", "tokenizer.json", "chat_template.jinja"])
def test_no_tokenizer_is_carried_that_is_a_link_out_of_an_adapters_folder(
    file: str, world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    (Path("a") / file).symlink_to(world / "outside/secret")
    ended = run("add", "a", "b", "-o", "out")
    unharmed(ended.out, ended.err)
    assert ended.code == 0, ended.err
    assert f"{file} of a cannot be read" in ended.err
    assert "is a link out of its folder" in ended.err
    assert not (Path("out") / file).exists()
