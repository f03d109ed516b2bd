"""Fail on links, anchors and images of a built site that lead nowhere: ``python docs/check_links.py docs/_build``."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.targets = {"", "top"}, set[str]()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what can be led to, and what is."""
        self.anchors |= {value or "" for name, value in attrs if name == "id" or (tag, name) == ("a", "name")}
        self.targets |= {value or "" for name, value in attrs if name in ("href", "src")}


def broken(site: Path) -> list[str]:
    """What leads nowhere, a line each; what is elsewhere on the web is not looked up."""
    pages = {path: Page(path) for path in sorted(site.resolve().rglob("*.html"))}
    lines = []
    for path, page in pages.items():
        for target in sorted(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            at = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[at].anchors if at in pages else {""}
            inside = at.is_relative_to(site.resolve()) and at.is_file()
            if not inside or unquote(parts.fragment) not in anchors:
                lines.append(f"{path.relative_to(site.resolve())}: {target}")
    return lines if pages else [f"{site}: no pages"]


if __name__ == "__main__":
    found = broken(Path(sys.argv[1]))
    print(*found, sep="\n", end="\n" * bool(found))
    sys.exit(len(found) > 0)
