"""Install the wheel with each extra alone into an environment of its own, and use what it is for.

python scripts/extras_hold.py dist/superpose-0.1.0-py3-none-any.whl -c constraints.txt [EXTRA ...]

Only installing takes the package index: what is tried runs in an empty home, with the hub switched
off or, where the hub is what is tried, with a hub of the tests' own on the loopback device. Ends
with 1 where something that an extra is for does not work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["TRIED", "failures"]

ROOT = Path(__file__).resolve().parent.parent

ADAPTERS = """
import json
import numpy as np
from pathlib import Path
from safetensors.numpy import save_file
rng = np.random.default_rng(0)
for name in ("math", "law"):
    folder = Path(name)
    folder.mkdir()
    module = "base_model.model.model.layers.0.self_attn.q_proj"
    save_file(
        {
            f"{module}.lora_A.weight": rng.normal(size=(2, 32)).astype(np.float32),
            f"{module}.lora_B.weight": rng.normal(size=(32, 2)).astype(np.float32),
        },
        folder / "adapter_model.safetensors",
    )
    config = {"peft_type": "LORA", "base_model_name_or_path": "tiny", "r": 2, "lora_alpha": 4,
              "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))
"""
"""Two adapters in the current folder."""

MODELS = """
import json
import numpy as np
from pathlib import Path
from safetensors.numpy import save_file
rng = np.random.default_rng(0)
weight = rng.normal(size=(32, 32)).astype(np.float32)
change = rng.normal(size=(32, 2)) @ rng.normal(size=(2, 32)) / 100
for name, tensor in {"tiny": weight, "tuned": weight + change.astype(np.float32)}.items():
    Path(name).mkdir()
    save_file({"model.layers.0.self_attn.q_proj.weight": tensor}, f"{name}/model.safetensors")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 32,
              "num_attention_heads": 4}
    Path(name, "config.json").write_text(json.dumps(config))
"""
"""A base model of one matrix, and the same after fine-tuning."""

HUB = """
import os, subprocess, sys
from pathlib import Path
sys.path.insert(0, os.environ["REPOSITORY"])
from tests.loopback_hub import Hub, served
hub = Hub()
hub.put("us/law", {path.name: path.read_bytes() for path in Path("law").iterdir()})
with served(hub) as address:
    there = os.environ | {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}
    command = [os.environ["SUPERPOSE"], "add", "math", "us/law", "-o", "both"]
    subprocess.run(command, env=there, check=True)
"""
"""A sum with an adapter that lies on a hub."""

BASE = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, os.environ["REPOSITORY"])
from benchmarks.byte_models import write_byte_llama
write_byte_llama(Path("tiny"), num_hidden_layers=1, hidden_size=32, intermediate_size=48,
    num_attention_heads=4, num_key_value_heads=2)
with open("sums.jsonl", "w") as file:
    for a in range(12):
        print(json.dumps({"question": f"{a} plus 2?", "answer": f"It is {a + 2}."}), file=file)
"""
"""A language model, and questions."""

HARNESS = """
import subprocess, sys
open("sums.yaml", "w").write(
    "task: sums\\ndataset_path: json\\ndataset_kwargs: {data_files: {test: sums.jsonl}}\\n"
    "test_split: test\\noutput_type: generate_until\\ndoc_to_text: question\\n"
    "doc_to_target: answer\\nmetric_list:\\n  - {metric: exact_match}\\n")
command = [sys.executable, "-m", "superpose.harness", "run", "--model", "superpose", "--model_args",
    "base=tiny,sum=math + 0.5*law", "--include_path", ".", "--tasks", "sums", "--limit", "2"]
subprocess.run(command, check=True)
"""
"""A sum in lm-evaluation-harness."""

TRIED: Mapping[str, tuple[str, ...]] = {
    "": (ADAPTERS, "check math law", "add math law:0.5 -o both", "info both", "diff both both"),
    "gguf": (ADAPTERS, MODELS, "add math law --for llama.cpp --base tiny -o both.gguf"),
    "hub": (ADAPTERS, HUB),
    "library": (ADAPTERS, "index . -o library.index", "near math --index library.index"),
    "lm-eval": (ADAPTERS, BASE, HARNESS),
    "report": (ADAPTERS, "check math law --html page.html"),
    "extract": (MODELS, "extract tiny tuned --rank 2 -o found", "info found"),
    "study": (BASE, "train tiny sums.jsonl -o sums --rank 2", "eval tiny sums --data sums.jsonl"),
}  # fmt: skip
"""What is tried with an extra alone: Python, in which a line break stands, or a command."""

ALONE_OF_NO_USE = {
    "slurm": "starts workers for what the extra study brings",
    "vllm": "is vLLM itself, for a GPU: `make test-vllm` runs the plugin in vLLM for processors",
    "ray": "starts workers for what the extra study brings",
    "test": "the tests'",
    "docs": "the site's",
    "dev": "the developers'",
}
"""Extras that are left out, and why."""


def failures(wheel: Path, extras: list[str], constraints: Path | None) -> Iterator[str]:
    """Try extras of a wheel, and say in words what does not work."""
    for extra in extras:
        print(f"{extra or 'the core alone'} ...", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            environment = Path(folder, "environment")
            venv.create(environment, with_pip=True)
            what = f"{wheel.resolve()}[{extra}]" if extra else str(wheel.resolve())
            install = [environment / "bin/python", "-m", "pip", "install", "--quiet", what]
            limits = ["-c", constraints.resolve()] if constraints else []
            subprocess.run([*install, *limits], check=True)
            yield from (f"[{extra}] {each}" for each in _tried(extra, environment))


def _tried(extra: str, environment: Path) -> Iterator[str]:
    home = environment / "home"
    home.mkdir()
    variables = {
        "HOME": str(home),
        "HF_HUB_OFFLINE": "1",
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.defpath}",
        "REPOSITORY": str(ROOT),
        "SUPERPOSE": str(environment / "bin/superpose"),
    }
    for each in TRIED[extra]:
        python = "\n" in each
        command = ["python", "-c", each] if python else ["superpose", *each.split()]
        program = shutil.which(command[0], path=variables["PATH"])
        ended = subprocess.run(
            [program or command[0], *command[1:]],
            cwd=home,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            yield f"{'what is tried' if python else each}: {ended.stderr.strip()}"
            return


def main() -> int:
    """Try what the command line names; the exit code."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    known = {"", *declared["project"]["optional-dependencies"]} - set(ALONE_OF_NO_USE)
    if known != set(TRIED):
        print(f"not tried or not known: {sorted(known ^ set(TRIED))}", file=sys.stderr)
        return 1
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("extras", nargs="*", help="those alone, in place of all")
    parser.add_argument("-c", "--constraints", type=Path)
    asked = parser.parse_intermixed_args()
    found = list(failures(asked.wheel, asked.extras or list(TRIED), asked.constraints))
    for each in found:
        print(each, file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
