"""Dialogs over the explorer: a text, a directory to save to, a platform to choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option


class TextDialog(ModalScreen[None]):
    """A text: a file's content, a binary's origin, the waste."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss", "Close", show=True)
    ]
    CSS = """
    TextDialog { align: center middle; }
    TextDialog VerticalScroll {
        width: 90%; height: 90%; border: round $accent; background: $surface; padding: 0 1;
    }
    """

    def __init__(self, title: str, text: str | Text) -> None:
        super().__init__()
        self._title = title
        self._text = text if isinstance(text, Text) else Text(text)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "esc, q or enter closes"
            yield Static(self._text, id="page")


class SaveDialog(ModalScreen[str]):
    """Asks for the directory to save to; empty if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss('')", "Cancel")]
    CSS = """
    SaveDialog { align: center middle; } SaveDialog Input { width: 80%; border: round $accent; }
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        box = Input(value=".", placeholder="directory", id="folder")
        box.border_title = Text(f"Save {self._path} below this directory")
        box.border_subtitle = "enter saves, esc cancels"
        yield box

    @on(Input.Submitted, "#folder")
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value)


class ChooseDialog(ModalScreen[int]):
    """Asks for one of some lines; -1 if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(-1)", "Cancel")]
    CSS = """
    ChooseDialog { align: center middle; }
    ChooseDialog OptionList { width: 50%; height: auto; max-height: 90%; border: round $accent; }
    """

    def __init__(self, title: str, lines: Sequence[str], shown: int) -> None:
        super().__init__()
        self._title = title
        self._lines = lines
        self._shown = shown

    def compose(self) -> ComposeResult:
        box = OptionList(*(Option(Text(line)) for line in self._lines), id="choices")
        box.border_title = Text(self._title)
        box.border_subtitle = "enter opens, esc cancels"
        box.highlighted = self._shown
        yield box

    @on(OptionList.OptionSelected, "#choices")
    def _answered(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self.dismiss(event.option_index)
