"""llama.cpp's adapters: GGUF LoRA files, read and written."""

from superpose.formats.gguf.base import Base, base_numbers, read_base
from superpose.formats.gguf.read import read_gguf
from superpose.formats.gguf.translate import given_base, to_llama_cpp, to_transformers
from superpose.formats.gguf.write import DTYPES, check_gguf_output, checked_gguf_dtype, write_gguf

__all__ = [
    "DTYPES",
    "Base",
    "base_numbers",
    "check_gguf_output",
    "checked_gguf_dtype",
    "given_base",
    "read_base",
    "read_gguf",
    "to_llama_cpp",
    "to_transformers",
    "write_gguf",
]
