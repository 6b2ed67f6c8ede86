"""Who is the same audience, what a role may read, and which policies count for it."""

from aiodata_django.core.changes.published import Policy, PublishedColumn, PublishedTable
from aiodata_django.core.identity import Identity
from aiodata_django.core.state.audience import Grants, TableGrant, Viewer, policy_condition

PETS = PublishedTable(
    7, "api", "pets", "r", 7, "d", ("id",), (PublishedColumn("id", 23, "integer"),), row_security=True
)


def policy(
    name: str, roles: tuple[int, ...] = (0,), using: str | None = None, *, permissive: bool = True
) -> Policy:
    return Policy(name, permissive, roles, using or name)


def test_two_tokens_of_one_user_make_one_viewer() -> None:
    first = Identity("auth", {"sub": "me", "role": "auth", "exp": 1, "iat": 0, "nbf": 0, "jti": "a"})
    second = Identity("auth", {"role": "auth", "exp": 2, "sub": "me"})
    other = Identity("auth", {"role": "auth", "sub": "you"})
    assert Viewer.of(first) == Viewer.of(second) != Viewer.of(other)


def test_a_table_is_readable_only_with_its_whole_key() -> None:
    def grants(*columns: str) -> Grants:
        return Grants(frozenset(), {7: TableGrant(columns, False)})

    assert grants("id", "x").readable(PETS) == TableGrant(("id", "x"), False)
    assert grants("x").readable(PETS) is None
    assert Grants(frozenset(), {}).readable(PETS) is None


def test_permissive_policies_are_alternatives_and_restrictive_ones_conditions() -> None:
    policies = [policy("a"), policy("b"), policy("c", permissive=False), policy("d", permissive=False)]
    assert policy_condition(policies, frozenset()) == "((a) or (b)) and (c) and (d)"


def test_without_a_permissive_policy_nothing_is_seen() -> None:
    assert policy_condition([], frozenset()) == "false"
    assert policy_condition([policy("a", permissive=False)], frozenset()) == "false"


def test_policies_count_for_their_roles_members() -> None:
    policies = [policy("a", (1,)), policy("b", (2, 3)), policy("c")]
    assert policy_condition(policies, frozenset({3})) == "((b) or (c))"
