"""Units of measure: which words are some, and whether two that stand behind a number can mean the same.

A number with a unit equals the bare number (the question says what is asked), but 15 cm² is not 15 cm³. Nouns that are
counted (18 eggs) are no units: one may call eggs what another calls pieces.
"""

import re

_LENGTHS = {
    "millimeter": "mm",
    "centimeter": "cm",
    "decimeter": "dm",
    "meter": "m metre",
    "kilometer": "km",
    "inch": "in inches",
    "foot": "ft feet",
    "yard": "yd",
    "mile": "mi",
}
_OTHERS = {
    "milligram": "mg",
    "gram": "g gm",
    "kilogram": "kg kilo",
    "ton": "tonne",
    "ounce": "oz",
    "pound": "lb lbs",
    "milliliter": "ml mL millilitre",
    "liter": "l L litre",
    "gallon": "gal",
    "quart": "qt",
    "pint": "pt",
    "cup": "",
    "second": "s sec",
    "minute": "min",
    "hour": "h hr",
    "day": "",
    "week": "wk",
    "month": "mo",
    "year": "yr",
    "degree": "deg °",
    "radian": "rad",
    "dollar": "¤ $ USD buck",
    "euro": "€ EUR",
    "sterling": "£ GBP",
    "yen": "¥ JPY",
    "rupee": "₹ INR Rs",
    "cent": "¢",
    "newton": "N",
    "joule": "J",
    "watt": "W",
    "volt": "V",
    "hertz": "Hz",
    "kelvin": "K",
    "celsius": "",
    "fahrenheit": "",
    "mph": "",
    "kph": "kmh",
}


def _plurals(names: list[str]) -> list[str]:
    return [form for name in names for form in ((name, f"{name}s", f"{name}.") if len(name) > 1 else (name,))]


_KNOWN: dict[str, str] = {
    **{form: unit for unit, others in (_LENGTHS | _OTHERS).items() for form in _plurals([unit, *others.split()])},
    "centimetre": "centimeter",
    "C": "celsius",
    "F": "fahrenheit",
    "centimetres": "centimeter",
    "millimetre": "millimeter",
    "kilometre": "kilometer",
    "kilometres": "kilometer",
}
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cubed": 3, "cu": 3}
_FACTOR = re.compile(r"(?P<word>[A-Za-z]+\.?|[¤$€£¥₹¢°])|\^\s*\{?\s*(?P<power>-?\d+)\s*\}?|(?P<over>/)|(?P<times>\*)")
_SAID = {"mph": {"mile": 1, "hour": -1}, "kph": {"kilometer": 1, "hour": -1}}


def is_unit(word: str) -> bool:
    """Whether a word of two letters or more is a unit's name or sign."""
    return len(word) > 1 and (
        word in ("unit", "units") or word in _KNOWN or word.lower() in _KNOWN or word.lower() in _POWERS
    )


def dimensions(phrase: str) -> tuple[tuple[str, int], ...] | None:
    """The units of a phrase with their powers, sorted; None where a word of it is no unit.

    ``square centimeters``, ``cm^2`` and ``cm²`` are all ``(("centimeter", 2),)``; ``km/h`` and ``kilometers per hour``
    are equal.
    """
    if _FACTOR.sub("", phrase).strip(" ()"):
        return None
    found: dict[str, int] = {}
    sign, pending, last = 1, 1, ""
    for factor in _FACTOR.finditer(phrase):
        word = factor["word"]
        if factor["over"] or word in ("per", "an", "a", "each"):
            sign = -1
        elif factor["power"] and last:
            found[last] = (1 if found[last] > 0 else -1) * int(factor["power"])
        elif word and word.lower() in _POWERS:
            if last and word.lower() in ("squared", "cubed"):
                found[last] *= _POWERS[word.lower()]
            else:
                pending = _POWERS[word.lower()]
        elif word and word.lower() != "unit" and word.lower() != "units":
            unit = _KNOWN.get(word, _KNOWN.get(word.lower() if len(word) > 1 else word))
            if unit is None:
                return None
            for name, power in _SAID.get(unit, {unit: 1}).items():
                last = name
                found[name] = found.get(name, 0) + sign * power * pending
            sign, pending = 1, 1
    if "degree" in found and len(found) > 1:  # degrees Celsius
        del found["degree"]
    return tuple(sorted((unit, power) for unit, power in found.items() if power))


def compatible(left: str, right: str) -> bool:
    """Whether quantities of these units may be the same: one has none, one is a noun, or both are alike."""
    one, other = dimensions(left), dimensions(right)
    return not one or not other or one == other


#: Words that say more of a number than what it counts.
_TELLING = frozenset(
    (
        "is are was were be has have the because since if then when while which who that this of to from by with for "
        "plus minus times divided more less fewer than below above over under before after between not no so and or "
        "but as out left right increase decrease increased decreased squared cubed sum product difference am pm in up "
        "down off north south east west wrong negative factorial half halves thirds fourths fifths sixths sevenths "
        "eighths ninths tenths hundredths thousandths hundreds thousands millions score gross mod modulo "
        "third fourth fifth sixth seventh eighth ninth tenth hundredth thousandth tens ago later earlier mille"
    ).split()
)
_MOST_NOUNS = 4


def is_noun_phrase(phrase: str) -> bool:
    """Whether words behind a number only say what is counted: ``eggs``, ``slices per person``."""
    words = re.findall(r"[^\W\d_]+", phrase.casefold())
    return 0 < len(words) <= _MOST_NOUNS and not _TELLING & {*words}


def is_measure(phrase: str) -> bool:
    """Whether a phrase is of units, or of the word ``units`` itself."""
    return (
        bool(dimensions(phrase))
        or re.fullmatch(r"(?:sq|square|cu|cubic)?\s*units?(?:\s*\^.*)?", phrase.strip()) is not None
    )
