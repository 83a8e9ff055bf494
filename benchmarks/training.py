"""Tokens a second of `superpose train`, beside a plain PyTorch loop on the same batches."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measure import call, interleaved, ratio
from benchmarks.plain import train_plainly
from benchmarks.result import Result, Target
from superpose.data.prompt import Prompt
from superpose.data.questions import generate
from superpose.model.base_model import load_base
from superpose.training.settings import LoraSettings, TrainingSettings
from superpose.training.train import train

__all__ = ["measure"]

LORA = LoraSettings(rank=4, alpha=64, targets=("q_proj", "k_proj", "v_proj", "o_proj", "down_proj"))
TRAINING = TrainingSettings(batch_size=4, learning_rate=1e-3)


def measure(repeats: int = 5, rows: int = 32, base: str = "smollm2") -> Result:
    """The demo's finance rows; both ways train, from the base in memory to the adapter on disk."""
    model = load_base(base)
    given, _ = generate("finance", rows, 1, seed=0)
    examples = Prompt(model.tokenizer, max_tokens=96).encode_all(given)
    with TemporaryDirectory() as name:
        ours, theirs = Path(name, "ours"), Path(name, "theirs")
        timings = interleaved(
            {
                "superpose train": lambda: call(
                    lambda: train(
                        model, examples, ours, lora=LORA, training=TRAINING, seed=0, force=True
                    )
                ),
                "plain PyTorch loop": lambda: call(
                    lambda: train_plainly(model, examples, theirs, LORA, TRAINING, 0)
                ),
            },
            repeats,
        )
        tokens = train_plainly(model, examples, theirs, LORA, TRAINING, 0)
    trained, plain = timings.values()
    return Result(
        "training",
        f"How many tokens a second does training see, beside a plain PyTorch loop with the same "
        f"batches ({rows} of the demo's finance rows, {base}, rank 4, batches of 4)?",
        timings,
        (
            Target("tokens/s, superpose / plain loop", ratio(plain, trained), ">=", 0.9),
            Target("tokens/s, superpose", tokens / trained.median),
            Target("tokens/s, plain loop", tokens / plain.median),
        ),
    )
