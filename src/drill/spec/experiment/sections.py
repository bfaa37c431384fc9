"""An experiment from top to bottom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drill.spec.experiment.activity import Activities, controls
from drill.spec.experiment.findings import Findings, near
from drill.spec.source import Node, found

_TOP = (
    *("version", "title", "description", "tags", "contributions", "configuration", "secrets", "controls"),
    *("steady-state-hypothesis", "method", "rollbacks", "extensions", "runtime", "dry"),
)
_TOP_HINTS = {
    "rollback": "did you mean rollbacks? as it stands, nothing is rolled back",
    "hypothesis": "did you mean steady-state-hypothesis?",
    "steady_state_hypothesis": "did you mean steady-state-hypothesis?",
    "steadyStateHypothesis": "did you mean steady-state-hypothesis?",
}
_ROLLBACKS = ("default", "always", "never", "deviated")
_HYPOTHESIS = (*("default", "before-method-only", "after-method-only", "during-method-only", "continuously", "skip"),)
_TYPES = ("str", "string", "int", "integer", "float", "number", "bytes", "bool", "json")


def check(root: Node, findings: Findings, arguments: Mapping[str, Any]) -> None:
    """Note every problem of the experiment at *root*."""
    if root.kind == "scalar" and root.value is None:
        findings.error("the file is empty: an experiment needs a title, a description and a method", root)
        return
    if not findings.mapping(root, "an experiment", "it begins with title, description and method"):
        return
    for node in root.walk():
        for key in node.duplicates():
            findings.warning(f"the key {key.value} stands here twice; only the last counts", key)
    findings.keys(root, _TOP, "an experiment", _TOP_HINTS)
    for required in ("title", "description"):
        _text(root, required, findings)
    _configuration_names(root, findings, arguments)
    activities = Activities(findings, named(root))
    _tags_and_extensions(root, findings)
    _configuration(root, findings, activities, arguments)
    _secrets(root, findings)
    _runtime(root, findings)
    _dry(root, findings)
    declared = declared_controls(root)
    if "controls" in root.value:
        controls(root, "the experiment", findings, declared)
    activities.declared_controls = declared
    _hypothesis(root, findings, activities)
    _method(root, findings, activities)
    _rollbacks(root, findings, activities)
    _together(root, findings)
    _unused(root, findings, arguments)


def _text(root: Node, key: str, findings: Findings) -> None:
    node = root.get(key)
    if node is None:
        findings.error(f"an experiment needs a {key}", root)
    elif not node.value:
        findings.error(f"the {key} of the experiment is empty", node)
    elif not isinstance(node.value, str):
        findings.warning(f"the {key} should be text, not {found(node)}", node)
    elif key == "title":
        findings.references(node)


def lists(root: Node, *path: str) -> list[Node]:
    """The children of a list, if it is one."""
    node: Node | None = root
    for key in path:
        node = node.get(key) if node is not None and node.kind == "mapping" else None
    return node.children if node is not None else []


def written_activities(root: Node) -> list[Node]:
    """Activities of all three sections that are mappings."""
    parts = [*lists(root, "steady-state-hypothesis", "probes"), *lists(root, "method"), *lists(root, "rollbacks")]
    return [part for part in parts if part.kind == "mapping"]


def named(root: Node) -> list[Node]:
    """Activities that a `ref` can name: those of the method and the hypothesis, in that order."""
    parts = [*lists(root, "method"), *lists(root, "steady-state-hypothesis", "probes")]
    return [part for part in parts if part.kind == "mapping" and part.get("name") is not None]


def declared_controls(root: Node) -> set[str]:
    holders = [root, *written_activities(root)]
    hypothesis = root.get("steady-state-hypothesis")
    if hypothesis is not None and hypothesis.kind == "mapping":
        holders.append(hypothesis)
    return {
        str(control.value["name"])
        for holder in holders
        for control in lists(holder, "controls")
        if control.kind == "mapping" and "ref" not in control.value and "name" in control.value
    }


# --- variables ---


def _configuration_names(root: Node, findings: Findings, arguments: Mapping[str, Any]) -> None:
    findings.known.update(arguments)
    configuration = root.get("configuration")
    if configuration is not None and configuration.kind == "mapping":
        findings.known.update(str(key.value) for key, _ in configuration.items)
    secrets = root.get("secrets")
    if secrets is not None and secrets.kind == "mapping":
        for target, entries in secrets.items:
            findings.targets.add(str(target.value))
            findings.known.update(str(key.value) for key, _ in entries.items)


def _configuration(root: Node, findings: Findings, activities: Activities, arguments: Mapping[str, Any]) -> None:
    configuration = root.get("configuration")
    if configuration is None or not findings.mapping(configuration, "configuration"):
        return
    for key, entry in configuration.items:
        if entry.kind != "mapping" or entry.get("type") is None or key.value in arguments:
            continue
        kind = entry.value["type"]
        if kind == "env":
            _env(entry, f"the configuration {key.value}", findings, default=True)
        elif kind == "probe":
            activities.dynamic(entry, str(key.value))
        elif kind == "vault":
            findings.warning(
                f"the configuration {key.value} stays the mapping that is written here: only secrets come from Vault",
                entry,
                "move it to secrets",
            )


def _env(entry: Node, what: str, findings: Findings, *, default: bool) -> None:
    known = ("type", "key", "default", "env_var_type") if default else ("type", "key")
    findings.keys(entry, known, what)
    key = findings.filled(entry, "key", what)
    if key is None:
        return
    if key.value not in findings.here.variables and not (default and "default" in entry.value):
        findings.note(f"{what} needs the environment variable {key.value}, which is not set here", key)
    kind = entry.get("env_var_type")
    if not default or kind is None or kind.value is None:
        return
    if kind.value not in _TYPES:
        findings.error(
            f"{what} has the unknown env_var_type {found(kind)}",
            kind,
            near(kind.value, _TYPES) or f"known are {', '.join(_TYPES)}",
        )
        return
    given = entry.get("default")
    if given is not None and not _converts(kind.value, given.value):
        message = f"the default of {what} is not of its env_var_type {kind.value}: {found(given)}"
        # It matters only where the variable is not set.
        findings.error(message, given)


def _converts(kind: str, value: Any) -> bool:
    """As chaoslib converts a variable, or here its default."""
    import json

    try:
        if kind in ("int", "integer"):
            int(value)
        elif kind in ("float", "number"):
            float(value)
        elif kind == "json" and isinstance(value, str) and value:
            json.loads(value)
        elif kind == "bytes":
            return isinstance(value, str)
        elif kind == "bool":
            return isinstance(value, (bool, str))
    except (TypeError, ValueError):
        return False
    return True


def _secrets(root: Node, findings: Findings) -> None:
    secrets = root.get("secrets")
    if secrets is None or not findings.mapping(secrets, "secrets"):
        return
    for target, entries in secrets.items:
        what = f"the secrets of {target.value}"
        hint = f"secrets have two levels: {target.value}: {{name: value}}"
        if not findings.mapping(entries, what, hint):
            continue
        kind = entries.get("type")
        if kind is not None and kind.value in ("env", "vault"):
            findings.error(f"{what} must have names of their own, not a reference", entries, hint)
            continue
        for key, entry in entries.items:
            _secret(f"{target.value}.{key.value}", entry, findings)


def _secret(name: str, entry: Node, findings: Findings) -> None:
    what = f"the secret {name}"
    kind = entry.value.get("type") if entry.kind == "mapping" else None
    if kind == "env":
        _env(entry, what, findings, default=False)
    elif kind == "vault":
        findings.keys(entry, ("type", "path", "key"), what)
        if entry.value.get("path") is None:
            findings.warning(f"{what} has no path: Chaos Toolkit takes it for empty", entry, "path names it in Vault")
    elif entry.kind == "scalar" and isinstance(entry.value, str) and entry.value and "${" not in entry.value:
        hint = f"{{type: env, key: {name.rpartition('.')[2].upper()}}} takes it from the environment"
        findings.warning(f"{what} is written into the file", entry, hint)
    elif kind is not None:
        hint = near(kind, ("env", "vault")) or "known are env and vault"
        findings.warning(f"{what} has the unknown type {kind}: it stays the mapping that is written here", entry, hint)


# --- small sections ---


def _tags_and_extensions(root: Node, findings: Findings) -> None:
    tags = root.get("tags")
    if tags is not None and tags.value:
        if tags.kind == "list":
            for tag in tags.children:
                if tag.value == "" or not isinstance(tag.value, str):
                    findings.error(f"a tag must be text, not {found(tag) if tag.value != '' else 'empty'}", tag)
        elif isinstance(tags.value, str) or tags.kind == "mapping":
            findings.warning(f"tags should be a list, not {found(tags)}", tags)
        else:
            findings.sequence(tags, "tags")
    extensions = root.get("extensions")
    if extensions is not None and extensions.value and findings.sequence(extensions, "extensions"):
        for extension in extensions.children:
            if findings.mapping(extension, "an extension"):
                name = findings.filled(extension, "name", "an extension")
                if name is not None and not name.value.strip():
                    findings.error("the name of an extension is empty", name)


def _runtime(root: Node, findings: Findings) -> None:
    runtime = root.get("runtime")
    if runtime is None or not runtime.value or not findings.mapping(runtime, "runtime"):
        return
    findings.keys(runtime, ("rollbacks", "hypothesis"), "runtime", {"rollback": "did you mean rollbacks?"})
    for section, known in (("rollbacks", _ROLLBACKS), ("hypothesis", _HYPOTHESIS)):
        node = runtime.get(section)
        if node is None or not findings.mapping(node, f"runtime {section}"):
            continue
        findings.keys(node, ("strategy",), f"runtime {section}")
        strategy = node.get("strategy")
        if strategy is None:
            continue
        if strategy.value == "continously" and section == "hypothesis":
            continue  # Chaos Toolkit's command line spelt it so once, and still takes it
        if strategy.value not in known:
            result = "never rolls back" if section == "rollbacks" else "refuses to run"
            hint = near(strategy.value, known) or f"known are {', '.join(known)}"
            findings.warning(
                f"unknown strategy {found(strategy)}: Chaos Toolkit {result} with it; drill takes the default",
                strategy,
                hint,
            )
        elif section == "rollbacks" and strategy.value in ("never", "deviated"):
            findings.warning(f"the strategy {strategy.value} is not followed: drill always undoes", strategy)
        elif section == "hypothesis" and strategy.value == "skip":
            findings.warning("the strategy skip leaves the steady state out: it cannot fail", strategy)


def _dry(root: Node, findings: Findings) -> None:
    node = root.get("dry")
    if node is not None and node.value:
        findings.warning("Chaos Toolkit ignores dry here and runs the fault; drill leaves out what it names", node)


# --- activities ---


def _hypothesis(root: Node, findings: Findings, activities: Activities) -> None:
    hypothesis = root.get("steady-state-hypothesis")
    if hypothesis is None or not findings.mapping(hypothesis, "steady-state-hypothesis"):
        return
    findings.keys(hypothesis, ("title", "description", "probes", "controls"), "steady-state-hypothesis")
    title = hypothesis.get("title")
    if title is None or not title.value:
        findings.error("the steady-state hypothesis needs a title", title or hypothesis)
    if "controls" in hypothesis.value:
        controls(hypothesis, "the steady-state hypothesis", findings, activities.declared_controls)
    probes = hypothesis.get("probes")
    if probes is None:
        findings.warning("the steady-state hypothesis has no probes: it cannot fail", hypothesis)
    elif findings.sequence(probes, "the probes of the steady-state hypothesis"):
        if not probes.children:
            findings.warning("the steady-state hypothesis has no probes: it cannot fail", probes)
        for probe in probes.children:
            activities.check(probe, "steady-state-hypothesis")


def _method(root: Node, findings: Findings, activities: Activities) -> None:
    method = root.get("method")
    if method is None:
        findings.error("an experiment needs a method, which may be an empty list", root)
    elif findings.sequence(method, "method"):
        for activity in method.children:
            activities.check(activity, "method")


def _rollbacks(root: Node, findings: Findings, activities: Activities) -> None:
    rollbacks = root.get("rollbacks")
    if rollbacks is not None and rollbacks.value in ("", {}):
        findings.warning(f"rollbacks should be a list, not {found(rollbacks)}", rollbacks)
    elif rollbacks is not None and findings.sequence(rollbacks, "rollbacks"):
        for activity in rollbacks.children:
            activities.check(activity, "rollbacks")


def _together(root: Node, findings: Findings) -> None:
    """What only the sections together show."""
    actions = [part for part in lists(root, "method") if part.kind == "mapping" and part.value.get("type") == "action"]
    if actions and not lists(root, "rollbacks"):
        findings.warning(
            "the method has an action and the experiment no rollbacks: what it breaks stays broken",
            actions[0],
            "rollbacks list the activities that undo it",
        )
    parts = written_activities(root)
    if parts and not any(part.value.get("type") == "probe" or "ref" in part.value for part in parts):
        findings.note("the experiment has no probes: it observes nothing by itself", root)
    seen: dict[str, Node] = {}
    for part in named(root):
        name = part.value["name"]
        if isinstance(name, str) and seen.setdefault(name, part) is not part:
            first = seen[name].at.line
            findings.warning(f"a second activity is named {name}; a ref finds one only", part, f"see line {first}")


def _unused(root: Node, findings: Findings, arguments: Mapping[str, Any]) -> None:
    configuration = root.get("configuration")
    own = configuration.value if configuration is not None and configuration.kind == "mapping" else {}
    for name in arguments:
        if name not in own and name not in findings.used and name != "drill_deadline":
            hint = near(name, own)
            findings.warning(f"the drill gives {name}, which the experiment has no configuration for", root, hint)
