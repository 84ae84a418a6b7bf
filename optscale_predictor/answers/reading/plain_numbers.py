"""Plain numbers, the answers that occur most: one spelling each, exactly."""

import re
from decimal import Decimal

_THOUSANDS = r"\d{1,3}(?:(?:,|\{,\}|,\\!|\\,|\\!,)\d{3})+(?!\d)"  # any other comma is one between two answers
_PLAIN = re.compile(rf"\$?\s?(?P<sign>[-+−]?)\s?\\?\$?\s?(?P<digits>(?:{_THOUSANDS}|\d+)(?:\.\d*)?|\.\d+)\$?\.?")
_LONGEST = 400  # characters


def plain_number(text: str) -> str | None:
    """``text`` as a plain number: no thousands separators, no zeros at its ends; None where it is none."""
    if len(text) > _LONGEST:
        return None
    found = _PLAIN.fullmatch(text.strip())
    if found is None:
        return None
    digits = re.sub(r"[^\d.]", "", found["digits"])
    value = Decimal(digits.rstrip("."))
    shown = f"{value:f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    shown = shown.lstrip("0") or "0"
    shown = f"0{shown}" if shown.startswith(".") else shown
    return f"-{shown}" if found["sign"] in ("-", "−") and value else shown
