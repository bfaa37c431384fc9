"""
The tables in the READMEs of experiments/, drills/ and probes/ say what their files say.

    python tests/test_folders.py        writes the tables anew
"""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
HEADS = {
    "experiments": ("experiment", "what happens", "may be set"),
    "drills": ("drill", "what is exercised", "objectives", "breaks"),
    "probes": ("probe", "kind", "every", "deadline", "what a good answer shows"),
}


def table(folder):
    """The table of one folder, one row for each of its files."""
    lines = [HEADS[folder], ("---",) * len(HEADS[folder])]
    lines += [row(folder, path, yaml.safe_load(path.read_text())) for path in sorted((ROOT / folder).glob("*.yaml"))]
    rows = ["| " + " | ".join(cells) + " |" for cells in lines]
    rows[1] = "|" + "|".join(lines[1]) + "|"
    return "\n".join(rows) + "\n"


def row(folder, path, said):
    link = f"[{path.stem}]({path.name})"
    if folder == "experiments":
        settings = ", ".join(f"`{key}: {value}`" for key, value in said.get("configuration", {}).items())
        return link, said["title"], settings or "–"
    if folder == "drills":
        targets = ", ".join(f"{name} {target(value)}" for name, value in said["objectives"].items())
        broken = ", ".join(str(step["inject"]) for step in said["steps"] if "inject" in step)
        return link, said["title"], targets, broken
    return link, said["kind"], str(said["every"]), str(said["deadline"]), said["title"]


def target(value):
    """An objective's target in a few words: `30s`, or `30s from impact`."""
    if not isinstance(value, dict):
        return str(value)
    return f"{value['target']} from {value['from']}" if "from" in value else str(value["target"])


def parts(folder):
    """The README before, in and after its table."""
    text = (ROOT / folder / "README.md").read_text()
    lines = text.splitlines(keepends=True)
    inside = [n for n, line in enumerate(lines) if line.startswith("|")]
    first, last = (inside[0], inside[-1] + 1) if inside else (len(lines), len(lines))
    return "".join(lines[:first]), "".join(lines[first:last]), "".join(lines[last:])


@pytest.mark.parametrize("folder", HEADS)
def test_the_table_of_a_folder_says_what_its_files_say(folder):
    """A file that is added, renamed or retitled without its README is noticed."""
    assert parts(folder)[1] == table(folder), "python tests/test_folders.py"


@pytest.mark.parametrize("path", sorted((ROOT / "drills").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_target_says_where_it_comes_from(path):
    """Stated by its owner, proposed by us, or derived: a reader must never take one for the other."""
    for name, given in yaml.safe_load(path.read_text())["objectives"].items():
        for one in given if isinstance(given, list) else [given]:
            source = one["source"]
            kinds = set(source) if isinstance(source, dict) else {source.partition(":")[0]}
            assert kinds <= {"stated", "proposed", "derived"}, name


if __name__ == "__main__":
    for each in HEADS:
        before, _, after = parts(each)
        (ROOT / each / "README.md").write_text(before + table(each) + after)
