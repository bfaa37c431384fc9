"""What a drill file says of its load becomes a load."""

from __future__ import annotations

from typing import Any

from drill.model import SECOND, Load, LoadStep
from drill.spec import project, references
from drill.spec.files import Files
from drill.spec.source import Node

_REQUEST = ("url", "method", "headers", "json", "status")


def read(files: Files, drill: Node, fields: dict[str, Any] | None) -> Load | None:
    """The drill's load; None when it has none, or once the problem is noted."""
    node = drill.get("load")
    if fields is None or node is None:
        return None
    references.check(node, {*files.endpoints, *files.values}, files.lab, files.problems)
    before = files.problems.wrong
    script = _script(files, node, fields)
    steps = _steps(files, node, fields)
    if not fields["locustfile"] and not fields["k6"] and not fields["url"]:
        files.problems.error(
            "a load needs url:, locustfile: or k6:", node.at, 'such as load: {url: "${orders.url}/orders", rate: 100}'
        )
    if files.problems.wrong > before:
        return None
    return Load(
        tool="k6" if fields["k6"] else "locust",
        steps=steps,
        deadline=fields["deadline"] or SECOND,
        request={key: fields[key] for key in _REQUEST if fields[key] is not None},
        script=script,
        environment=fields["environment"] or {},
        processes=fields["processes"],
    )


def _script(files: Files, node: Node, fields: dict[str, Any]) -> str | None:
    """The script it names, relative to the project, and what does not go with it."""
    kind = "k6" if fields["k6"] else "locustfile"
    named = node.get(kind)
    if fields["k6"] and fields["locustfile"]:
        files.problems.error("a load is either a locustfile or a k6 script", node.at)
    if named is None:
        return None
    for key in ("method", "headers", "json", "status", "deadline", *(("url", "processes") if kind == "k6" else ())):
        wrong = node.key(key)
        if wrong is not None:
            hint = "give it under environment:" if key == "url" else None
            files.problems.error(f"{key} does not go with {kind}, which says itself what is sent", wrong.at, hint)
    path = files.path.resolve().parent / fields[kind]
    if project.outside(path, files.root):
        files.problems.error(f"{fields[kind]} leads out of the project ({files.root.name}/)", named.at)
    elif not project.is_file(path := path.resolve()):
        files.problems.error(f"there is no file {fields[kind]} beside {project.shown(files.path)}", named.at)
    else:
        files.file(path)
        return files.relative(path)
    return None


def _steps(files: Files, node: Node, fields: dict[str, Any]) -> tuple[LoadStep, ...]:
    """Its steps; one that lasts to the end when a rate or a number of users is all it says."""
    said = [key for key in ("rate", "users", "steps") if fields[key] is not None]
    if len(said) > 1 or (not said and not fields["k6"]):
        what = f", not {' and '.join(said)}" if said else ""
        files.problems.error(f"a load is one of rate, users or steps{what}", node.at)
        return ()
    if fields["locustfile"] or fields["k6"]:
        for inner in (node, *(node.get("steps") or node).children):
            if inner.kind == "mapping" and (rate := inner.key("rate")) is not None:
                files.problems.error("a script sends as fast as its users do: give users:, not rate:", rate.at)
    if fields["steps"] is None:
        return (LoadStep(rate=fields["rate"], users=fields["users"]),) if said else ()
    listed = node.get("steps")
    assert listed is not None
    steps = []
    for n, (step, at) in enumerate(zip(fields["steps"], listed.children, strict=True)):
        if (step["rate"] is None) == (step["users"] is None):
            files.problems.error("a step of the load is either rate: or users:", at.at)
        if step["for"] is None and n < len(fields["steps"]) - 1:
            files.problems.error("a step of the load needs for:, unless it is the last", at.at)
        steps.append(LoadStep(lasts=step["for"], rate=step["rate"], users=step["users"]))
    if any(step.rate is not None for step in steps) and any(step.users is not None for step in steps):
        files.problems.error("the steps of a load are all rates or all users", listed.at)
    return tuple(steps)
