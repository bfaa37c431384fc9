"""Configuration and secrets of an experiment, in its own process, with the meaning chaoslib gives them."""

from __future__ import annotations

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

from drill.engines.chaostoolkit import document as doc
from drill.engines.chaostoolkit import lasting, wire
from drill.scrub import Scrubber


class Unusable(Exception):
    """What keeps the experiment from being run, one sentence in each argument."""


class Variables:
    """
    What `${…}` stands for.

    Attributes:
        configuration: Values by name, as activities get them.

        secrets: Values by target and name.

        missing: Why a variable has no value; secrets as "target.name".

        scrubber: Takes the secrets out of what is said.
    """

    def __init__(self, task: wire.Task) -> None:
        self.task = task
        self.configuration: dict[str, Any] = {}
        self.secrets: dict[str, dict[str, Any]] = {}
        self.missing: dict[str, str] = {}
        os.environ.update(task.environment)
        self._from_environment = {
            name: os.environ[name] for name in doc.secret_variables(task.document, task.arguments) if name in os.environ
        }
        # From the first word on, as a conversion that fails quotes the value.
        self.scrubber = Scrubber(self._from_environment)
        arguments = doc.filled(task.arguments, os.environ)
        self.written = {**doc.configuration(task.document, arguments), **self._recalled()}

    def load(self) -> None:
        """
        Load all that needs no probe.

        Raises:
            Unusable: Something is missing; when undoing, only what needs it will not be carried out.
        """
        from chaoslib.configuration import load_configuration

        for name, entry in self.written.items():
            # One by one: what a single variable lacks must not keep all the rollbacks from running.
            try:
                self.configuration.update(load_configuration({name: deepcopy(entry)}, {}))
            except Exception as error:  # noqa: BLE001 - chaoslib's own, and whatever a conversion raises
                self.missing[name] = told(error)
        self._load_secrets()
        if self.missing and not self.task.undoing:
            raise Unusable(*(f"{name} cannot be had: {why}" for name, why in self.missing.items()))

    def find_out(self) -> None:
        """
        Let probes find out the configuration that is theirs to find out; the gate is in place.

        Raises:
            Unusable: One failed, or what they found cannot be kept for the undo.
        """
        from chaoslib.configuration import load_dynamic_configuration

        self.configuration = load_dynamic_configuration(self.configuration, self.secrets)
        lost = [name for name in self.written if name not in self.configuration and name not in self.missing]
        for name in lost:
            self.missing[name] = "its probe failed"
        if self.task.undoing:
            return
        if lost:
            raise Unusable(f"the configuration {', '.join(lost)} could not be found out")
        if self.task.memory:
            found = doc.dynamic(self.task.document, self.task.arguments)
            self._remember({name: self.configuration[name] for name in found})

    def lacking(self, activity: dict[str, Any]) -> str:
        """Why the activity cannot be carried out as it was meant, or nothing."""
        targets = doc.provider(activity).get("secrets") or []
        names = doc.references(activity)
        for name, why in self.missing.items():
            target, dot, key = name.partition(".")
            if name in names or (dot and (key in names or target in targets)):
                return f"it needs {name}: {why}"
        return ""

    def _remember(self, values: dict[str, Any]) -> None:
        """Keep what probes found out: asked again after the fault, they would say something else."""
        # One that carries a secret is found out again rather than written down.
        kept = {name: plain for name, plain in wire.plain(values).items() if self.scrubber.data(plain) == plain}
        try:
            lasting.write(Path(self.task.memory), json.dumps(kept).encode())
        except OSError as error:
            raise Unusable(f"what the undo needs to know cannot be written to {self.task.memory}: {error}") from error

    def _recalled(self) -> dict[str, Any]:
        """What probes had found out before the fault; nothing, if it did not get that far."""
        if not (self.task.undoing and self.task.memory):
            return {}
        try:
            kept = json.loads(Path(self.task.memory).read_bytes())
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _load_secrets(self) -> None:
        known: dict[str, str] = {}
        for target, entries in doc.section(self.task.document, "secrets").items():
            self.secrets[target] = {}
            for key, entry in entries.items() if isinstance(entries, dict) else ():
                try:
                    value = self._secret(key, entry)
                except Exception as error:  # noqa: BLE001 - whatever Vault's client raises, by name
                    self.missing[f"{target}.{key}"] = told(error)
                    continue
                self.secrets[target][key] = value
                known.update(_texts(f"{target}.{key}", value))
        for name, value in self.configuration.items():
            if doc.is_secret_name(name) and isinstance(value, (str, bytes)):
                known.update(_texts(name, value))
        # The names in the experiment first: of two names for one value they say more.
        others = {name: value for name, value in self._from_environment.items() if name not in known}
        self.scrubber = Scrubber(known | others)

    def _secret(self, key: str, entry: Any) -> Any:
        from chaoslib.secret import HAS_HVAC, load_secrets

        kind = entry.get("type") if isinstance(entry, dict) else None
        if kind == "experiment":
            return self._from_file(entry)
        if isinstance(entry, dict) and kind not in ("env", "vault"):
            return {name: self._secret(name, inner) for name, inner in entry.items()}
        if kind == "vault" and not HAS_HVAC:
            raise ImportError('Vault needs the package hvac: pip install "chaostoolkit-lib[vault]"')
        return load_secrets({key: entry}, self.configuration)[key]

    def _from_file(self, entry: dict[str, Any]) -> Any:
        """A secret that is written into the experiment itself."""
        path = Path(self.task.file)
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            written = json.loads(text)
        else:
            import yaml

            written = yaml.safe_load(text)
        found = written["secrets"]
        for name in entry["at"]:
            found = found[name]
        return found


def told(error: BaseException) -> str:
    """An error in words: its kind, unless that is only chaoslib's, and what it says."""
    text = str(error).strip()
    kind = type(error).__name__
    return text if kind == "ActivityFailed" and text else f"{kind}: {text}" if text else kind


def _texts(name: str, value: Any) -> dict[str, str]:
    """The texts inside a secret by name: Vault gives whole mappings."""
    if isinstance(value, dict):
        return {n: t for key, item in value.items() for n, t in _texts(f"{name}.{key}", item).items()}
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return {name: str(value)} if value not in (None, "") else {}
