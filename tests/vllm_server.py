"""The real vLLM server of the full tier: it fails, and never skips, where vLLM is missing."""

import os
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from _vllm import serving


def serving_vllm(folder: Path, model: str, *flags: str, max_model_len: int = 512) -> AbstractContextManager[str]:
    """Serves a model with the vLLM of the interpreter that ``OPTSCALE_VLLM_PYTHON`` names; see ``_vllm.serving``."""
    python = os.environ.get("OPTSCALE_VLLM_PYTHON")
    if not python:
        pytest.fail("the full tier needs vLLM: set OPTSCALE_VLLM_PYTHON to an interpreter that has it")
    return serving(python, folder, model, ("--max-model-len", str(max_model_len), *flags))
