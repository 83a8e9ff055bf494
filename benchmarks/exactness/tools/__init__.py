"""The tools that are measured: a file each, every one with a list of ways to use it.

A tool's own library is imported inside the functions that call it, so that this list can be read
in an interpreter that has none of them.
"""

from __future__ import annotations

from benchmarks.exactness.protocol import Tool
from benchmarks.exactness.tools.ckptkit import CKPTKIT
from benchmarks.exactness.tools.concadptr import CONCADPTR
from benchmarks.exactness.tools.mergekit import MERGEKIT
from benchmarks.exactness.tools.peft import PEFT
from benchmarks.exactness.tools.soup import SOUP
from benchmarks.exactness.tools.superpose import SUPERPOSE
from benchmarks.exactness.tools.vlora import VLORA

__all__ = ["NOT_MEASURED", "TOOLS"]

TOOLS: dict[str, Tool] = {
    tool.name: tool for tool in (SUPERPOSE, PEFT, MERGEKIT, SOUP, VLORA, CONCADPTR, CKPTKIT)
}

NOT_MEASURED: dict[str, str] = {
    "adapters 1.3.0": "pins transformers 4.57 and reads its own format, not PEFT's folders",
    "chorus-fl 0.1.0": "a server that averages its clients' adapters: there is no sum to ask for",
    "crdt-merge 0.11.0": "`crdt-merge model lora merge` ends in a TypeError on any two adapters",
    "llamafactory 0.9.5": "pins peft below 0.19, so it does not install beside us; its export "
    "merges one adapter after the other with PEFT, which is measured as PEFT's `one by one`",
    "lorashare 0.1.3, gradience 0.11.0, mergelens 2.0.3": "compress or inspect adapters; "
    "they write no sum",
    "mergekitty 0.3.1": "a fork of mergekit that pins torch 2.10, so it does not install beside us",
    "ms-swift 4.6.0": "pins peft below 0.21, so it does not install beside us; merges with PEFT",
    "ttmerge 0.0.4": "pins safetensors below 0.5 and merges in memory: it writes nothing",
}
"""Tools from the package index that are not in the table, and why."""
