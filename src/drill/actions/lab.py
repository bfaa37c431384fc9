"""
Chaos Toolkit actions on the lab `two-regions` and its sisters; usable by drill and by plain `chaos run`.

Which lab: `lab` in the experiment's configuration (folder or name), else the
environment variable DRILL_LAB, else the only one that runs.

Every action that breaks something returns `effect`: "shown" when its effect was
seen, "none" when there was nothing to break, "unknown" otherwise; and
`evidence`, a sentence. What restores is right in any state, twice over, and
returns once the lab is whole again.

Members are chosen by name ("postgres-east"), region ("region east"), kind
("postgres"), kind and region ("orders west") or kind and role, as it is at that
moment ("postgres primary", "valkey replica", "rabbitmq leader", "orders active").
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaoslib.exceptions import ActivityFailed

from drill.errors import EnvironmentFault
from drill.lab import Lab, find

if TYPE_CHECKING:
    from chaoslib.types import Configuration

__all__ = [
    "blackhole_router",
    "cut_link",
    "cut_region",
    "fill_cache",
    "flush_cache",
    "freeze_members",
    "kill_members",
    "kill_region",
    "lose_databases",
    "restore_backup",
    "restore_links",
    "restore_region",
    "restore_router",
    "set_router",
    "silence_link",
    "silence_region",
    "slow_link",
    "start_members",
    "switch_over",
    "take_backup",
    "thaw_members",
]

Members = str | list[str]
Result = dict[str, Any]

# For what happens at once; what takes time says how long it may.
_AT_ONCE = 20.0
# On top of what a restore may take, for its answer to arrive.
_GRACE = 10.0


# --- processes ------------------------------------------------------------------------------------------------


def kill_region(region: str, configuration: Configuration = None) -> Result:
    """SIGKILL every process of a region at once; what it had sent and not yet delivered is lost."""
    return kill_members(f"region {region}", configuration)


def kill_members(members: Members, configuration: Configuration = None) -> Result:
    """SIGKILL every process of some members at once. Nothing starts them again but `start_members`."""
    found = _ask(configuration, "kill", members=_list(members))
    return _effect(found, bool(found["pids"]), f"gone: {_processes(found)}", members)


def freeze_members(members: Members, configuration: Configuration = None) -> Result:
    """SIGSTOP every process of some members: connections stay open and nothing answers."""
    found = _ask(configuration, "freeze", members=_list(members))
    return _effect(found, bool(found["pids"]), f"standing still: {_processes(found)}", members)


def thaw_members(members: Members, configuration: Configuration = None) -> Result:
    """SIGCONT; members that ran all along are left alone."""
    return _restore(configuration, "thaw", _AT_ONCE, members=_list(members))


def start_members(members: Members, within: float = 90, configuration: Configuration = None) -> Result:
    """
    Thaw and start what is not running, and wait until it is whole.

    A former primary rejoins as a replica, rewound or copied anew. *within* is in seconds.
    """
    return _restore(configuration, "start", within, members=_list(members), within=within)


def restore_region(region: str, within: float = 90, configuration: Configuration = None) -> Result:
    """Clear a region's links, then start and thaw its members and wait until they are whole."""
    _restore(configuration, "link", _AT_ONCE, action="restore", region=region)
    return start_members(f"region {region}", within, configuration)


# --- links ----------------------------------------------------------------------------------------------------


def slow_link(
    source: str,
    target: str,
    latency: float = 0.0,
    rate: float | None = None,
    what: str | None = None,
    configuration: Configuration = None,
) -> Result:
    """
    Delay what *source* sends to *target* by *latency* seconds, and let only *rate* bytes per second pass.

    *what* narrows it to one kind of traffic: postgres, patroni, raft, valkey, sentinel or orders.
    """
    return _link(configuration, "slow", source=source, target=target, what=what, latency_s=latency, rate=rate)


def silence_link(source: str, target: str, what: str | None = None, configuration: Configuration = None) -> Result:
    """Let nothing pass from *source* to *target*, closing nothing: whoever waits, waits."""
    return _link(configuration, "silence", source=source, target=target, what=what)


def cut_link(source: str, target: str, what: str | None = None, configuration: Configuration = None) -> Result:
    """Reset every connection between two regions, old and new; what was in flight is lost."""
    return _link(configuration, "cut", source=source, target=target, what=what)


def cut_region(region: str, configuration: Configuration = None) -> Result:
    """Cut a region off from all others; inside it, everything goes on."""
    return _link(configuration, "cut", region=region)


def silence_region(region: str, configuration: Configuration = None) -> Result:
    """Let nothing pass to or from a region, closing nothing."""
    return _link(configuration, "silence", region=region)


def restore_links(region: str | None = None, within: float = 90, configuration: Configuration = None) -> Result:
    """Clear every link (or those of one region) and wait until the lab is whole. *within* is in seconds."""
    _restore(configuration, "link", _AT_ONCE, action="restore", region=region)
    return _restore(configuration, "wait", within, within=within)


# --- cache and router -----------------------------------------------------------------------------------------


def flush_cache(configuration: Configuration = None) -> Result:
    """Empty the cache."""
    found = _ask(configuration, "flush")
    return _effect(found, found["keys"] > 0, f"{found['keys']} keys of {found['member']} are gone", "keys in the cache")


def fill_cache(keys: int = 100, configuration: Configuration = None) -> Result:
    """Put sessions into the cache, so that there is something to lose; breaks nothing."""
    return _ask(configuration, "fill", keys=keys)


def blackhole_router(configuration: Configuration = None) -> Result:
    """Have the router accept every connection and answer none."""
    found = _ask(configuration, "router", blackhole=True)
    return _effect(found, found["answers"] is False, "the router accepts and does not answer", "an answering router")


def restore_router(within: float = 30, configuration: Configuration = None) -> Result:
    """Have the router answer again, started anew if it is gone."""
    start = _restore(configuration, "start", _AT_ONCE, members=["router"], wait=False)
    if start.get("gone"):
        return start
    _restore(configuration, "router", _AT_ONCE, blackhole=False)
    return _restore(configuration, "wait", within, members=["router"], within=within)


def set_router(
    interval: float | None = None,
    timeout: float | None = None,
    threshold: int | None = None,
    configuration: Configuration = None,
) -> Result:
    """How the router checks health: seconds between checks, seconds for one, and how many in a row decide."""
    settings = {"interval": interval, "timeout": timeout, "threshold": threshold}
    return _ask(configuration, "router", **{key: value for key, value in settings.items() if value is not None})


def switch_over(region: str, within: float = 60, configuration: Configuration = None) -> Result:
    """Hand the database's primary to a region in good order (failing back is no undo: it is an exercise)."""
    return _ask(configuration, "switchover", within + _GRACE, region=region, within=within)


# --- backup and restore ---------------------------------------------------------------------------------------


def lose_databases(configuration: Configuration = None) -> Result:
    """Kill every node of the database and delete all it has; only the archive of `two-regions-backup` is left."""
    found = _ask(configuration, "lose_databases")
    gone = f"{found['bytes'] / 1e6:.0f} MB of {', '.join(found['members'])} are deleted, {_processes(found)} are gone"
    return _effect(found, found["bytes"] > 0, gone, "database with data")


def restore_backup(within: float = 90, configuration: Configuration = None) -> Result:
    """
    Bring a lost database back: newest base backup, then all of the log in the archive, then a new replica.

    It is protected again by a base backup of its own, for which PostgreSQL checks every page.
    A database that still has its data is only started. *within* is in seconds.
    """
    found = _restore(configuration, "restore_backup", within, within=within)
    if found.get("restored"):
        found["evidence"] = (
            f"{found['backup']} and the log after it are restored, on timeline {found['timeline']}; "
            f"every page was checked while {found['protected']} was taken"
        )
    return found


def take_backup(within: float = 60, configuration: Configuration = None) -> Result:
    """Take a base backup; PostgreSQL checks every page it reads, so a sound backup means a sound database."""
    found = _restore(configuration, "back_up", within, within=within)
    if found.get("backup"):
        found["evidence"] = f"{found['backup']}: {found['bytes'] / 1e6:.0f} MB, every page and file checked"
    return found


# --- asking ---------------------------------------------------------------------------------------------------


def _ask(configuration: Configuration, verb: str, answer_within: float = _AT_ONCE, /, **arguments: Any) -> Result:
    try:
        return _lab(configuration).ask_now(verb, answer_within=answer_within, **arguments)
    except EnvironmentFault as error:
        raise ActivityFailed(str(error)) from error


def _lab(configuration: Configuration) -> Lab:
    return find((configuration or {}).get("lab") or None)


def _restore(configuration: Configuration, verb: str, answer_within: float, /, **arguments: Any) -> Result:
    """Ask for something that restores; of a lab that is gone, nothing is left to restore."""
    named = (configuration or {}).get("lab") or os.environ.get("DRILL_LAB")
    if named and os.sep in str(named) and not Path(str(named)).exists():
        return {"gone": True, "evidence": f"the lab in {named} is gone, with everything in it"}
    return _ask(configuration, verb, answer_within + _GRACE, **arguments)


def _link(configuration: Configuration, action: str, rate: float | None = None, **arguments: Any) -> Result:
    found = _ask(configuration, "link", action=action, rate_bytes_per_s=rate, **arguments)
    ways = ", ".join(found["directions"])
    if found["proof"] is None:
        return {**found, "effect": "unknown", "evidence": f"{ways} was set, and nobody there could be asked before"}
    return _effect(found, True, f"{ways}: {found['proof']}", ways)


def _effect(found: Result, shown: bool, evidence: str, wanted: Members) -> Result:
    if shown:
        return {**found, "effect": "shown", "evidence": evidence}
    nothing = wanted if isinstance(wanted, str) else ", ".join(wanted)
    return {**found, "effect": "none", "evidence": f"nothing was broken: the lab has no {nothing}"}


def _processes(found: Result) -> str:
    count = len(found["pids"])
    return f"{count} process{'es' if count != 1 else ''} of {', '.join(found['members'])}"


def _list(members: Members) -> list[str]:
    return [members] if isinstance(members, str) else list(members)
