"""A strict little tree of an HTML page: anything left open or closed twice is an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "img", "br", "link", "input", "hr", "base"})


@dataclass
class Element:
    tag: str
    attrs: dict[str, str]
    children: list[Element | str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def all(self, tag: str, css_class: str | None = None) -> list[Element]:
        return [
            one
            for one in self.walk()
            if one.tag == tag and (css_class is None or css_class in one.attrs.get("class", "").split())
        ]

    def by_id(self, name: str) -> Element:
        (found,) = (one for one in self.walk() if one.attrs.get("id") == name)
        return found


class _Builder(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("#root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> repeats an attribute"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment in the page: {data!r}")

    def unknown_decl(self, data: str) -> None:
        raise AssertionError(f"declaration in the page: {data!r}")


def parse_page(page: bytes) -> Element:
    builder = _Builder()
    builder.feed(page.decode("utf-8"))
    builder.close()
    assert builder.open == [builder.root], f"left open: {[one.tag for one in builder.open[1:]]}"
    return builder.root
