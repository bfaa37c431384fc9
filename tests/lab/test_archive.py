"""Base backups and the archived log, without a database."""

import hashlib
import json
import subprocess

import pytest

from drill.errors import EnvironmentFault
from drill.lab import archive


@pytest.fixture
def backup(tmp_path):
    """A base backup of one file, as PostgreSQL describes it."""
    made = tmp_path / "base-0001"
    made.mkdir()
    (made / "PG_VERSION").write_text("18\n")
    listed = {"Path": "PG_VERSION", "Size": 3, "Checksum-Algorithm": "SHA256", "Checksum": _sha256(b"18\n")}
    text = json.dumps({"Files": [listed]})[:-1] + ", "
    (made / "backup_manifest").write_text(f'{text}"Manifest-Checksum": "{_sha256(text.encode())}"}}')
    return made


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_a_sound_backup_is_verified(backup):
    """Every file is as the manifest says."""
    assert archive.verify(backup) == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PG_VERSION", "17\n", "PG_VERSION of base-0001 is not what was backed up"),
        ("PG_VERSION", "18\n\n", "PG_VERSION of base-0001 is not what was backed up"),
        ("PG_VERSION", None, "PG_VERSION of base-0001 cannot be read: No such file or directory"),
        ("backup_manifest", '{"Files": [], "Manifest-Checksum": "00"}', "the manifest of base-0001 is damaged"),
    ],
)
def test_a_damaged_backup_is_found_out(backup, name, text, said):
    """One byte, one file or the manifest itself: each is said."""
    if text is None:
        (backup / name).unlink()
    else:
        (backup / name).write_text(text)

    with pytest.raises(EnvironmentFault) as found:
        archive.verify(backup)

    assert str(found.value) == said


def test_segments_are_restored_from_the_newest_stretch_that_has_them(tmp_path):
    """The last segment is the one that was still being written; what nobody has ends the log."""
    folder = tmp_path / "an archive"
    kept = {"wal-0001": {"A": "old", "B.partial": "end"}, "wal-0002": {"A": "new", "C": "all", "C.partial": "some"}}
    for stretch, segments in kept.items():
        (folder / stretch).mkdir(parents=True)
        for name, text in segments.items():
            (folder / stretch / name).write_text(text)
    found = {}
    for segment in "ABCD":
        to = tmp_path / segment
        command = archive.restore_command(folder).replace("%f", segment).replace("%p", str(to))
        done = subprocess.run(["sh", "-c", command], check=False)
        found[segment] = to.read_text() if done.returncode == 0 else done.returncode

    assert found == {"A": "new", "B": "end", "C": "all", "D": 1}


@pytest.mark.parametrize(
    ("names", "protected"),
    [
        ([], False),
        (["wal-0001"], False),
        (["wal-0001", "base-0001.new"], False),
        (["wal-0001", "base-0001"], True),
        (["wal-0001", "base-0001", "base-0002"], True),
        (["wal-0001", "base-0001", "base-0002", "wal-0003"], False),
    ],
)
def test_only_a_backup_of_the_newest_stretch_protects(tmp_path, names, protected):
    """A log that began anew after a failover needs a base backup of its own."""
    for name in names:
        (tmp_path / name).mkdir()

    assert archive.protected(tmp_path) == protected
