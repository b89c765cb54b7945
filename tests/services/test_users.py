"""People: what an admin changes of them, and what stays so that somebody can always sign in."""

from __future__ import annotations

import pytest
from django.test import Client

from networks.cnm.errors import Conflict, Forbidden, InvalidSpec
from networks.models import Activity, User
from networks.services.tokens import authenticate, create_token
from networks.services.users import update_user
from tests.testlib.world import ADMIN, OPERATOR, World

pytestmark = pytest.mark.django_db
PASSWORD = "a-word-for-tests"


def user(name: str, role: str = "viewer") -> User:
    return User.objects.create_user(username=name, password=PASSWORD, role=role)


def test_role_and_password_change_and_the_log_keeps_no_password() -> None:
    anna, vera = user("anna", "admin"), user("vera")
    update_user(ADMIN, vera, role="operator", password="another-word-for-tests")
    vera.refresh_from_db()
    assert vera.role == "operator"
    assert vera.check_password("another-word-for-tests")
    row = Activity.objects.get(verb="user.update")
    assert row.request["role"] == "operator"
    assert "another-word" not in str(row.request)
    assert anna.role == "admin"


def test_who_may_no_longer_sign_in_is_out_at_once_with_session_and_token(world: World) -> None:
    user("anna", "admin")
    vera = user("vera")
    browser = Client()
    browser.force_login(vera)
    _token, secret = create_token(ADMIN, vera, "script", "viewer")
    assert authenticate(secret) is not None
    update_user(ADMIN, vera, active=False)
    assert authenticate(secret) is None
    assert browser.get("/networks/").status_code == 302
    assert not Client().login(username="vera", password=PASSWORD)


def test_the_last_admin_stays_one() -> None:
    anna, gone = user("anna", "admin"), user("gone", "admin")
    update_user(ADMIN, gone, active=False)
    for change in ({"role": "viewer"}, {"active": False}):
        with pytest.raises(Conflict, match="last admin"):
            update_user(ADMIN, anna, **change)
    anna.refresh_from_db()
    assert (anna.role, anna.is_active) == ("admin", True)


def test_an_easy_password_and_the_wrong_role_are_refused() -> None:
    vera = user("vera")
    with pytest.raises(InvalidSpec) as refusal:
        update_user(ADMIN, vera, role="admin", password="vera")
    assert refusal.value.field == "password"
    with pytest.raises(Forbidden):
        update_user(OPERATOR, vera, role="admin")
    vera.refresh_from_db()
    assert vera.role == "viewer"
