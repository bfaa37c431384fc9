"""Anybody's experiment, read offline."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drill.errors import Severity
from drill.spec import experiment
from drill.spec.experiment import Here, modules

TESTS = Path(__file__).parents[2]
CORPUS = sorted((TESTS / "experiments").iterdir())
SHIPPED = sorted((TESTS.parent / "experiments").glob("*.yaml"))
EVERYTHING = Here(
    variables=type("All", (frozenset,), {"__contains__": lambda self, name: True})(),
    program=lambda path: True,
    module=lambda name: True,
)


def said(path: Path, *severities: Severity, here: Here | None = None, **arguments: object) -> list[str]:
    _, problems = experiment.lint(path, path.name, arguments, here)
    return [str(problem) for problem in problems if not severities or problem.severity in severities]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_a_usable_experiment_is_used(path: Path) -> None:
    """With nothing it needs installed or set, it has no errors, and comes back as it is written."""
    document, _ = experiment.lint(path, path.name, {})

    text = path.read_text()
    assert said(path, Severity.ERROR) == []
    assert document == (json.loads(text) if path.suffix == ".json" else yaml.safe_load(text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_our_own_experiments_are_clean(path: Path) -> None:
    """Not even a warning."""
    assert said(path, Severity.ERROR, Severity.WARNING) == []


def test_nothing_is_imported(tmp_path: Path) -> None:
    """Neither the modules that it names nor chaoslib: reading a file runs nothing."""
    (tmp_path / "dangerous.py").write_text("print('imported')\ndef f(a): pass\n")
    file = tmp_path / "x.yaml"
    file.write_text(
        "title: t\ndescription: d\nmethod:\n"
        "  - {type: probe, name: n, provider: {type: python, module: dangerous, func: f, arguments: {b: 1}}}\n"
    )
    program = (
        "import sys; from pathlib import Path; from drill.spec import experiment\n"
        "for p in experiment.lint(Path('x.yaml'), 'x.yaml', {})[1]: print(p)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('chaoslib', 'dangerous', 'boto3', 'kubernetes')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert ran.stdout == (
        "x.yaml:4:92: f needs the argument a\nx.yaml:4:93: f takes no argument b\n  hint: it takes a\n[]\n"
    )


def test_what_a_drill_gives_is_known(tmp_path: Path) -> None:
    """Values under `with:` fill in references, and one that nothing takes is named."""
    file = tmp_path / "x.yaml"
    file.write_text(
        "title: t\ndescription: d\nconfiguration: {zone: {type: env, key: NO_SUCH_VARIABLE}, node: a}\nmethod:\n"
        "  - type: probe\n    name: n\n"
        "    provider: {type: process, path: ls, arguments: ['${zone}', '${extra}'], timeout: 3}\n"
    )

    assert said(file, here=EVERYTHING, zone="east", extra=1, nod="b") == [
        "x.yaml:1:1: warning: the drill gives nod, which the experiment has no configuration for\n"
        "  hint: did you mean node?"
    ]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """Chaos Toolkit goes by the name's ending."""
    (tmp_path / "x.txt").write_text("title: t")

    assert said(tmp_path / "x.txt") == [
        "x.txt:1:1: x.txt is not named like an experiment\n"
        "  hint: Chaos Toolkit reads files that end in .json, .yaml, .yml"
    ]


# --- never a traceback ---


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scratch")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=st.binary(max_size=300), suffix=st.sampled_from(experiment.SUFFIXES))
def test_any_bytes_are_explained(scratch: Path, raw: bytes, suffix: str) -> None:
    """Whatever a file holds, there is a message and no traceback."""
    file = scratch / f"any{suffix}"
    file.write_bytes(raw)

    document, problems = experiment.lint(file, file.name, {}, EVERYTHING)
    assert document is None
    assert problems


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_torn_file_is_explained(scratch: Path, data: st.DataObject) -> None:
    """Cut, doubled or with bytes changed: a usable file that was damaged gives no traceback."""
    raw = bytearray(data.draw(st.sampled_from(CORPUS)).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1)) if raw else 0
        raw[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6))
    file = scratch / f"torn{data.draw(st.sampled_from(experiment.SUFFIXES))}"
    file.write_bytes(bytes(raw))

    experiment.lint(file, file.name, {}, EVERYTHING)


# --- the same judgement as Chaos Toolkit's ---

VALUES = st.sampled_from(
    [None, True, False, 0, 5, -1, 0.5, "", "text", "5", "${x}", "python", "probe", [], [1, 2], ["a"], {}, {"a": 1}]
)

# chaoslib's `validate` takes these and crashes on them later, some with the fault in place.
CRASHES_LATER = (
    "no activity is named",
    "the pause",
    "pauses of",
    "runtime",
    "the url of",
    "the arguments of",
    "the headers of",
    "the header",
    "the method of",
    "the timeout of",
    "the secrets of",
    "the path of",
    "the name of",
    "the controls of",
    "of the configuration",
)


def mutate(value: object, data: st.DataObject) -> object:
    """One change somewhere inside: a key lost or misspelt, a value replaced, an item lost or doubled."""
    if isinstance(value, dict) and value:
        key = data.draw(st.sampled_from(sorted(value)))
        match data.draw(st.sampled_from(["into", "into", "into", "lose", "misspell", "replace"])):
            case "into":
                return {**value, key: mutate(value[key], data)}
            case "lose":
                return {name: item for name, item in value.items() if name != key}
            case "misspell":
                return {(name if name != key else name[:-1]): item for name, item in value.items()}
            case _:
                return {**value, key: data.draw(VALUES)}
    if isinstance(value, list) and value:
        at = data.draw(st.integers(0, len(value) - 1))
        if data.draw(st.booleans()):
            return [*value[:at], mutate(value[at], data), *value[at + 1 :]]
        return data.draw(st.sampled_from([value[:at] + value[at + 1 :], [*value, value[at]]]))
    return data.draw(VALUES)


def chaostoolkit_takes(document: object) -> bool:
    """Whether `chaos validate` accepts it: neither refused nor a traceback."""
    import logging
    import warnings
    from copy import deepcopy

    from chaoslib.experiment import ensure_experiment_is_valid

    logging.getLogger("chaostoolkit").setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ensure_experiment_is_valid(deepcopy(document))
    except Exception:
        return False
    return True


# The same mutations each time: thousands of others were tried, and a rare one must not fail somebody else's change.
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(data=st.data())
def test_our_errors_are_chaos_toolkits(scratch: Path, data: st.DataObject) -> None:
    """What `chaos validate` takes has no errors here but those it crashes on later; what it refuses is told here."""
    path = data.draw(st.sampled_from(CORPUS))
    text = path.read_text()
    document: object = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    for _ in range(data.draw(st.integers(0, 2))):
        document = mutate(document, data)
    file = scratch / "mutated.json"
    file.write_text(json.dumps(document))

    accepted = chaostoolkit_takes(document)
    errors = said(file, Severity.ERROR)
    if accepted:
        assert [error for error in errors if not any(known in error for known in CRASHES_LATER)] == []
    else:
        assert errors or said(file, Severity.NOTE)


# --- functions without importing them ---


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a, b=1, *, c, d=2, **rest): pass", (("a", "c"), ("a", "b", "c", "d"), True)),
        ("def f(a, /, b, configuration, secrets=None): pass", (("a", "b", "configuration"), None, False)),
        ("async def f(): pass", ((), (), False)),
        ("if True:\n    def f(x): pass\n", (("x",), ("x",), False)),
        ("try:\n    import nothing\nexcept ImportError:\n    def f(x): pass\n", (("x",), ("x",), False)),
    ],
)
def test_a_signature_is_read(tmp_path: Path, source: str, expected: tuple) -> None:
    """From the source alone, wherever at the top level it is defined."""
    (tmp_path / "m.py").write_text(source)
    modules.find.cache_clear()

    function = modules.find("m", "f", str(tmp_path))
    required, accepted, anything = expected
    assert (function.known, function.required, function.anything) == (modules.Known.SIGNATURE, required, anything)
    assert accepted is None or function.accepted == accepted


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("from os import getcwd as f", modules.Known.NAME_ONLY),
        ("f = lambda: 1", modules.Known.NAME_ONLY),
        ("import functools\n@functools.cache\ndef f(x): pass", modules.Known.NAME_ONLY),
        ("from os import *", modules.Known.NAME_ONLY),
        ("globals()['f'] = len", modules.Known.NAME_ONLY),
        ("def __getattr__(name): return len", modules.Known.NAME_ONLY),
        ("this is no Python", modules.Known.NAME_ONLY),
        ("def g(): pass", modules.Known.NO_FUNCTION),
        ("", modules.Known.NO_FUNCTION),
    ],
)
def test_what_cannot_be_read_is_not_judged(tmp_path: Path, source: str, known: modules.Known) -> None:
    """Only a module that plainly lacks the function is said to."""
    (tmp_path / "m.py").write_text(source)
    modules.find.cache_clear()

    assert modules.find("m", "f", str(tmp_path)).known is known


@pytest.mark.parametrize(
    ("module", "there"),
    [("os.path", True), ("json.decoder", True), ("no_such_package.x", False), ("os.no_such", False), ("a b", False)],
)
def test_modules_are_found_by_name(module: str, there: bool) -> None:
    """Also inside packages; nothing is imported to find out."""
    assert modules.exists(module) is there
