"""Files of flags (``--config``): what jsonargparse reads goes through our reader of YAML first.

jsonargparse reads a file as text and hands it to PyYAML; what either stumbles on (bytes that are no text, aliases that
stand for a billion values) comes through as it was raised. Files are checked here before, and errors name them.
"""

import os
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser, get_loader, set_loader

from optscale_predictor._support.text_files import read_text
from optscale_predictor._support.yaml_reader import MOST_YAML, require_plain, unreadable
from optscale_predictor.errors import InputError

_load = get_loader("yaml")


def _read(text: str, location: str) -> Any:
    require_plain(text, location)
    try:
        return _load(text)
    except Exception as error:  # PyYAML's constructors raise what they stumble on: AttributeError, IndexError
        raise unreadable(location, error) from error


def _value(text: str) -> Any:
    return _read(text, "YAML")


class ConfigParser(ArgumentParser):
    """A parser whose files of flags, and flags that are YAML, are checked before anything is built of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # For the whole process, as jsonargparse has it: another parser reads the same of what is not refused.
        set_loader("yaml", _value, (yaml.YAMLError,))

    def parse_path(self, path: str | os.PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """As of jsonargparse, of a file that can be read.

        Raises:
            InputError: It cannot, or holds no flags; the message names the file.
        """
        content = _read(read_text(Path(path), MOST_YAML), str(path))
        if not isinstance(content, dict):
            kind = "nothing" if content is None else type(content).__name__
            raise InputError(f"{path}: expected flags with their values, got {kind}")
        return super().parse_path(path, *args, **kwargs)

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """As of jsonargparse, where every file that a flag's value names is text.

        Raises:
            InputError: One is not. jsonargparse reads files of settings (``--trainer FILE``) itself, and names none.
        """
        try:
            return super().parse_args(*args, **kwargs)
        except UnicodeDecodeError as error:
            raise InputError(f"a file that a flag names for its value is no text in UTF-8: {error.reason}") from error
        except OverflowError as error:  # of a whole number that no float holds
            raise InputError(f"a flag's value is too large a number: {error}") from error
