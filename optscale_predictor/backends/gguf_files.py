"""Models in GGUF, llama.cpp's format: unpacked once into a folder that transformers reads like any other.

transformers reads a GGUF file by itself, and slowly; what it has read so, it refuses to save, and it cannot be trained.
So the tensors go into single precision safetensors once, beside the tokenizer that the file holds, and everything else
in this package sees a plain model folder. Numbers that were rounded for the file stay rounded.
"""

import hashlib
import os
import shutil
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from optscale_predictor._support.atomic_files import explain_write_errors
from optscale_predictor._support.progress import say
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.errors import InputError


def unpack_gguf(file: Path, name: str) -> Path:
    """The model folder of a GGUF file: made the first time, found again later.

    It lies in the user's cache (``XDG_CACHE_HOME``, by default ``~/.cache``) under a name that tells the content,
    so a file that changes is unpacked anew.

    Args:
        file: The GGUF file, whole (not one of several parts).
        name: What errors call the model.

    Raises:
        InputError: The package ``gguf`` is not installed, the file cannot be read, or the cache cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optscale-predictor" / "gguf"
    stat = file.stat()
    folder = cache / f"{file.stem}-{_digest(file, stat.st_size, stat.st_mtime_ns)}"
    if folder.is_dir():
        return folder
    if find_spec("gguf") is None:
        raise InputError(f"model {name!r}: a GGUF file needs pip install 'optscale-predictor[gguf]'")
    say(f"{name}: unpacking {file.name} into {folder}, once")
    with explain_write_errors(folder):
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{folder.name}.", dir=cache))
    try:
        _convert(file, partial, name)
        _rename_whole(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


@lru_cache
def _digest(file: Path, size: int, changed: int) -> str:
    """A short name of the content; read once a process while size and time of change (nanoseconds) stay."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, hashlib.blake2b).hexdigest()[:16]


def _convert(file: Path, folder: Path, name: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        read: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name)
        tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except Exception as error:  # of many kinds, from the reader of the format and from the model's class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"model {name!r}: {file.name} cannot be read: {reason}") from error
    # A model that was read from GGUF says that it is quantized and refuses to be saved; one of the same class and
    # numbers does not.
    config = read.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(read)(config)
    plain.load_state_dict(read.state_dict())
    plain.generation_config = read.generation_config
    with explain_write_errors(folder):
        plain.float().save_pretrained(folder)
        give_weights_usual_modes(folder)
        tokenizer.save_pretrained(folder)


def _rename_whole(partial: Path, folder: Path) -> None:
    """Gives a folder that is whole its name; where another process was faster, its folder stays."""
    with explain_write_errors(folder):
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
