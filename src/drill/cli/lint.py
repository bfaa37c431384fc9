"""`drill lint`: every mistake in drill, probe and experiment files, without touching anything."""

from __future__ import annotations

from pathlib import Path

import click

from drill.cli import say
from drill.errors import EnvironmentFault, Position, Problem, Severity, SpecError

_READ = 500  # problems that are printed


@click.command("lint")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Warnings count as errors.")
@say.json_option
def command(files: tuple[Path, ...], strict: bool, as_json: bool) -> None:
    """
    Check FILES: drills, probes, policies and any Chaos Toolkit experiment (JSON or YAML), offline.

    Without FILES, every file in drills/, experiments/ and probes/ is checked. Nothing is
    imported or run, and no environment variable is needed. Exit code 2 when a
    file cannot be used.

    \b
    Example:
      drill lint drills/region-failover.yaml their-experiment.json
    """
    chosen = list(files) or _all()
    if not chosen:
        raise SpecError("there is nothing to check here", hint="name files, or run drill init first")
    found = list(dict.fromkeys(problem for file in chosen for problem in _check(file)))
    found.sort(key=lambda problem: problem.at or Position(""))
    errors = sum(problem.severity is Severity.ERROR for problem in found)
    warnings = sum(problem.severity is Severity.WARNING for problem in found)
    if as_json:
        say.data({"files": [str(file) for file in chosen], "problems": [say.problem_data(p) for p in found]})
    else:
        for problem in found[:_READ]:
            say.problem(problem)
        if len(found) > _READ:
            click.echo(f"and {len(found) - _READ} more; --json has them all", err=True)
        click.echo(f"{len(chosen)} files checked: {errors} errors, {warnings} warnings")
    if errors or (strict and warnings):
        raise SystemExit(2)


def _all() -> list[Path]:
    policy = [Path("drill-policy.yaml")] if Path("drill-policy.yaml").is_file() else []
    return policy + [
        file
        for folder in ("drills", "experiments", "probes")
        for file in sorted(Path(folder).rglob("*"))
        if file.suffix in (".yaml", ".yml", ".json")
    ]


def _check(file: Path) -> list[Problem]:
    from drill import spec
    from drill.spec import experiment, project, source

    shown = project.shown(file)
    try:
        node = source.read(file, shown)
    except SpecError as error:
        return list(error.problems)
    if node.kind == "mapping" and node.key("drill"):
        try:
            return list(spec.load(file).warnings)
        except SpecError as error:
            return list(error.problems)
        except EnvironmentFault as error:
            return [Problem(str(error), Position(shown))]
    if file.name == "drill-policy.yaml" or (node.kind == "mapping" and node.key("policy") and not node.key("method")):
        from drill.spec import policies

        return list(policies.check(file))
    if node.kind == "mapping" and node.key("probe") and node.key("kind"):
        return spec.check_probe(file)
    return experiment.lint(file, shown, {}, node=node)[1]
