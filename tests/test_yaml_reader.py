"""The one reader of YAML: plain values, or one line, before anything hostile is built."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from optscale_predictor._support.json_reader import DEEPEST
from optscale_predictor._support.yaml_reader import MOST_YAML, parse_yaml, read_yaml
from optscale_predictor.errors import InputError


def doubled(first, template):
    """Aliases of nine aliases each, eight times over."""
    pairs = zip("abcdefgh", "bcdefghi", strict=True)
    lines = [template.format(name=name, aliases=",".join([f"*{before}"] * 9)) for before, name in pairs]
    return "\n".join([f"a: &a {first}", *lines])


def test_settings_are_read_as_pyyaml_reads_them():
    text = "a: {b: [1, 2.5, text, null, yes]}\nbase: &base {x: 1}\nother: {<<: *base, y: 2}\nagain: [*base, *base]"
    assert parse_yaml(text, "f") == yaml.safe_load(text)
    assert parse_yaml("", "f") is None


HOSTILE = {
    "deep flow": ("a: " + "[" * 3000, ":1: cannot read it: nested too deeply, more than 100 levels"),
    "deep block": ("- " * 3000 + "x", ":1: cannot read it: nested too deeply"),
    "aliases of aliases": (doubled("[x]", "{name}: &{name} [{aliases}]"), ":6: cannot read it: it stands for more"),
    "merges of merges": (doubled("{x: 1}", "{name}: &{name} {{<<: [{aliases}]}}"), "it stands for more than 50,000"),
    "many values": ("a:\n" + "- 1\n" * 60_000, "it stands for more than 50,000 values"),
    "a list in itself": ("x: 1\na: &a [*a]", ":2: cannot read it: the alias 'a' contains itself"),
    "a mapping in itself": ("&a {b: {c: *a}}", ":1: cannot read it: the alias 'a' contains itself"),
    "an unknown alias": ("a: *b", "found undefined alias"),
    "NUL in a text": ('a: "x\\0y"', ":1: cannot read it: a text with a NUL in it"),
    "NUL byte": ("a: \0", "not allowed"),
    "many digits": ("a: " + "9" * 5000, ":1: cannot read it: a number of more than 250 digits"),
    "hexadecimal": ("a: -0x" + "f" * 256, "a number of more than 250 digits"),
    "sixties": ("a: " + ":".join(["1"] + ["59"] * 200), "a number of more than 250 digits"),
    "a tag of Python's": ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "a month 13": ("a: 2026-13-01", "month must be in 1..12"),
    "no date": ("a: !!timestamp foo", "a value is not what its tag says (AttributeError)"),
    "no number": ('a: !!int ""', "a value is not what its tag says (IndexError)"),
    "a list as a name": ("? [a]\n: 1", "found unhashable key"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
    "half a pair": ("a: \ud800", "surrogates not allowed"),
    "a tab": ("a:\n\t- b", "found character that cannot start any token"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_one_line(name):
    text, says = HOSTILE[name]
    with pytest.raises(InputError) as raised:
        parse_yaml(text, "FILE")
    assert says in str(raised.value) and str(raised.value).startswith("FILE:") and "\n" not in str(raised.value)


def test_as_deep_as_is_read_and_no_deeper():
    text = "[" * DEEPEST + "]" * DEEPEST
    assert parse_yaml(text, "f") == yaml.safe_load(text)
    with pytest.raises(InputError, match="nested too deeply"):
        parse_yaml(f"[{text}]", "f")


@given(st.text("&*a<:{}[]-!?\"'|>#% \n\t0.~=", max_size=30))
def test_whatever_a_text_holds_it_is_read_as_pyyaml_reads_it_or_refused(text):
    try:
        expected = yaml.load(text, yaml.CSafeLoader)
    except Exception:
        expected = InputError
    try:
        found = parse_yaml(text, "F")
    except InputError as error:
        assert expected is InputError or "contains itself" in str(error)
    else:
        assert repr(found) == repr(expected)  # NaN differs from itself


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (bytes(range(256)), "invalid start byte"),
        (b"a: 1\n" * MOST_YAML, "no such file has more"),
        (None, "No such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_that_names_it(content, says, tmp_path):
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says) as raised:
        read_yaml(path)
    assert str(raised.value).startswith(f"{path}: cannot read it: ")
