"""Every way in that takes a path from somebody else: nothing leaves the folder it may write to.

The world beside that folder holds a secret and an adapter. Afterwards it is as it was, and no file
that was written, or line that was printed, holds the secret (`unharmed`).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import superpose
from superpose.adapter import Adapter
from superpose.data.chat import ChatTemplate
from superpose.errors import BadInput, Refused, SuperposeError
from superpose.files.hub import fetch, hub_files

if TYPE_CHECKING:
    from tests.cli.conftest import Run
    from tests.loopback_hub import Hub

UPWARDS = (
    "../outside/secret", "inside/../../outside/secret", "..\\outside\\secret", "..", "../..", "~/x",
)  # fmt: skip


@pytest.mark.parametrize("name", ["../../outside/adapter/adapter_model.safetensors", "/etc/passwd"])
def test_the_index_of_shards_names_files_beside_it_alone(
    name: str, world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    whole = Path("a/adapter_model.safetensors")
    tensors = load_file(whole)
    whole.unlink()
    absolute = str(world / "outside/adapter/adapter_model.safetensors")
    for file in (name, absolute, "sub/adapter_model.safetensors"):
        index = {"metadata": {}, "weight_map": dict.fromkeys(tensors, file)}
        Path("a/adapter_model.safetensors.index.json").write_text(json.dumps(index))
        for words in (["info", "a"], ["add", "a", "b", "-o", "out"]):
            ended = run(*words)
            unharmed(ended.out, ended.err)
            assert ended.code == 2
            assert "no file's name" in ended.err
    assert not Path("out").exists()


@pytest.mark.parametrize("file", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_link_to_what_is_none_of_an_adapters_files_shows_nothing_of_it(
    file: str, world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    (Path("a") / file).unlink()
    (Path("a") / file).symlink_to(world / "outside/secret")
    for words in (["info", "a"], ["check", "a", "b"], ["add", "a", "b", "-o", "out"]):
        ended = run(*words)
        unharmed(ended.out, ended.err)
        assert ended.code == 2
        assert file in ended.err


@pytest.mark.parametrize("name", [*UPWARDS, "/etc/x", "C:\\x", ".", "", "a\x00b", "con:x"])
def test_adapters_that_a_file_names_are_written_into_the_folder_that_was_asked_for(
    name: str, unharmed: Callable[..., None]
) -> None:
    one, two = (superpose.load(folder) for folder in "ab")
    named = [Adapter(dict(one), name, one.base_model), Adapter(dict(two), name, two.base_model)]
    superpose.compress(named, "small", form="shared")
    superpose.expand("small", "out")
    folders = sorted(Path("out").iterdir())
    assert len(folders) == 2
    assert all(path.is_dir() and not path.is_symlink() for path in folders)
    unharmed()


@pytest.mark.parametrize("kind", ["part", "old"])
def test_what_looks_like_left_behind_and_is_a_link_takes_nothing_with_it(
    kind: str, world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    from superpose.files.unfinished import beside

    link = beside(Path("out").absolute(), kind)
    link.symlink_to(world / "outside")
    ended = run("add", "a", "b", "-o", "out", "--force")
    unharmed(ended.out, ended.err)
    assert Path("out").is_dir() or ended.code == 2


@pytest.mark.parametrize(
    "name",
    ["org/x/../../../outside/adapter", "hf://org/..", "org/x@../../../y", "org/../x", "../org/x",
     "hf://../x", "org/x/..", "org/..@main", "https://huggingface.co/org/x/tree/main/../../y"],
)  # fmt: skip
def test_a_name_of_the_hub_leads_nowhere_else(
    name: str, hub: Hub, world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    hub.put("org/x", {"adapter_config.json": b"{}"})
    ended = run("info", name)
    unharmed(ended.out, ended.err)
    assert ended.code in (2, 3)


def test_a_hub_that_names_files_elsewhere_is_not_followed(
    hub: Hub, world: Path, unharmed: Callable[..., None]
) -> None:
    own = {path.name: path.read_bytes() for path in Path("a").iterdir()}
    evil = {
        "../evil": b"x", "../../../outside/evil": b"x", "/etc/evil": b"x", "..\\evil": b"x",
        "../adapters.safetensors": b"x", "sub/../../adapter_model.safetensors": b"x",
    }  # fmt: skip
    hub.put("org/whole", own | evil)
    assert len(superpose.load("org/whole")) == 2
    assert sorted(hub.fetched) == [f"org/whole/{name}" for name in sorted(own)]
    config = {"adapter_config.json": own["adapter_config.json"]}
    hub.put("org/none", config | evil)
    index = {"weight_map": {"x": "../../../outside/adapter/adapter_model.safetensors"}}
    named = json.dumps(index).encode()
    hub.put("org/shards", config | evil | {"adapter_model.safetensors.index.json": named})
    for name in ("org/none", "org/shards"):
        with pytest.raises(SuperposeError):
            superpose.load(name)
    for file in evil:
        with pytest.raises(SuperposeError):
            superpose.load(f"org/whole/{file}")
    assert not [path for path in world.rglob("*") if "evil" in path.name]
    assert hub_files("hf://org/none")  # a list of names, to be shown
    unharmed()


def test_a_cache_of_the_hub_whose_files_lead_out_is_not_copied(
    hub: Hub, world: Path, unharmed: Callable[..., None]
) -> None:
    hub.put("org/math", {path.name: path.read_bytes() for path in Path("a").iterdir()})
    folder = fetch("org/math")
    (folder / "README.md").symlink_to(world / "outside/secret")
    with pytest.raises(Refused, match="is a link out of its folder"):
        superpose.push(folder, "org/other", dry_run=True)
    total = superpose.load("org/math") + superpose.load("b")
    total.save("out")
    (folder / "README.md").unlink()
    unharmed()


@pytest.mark.parametrize("name", [*UPWARDS, "/etc/evil", ".evil"])
def test_a_study_file_names_no_folder_elsewhere(
    name: str, run: Run, unharmed: Callable[..., None]
) -> None:
    Path("rows.jsonl").write_text('{"question": "a", "answer": "b"}\n' * 9, encoding="utf-8")
    domain = {"data": "rows.jsonl"}
    for study in (
        {"name": name, "base": "smollm2", "domains": {"x": domain, "y": domain}},
        {"name": "fine", "base": "smollm2", "domains": {name: domain, "y": domain}},
    ):
        Path("study.yaml").write_text(json.dumps(study), encoding="utf-8")
        ended = run("study", "study.yaml", "--dry-run")
        unharmed(ended.out, ended.err)
        assert ended.code == 2, ended
        assert "no name of a study" in ended.err or "cannot be named" in ended.err


def test_a_question_file_that_is_a_secret_is_not_quoted(
    world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    for name in ("rows.jsonl", "rows.csv", "rows.json"):
        Path(name).symlink_to(world / "outside/secret")
        ended = run("add", "a", "b", "-o", "out", "--method", "regmean", "--data", name)
        unharmed(ended.out, ended.err)
        assert ended.code in (2, 3)
    ended = run("add", "a", "b", "-o", "out", "--method", "regmean", "--statistics", "rows.jsonl")
    unharmed(ended.out, ended.err)
    assert ended.code == 2


def test_metadata_names_no_place_to_write_to(unharmed: Callable[..., None]) -> None:
    """Of an image LoRA: the name it says it has is not what its copy is called."""
    x = np.ones((2, 8), np.float32)
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q"
    tensors = {
        f"{key}.lora_down.weight": x,
        f"{key}.lora_up.weight": x.T.copy(),
        f"{key}.alpha": np.array(2.0, np.float32),
    }
    for n, name in enumerate(("../../outside/evil", "/etc/evil")):
        noted = {
            "ss_output_name": name,
            "modelspec.title": name,
            "ss_network_module": "networks.lora",
        }
        save_file(tensors, f"i{n}.safetensors", metadata=noted)
    superpose.add(["i0.safetensors", "i1.safetensors"], "sum.safetensors")
    superpose.compress(["i0.safetensors", "i1.safetensors"], "small", form="shared")
    superpose.expand("small", "out")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "i0.safetensors",
        "i1.safetensors",
    ]
    unharmed()


def test_an_index_that_names_other_places_reads_adapters_alone(
    world: Path, run: Run, unharmed: Callable[..., None]
) -> None:
    """An index that was changed by hand: checksums tell, and nothing is written by its paths."""
    assert run("index", "a", "b", "-o", "library").code == 0
    for file in sorted(Path("library").rglob("*.json")):
        text = file.read_text(encoding="utf-8")
        changed = text.replace(str(world / "here/a"), str(world / "outside/secret"))
        file.write_text(changed, encoding="utf-8")
    for words in (
        ["near", "b", "--index", "library"], ["unmix", "b", "--index", "library"],
        ["check", "--index", "library"], ["index", "a", "b", "-o", "library"],
    ):  # fmt: skip
        ended = run(*words)
        unharmed(ended.out, ended.err)
        assert ended.code in (0, 2), ended
        assert "Traceback" not in ended.err


def test_a_request_of_a_server_stays_in_what_is_allowed(
    world: Path, unharmed: Callable[..., None]
) -> None:
    from superpose.serving import AdapterServer, ServerSettings

    shutil.copytree("a", "allowed/a")
    Path("allowed/link").symlink_to(world / "outside/adapter")
    settings: dict[str, Any] = {"folders": (Path("allowed"),), "cache": Path("kept")}
    server = AdapterServer(ServerSettings(**settings))
    for name in (*UPWARDS, "link", str(world / "outside/adapter"), "a/../../../outside/adapter"):
        for request in (name, f"a+{name}", f"0.5*{name}+a"):
            with pytest.raises((BadInput, Refused)) as refused:
                assert server.serve("org/tiny-llama", request) is not None
            unharmed(refused.value)
    assert not Path("kept").exists()


@pytest.mark.parametrize(
    "command",
    ["info pipe", "check a pipe", "info a-pipe", "diff a b-pipe", "info pipe.gguf",
     "info pipe.safetensors", "study pipe.yaml", "add a b -o out --weights pipe.json",
     "add a b -o out.gguf --base base", "bake base a -o out",
     "add a b -o out --method regmean --base smollm2 --data pipe.jsonl",
     "add a b -o out --method regmean --statistics pipe.safetensors"],
)  # fmt: skip
def test_nothing_waits_for_somebody_to_write_into_a_pipe(
    command: str, run: Run, unharmed: Callable[..., None]
) -> None:
    for name, file in (("a", "adapter_config.json"), ("b", "adapter_model.safetensors")):
        shutil.copytree(name, f"{name}-pipe")
        (Path(f"{name}-pipe") / file).unlink()
        os.mkfifo(Path(f"{name}-pipe") / file)
    Path("base").mkdir()
    os.mkfifo("base/config.json")
    for ending in ("", ".gguf", ".safetensors", ".yaml", ".json", ".jsonl"):
        os.mkfifo(f"pipe{ending}")
    ended = run(*command.split())
    unharmed(ended.out, ended.err)
    assert ended.code == 2, ended
    assert ended.err.startswith("error: ")
    assert "a PEFT adapter is a folder" not in ended.err
    assert not Path("out").exists()
    for path in Path().rglob("*"):
        if path.is_fifo():
            path.unlink()


def test_a_shell_may_hand_over_what_it_writes(tmp_path: Path) -> None:
    """`--data <(...)` is a pipe with somebody at its other end."""
    from superpose.data.question_file import records_of

    reading, writing = os.pipe()
    os.write(writing, b'{"question": "a", "answer": "b"}\n')
    os.close(writing)
    try:
        assert len(list(records_of(Path(f"/dev/fd/{reading}")))) == 1
    finally:
        os.close(reading)
    os.mkfifo(tmp_path / "pipe.jinja")
    with pytest.raises(BadInput, match="no regular file"):
        ChatTemplate.in_file(tmp_path / "pipe.jinja", "")
