"""`drill approve`: one person's yes to one exact plan."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from drill.cli import say
from drill.errors import SpecError

if TYPE_CHECKING:
    from drill.policy import Policy


@click.command("approve")
@click.argument("plan")
@click.option("--reason", required=True, help="Why, such as the number of a change.")
@click.option("--expires", default="24h", show_default=True, help='After how long, such as "2h".')
@click.option(
    "--key",
    type=click.Path(path_type=Path),
    help="Sign with this SSH key (private, or the public part of one in the agent).",
)
@click.option("--with", "values", multiple=True, metavar="NAME=VALUE", help="As the run will have it.")
@say.policy_option
@say.json_option
def command(
    plan: str, reason: str, expires: str, key: Path | None, values: tuple[str, ...], policy: Path | None, as_json: bool
) -> None:
    """
    Approve PLAN: a drill's file, or the whole digest that `drill plan` shows.

    The approval holds for exactly that plan: a changed file, value or experiment has another digest.
    It is a file in approvals/ beside the nearest policy, and counts when somebody else runs the drill.

    \b
    Examples:
      drill approve drills/region-failover.yaml --reason "CHG-1234, reviewed with the team"
      drill approve drills/region-failover.yaml --reason CHG-1234 --key ~/.ssh/id_ed25519
    """
    from datetime import UTC, datetime, timedelta

    from drill import approvals, permission, spec
    from drill import plan as planning
    from drill.cli.run import pairs
    from drill.policy import Approval
    from drill.spec.policies import NAME
    from drill.spec.shape import parse_duration

    lasts = parse_duration(expires)
    if not lasts or lasts > 366 * 24 * 3600 * 10**9:
        raise SpecError(f'--expires must be a duration up to a year, such as "24h", not "{expires}"')
    if not reason.strip() or "\n" in reason:
        raise SpecError("--reason must be a line of text")
    root, drill, digest, environment = Path.cwd(), "", plan, ""
    if not re.fullmatch("[0-9a-f]{64}", plan):
        loaded = spec.load(Path(plan), values=pairs(values)).drill
        root, drill, digest = Path(loaded.root), loaded.name, planning.digest(loaded)
        environment = loaded.environment
    found = permission.find(root, policy)
    if not found:
        raise SpecError(f"no policy applies here, so nothing needs an approval; there is no {NAME} above {root}")
    now = datetime.now(UTC).replace(microsecond=0)
    variables = [name for each in found for name in each.variables]
    by = approvals.me(os.environ, variables)
    approval = Approval(digest, by, now, now + timedelta(microseconds=lasts // 1000), reason.strip())
    # Beside each policy that asks for one: whoever can write below may not approve for those above.
    asking = [each for each in found if not drill or _needed(each.policy, environment)] or found[:1]
    paths = [approvals.write(each.path.parent, approval, drill, key) for each in asking]
    if as_json:
        files = [str(path) for path in paths]
        say.data({"plan": digest, "by": list(by.names), "expires": approval.expires.isoformat(), "files": files})
        return
    until = f"{approval.expires:%Y-%m-%d %H:%M} UTC"
    click.echo(f"{by.names[0]} approves plan {digest[:12]} until {until}: {', '.join(map(str, paths))}")
    if any(each.signers for each in found) and key is None:
        click.echo("it is not signed, and the policy counts only signed ones: give --key", err=True)


def _needed(policy: Policy, environment: str) -> bool:
    rules = policy.rules(environment)
    return rules is not None and rules.needed > 0
