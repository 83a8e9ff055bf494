"""The embedded model's own file, with an adapter of superpose's, in llama.cpp and in PEFT.

The file holds weights of four bits, and llama.cpp rounds what it multiplies them with to eight:
that alone sets its logits apart from those of transformers, which computes with the dequantised
weights. The same weights written out in float32 leave nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.formats.gguf.both_engines import Made, far, make

from superpose.files import embedded

pytestmark = pytest.mark.slow

LoadEngine = Callable[[Path], Any]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    pytest.importorskip(
        "llama_cpp", reason="needs llama-cpp-python, which compiles: make test-llama"
    )
    return make(tmp_path_factory.mktemp("smollm2"))


def test_in_float32_llama_cpp_and_peft_are_one(made: Made, engine: LoadEngine) -> None:
    llama, tokens = engine(made.where / "float32.gguf"), made.peft.tokens
    assert far(llama.logits(tokens), made.base) < 1e-4 * made.effect
    assert far(llama.logits(tokens, made.one), made.right) < 1e-4 * made.effect
    assert far(llama.logits(tokens, *made.two), made.right) < 1e-4 * made.effect


def test_beside_the_four_bit_file_its_own_noise_is_all_that_is_between_them(
    made: Made, engine: LoadEngine
) -> None:
    llama, tokens = engine(embedded.gguf_file()), made.peft.tokens
    noise = far(llama.logits(tokens), made.base)
    assert made.effect > noise
    one, two = llama.logits(tokens, made.one), llama.logits(tokens, *made.two)
    assert far(one, made.right) < 1.5 * noise
    # Of one noise both: what is rounded to eight bits differs in its last places alone.
    assert far(two, made.right) < 1.5 * noise


def test_both_write_the_same_text(made: Made, engine: LoadEngine) -> None:
    llama, tokens = engine(made.where / "float32.gguf"), made.peft.tokens
    found = llama.greedy(tokens, 16, made.one)
    assert found == made.peft.greedy(16, made.where / "folder")
    assert found != llama.greedy(tokens, 16)
