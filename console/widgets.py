"""Small pieces the station page is built from. Plain HTML elements: no ripple, no surprises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, Protocol, TypeVar  # a TypeVar cannot be bound by another

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement

Item = TypeVar("Item")
Item_contra = TypeVar("Item_contra", contravariant=True)


def box(tag: str, classes: str = "", **attributes: str) -> Element:
    """An element that holds others."""
    return _dressed(Element(tag), classes, attributes)


def words(tag: str, classes: str = "", text: str = "", **attributes: str) -> TextElement:
    """An element that holds text; set `.text` to change it."""
    return _dressed(TextElement(tag=tag, text=text), classes, attributes)


def button(
    text: str, on_click: Callable[[], object], classes: str = "", **attributes: str
) -> TextElement:
    """A native button: focus, Enter and Space work by themselves."""
    made = words("button", f"button {classes}", text, type="button", **attributes)
    made.on("click", lambda _: on_click(), args=[])
    return made


Dressed = TypeVar("Dressed", bound=Element)


def _dressed(element: Dressed, classes: str, attributes: dict[str, str]) -> Dressed:
    element.classes(classes)
    for name, value in attributes.items():
        element.props[name.replace("_", "-")] = value
    return element


def set_text(element: TextElement, text: str) -> None:
    """Change the text only when it differs: unchanged elements send nothing."""
    if element.text != text:
        element.text = text


def set_class(element: Element, classes: str) -> None:
    """Replace all classes, only when they differ."""
    if element.classes != classes.split():
        element.classes(replace=classes)


def show_if(element: Element, visible: bool) -> None:
    """Show or hide, only when it differs."""
    if element.visible != visible:
        element.set_visibility(visible)


class RowOf(Protocol[Item_contra]):
    """One element of a list that can follow its item."""

    root: Element

    def update(self, item: Item_contra) -> None: ...


Row = TypeVar("Row", bound=RowOf[Any])


class Rows(Generic[Item, Row]):
    """A list that changes in place: an element lives as long as its item, so focus stays."""

    def __init__(
        self,
        parent: Element,
        key: Callable[[Item], str],
        build: Callable[[Item], Row],
    ) -> None:
        self._parent, self._key, self._build = parent, key, build
        self._rows: dict[str, Row] = {}

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def show(self, items: Sequence[Item]) -> None:
        """Make the list show exactly these, in this order."""
        wanted = {self._key(item): item for item in items}
        for gone in [key for key in self._rows if key not in wanted]:
            self._rows.pop(gone).root.delete()
        for place, (key, item) in enumerate(wanted.items()):
            row = self._rows.get(key)
            if row is None:
                with self._parent:
                    row = self._rows[key] = self._build(item)
            row.update(item)
            if self._parent.default_slot.children[place] is not row.root:
                row.root.move(self._parent, place)
