"""One probe or action, and the provider that carries it out."""

from __future__ import annotations

import os.path
from collections.abc import Callable
from dataclasses import dataclass, field

from drill.spec.experiment import tolerance
from drill.spec.experiment.findings import Findings, near, number
from drill.spec.experiment.modules import Known
from drill.spec.source import Node, found

_KEYS = ("type", "name", "provider", "pauses", "background", "controls", "tolerance", "ref", "timeout", "dry")
_OF_PROVIDER = ("module", "func", "arguments", "secrets", "path", "url", "method", "headers", "verify_tls")
_KEY_HINTS = {key: f"{key} belongs under provider" for key in _OF_PROVIDER} | {"pause": "did you mean pauses?"}
_PROVIDERS = {
    "python": ("type", "module", "func", "arguments", "secrets", "timeout"),
    "process": ("type", "path", "arguments", "timeout", "secrets"),
    "http": ("type", "url", "method", "headers", "arguments", "timeout", "verify_tls", "max_retries", "secrets"),
}
_VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT")
_SHELLS = ("sh", "bash", "zsh", "dash", "ash", "ksh")


@dataclass
class Activities:
    """
    Checks activities, wherever they stand.

    Attributes:
        named: Those that a `ref` can name.

        declared_controls: Names of controls that a `ref` can name.
    """

    findings: Findings
    named: list[Node]
    declared_controls: set[str] = field(default_factory=set)

    def check(self, node: Node, where: str) -> None:
        """An activity of the method, the rollbacks or the steady-state hypothesis."""
        findings = self.findings
        if not findings.mapping(node, f"an activity of {where}"):
            return
        if not node.items:
            findings.error(f"an activity of {where} is empty", node)
            return
        held = where == "steady-state-hypothesis"
        if held:
            self._held(node)
        ref = node.get("ref")
        if ref is not None and ref.value is not None:
            self._ref(ref, where)
            return
        if self._plain(node, where) and not held and "tolerance" in node.value:
            at = node.key("tolerance") or node
            findings.warning(
                f"a tolerance in {where} is never looked at", at, "only the steady-state hypothesis has them"
            )

    def dynamic(self, node: Node, name: str) -> None:
        """A configuration that a probe finds out: code that runs before anything else."""
        self._plain(node, f"the configuration {name}")

    def _held(self, node: Node) -> None:
        findings = self.findings
        written = node.get("tolerance")
        if "tolerance" not in node.value or written is None:
            findings.error("a probe of the steady-state hypothesis needs a tolerance", node)
        else:
            tolerance.check(written, node, findings, self._tolerance_probe)
        kind = node.get("type")
        if kind is not None and kind.value == "action":
            findings.warning("an action in the steady-state hypothesis is run before and after the method", kind)
        if node.value.get("background"):
            at = node.key("background") or node
            findings.warning("background is ignored in the steady-state hypothesis", at)

    def _tolerance_probe(self, node: Node) -> None:
        self._plain(node, "a tolerance", implied=("value",))

    def _ref(self, ref: Node, where: str) -> None:
        names = [str(part.value["name"]) for part in self.named]
        if not isinstance(ref.value, str) or not ref.value:
            self.findings.error(f"a ref must name an activity, not {found(ref)}", ref)
        elif ref.value not in names:
            after = "; Chaos Toolkit finds that out after the fault, and rolls nothing back"
            self.findings.error(
                f"no activity is named {ref.value}{after if where == 'rollbacks' else ''}",
                ref,
                near(ref.value, names) or "a ref names an activity of the method or the steady-state hypothesis",
            )

    def _plain(self, node: Node, where: str, implied: tuple[str, ...] = ()) -> bool:
        """What holds for every activity that is written out; False when nothing more can be said."""
        findings = self.findings
        kind = node.get("type")
        named = node.value.get("name")
        what = f"the activity {named}" if isinstance(named, str) and named else f"an activity of {where}"
        if kind is None or not kind.value:
            findings.error(f"{what} needs a type, probe or action", kind or node)
        elif kind.value not in ("probe", "action"):
            hint = near(kind.value, ("probe", "action"))
            findings.error(f"the type of {what} must be probe or action, not {found(kind)}", kind, hint)
        name = node.get("name")
        # Neither of these is ever shown under its name, and Chaos Toolkit asks for it only in the tolerance.
        if not where.startswith("the configuration") and (name is None or not name.value):
            findings.error(f"{what} needs a name", name or node)
        elif name is not None and name.kind != "scalar":
            findings.error(f"the name of {what} must be text, not {found(name)}", name)
        findings.keys(node, (*_KEYS, *(("target",) if implied else ())), what, _KEY_HINTS)
        self._pauses(node, what)
        self._flags(node, what)
        if "controls" in node.value:
            controls(node, what, findings, self.declared_controls)
        provider = node.get("provider")
        if provider is None or not provider.value:
            findings.error(f"{what} needs a provider", provider or node)
            return False
        if not findings.mapping(provider, f"the provider of {what}"):
            return False
        self._provider(provider, node, what, implied)
        return True

    def _pauses(self, node: Node, what: str) -> None:
        findings = self.findings
        pauses = node.get("pauses")
        if pauses is None or not findings.mapping(pauses, f"pauses of {what}", "pauses: {before: 5, after: 5}"):
            return
        findings.keys(pauses, ("before", "after"), f"the pauses of {what}")
        for key in ("before", "after"):
            pause = pauses.get(key)
            if pause is None or pause.value is None:
                continue
            if isinstance(pause.value, str) and pause.value.startswith("${") and pause.value.endswith("}"):
                findings.references(pause)
            elif not isinstance(pause.value, (int, float)):
                hint = 'seconds as a number, or "${name}"'
                findings.error(f"the pause {key} {what} must be a number, not {found(pause)}", pause, hint)
            elif pause.value < 0:
                findings.error(f"the pause {key} {what} must be 0 or more, not {found(pause)}", pause)

    def _flags(self, node: Node, what: str) -> None:
        findings = self.findings
        background = node.get("background")
        if background is not None and not isinstance(background.value, bool):
            findings.error(f"background of {what} must be true or false, not {found(background)}", background)
        dry = node.get("dry")
        if dry is not None and dry.value:
            findings.warning(f"Chaos Toolkit ignores dry and runs {what}; drill leaves it out", node.key("dry") or dry)
        timeout = node.get("timeout")
        if timeout is None or timeout.value is None:
            return
        if not isinstance(timeout.value, (int, float)):
            findings.error(f"the timeout of {what} must be a number of seconds, not {found(timeout)}", timeout)
        else:
            self._kept(node, what)

    def _kept(self, holder: Node, what: str) -> None:
        """A timeout where Chaos Toolkit does not look; a python activity has no other place for one."""
        at = holder.key("timeout") or holder
        by = holder.value.get("provider", holder.value)
        python = isinstance(by, dict) and by.get("type") == "python"
        say = self.findings.note if python else self.findings.warning
        say(f"Chaos Toolkit ignores the timeout of {what}; drill keeps it", at)

    # --- providers ---

    def _provider(self, provider: Node, node: Node, what: str, implied: tuple[str, ...]) -> None:
        findings = self.findings
        kind = provider.get("type")
        checks: dict[str, Callable[[Node, Node, str], None]] = {"process": self._process, "http": self._http}
        if kind is None or not kind.value:
            findings.error(f"the provider of {what} needs a type: python, process or http", kind or provider)
            return
        if not isinstance(kind.value, str) or kind.value not in _PROVIDERS:
            hint = near(kind.value, _PROVIDERS) or "known are python, process and http"
            findings.error(f"the provider of {what} has the unknown type {found(kind)}", kind, hint)
            return
        findings.keys(provider, _PROVIDERS[kind.value], f"the {kind.value} provider of {what}")
        if kind.value == "python":
            self._python(provider, what, implied)
        else:
            checks[kind.value](provider, node, what)

    def _python(self, provider: Node, what: str, implied: tuple[str, ...]) -> None:
        findings = self.findings
        module = findings.filled(provider, "module", what)
        func = findings.filled(provider, "func", what)
        arguments = provider.get("arguments")
        usable = arguments is None or findings.mapping(arguments, f"the arguments of {what}")
        if arguments is not None:
            findings.references(arguments)
        if module is not None and func is not None and usable:
            given = {**(arguments.value if arguments else {}), **dict.fromkeys(implied)}
            self._function(module, func, arguments or provider, given, what)
        if provider.value.get("timeout") is not None:
            self._kept(provider, what)
        secrets = provider.get("secrets")
        if secrets is not None:
            self._secrets(secrets, what)

    def _secrets(self, secrets: Node, what: str) -> None:
        findings = self.findings
        if isinstance(secrets.value, str):
            hint = f"write [{secrets.value}]"
            findings.warning(f"the secrets of {what} must be a list: each letter is taken for a name", secrets, hint)
            return
        if not findings.sequence(secrets, f"the secrets of {what}", "a list of targets"):
            return
        for target in secrets.children:
            if str(target.value) not in findings.targets:
                hint = near(target.value, findings.targets) or "secrets defines targets"
                findings.warning(f"{what} gets no secrets: there is no target {found(target)}", target, hint)

    def _function(self, module: Node, func: Node, at: Node, given: dict[str, object], what: str) -> None:
        findings = self.findings
        function = findings.here.function(module.value, func.value)
        if function.known is Known.NO_MODULE:
            findings.note(f"{what} needs the module {module.value}, which is not installed here", module)
        elif function.known is Known.NO_FUNCTION:
            hint = near(func.value, function.names)
            findings.error(f"the module {module.value} has no function {func.value}", func, hint)
        elif function.known is Known.SIGNATURE:
            for name in function.missing(given):
                findings.error(f"{func.value} needs the argument {name}", at)
            for name in function.unexpected(given):
                node = at.key(name) or at
                hint = near(name, function.accepted) or f"it takes {', '.join(function.accepted) or 'none'}"
                findings.error(f"{func.value} takes no argument {name}", node, hint)

    def _process(self, provider: Node, node: Node, what: str) -> None:
        findings = self.findings
        path = findings.filled(provider, "path", what)
        arguments = provider.get("arguments")
        shell = arguments is not None and isinstance(arguments.value, str)
        if path is not None:
            shell = shell or os.path.basename(path.value) in _SHELLS
            if "${" in path.value:
                findings.error(f"the path of {what} is taken as it stands: ${{…}} is not filled in there", path)
            elif not findings.here.program(os.path.expanduser(path.value)):
                findings.note(f"{what} needs the program {path.value}, which is not found here", path)
        if arguments is not None:
            if arguments.kind == "scalar" and not isinstance(arguments.value, str):
                findings.error(
                    f"the arguments of {what} must be a list, not {found(arguments)}",
                    arguments,
                    "a list of arguments, or one text for a shell",
                )
            findings.references(arguments, shell=shell)
        self._timeout(provider, node, what, pair=False)

    def _http(self, provider: Node, node: Node, what: str) -> None:
        findings = self.findings
        url = findings.filled(provider, "url", what)
        if url is not None:
            findings.references(url)
            if not url.value.lower().startswith(("http://", "https://", "${")):
                findings.error(f"the url of {what} must begin with http:// or https://, not {found(url)}", url)
        method = provider.get("method")
        if method is not None and not isinstance(method.value, str):
            findings.error(f"the method of {what} must be text, not {found(method)}", method)
        elif method is not None and method.value.upper() not in _VERBS and not method.value.startswith("${"):
            hint = near(method.value.upper(), _VERBS)
            findings.warning(f"the method of {what} is no HTTP method: {found(method)}", method, hint)
        self._headers(provider, method, what)
        arguments = provider.get("arguments")
        if arguments is not None:
            findings.references(arguments)
        verify = provider.get("verify_tls")
        if verify is not None and not isinstance(verify.value, bool):
            findings.warning(f"verify_tls of {what} should be true or false, not {found(verify)}", verify)
        self._timeout(provider, node, what, pair=True)

    def _headers(self, provider: Node, method: Node | None, what: str) -> None:
        findings = self.findings
        headers = provider.get("headers")
        if headers is None or not headers.value or not findings.mapping(headers, f"the headers of {what}"):
            return
        findings.references(headers)
        body = provider.get("arguments")
        sends = method is not None and str(method.value).upper() != "GET" and body is not None and body.kind != "scalar"
        for key, value in headers.items:
            if value.kind != "scalar" or not isinstance(value.value, str):
                hint = f'write it in quotes: "{value.value}"' if value.kind == "scalar" else None
                findings.error(f"the header {key.value} of {what} must be text, not {found(value)}", value, hint)
            elif sends and _json_in_vain(str(key.value), value.value):
                findings.warning(
                    f"the arguments of {what} are sent as a form, not as JSON",
                    key,
                    "only Content-Type: application/json, to the letter, sends JSON",
                )

    def _timeout(self, provider: Node, node: Node, what: str, *, pair: bool) -> None:
        findings = self.findings
        timeout = provider.get("timeout")
        if timeout is None or timeout.value is None:
            if node.value.get("timeout") is None:
                hint = "timeout under provider, in seconds"
                findings.warning(f"{what} has no timeout: Chaos Toolkit may wait for ever; drill does not", node, hint)
            return
        if timeout.kind == "list" and pair:
            if len(timeout.children) != 2 or not all(number(part.value) for part in timeout.children):
                findings.error(f"the timeout of {what} must be a number or [connect, read]", timeout)
        elif isinstance(timeout.value, str):
            findings.references(timeout)
            if not (pair and timeout.value.startswith("${")):
                self._text_for_seconds(timeout, what)
        elif not isinstance(timeout.value, (int, float)):
            findings.error(f"the timeout of {what} must be a number of seconds, not {found(timeout)}", timeout)
        elif not number(timeout.value) or timeout.value <= 0:
            findings.warning(f"the timeout of {what} must be more than 0, not {found(timeout)}", timeout)

    def _text_for_seconds(self, timeout: Node, what: str) -> None:
        message = f"the timeout of {what} must be a number of seconds: Chaos Toolkit crashes on {found(timeout)}"
        hint = None if timeout.value.startswith("${") else "write a number without quotes"
        self.findings.warning(message, timeout, hint)


def _json_in_vain(key: str, value: str) -> bool:
    """The header asks for JSON, but not in the one spelling that chaoslib knows."""
    exact = key == "Content-Type" and value == "application/json"
    return key.lower() == "content-type" and "json" in value and not exact


def controls(holder: Node, what: str, findings: Findings, declared: set[str]) -> None:
    """The controls of the experiment, the hypothesis or an activity: code that runs around it."""
    listed = holder.get("controls")
    if listed is None or not findings.sequence(listed, f"the controls of {what}"):
        return
    for control in listed.children:
        if findings.mapping(control, f"a control of {what}"):
            _control(control, what, findings, declared)


def _control(control: Node, what: str, findings: Findings, declared: set[str]) -> None:
    findings.keys(control, ("name", "provider", "scope", "automatic", "ref"), f"a control of {what}")
    ref = control.get("ref")
    if ref is not None and str(ref.value) not in declared:
        hint = near(ref.value, declared)
        findings.error(f"no control is named {ref.value}", ref, hint)
    if "name" not in control.value:
        findings.error(f"a control of {what} needs a name", control)
    provider = control.get("provider")
    if provider is None:
        findings.error(f"a control of {what} needs a provider", control)
    elif findings.mapping(provider, f"the provider of a control of {what}"):
        _control_provider(provider, what, findings)
    scope = control.get("scope")
    if scope is not None and scope.value and scope.value not in ("before", "after"):
        findings.error(f"the scope of a control must be before or after, not {found(scope)}", scope)


def _control_provider(provider: Node, what: str, findings: Findings) -> None:
    kind = provider.get("type")
    if kind is None or kind.value != "python":
        said = found(kind) if kind is not None else "nothing"
        findings.warning(f"a control of {what} is ignored: its provider is of type {said}, not python", provider)
        return
    findings.keys(provider, ("type", "module", "arguments", "secrets"), f"the provider of a control of {what}")
    module = findings.filled(provider, "module", f"a control of {what}")
    arguments = provider.get("arguments")
    if arguments is not None:
        findings.references(arguments)
    if module is None:
        return
    if module.value == "chaosaddons.controls.bypass":
        findings.warning("this control does not keep Chaos Toolkit from running the fault; drill leaves it out", module)
    elif not findings.here.module(module.value):
        message = f"the module {module.value} is not installed here; Chaos Toolkit goes on without the control"
        findings.warning(message, module)
