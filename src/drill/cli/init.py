"""`drill init`: the shipped drills, experiments and probes, to start from."""

from __future__ import annotations

from pathlib import Path

import click

from drill.errors import EnvironmentFault


@click.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--force", is_flag=True, help="Overwrite files that are already there.")
def command(folder: Path, force: bool) -> None:
    """
    Copy the shipped drills, experiments and probes into FOLDER (default: here).

    \b
    Example:
      drill init my-drills && cd my-drills && drill run drills/region-failover.yaml
    """
    written, kept = 0, 0
    for source, relative in _shipped():
        target = folder / relative
        if target.exists() and not force:
            kept += target.read_bytes() != source.read_bytes()
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        except OSError as error:
            raise EnvironmentFault(f"{target} cannot be written: {error.strerror}") from error
        written += 1
    click.echo(f"{written} files written to {folder}/drills, experiments and probes")
    if kept:
        click.echo(f"{kept} files that differ were kept as they are; --force overwrites them")
    click.echo("next: drill run drills/region-failover.yaml")


def _shipped() -> list[tuple[Path, Path]]:
    """Every shipped file and where it goes: from the wheel, or from the checkout when installed editable."""
    packaged = Path(__file__).parent.parent / "files"
    root = packaged if packaged.is_dir() else Path(__file__).parents[3]
    return [
        (file, file.relative_to(root))
        for folder in ("drills", "experiments", "probes")
        for file in sorted((root / folder).rglob("*"))
        if file.is_file()
    ]
