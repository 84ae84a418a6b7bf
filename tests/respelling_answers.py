"""A whole answer's tree as text: with units, marks of money, of angles and of bases, as a pen writes them."""

from fractions import Fraction

from respelling_collections import CollectionPen
from respelling_forms import terminating
from respelling_parsing import Node, node
from respelling_values import fraction_of

UNIT_NAMES = {"cm": "centimeters", "km": "kilometers", "mm": "millimeters"}
SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class AnswerPen(CollectionPen):
    """Writes whole answers of every kind."""

    def _answer_degrees(self, value: Node) -> str:
        text = self.entry(value, alone=False)
        shown = text if fraction_of(value) is not None else self.enclose("(", text, ")")
        bare = (text, "unit left out") if self._loose else (f"{shown}°", "°")
        if not self.latex:
            return self.pick((f"{shown}°", "°"), (f"{text} degrees", "degrees"), bare)
        signs = [(f"{shown}^\\circ", ""), (f"{shown}^{{\\circ}}", "^{\\circ}"), (f"{shown}°", "°")]
        return self.pick(*signs, (f"{text}\\text{{ degrees}}", "degrees"), (f"{text}\\degree", "\\degree"), bare)

    def _answer_quantity(self, value: Node, unit: str, exponent: str) -> str:
        text, name = self.entry(value, alone=False), unit
        if unit in UNIT_NAMES and self.rng.random() < 0.2:
            name = UNIT_NAMES[unit]
            self.note("unit's full name")
        bare = (text, "unit left out")
        if not self.latex:
            high = {"2": "²", "3": "³"}.get(exponent, "")
            power = f"^{exponent}" if exponent and self.family == "plain" else high
            return self.pick((f"{text} {name}{power}", "plain unit"), *([bare] if self._loose else []))
        power = self.rng.choice((f"^{exponent}", f"^{{{exponent}}}")) if exponent else ""
        whole = {"2": "square ", "3": "cubic "}.get(exponent, "") + name
        options = [(f"{text}\\text{{ {name}}}{power}", ""), (f"{text} \\text{{ {whole}}}", "unit in words")]
        options += [
            (f"{text}\\,\\text{{{name}}}{power}", "\\,"),
            (f"{text}\\mathrm{{~{name}}}{power}", "\\mathrm unit"),
        ]
        return self.pick(*options, *([bare] if self._loose else []))

    def _answer_money(self, value: Node) -> str:
        amount = fraction_of(value)
        if amount is not None and amount.denominator > 1 and self.rng.random() < 0.3:
            self.note("cents without trailing zeros")
            value = node("num", terminating(amount)) if amount > 0 else value
        text = self.write(value)
        signs = [(f"\\${text}", ""), (f"\\$ {text}", "\\$ and space")] if self.latex else [(f"${text}", "bare dollar")]
        bare = [(text, "unit left out"), (f"{text}{self.words(' dollars')}", "dollars")] if self._loose else []
        return self.pick(*signs, *bare)

    def _answer_percent(self, value: Node) -> str:
        text = self.write(value)
        share = terminating(Fraction(fraction_of(value) or 0) / 100)
        signs = [(f"{text}\\%", ""), (f"{text} \\%", "space")] if self.latex else [(f"{text}%", "plain percent")]
        bare = [(text, "percent left out"), (share, "as a share")] if self._loose and share.strip("0.") else []
        return self.pick(*signs, (f"{text}{self.words(' percent')}", "percent"), *bare)

    def _answer_sci(self, mantissa: str, exponent: str) -> str:
        times, power = self.rng.choice(("\\times", "\\cdot")), f"10^{{{exponent}}}"
        computer = (f"{mantissa}{self.rng.choice('eE')}{exponent}", "computer notation")
        if not self.latex:
            sign = "*" if self.family == "plain" else "\N{MULTIPLICATION SIGN}"
            return self.pick(
                (f"{mantissa} {sign} 10^{exponent}", ""), (f"{mantissa}{sign}10^({exponent})", ""), computer
            )
        shifted = terminating(Fraction(mantissa) * 10)
        lower = f"{shifted} {times} 10^{{{int(exponent) - 1}}}"
        written = f"{mantissa} {times} {power}"
        return self.pick((written, times), (f"{mantissa}{times} {power}", times), computer, (lower, "shifted mantissa"))

    def _answer_base(self, digits: str, base: str) -> str:
        options = [
            (f"{digits}{base.translate(SUBSCRIPT)}", "unicode subscript"),
            (f"{digits} (base {base})", "base in words"),
        ]
        if self.latex:
            options = [(f"{digits}_{{{base}}}", "_{}"), (f"({digits})_{{{base}}}", "in brackets")]
            options += [(f"{digits}_{base}", "")] if len(base) == 1 else []
            options += [
                (f"{digits}\\text{{ (base {base})}}", "base in words"),
                (f"{digits}_{{\\text{{{base}}}}}", "\\text"),
            ]
        return self.pick(*options, *([(digits, "base left out")] if self._loose else []))

    def _answer_ratio(self, *parts: Node) -> str:
        if len(parts) == 2 and self.rng.random() < 0.25:
            self.note("as a fraction")
            return self.write(node("frac", *parts))
        texts = [self.write(part) for part in parts]
        return self.pick((":".join(texts), ""), (" : ".join(texts), "spaces"), (self.words(" to ").join(texts), "to"))

    def _answer_time(self, hour: str, minutes: str, half: str) -> str:
        upper = half.upper()
        marks = [
            (f" {half}.m.", ""),
            (f" {upper}M", "PM"),
            (f" {half}m", "pm"),
            (f"{half}m", "pm"),
            (f" {upper}.M.", "P.M."),
        ]
        return f"{hour}:{minutes}" + self.words(self.pick(*marks))

    def _answer_choice(self, letter: str) -> str:
        options = [(letter, "letter alone"), (f"({letter})", "in brackets"), (f"{letter}.", "with a stop")]
        options += [(f"**{letter}**", "bold"), (f"({letter}).", "with a stop"), (f"**({letter})**", "bold")]
        for command in ("text", "textbf", "mathrm", "mathbf") if self.latex else ():
            options += [(f"\\{command}{{({letter})}}", f"\\{command}"), (f"\\{command}{{{letter}}}", f"\\{command}")]
            options += [
                (f"(\\{command}{{{letter}}})", f"\\{command}"),
                (f"\\{command}{{ ({letter}) }}", f"\\{command}"),
            ]
        return self.pick(*options)

    def _answer_word(self, word: str) -> str:
        cased = self.pick(
            (word, ""), (word.capitalize(), "capital"), (word.upper(), "capitals"), (word.lower(), "lower")
        )
        if not self.latex:
            return self.pick((cased, "plain word"), (f'"{cased}"', "quotes"), (f"**{cased}**", "bold"))
        commands = ("text", "text", "textbf", "mathrm", "textit", "mbox", "textrm", "operatorname")
        return self.pick((cased, "plain word"), *((f"\\{name}{{{cased}}}", f"\\{name}") for name in commands))

    def _answer_other(self, text: str) -> str:
        return text
