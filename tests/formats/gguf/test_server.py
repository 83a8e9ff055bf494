"""llama.cpp's own server, asked over HTTP, serves the sums that superpose wrote for it.

The package xllamacpp brings the server's C++ code as a wheel; `make test-llama` installs it.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.gguf.both_engines import TEXT, Made, make

import superpose
from superpose.adapter import Adapter, Delta
from superpose.files import embedded

pytestmark = pytest.mark.slow

Post = Callable[..., Any]
Serve = Callable[..., Post]

WITHOUT_SERVER = "needs xllamacpp, which brings llama.cpp's server: make test-llama"

SAID = 12
"""Tokens whose log-probabilities are compared: the likeliest ones."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip("xllamacpp", reason=WITHOUT_SERVER)
    return make(tmp_path_factory.mktemp("served"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server on a free port, with adapters as `--lora` names them; gives what asks it."""
    xllamacpp = pytest.importorskip("xllamacpp", reason=WITHOUT_SERVER)
    alive: list[Any] = []

    def start(model: Path, *adapters: Path) -> Post:
        settings = xllamacpp.CommonParams()
        settings.model.path, settings.n_ctx, settings.port = str(model), 256, 0
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
        # Keys, values and attention in float32: in halves they would hide the rest.
        settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        settings.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(a), 1.0) for a in adapters]
        alive.append(xllamacpp.Server(settings))
        address = alive[-1].listening_address

        def post(path: str, **body: Any) -> Any:
            asked = urllib.request.Request(
                address + path,
                json.dumps(body).encode() if body else None,
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(asked, timeout=120) as answer:
                return json.load(answer)

        return post

    yield start
    alive.clear()


def likeliest(post: Post, scales: Sequence[float] | None = None) -> dict[int, float]:
    """Ask for the next token of TEXT: log-probabilities of the likeliest ones.

    scales: of the adapters, for this request alone.
    """
    lora = {} if scales is None else {"lora": [{"id": n, "scale": s} for n, s in enumerate(scales)]}
    found = post(
        "/completion", prompt=TEXT, n_predict=1, temperature=0, n_probs=SAID, cache_prompt=False,
        **lora,
    )  # fmt: skip
    said = found["completion_probabilities"][0]["top_logprobs"]
    return {each["id"]: each["logprob"] for each in said}


def apart(said: dict[int, float], logits: np.ndarray) -> float:
    """The largest difference to what these logits of the last token say of the same ones."""
    last = logits[-1] - logits[-1].max()
    right = last - np.log(np.exp(last).sum())
    assert set(said) == set(np.argsort(-right)[: len(said)].tolist())
    return max(abs(value - float(right[token])) for token, value in said.items())


def test_the_server_serves_the_sum_that_peft_computes(made: Made, serve: Serve) -> None:
    post = serve(made.where / "float32.gguf", made.one[0])
    (listed,) = post("/lora-adapters")
    assert (Path(listed["path"]).name, listed["scale"]) == ("sum.gguf", 1.0)
    effect = float(np.abs(made.right[-1] - made.base[-1]).max())
    assert apart(likeliest(post), made.right) < 1e-3 * effect
    assert apart(likeliest(post, [0.0]), made.base) < 1e-3 * effect, "without it the base is left"
    text = post("/completion", prompt=TEXT, n_predict=16, temperature=0, cache_prompt=False)
    greedy = made.peft.greedy(16, made.where / "folder")
    assert text["content"] == made.peft.tokenizer.decode(greedy)


def test_two_files_with_scales_in_the_request_are_the_sum_in_one_file(
    made: Made, serve: Serve
) -> None:
    paths, weights = zip(*made.two, strict=True)
    two = serve(made.where / "float32.gguf", *paths)
    effect = float(np.abs(made.right[-1] - made.base[-1]).max())
    assert apart(likeliest(two, weights), made.right) < 1e-3 * effect
    assert apart(likeliest(two, [0.0, 0.0]), made.base) < 1e-3 * effect


def test_an_adapter_of_another_model_is_refused_when_the_server_starts(
    made: Made, serve: Serve, tmp_path: Path
) -> None:
    small = Delta.of(np.ones((8, 2), np.float32), np.ones((2, 8), np.float32))
    other = Adapter({"model.layers.0.mlp.down_proj": small}, "other", embedded.HUB_NAME)
    superpose.save(other, tmp_path / "other.gguf")
    with pytest.raises(RuntimeError, match="server"):
        serve(made.where / "float32.gguf", tmp_path / "other.gguf")
