"""The one reader of text files, plain or gzip: lines, or one line that says what is wrong with the file."""

import gzip
import tracemalloc
import zlib

import pytest

from optscale_predictor._support.text_files import open_text, read_lines, read_text
from optscale_predictor.errors import InputError

TEXT = "première\n\nlast, without an end"


def corrupt(content):
    """A gzip file, one of whose bytes behind the header was changed: zlib says so, and not the checksum at the end."""
    packed = bytearray(gzip.compress(content))
    for place in range(10, len(packed)):
        for value in range(256):
            changed = bytes(packed[:place]) + bytes([value]) + bytes(packed[place + 1 :])
            try:
                gzip.decompress(changed)
            except zlib.error:
                return changed
            except (OSError, EOFError):
                continue
    raise AssertionError("no change of a byte is an error of zlib's")


@pytest.mark.parametrize("name", ["plain.txt", "plain.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_is_read_whatever_its_name_says(tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(TEXT.encode()))
    with open_text(tmp_path / name) as text:
        assert text.read() == TEXT
    assert list(read_lines(tmp_path / name)) == TEXT.splitlines(keepends=True)


DAMAGED = {
    "zlib": (corrupt(TEXT.encode() * 50), "invalid"),
    "cut off": (gzip.compress(TEXT.encode() * 50)[:-12], "ended before the end-of-stream marker"),
    "checksum": (gzip.compress(TEXT.encode())[:-8] + b"\0" * 8, "CRC check failed"),
    "no gzip behind its mark": (b"\x1f\x8b" + b"\7" * 30, "Unknown compression method"),
    "not UTF-8": (b"a\xff", "invalid start byte"),
    "gzip of what is not UTF-8": (gzip.compress(b"a\xff"), "invalid start byte"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_line_that_names_it(tmp_path, name):
    content, says = DAMAGED[name]
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(InputError, match=says) as raised:
        list(read_lines(tmp_path / "a", "read questions"))
    assert str(raised.value).startswith(f"{tmp_path / 'a'}: cannot read questions: ") and "\n" not in str(raised.value)


@pytest.mark.parametrize(("name", "says"), [("none", "No such file"), (".", "Is a directory"), ("a\0b", "a NUL in it")])
@pytest.mark.parametrize("read", [lambda path: list(read_lines(path)), read_text])
def test_a_path_that_cannot_be_read_is_one_line(tmp_path, name, says, read):
    with pytest.raises(InputError, match=says):
        read(tmp_path / name)


def test_a_line_is_read_up_to_its_bound_and_names_itself_above(tmp_path):
    (tmp_path / "a").write_text("xxxx\nyyyyy\n")
    assert list(read_lines(tmp_path / "a", longest=6)) == ["xxxx\n", "yyyyy\n"]
    with pytest.raises(InputError, match="a:2: cannot read it: a line of more than 5 characters"):
        list(read_lines(tmp_path / "a", longest=5))


def test_a_small_file_that_unpacks_to_a_large_line_takes_no_more_than_the_longest_line(tmp_path):
    packer = zlib.compressobj(wbits=31)
    zeros = b"0" * 2**20
    (tmp_path / "a").write_bytes(b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush())
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="a:1: cannot read it: a line of more than 1,048,576 characters"):
            list(read_lines(tmp_path / "a", longest=2**20))
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_large_file_is_not_read_by_the_whole(tmp_path):
    (tmp_path / "a").write_text("x" * 101)
    with pytest.raises(InputError, match="a: cannot read it: no such file has more than 100 bytes"):
        read_text(tmp_path / "a", 100)
    assert read_text(tmp_path / "a", 101) == "x" * 101
