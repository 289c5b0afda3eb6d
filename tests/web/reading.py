"""A page read as HTML, so that tests can ask what is on it."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Self

VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "source", "wbr"})
DRAWN = frozenset({"circle", "path", "rect"})
UNSEEN = frozenset({"script", "style", "svg"})


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What a person reads in it, with single spaces and plain hyphens."""
        parts = [child if isinstance(child, str) else child.text for child in self.children if not _unseen(child)]
        return " ".join("".join(parts).split()).replace("\N{NON-BREAKING HYPHEN}", "-")

    def all(self, *tags: str) -> list["Element"]:
        """It and the elements in it of these kinds, in reading order."""
        found = [self] if self.tag in tags else []
        for child in self.children:
            if isinstance(child, Element):
                found += child.all(*tags)
        return found

    def one(self, tag: str) -> "Element":
        (found,) = self.all(tag)
        return found

    def having(self, name: str, value: str | None = None) -> list["Element"]:
        """It and the elements in it that carry this attribute."""
        own = name in self.attributes and value in {None, self.attributes[name]}
        found = [self] if own else []
        for child in self.children:
            if isinstance(child, Element):
                found += child.having(name, value)
        return found

    def with_id(self, identifier: str) -> "Element":
        (found,) = self.having("id", identifier)
        return found


def _unseen(child: Element | str) -> bool:
    return isinstance(child, Element) and child.tag in UNSEEN


class Page(HTMLParser):
    """The tree of a page. Reading raises AssertionError when tags are not balanced."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("#page", {})
        self._open = [self.root]
        self.feed(source)
        self.close()
        assert self._open == [self.root], f"never closed: {[element.tag for element in self._open[1:]]}"

    @classmethod
    def read(cls, source: str) -> Self:
        assert source.startswith("<!doctype html>"), "a page begins with its doctype"
        return cls(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice: {names}"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/> closes itself"
        self._open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}> at line {self.getpos()[0]}"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)
