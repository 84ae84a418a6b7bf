"""Inputs that a parser failed on once, as fuzzing made them small: each is tried in every run, by the parser's name."""

FOUND: list[tuple[str, bytes]] = [
    ("GGUF headers", b"GGUF\3\0\0\0" + bytes(8) + b"\1" + bytes(7) + b"\1" + bytes(7) + b"a\10\0\0\0" + b"\xff" * 8),
]
