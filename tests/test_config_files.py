"""Files of flags that anybody may have written, read by jsonargparse through our reader: values, or one line."""

from dataclasses import dataclass

import pytest
from test_yaml_reader import HOSTILE

from optscale_predictor.backends.option_flags import FlagParser
from optscale_predictor.backends.options import GeneratorOptions
from optscale_predictor.errors import InputError


@pytest.fixture
def parser():
    parser = FlagParser(prog="p")
    parser.add_argument("--config", action="config")
    parser.add_argument("--a", type=int, default=1)
    parser.add_argument("--text", type=str, default="")
    parser.add_argument("--names", type=list[str], default=[])
    return parser


def test_flags_are_read_as_before(parser, tmp_path):
    (tmp_path / "a.yaml").write_text("a: 3\ntext: 2026-13-01\nnames: &names [x, y]\n")
    found = parser.read(["--config", str(tmp_path / "a.yaml"), "--text", "[[[ no YAML"])
    assert (found["a"], found["text"], found["names"]) == (3, "[[[ no YAML", ["x", "y"])
    assert parser.read(["--config", str(tmp_path / "a.yaml")])["text"] == "2026-13-01"


# A date is no type of a flag's: jsonargparse reads one as text.
@pytest.mark.parametrize("name", [name for name in HOSTILE if name not in ("a month 13", "half a pair")])
def test_a_hostile_file_is_one_line_that_names_it(name, parser, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(HOSTILE[name][0])
    with pytest.raises(InputError) as raised:
        parser.read(["--config", str(path)])
    assert str(raised.value).startswith(f"{path}") and "\n" not in str(raised.value) and len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bytes(range(128, 256)), "cannot read it: 'utf-8' codec can't decode"),
        (b"\x1f\x8b\x08\x00" + bytes(99), "cannot read it: "),
        (b"- a\n- b\n", "expected flags with their values, got list"),
        (b"", "expected flags with their values, got nothing"),
        (b"a: 1\n" * 2**18, "cannot read it: no such file has more than 262,144 bytes"),
    ],
)
def test_a_file_of_no_flags_is_one_line_that_names_it(content, says, parser, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as raised:
        parser.read(["--config", str(path)])
    assert str(raised.value).startswith(f"{path}: {says}") and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("max_tokens: null\n", "--max_tokens may not be null; its default is 256"),
        ("stop: ~\n", "--stop may not be null; its default is ()"),
        ("server: {max_retries: null}\n", "--server.max_retries may not be null; its default is 8"),
        ("seed: 1\nserver: null\n", "--server may not be null"),
        ("vllm.more: null\n", "--vllm.more may not be null; its default is {}"),
    ],
)
def test_a_null_is_no_value_of_what_has_another_default(content, says, tmp_path):
    parser = FlagParser(prog="p")
    parser.add_argument("--config", action="config")
    parser.add_options(GeneratorOptions())
    path = tmp_path / "a.yaml"
    path.write_text(content)
    with pytest.raises(InputError) as raised:
        parser.read(["--config", str(path)])
    assert str(raised.value) == says
    path.write_text("base_url: null\nserver: {timeout: null}\n")
    assert parser.read(["--config", str(path)])["server"].timeout is None


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--base_url", ""], "--base_url may not be empty; its default is None"),
        (["--engine="], "--engine may not be empty; its default is 'auto'"),
        ({"vllm": {"dtype": ""}}, "--vllm.dtype may not be empty; its default is 'auto'"),
        (["pool", "", "--engine", "auto"], "place is empty"),
    ],
)
def test_an_empty_text_is_no_value_of_what_has_another_default(given, says):
    """It comes of a shell's variable that is not set, and would be taken for a flag that was not given."""
    parser = FlagParser(prog="p")
    parser.add_options(GeneratorOptions())
    parser.add_argument("--where", default="")
    if "pool" in given:
        parser.add_argument("name")
        parser.add_argument("place")
    with pytest.raises(InputError) as raised:
        parser.read(given)
    assert str(raised.value) == says
    assert parser.read(["a", "b", "--where", ""] if "pool" in given else ["--where", ""])["where"] == ""


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 5000, '["a\\0"' + "]" * 3000, "- " * 3000])
@pytest.mark.parametrize("flag", ["--a", "--names"])
def test_a_hostile_value_is_one_line(flag, value, parser):
    with pytest.raises(InputError) as raised:
        parser.read([flag, value])
    assert "\n" not in str(raised.value)


@dataclass
class Settings:
    """Of some part, which a file may hold."""

    size: int = 1


def test_a_file_of_settings_that_is_no_text_is_one_line(parser, tmp_path):
    """jsonargparse reads these files itself."""
    parser.add_class_arguments(Settings, "part")
    path = tmp_path / "part.yaml"
    path.write_text("size: 3\n")
    assert parser.read(["--part", str(path)])["part"].size == 3
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(InputError, match=r"^a file that a flag names for its value is no text in UTF-8: [^\n]*$"):
        parser.read(["--part", str(path)])
