"""Links of the repository as links of the site, without mkdocs, so that tests need none.

In the repository a link is the path of a file. On the site, links among its pages are kept; a link to a file that is no
page (a module, a recipe) leads to the repository where its address is known, and is plain text where it is not.
"""

import re
from collections.abc import Callable
from pathlib import Path
from posixpath import normpath, relpath

# Pages of the repository's root, and their names on the site.
ROOT_PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)\)")
_FENCE = re.compile(r"(^(```+)[^\n]*\n.*?^\2[ \t]*$)", re.MULTILINE | re.DOTALL)


def outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """The text with ``change`` made to all but its fenced blocks of code."""
    parts = _FENCE.split(markdown)
    # Groups of the pattern are parts too: the text, a whole fence, its mark, the text, ...
    return "".join(change(part) if at % 3 == 0 else part for at, part in enumerate(parts) if at % 3 != 2)


def with_site_links(text: str, in_repository: str, on_site: str, repository: str | None) -> str:
    """The text with every link of the repository as the site has it.

    Args:
        text: Markdown without fenced blocks.
        in_repository: The page's path in the repository.
        on_site: The page's path on the site.
        repository: Address of the repository; None where it is not known.
    """

    def changed(link: re.Match[str]) -> str:
        picture, shown, to = link.groups()
        path, hash_mark, anchor = to.partition("#")
        if "://" in to or to.startswith("mailto:") or not path:
            return link[0]
        target = normpath(f"{Path(in_repository).parent.as_posix()}/{path}")
        there = ROOT_PAGES.get(target, target.removeprefix("docs/"))
        if target in ROOT_PAGES or target.startswith("docs/"):  # mkdocs complains of one that is not there
            return f"{picture}[{shown}]({relpath(there, Path(on_site).parent.as_posix())}{hash_mark}{anchor})"
        return f"[{shown}]({repository.rstrip('/')}/blob/main/{target})" if repository else shown

    return _LINK.sub(changed, text)
