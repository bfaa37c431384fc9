"""What is found in an experiment, and the few questions that all its parts are asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from drill.errors import Problem, Severity
from drill.spec.experiment import modules
from drill.spec.source import Node, found

REFERENCE = re.compile(r"\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}")


def which(path: str) -> bool:
    import shutil  # most experiments name no program

    return shutil.which(path) is not None


@dataclass(frozen=True)
class Here:
    """
    This machine, as far as an experiment can be checked against it without running anything.

    Attributes:
        variables: Names in the environment.

        program: Whether a program can be found.

        function: What is known of a Python function.

        module: Whether a module can be found.
    """

    variables: Collection[str]
    program: Callable[[str], bool] = which
    function: Callable[[str, str], modules.Function] = modules.find
    module: Callable[[str], bool] = modules.exists


@dataclass
class Findings:
    """
    Everything found so far, and what all parts need to know.

    Attributes:
        known: Names that `${…}` may take: configuration, secrets, and values of the drill.

        targets: Targets of the secrets.

        used: Names that some `${…}` did take.
    """

    here: Here
    problems: list[Problem] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    targets: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def error(self, message: str, at: Node, hint: str | None = None) -> None:
        """Chaos Toolkit refuses it, or crashes, perhaps with the fault in place."""
        self.problems.append(Problem(message, at.at, hint))

    def warning(self, message: str, at: Node, hint: str | None = None) -> None:
        """It runs, but not as it is written."""
        self.problems.append(Problem(message, at.at, hint, Severity.WARNING))

    def note(self, message: str, at: Node, hint: str | None = None) -> None:
        """Something is missing here that may be there where it runs."""
        self.problems.append(Problem(message, at.at, hint, Severity.NOTE))

    # --- questions about one node ---

    def mapping(self, node: Node, what: str, hint: str | None = None) -> bool:
        """It is a mapping, or an error."""
        if node.kind == "mapping":
            return True
        self.error(f"{what} must be a mapping, not {found(node)}", node, hint)
        return False

    def sequence(self, node: Node, what: str, hint: str | None = None) -> bool:
        if node.kind == "list":
            return True
        self.error(f"{what} must be a list, not {found(node)}", node, hint)
        return False

    def filled(self, holder: Node, key: str, what: str) -> Node | None:
        """The text under *key*, which must be there and not be empty."""
        node = holder.get(key)
        if node is None:
            self.error(f"{what} needs a {key}", holder)
        elif node.value is None or node.value == "":
            self.error(f"the {key} of {what} is empty", node)
        elif not isinstance(node.value, str):
            self.error(f"the {key} of {what} must be text, not {found(node)}", node)
        else:
            return node
        return None

    def keys(self, node: Node, known: Iterable[str], where: str, hints: Mapping[str, str] | None = None) -> None:
        """Warn of keys that Chaos Toolkit does not know and therefore ignores."""
        names = list(known)
        for key, _ in node.items:
            word = key.value
            if word in names or (isinstance(word, str) and word.startswith(("x-", "_", "$"))):
                continue
            hint = (hints or {}).get(str(word)) or near(word, names)
            self.warning(f"unknown key {word} in {where}; Chaos Toolkit ignores it", key, hint)

    def references(self, node: Node, *, shell: bool = False) -> None:
        """Warn of each `${name}` that nothing fills in; in a shell command it may be the shell's own."""
        for part in node.walk():
            if not isinstance(part.value, str) or part.kind != "scalar":
                continue
            for name in REFERENCE.findall(part.value):
                self.used.add(name)
                if name in self.known:
                    continue
                hint = near(name, self.known)
                if shell and not hint:
                    continue
                self.warning(
                    f"nothing is called {name}: the text ${{{name}}} is handed over as it stands",
                    part,
                    hint or "configuration and secrets define names",
                )


def near(word: Any, names: Iterable[str]) -> str | None:
    """A hint for a misspelt word."""
    import difflib  # only mistakes need it

    found_ = difflib.get_close_matches(str(word), sorted(names), n=1, cutoff=0.7)
    return f"did you mean {found_[0]}?" if found_ else None


def number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
