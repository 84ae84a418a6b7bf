"""Models in GGUF, llama.cpp's format: unpacked once into a folder that transformers reads like any other.

transformers reads a GGUF file by itself, and slowly; what it has read so, it refuses to save, and it cannot be trained.
So the tensors go into single precision safetensors once, beside the tokenizer that the file holds, and everything else
in this package sees a plain model folder. Numbers that were rounded for the file stay rounded. What the file says of
its origin and licence lies beside them.
"""

import hashlib
import logging
import os
import shutil
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from optscale_predictor._support.atomic_files import explain_write_errors, write_json
from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.usual_modes import give_weights_usual_modes
from optscale_predictor.backends.gguf_header import read_gguf_fields
from optscale_predictor.backends.model_source import ModelSource, known_text
from optscale_predictor.errors import InputError

_LOG = logging.getLogger(__name__)


#: What a file says of its model's origin, in the folder that it was unpacked into.
SOURCE_FILE = "gguf_source.json"

_NAME, _MAKERS, _LICENSE, _TYPE = "general.name", "general.organization", "general.license", "general.file_type"
_ROUNDED = "MOSTLY_"  # before the name of most tensors' type


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
    folder = _unpacked_folder(file)
    cache = folder.parent
    if folder.is_dir():
        return folder
    if find_spec("gguf") is None:
        raise InputError(f"model {name!r}: a GGUF file needs pip install 'optscale-predictor[gguf]'")
    _LOG.info(f"{name}: unpacking {file.name} into {folder}, once")
    with explain_write_errors(folder):
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f".{folder.name}.", dir=cache))
    try:
        _convert(file, partial, name)
        _rename_whole(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def gguf_source(file: Path) -> ModelSource:
    """What a GGUF file says of its model's origin; nothing is unpacked for it.

    It is read from beside the unpacked tensors where it lies there, and is written there where they lie without it.

    Args:
        file: The GGUF file.

    Raises:
        OSError: There is no such file, or it cannot be read.
    """
    folder = _unpacked_folder(file)
    try:
        return ModelSource.from_json(read_object(folder / SOURCE_FILE))
    except InputError:  # none yet, or none of this version
        source = _read_source(file)
    if folder.is_dir():
        with suppress(InputError):  # a cache that cannot be written: read again next time
            write_json(source.as_json(), folder / SOURCE_FILE)
    return source


def _read_source(file: Path) -> ModelSource:
    try:
        stated = read_gguf_fields(file, (_NAME, _MAKERS, _LICENSE, _TYPE))
    except ValueError:  # what reads its tensors says what is wrong with it
        stated = {}
    license = known_text(stated.get(_LICENSE))
    return ModelSource(
        name=known_text(stated.get(_NAME)),
        organization=known_text(stated.get(_MAKERS)),
        license=license,
        license_from="GGUF file" if license else None,
        file=known_text(file.name),
        sha256=_digest(file, "sha256"),
        quantization=_quantization(stated.get(_TYPE)),
    )


def _quantization(file_type: object) -> str | None:
    """The name of the type that most tensors have: ``Q4_1``, ``F16``."""
    if find_spec("gguf") is None or not isinstance(file_type, int):
        return None
    from gguf import LlamaFileType

    try:
        return LlamaFileType(file_type).name.removeprefix(_ROUNDED).removeprefix("ALL_")
    except ValueError:  # of a later version of the format
        return None


def _unpacked_folder(file: Path) -> Path:
    """Where a file's tensors lie once it was unpacked."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "optscale-predictor" / "gguf"
    return cache / f"{file.stem}-{_digest(file, 'blake2b')[:16]}"


def _digest(file: Path, kind: str) -> str:
    stat = file.stat()
    return _digest_once(file, kind, stat.st_size, stat.st_mtime_ns)


@lru_cache
def _digest_once(file: Path, kind: str, size: int, changed: int) -> str:
    """Of the content, hexadecimal; read once a process while size and time of change (nanoseconds) stay."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest()


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
    write_json(_read_source(file).as_json(), folder / SOURCE_FILE)


def _rename_whole(partial: Path, folder: Path) -> None:
    """Gives a folder that is whole its name; where another process was faster, its folder stays."""
    with explain_write_errors(folder):
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
