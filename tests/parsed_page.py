"""A written page, taken apart: what tests of pages look at."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """Elements in their order, with their attributes, and text by the element it stands in; nesting is checked."""

    EMPTY = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.text, self.tables = [], [], [], {}
        self._figure, self._row, self._cell = None, None, None
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        assert len({name for name, _ in attributes}) == len(attributes), f"an attribute twice: {tag} {attributes}"
        self.elements.append((tag, dict(attributes)))
        if tag == "figure":
            self._figure = dict(attributes)["id"]
        if tag == "table" and "id" in dict(attributes):
            self._figure = dict(attributes)["id"]
        if tag == "tr":
            self._row = []
        if tag in ("th", "td"):
            self._cell = []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open}"
        self.open.pop()
        if tag in ("th", "td"):
            self._row.append("".join(self._cell).strip())
            self._cell = None
        if tag == "tr":
            self.tables.setdefault(self._figure, []).append(self._row)
            self._row = None

    def handle_data(self, data):
        self.text.append((self.open[-1] if self.open else "", data))
        if self._cell is not None:
            self._cell.append(data)

    def numbers(self, figure):
        """The table of a figure, without its head: counts by row, as whole numbers."""
        return [[int(cell.replace(",", "")) for cell in row[1:]] for row in self.tables[figure][1:]]

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]
