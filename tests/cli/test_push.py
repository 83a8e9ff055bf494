"""An adapter goes to the hub as it lies here: its own files, in one commit, and comes back equal.

The hub is the tests' own, on the loopback device; the client is the real one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.loopback_hub import TOKEN

import superpose as library
from superpose.errors import BadInput, Missing, Refused, SuperposeWarning
from superpose.verbs.push import own_files

if TYPE_CHECKING:
    from tests.conftest import Superpose, WriteAdapter
    from tests.loopback_hub import Hub

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch, hub: Hub) -> None:
    """Most tests push with a token that may write to `org`; the hub keeps nothing yet."""
    assert hub.repositories == {}
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def written(hub: Hub) -> list[tuple[str, str]]:
    """The requests that change something."""
    return [(method, path) for method, path in hub.asked if method in {"POST", "PUT"}]


def test_what_is_pushed_is_the_adapters_own_files_and_loads_as_the_same_adapter(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("math")
    (folder / "training.json").write_text("{}")
    (folder / "README.md").write_text("---\nbase_model: org/tiny-llama\n---\n# Math\n")
    for other in ("optimizer.pt", "adapter_model.bin", ".env", "checkpoint-9"):
        (folder / other).write_bytes(b"\x80\x02")
    ended = superpose("push", folder, "org/math", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    own = {CONFIG, WEIGHTS, "README.md", "training.json"}
    assert {file["path"] for file in told["files"]} == own
    assert told["url"] == f"{hub.address}/org/math"
    assert told["bytes"] == sum((folder / name).stat().st_size for name in own)
    files = hub.repositories["org/math"].branches["main"]
    assert {name: files[name] for name in own} == {
        name: (folder / name).read_bytes() for name in own
    }
    assert set(files) == own | {".gitattributes"}
    assert told["commit"] == hub.repositories["org/math"].commit("main")
    assert (library.load("org/math") - library.load(folder)).norm() == 0.0


def test_a_sum_is_pushed_to_a_folder_of_a_branch_in_one_commit(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    math, law = (library.load(write_adapter(n, seed=i)) for i, n in enumerate(("math", "law")))
    library.save(math + 0.5 * law, write_adapter("x").parent / "both")
    both = write_adapter("y").parent / "both"
    ended = superpose("push", both, "org/sums/both", "--branch", "v1", "-m", "The sum")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"pushed both to {hub.address}/org/sums/tree/v1/both\n")
    assert set(hub.repositories["org/sums"].branches["v1"]) == {
        *(".gitattributes", f"both/{CONFIG}", f"both/{WEIGHTS}", "both/README.md"),
    }
    assert set(hub.repositories["org/sums"].branches["main"]) == {".gitattributes"}
    assert [path for _, path in written(hub) if "/commit/" in path] == [
        "/api/models/org/sums/commit/v1"
    ]
    again = library.load("org/sums/both@v1")
    assert (again - (math + 0.5 * law)).norm() < 1e-6 * again.norm()
    assert [parent.weight for parent in again.parents] == [1.0, 0.5]


@pytest.mark.usefixtures("hub")
def test_a_branch_may_stand_behind_the_name_but_not_twice(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("math")
    assert library.push(folder, "org/math@v1", dry_run=True).branch == "v1"
    with pytest.raises(BadInput, match="org/math@v1 names a branch already"):
        library.push(folder, "org/math@v1", branch="v2", dry_run=True)
    with pytest.raises(BadInput, match="no name of a branch"):
        library.push(folder, "org/math", branch="a b", dry_run=True)


def test_pushed_again_it_replaces_what_was_there(hub: Hub, write_adapter: WriteAdapter) -> None:
    first, second = write_adapter("a", seed=1), write_adapter("b", seed=2)
    library.push(first, "org/math")
    pushed = library.push(second, "org/math")
    assert pushed.commit == hub.repositories["org/math"].commit("main")
    assert (library.load("org/math") - library.load(second)).norm() == 0.0


def test_a_dry_run_lists_what_would_be_sent_and_asks_nobody(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter
) -> None:
    ended = superpose("push", write_adapter("math"), "org/math", "--dry-run")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("would push math to ")
    assert CONFIG in ended.stdout
    assert WEIGHTS in ended.stdout
    assert hub.asked == []


def test_a_link_out_of_the_adapters_folder_is_not_sent(
    write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("math")
    (tmp_path / "secret").write_text("mine")
    (folder / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(Refused, match=r"README\.md: is a link out of its folder, to .*secret"):
        library.push(folder, "org/math", dry_run=True)


def test_a_new_repository_is_private_where_that_is_asked(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    library.push(write_adapter("a"), "org/mine", private=True)
    assert hub.repositories["org/mine"].private
    library.push(write_adapter("b"), "org/open")
    assert not hub.repositories["org/open"].private


def test_what_shall_be_private_is_not_sent_to_a_public_repository(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    hub.put("org/open", {})
    with pytest.raises(BadInput, match="is there already and public; nothing was sent"):
        library.push(write_adapter("a"), "org/open", private=True)
    assert hub.repositories["org/open"].branches == {"main": {}}


def test_one_file_is_pushed_alone_under_its_name_or_another(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kohya file holds is read elsewhere: here it is the file that counts."""
    rank = {"lora_down": (2, 8), "lora_up": (8, 2)}
    file = tmp_path / "ink.safetensors"
    key = "lora_unet_down_blocks_0_attentions_0_proj_in"
    tensors: dict[str, Any] = {
        f"{key}.{name}.weight": np.ones(shape, np.float32) for name, shape in rank.items()
    }
    save_file({**tensors, f"{key}.alpha": np.array(2.0, np.float32)}, file)
    (tmp_path / "README.md").write_text("of another thing in this folder")
    assert own_files(file) == [file]
    library.push(file, "org/styles")
    library.push(file, "org/styles/v2/best.safetensors")
    pushed = hub.repositories["org/styles"].branches["main"]
    assert set(pushed) == {".gitattributes", "ink.safetensors", "v2/best.safetensors"}
    assert set(pushed.values()) == {file.read_bytes(), pushed[".gitattributes"]}
    with pytest.raises(BadInput, match=r"the adapter is no \.gguf file"):
        library.push(file, "org/styles/best.gguf")


def test_what_is_no_adapter_is_refused_before_the_hub_is_asked(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    broken = write_adapter("broken")
    (broken / WEIGHTS).write_bytes(b"half a file")
    (tmp_path / "empty").mkdir()
    for name in (broken, tmp_path / "empty", tmp_path / "nothing"):
        ended = superpose("push", name, "org/math")
        assert (ended.returncode, ended.stdout) == (2, ""), name
        assert ended.stderr.startswith("error: ")
        assert "Traceback" not in ended.stderr
    assert hub.asked == []


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize("to", ["math", "./org/math", "org/ma th", "https://example.com/org/math"])
def test_a_name_that_is_none_is_bad_input(to: str, write_adapter: WriteAdapter) -> None:
    with pytest.raises(BadInput, match=r"no name of a rep|no place in a rep"):
        library.push(write_adapter("a"), to)


def test_without_a_token_nothing_is_asked(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    ended = superpose("push", write_adapter("a"), "org/math")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert "error: org/math: the hub takes files from those who say who they are" in ended.stderr
    assert "`hf auth login`" in ended.stderr
    assert hub.asked == []


def test_a_token_that_is_wrong_or_may_not_write_there_is_bad_input(
    hub: Hub, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter("a")
    hub.put("others/math", {})
    for to in ("others/math", "others/new"):
        with pytest.raises(BadInput, match="the hub forbids it to your token"):
            library.push(folder, to)
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody")
    with pytest.raises(BadInput, match="the hub does not accept your token"):
        library.push(folder, "org/math")
    assert set(hub.repositories) == {"others/math"}
    assert hub.large == {}


def test_a_hub_that_is_down_or_forbidden_could_not_be_asked(
    hub: Hub, write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    folder = write_adapter("a")
    hub.broken = 503
    with pytest.raises(Missing, match=r"^org/math: the hub is too busy or down \(503\)"):
        library.push(folder, "org/math")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Missing, match=r"^org/math: HF_HUB_OFFLINE forbids asking the hub"):
        library.push(folder, "org/math")


def test_a_branch_that_the_hub_does_not_take_is_bad_input(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    hub.put("org/math", {})
    with pytest.raises(BadInput, match="org/math has no revision `refs/pr/7`"):
        library.push(write_adapter("a"), "org/math@refs/pr/7")


def test_a_card_that_the_hub_would_refuse_is_refused_before_there_is_a_repository(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    (folder / "README.md").write_text("---\ntags: [x]\nbase_model: /home/me/base\n---\n")
    with pytest.raises(BadInput, match="names its base model by a path or revision") as caught:
        library.push(folder, "org/math")
    assert caught.value.where == str(folder / "README.md")
    assert hub.asked == []


def test_a_card_that_the_hub_refuses_is_said_in_its_words(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    folder = write_adapter("a")
    (folder / "README.md").write_text("---\nbase_model: a/b/c\n---\n")
    with pytest.raises(BadInput, match=r"does not take the card README\.md: .*a/b/c.* is not val"):
        library.push(folder, "org/math")
    assert hub.large == {}


@pytest.mark.usefixtures("hub")
def test_folders_of_this_machine_in_the_files_are_said(write_adapter: WriteAdapter) -> None:
    folder = write_adapter("a", base_model="/home/me/base")
    with pytest.warns(SuperposeWarning, match=r"name folders of this machine \(/home/me/base\)"):
        library.push(folder, "org/math", dry_run=True)


def test_what_superpose_writes_of_a_local_base_has_a_card_that_the_hub_takes(
    hub: Hub, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    library.save(2 * library.load(write_adapter("a", base_model="/home/me/base")), tmp_path / "b")
    with pytest.warns(SuperposeWarning, match="name folders of this machine"):
        library.push(tmp_path / "b", "org/math")
    assert "README.md" in hub.repositories["org/math"].branches["main"]


def test_an_adapter_of_the_hub_is_pushed_to_another_place(
    hub: Hub, write_adapter: WriteAdapter
) -> None:
    files = {path.name: path.read_bytes() for path in write_adapter("a").iterdir()}
    hub.put("others/math", {f"best/{name}": content for name, content in files.items()})
    library.push("others/math/best", "org/copy")
    copied = hub.repositories["org/copy"].branches["main"]
    assert {name: copied[name] for name in files} == files


def test_a_loaded_adapter_is_pushed_as_its_files_and_one_made_in_memory_as_save_writes_it(
    hub: Hub, superpose: Superpose, write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_adapter("math", seed=1)
    math, law = library.load(folder), library.load(write_adapter("law", seed=2))
    said = json.loads(superpose("push", folder, "org/math", "--dry-run", "--json").stdout)
    assert {"schema": 1, **library.push(math, "org/math", dry_run=True).to_json()} == said
    library.push(math, "org/math")
    sent = hub.repositories["org/math"].branches["main"]
    assert sent[WEIGHTS] == (folder / WEIGHTS).read_bytes()
    both = math + 0.5 * law
    with pytest.warns(SuperposeWarning, match=r"^math \+ 0\.5\*law: its files name folders"):
        pushed = library.push(both, "org/both")
    library.save(both, tmp_path / "both")
    assert pushed.name == both.name
    assert "pushed" in pushed._repr_html_()
    assert (library.load("org/both") - library.load(tmp_path / "both")).norm() == 0.0
    assert [parent.weight for parent in library.load("org/both").parents] == [1.0, 0.5]
