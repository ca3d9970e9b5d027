"""On whose behalf policies are asked: the options `--user` and `--scopes`."""

from __future__ import annotations

import argparse

from cli.policy.loading import Misused
from cli.policy.users import read_user
from mesh.policy.principal import User


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--user", metavar="ISSUER#SUBJECT", help="ask on behalf of this user (default: of nobody)"
    )
    parser.add_argument("--scopes", default="", metavar="SCOPE,…", help="what the user's token holds")


def user_of(arguments: argparse.Namespace) -> User | None:
    """The user that the options name. Raises Misused."""
    scopes = [one.strip() for one in arguments.scopes.split(",") if one.strip()]
    if arguments.user is None:
        if scopes:
            raise Misused("--scopes are a user's: write --user ISSUER#SUBJECT, too")
        return None
    user = read_user(arguments.user, scopes)
    if user is None:
        raise Misused(f"{arguments.user!r} is not --user ISSUER#SUBJECT")
    return user
