"""What an experiment says: its references, what it needs, how it is undone, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from drill.model import SECOND

# What an activity may take when nobody says: a fault is quick, an undo may have to wait for a rejoin.
DEADLINE = 120 * SECOND
UNDO_DEADLINE = 300 * SECOND
# chaoslib ends an http or process activity at its timeout; ours comes after it, for what chaoslib misses.
MARGIN = 5 * SECOND

# `with:` and configuration may set how many seconds an activity without a timeout of its own may take.
DEADLINE_KEY = "drill_deadline"

_SECRET_NAME = re.compile(
    r"passw|passphrase|secret|token|credential|private|api_?key|access_?key|(^|_)(key|dsn|pwd)$", re.IGNORECASE
)
_REFERENCE = re.compile(r"\$\{([_a-zA-Z][_a-zA-Z0-9]*)\}")
_FROM_ENVIRONMENT = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")

Document = dict[str, Any]


def section(document: Mapping[str, Any], name: str) -> Any:
    """A section, or an empty one of the right type when it is missing or null."""
    empty: Any = [] if name in ("method", "rollbacks", "controls", "extensions", "probes") else {}
    value = document.get(name)
    return value if isinstance(value, type(empty)) else empty


def probes(document: Document) -> list[Document]:
    """The probes of the steady-state hypothesis."""
    found: list[Document] = section(section(document, "steady-state-hypothesis"), "probes")
    return found


def activities(document: Document) -> Iterator[Document]:
    """Every activity that is written out: hypothesis, method, rollbacks."""
    yield from probes(document)
    yield from section(document, "method")
    yield from section(document, "rollbacks")


def inlined(document: Document) -> Document:
    """The experiment with each `ref` replaced by the activity it names, so that it can be read piece by piece."""
    result = deepcopy(document)
    named = {}
    for activity in [*section(result, "method"), *probes(result)]:
        if "ref" not in activity and activity.get("name"):
            named[activity["name"]] = activity
    for activities_ in (section(result, "method"), probes(result), section(result, "rollbacks")):
        for index, activity in enumerate(activities_):
            if activity.get("ref") in named:
                # chaoslib takes these two from where the reference stands, all else from what it names.
                own = {key: activity[key] for key in ("tolerance", "background") if key in activity}
                found = {key: value for key, value in named[activity["ref"]].items() if key not in own}
                found.pop("background", None)
                activities_[index] = deepcopy({**found, **own})
    return result


def only_undo(document: Document) -> Document:
    """The experiment with all left out that undoing does not need."""
    kept = ("title", "description", "configuration", "secrets", "controls", "extensions", "rollbacks")
    return {key: deepcopy(document[key]) for key in kept if key in document} | {"method": []}


def with_secrets_referred(document: Document) -> Document:
    """The experiment with each secret that is written into it replaced by a reference to its place in the file."""
    result = deepcopy(document)
    for target, entries in section(result, "secrets").items():
        if isinstance(entries, dict):
            result["secrets"][target] = _referred(entries, [target])
    return result


def _referred(entry: Any, at: list[str]) -> Any:
    if isinstance(entry, dict):
        if entry.get("type") in ("env", "vault", "experiment"):
            return entry
        return {key: _referred(value, [*at, key]) for key, value in entry.items()}
    if entry is None or isinstance(entry, bool) or entry == "":
        return entry
    return {"type": "experiment", "at": at}


def refers_to_its_file(document: Document) -> bool:
    """Whether a secret stands in the experiment's own file."""

    def refers(entry: Any) -> bool:
        if not isinstance(entry, dict):
            return False
        return entry.get("type") == "experiment" or any(map(refers, entry.values()))

    return refers(section(document, "secrets"))


# --- variables ---------------------------------------------------------------------------------------------------


def is_secret_name(name: str) -> bool:
    """Whether a value of this name is treated as a secret although nobody declared it one."""
    return _SECRET_NAME.search(name) is not None


def configuration(document: Document, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as written, with what a drill gives under `with:` in place of it."""
    return {**section(document, "configuration"), **arguments}


def _env_entries(document: Document, arguments: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Name in the configuration, variable, and whether it has a default."""
    for name, entry in configuration(document, arguments).items():
        if isinstance(entry, dict) and entry.get("type") == "env" and isinstance(entry.get("key"), str):
            yield name, entry["key"], "default" in entry


def secret_variables(document: Document, arguments: Mapping[str, Any]) -> set[str]:
    """Environment variables that hold secrets: declared ones, ones named like one, ones under `with:`."""
    found = {entry["key"] for entry in _secret_entries(document) if isinstance(entry.get("key"), str)}
    for name, key, _ in _env_entries(document, arguments):
        if is_secret_name(name) or is_secret_name(key):
            found.add(key)
    for value in arguments.values():
        found.update(_FROM_ENVIRONMENT.findall(value) if isinstance(value, str) else ())
    return found


def _secret_entries(document: Document) -> Iterator[Document]:
    for entries in section(document, "secrets").values():
        for entry in entries.values() if isinstance(entries, dict) else ():
            if isinstance(entry, dict) and entry.get("type") == "env":
                yield entry


def needed_variables(document: Document, arguments: Mapping[str, Any]) -> list[str]:
    """Environment variables without which the experiment cannot be run, in the order they are written."""
    names = [key for _, key, has_default in _env_entries(document, arguments) if not has_default]
    names += [entry["key"] for entry in _secret_entries(document) if isinstance(entry.get("key"), str)]
    for value in arguments.values():
        names += _FROM_ENVIRONMENT.findall(value) if isinstance(value, str) else []
    return list(dict.fromkeys(names))


def dynamic(document: Document, arguments: Mapping[str, Any]) -> list[str]:
    """Names in the configuration that a probe finds out when the experiment starts."""
    entries = configuration(document, arguments).items()
    return [name for name, entry in entries if isinstance(entry, dict) and entry.get("type") == "probe"]


def pinned(document: Document, arguments: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """Variables of the configuration as they are now, without secrets: undoing must aim where the fault did."""
    secret = secret_variables(document, arguments)
    keys = [key for _, key, _ in _env_entries(document, arguments)]
    return {key: environ[key] for key in keys if key in environ and key not in secret}


def filled(arguments: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Arguments with each `${env:NAME}` filled in."""
    return {
        name: _FROM_ENVIRONMENT.sub(lambda found: environ.get(found[1], found[0]), value)
        if isinstance(value, str)
        else value
        for name, value in arguments.items()
    }


def references(value: Any) -> set[str]:
    """Every `${name}` in strings anywhere in *value*."""
    if isinstance(value, str):
        return set(_REFERENCE.findall(value))
    if isinstance(value, dict):
        return set().union(*(references(item) for pair in value.items() for item in pair))
    if isinstance(value, list):
        return set().union(*(references(item) for item in value))
    return set()


# --- one activity --------------------------------------------------------------------------------------------------


def is_dry(activity: Document, document: Document) -> bool:
    """Whether somebody asked that this activity be left out; Chaos Toolkit itself runs it all the same."""
    for asked in (activity.get("dry"), document.get("dry")):
        word = getattr(asked, "value", asked)  # a control may set chaoslib's own enumeration
        if word is True or word == "activities" or word == f"{activity.get('type')}s":
            return True
    return False


def provider(activity: Document) -> Document:
    found = activity.get("provider")
    return found if isinstance(found, dict) else {}


def seconds(value: Any) -> float | None:
    """A timeout in seconds: a number, its text, or [connect, read]; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, (int, float)):
        return float(value) if 0 < value < 10**9 else None
    if isinstance(value, (list, tuple)):
        parts = [seconds(part) for part in value]
        return sum(part for part in parts if part is not None) if parts and all(parts) else None
    try:
        return seconds(float(value))
    except (TypeError, ValueError):
        return None


def timeout(activity: Document) -> float | None:
    """Seconds that the activity may take as written, on itself or its provider; None when nothing is."""
    of_provider = seconds(provider(activity).get("timeout"))
    own = seconds(activity.get("timeout"))
    known = [value for value in (own, of_provider) if value is not None]
    if not known:
        return None
    if provider(activity).get("type") == "http" and own is None:
        retries = provider(activity).get("max_retries")
        return known[0] * (1 + (retries if isinstance(retries, int) and 0 <= retries < 100 else 0))
    return min(known)


def deadline(activity: Document, default: int) -> int:
    """Nanoseconds after which drill ends the activity."""
    written = timeout(activity)
    limit = default if written is None else int(written * SECOND)
    return limit if provider(activity).get("type") == "python" else limit + MARGIN


def default_deadline(document: Document, arguments: Mapping[str, Any], *, undoing: bool) -> int:
    """Nanoseconds for an activity without a timeout: `drill_deadline`, an extension named drill, or our own."""
    written = [configuration(document, arguments).get(DEADLINE_KEY)]
    for extension in section(document, "extensions"):
        if isinstance(extension, dict) and extension.get("name") == "drill":
            written.append(extension.get("deadline"))
    found = next((value for value in map(seconds, written) if value is not None), None)
    if found is not None:
        return int(found * SECOND)
    return UNDO_DEADLINE if undoing else DEADLINE


def longest(document: Document, sections: Sequence[str], default: int, values: Mapping[str, str] | None = None) -> int:
    """Nanoseconds that these sections may take, every activity at its deadline and with its pauses, as far as known."""
    total = 0
    for each in sections:
        found = probes(document) if each == "steady-state-hypothesis" else section(document, each)
        for activity in found:
            given = _pauses(activity, values or {})
            total += deadline(activity, default) + int(sum(seconds(each) or 0 for each in given) * SECOND)
    return total


def pauses_known(document: Document, values: Mapping[str, str]) -> bool:
    """Whether every pause is known before anything runs: none waits for a probe or a secret to say how long."""
    return not any(
        isinstance(each, str) and "${" in each
        for activity in activities(document)
        for each in _pauses(activity, values)
    )


def _pauses(activity: Document, values: Mapping[str, str]) -> list[Any]:
    pauses = activity.get("pauses")
    given = [pauses.get(when) for when in ("before", "after")] if isinstance(pauses, dict) else []
    return [_filled(each, values) if isinstance(each, str) else each for each in given]


# --- in words --------------------------------------------------------------------------------------------------------


def name(activity: Document) -> str:
    return str(activity.get("name") or activity.get("ref") or "(without a name)")


def words(activity: Document) -> str:
    """What an activity calls, as a person would write it down."""
    by = provider(activity)
    if by.get("type") == "python":
        arguments = section(by, "arguments")
        inside = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        return f"{by.get('module')}.{by.get('func')}({inside})"
    if by.get("type") == "process":
        given = by.get("arguments", [])
        if isinstance(given, dict):
            given = [part for pair in given.items() for part in pair]
        parts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        return " ".join(str(part) for part in [by.get("path"), *parts] if part not in (None, ""))
    if by.get("type") == "http":
        return f"{str(by.get('method') or 'GET').upper()} {by.get('url')}"
    return "nothing that is known"


def shown(document: Document, arguments: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """What people may read in place of `${name}`: values that are known now and no secrets."""
    result = {}
    for name, entry in configuration(document, arguments).items():
        value = entry
        if isinstance(entry, dict) and entry.get("type") == "env":
            value = environment.get(str(entry.get("key")), entry.get("default"))
        if isinstance(value, (str, int, float)) and not is_secret_name(name) and "${" not in str(value):
            result[name] = str(value)
    return result


def _filled(line: str, values: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: values.get(found[1], found[0]), line)


def described(document: Document, values: Mapping[str, str]) -> list[str]:
    """What the experiment will do and how it is undone, one line each; *values* fill in `${name}`."""
    lines = []
    if probes(document) and hypothesis_strategy(document) != "skip":
        title = section(document, "steady-state-hypothesis").get("title")
        lines.append(f"look first: {title} ({', '.join(name(probe) for probe in probes(document))})")
    for control in controls(document):
        lines.append(f"load control: {control}")
    for activity in section(document, "method"):
        left_out = " (dry: left out)" if is_dry(activity, document) else ""
        beside = " in the background" if activity.get("background") is True else ""
        lines.append(f"{activity.get('type')}{beside}: {name(activity)}: {words(activity)}{left_out}")
    return [_filled(line, values) for line in lines] + summary(document, values)


def summary(document: Document, values: Mapping[str, str]) -> list[str]:
    """How it is undone, one sentence each."""
    rollbacks = section(document, "rollbacks")
    if not rollbacks:
        return ["undo: nothing; the experiment declares no rollbacks, what its actions leave behind stays"]
    return [_filled(f"undo: {name(activity)}: {words(activity)}", values) for activity in rollbacks]


def instructions(document: Document, values: Mapping[str, str], failed: list[Document] | None = None) -> list[str]:
    """What a person must do in place of the rollbacks that could not be verified (default all)."""
    rollbacks = section(document, "rollbacks") if failed is None else failed
    if not rollbacks:
        return [f"check by hand what {document.get('title') or 'the experiment'} left behind: it declares no rollbacks"]
    return [_filled(f"do by hand, then check: {name(activity)}: {words(activity)}", values) for activity in rollbacks]


def controls(document: Document) -> list[str]:
    """Names of the controls that would be loaded; controls are code, too."""
    sections = [document, section(document, "steady-state-hypothesis"), *activities(document)]
    found = [control for holder in sections for control in section(holder, "controls") if isinstance(control, dict)]
    names = [f"{control.get('name')} ({provider(control).get('module')})" for control in found if "provider" in control]
    return list(dict.fromkeys(names))


def hypothesis_strategy(document: Document) -> str:
    """When the steady state is looked at; an unknown word means the default, as in Chaos Toolkit's command line."""
    written = section(section(document, "runtime"), "hypothesis").get("strategy")
    if written == "continously":  # as the command line spelt it once, and still takes it
        return "continuously"
    known = ("default", "before-method-only", "after-method-only", "during-method-only", "continuously", "skip")
    return written if written in known else "default"
