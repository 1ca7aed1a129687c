"""Accounts: sessions that end, and guesses that must wait, whatever the clock does."""

from __future__ import annotations

from pathlib import Path

import pytest
from argon2.exceptions import VerifyMismatchError

from sync.box import passwords
from sync.box.journal import Journal
from sync.box.schema import MIGRATIONS
from sync.box.teachers import (
    FORGET_S,
    LIMITS,
    MOST_ATTEMPTS,
    OWN_S,
    SHARED_S,
    Caller,
    Teacher,
    Teachers,
    device_of,
)
from sync.clock import ManualClock
from sync.database import open_database
from sync.errors import Refused

#: The one address of a class behind a router.
CLASS = "192.0.2.7"


@pytest.fixture
def teachers(tmp_path: Path) -> Teachers:
    return Teachers(Journal(open_database(tmp_path / "box.db", MIGRATIONS), ManualClock()))


@pytest.fixture
def wang(teachers: Teachers) -> Teacher:
    return teachers.add("Wang", "王老师", "hash")


def moved(teachers: Teachers, seconds: float) -> None:
    assert isinstance(teachers.clock, ManualClock)
    teachers.clock.advance(seconds)


def fail(teachers: Teachers, teacher: Teacher | None, caller: Caller, times: int) -> None:
    """Guess so often, each time after the wait that is asked for."""
    for _ in range(times):
        moved(teachers, teachers.must_wait_s(teacher, caller))
        teachers.failed(teacher, caller)


# -- accounts -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("login", ["", " ", "-wang", "a b", "x" * 33, "<b>", "wang/..", "\ud800"])
def test_what_cannot_be_a_login(teachers: Teachers, login: str) -> None:
    with pytest.raises(Refused) as refused:
        teachers.add(login, "王老师", "hash")
    assert refused.value.code == "login-bad" and not teachers.any()


def test_a_login_is_one_however_it_is_written(teachers: Teachers, wang: Teacher) -> None:
    assert wang.login == "wang" and teachers.find("ＷＡＮＧ ") == wang
    with pytest.raises(Refused) as refused:
        teachers.add("WANG", "another", "hash")
    assert refused.value.code == "teacher-exists"


def test_what_happens_to_accounts_is_in_the_journal(teachers: Teachers, wang: Teacher) -> None:
    teachers.set_password(wang, "other")
    teachers.remove(wang)
    assert not teachers.any() and teachers.listed() == []
    assert [body for (body,) in teachers.database.execute(
        "SELECT body FROM journal WHERE kind = 'teacher' ORDER BY seq")] == [
        f'{{"act":"{act}","login":"wang"}}' for act in ("added", "password", "removed")]


# -- sessions -------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("own", "most_s"), [(False, SHARED_S), (True, OWN_S)])
def test_a_session_lasts_while_it_is_used(
        teachers: Teachers, wang: Teacher, own: bool, most_s: float) -> None:
    token = teachers.begin(wang, "", own=own)
    for _ in range(4):
        moved(teachers, most_s - 1)
        assert teachers.of_session(token) == wang
    moved(teachers, most_s + 1)
    assert teachers.of_session(token) is None
    moved(teachers, -most_s)
    assert teachers.of_session(token) is None, "it has ended for good"


def test_a_clock_that_is_set_back_signs_nobody_out(teachers: Teachers, wang: Teacher) -> None:
    token = teachers.begin(wang, "", own=False)
    moved(teachers, -50 * 365 * 86400)
    assert teachers.of_session(token) == wang
    moved(teachers, SHARED_S + 1)
    assert teachers.of_session(token) is None


def test_another_password_and_removal_end_all_sessions(teachers: Teachers, wang: Teacher) -> None:
    li = teachers.add("li", "李老师", "hash")
    tokens = [teachers.begin(teacher, "phone", own=True) for teacher in (wang, wang, li)]
    teachers.set_password(wang, "other")
    assert [teachers.of_session(token) for token in tokens] == [None, None, li]
    teachers.remove(li)
    assert teachers.of_session(tokens[2]) is None


def test_the_database_holds_no_token(teachers: Teachers, wang: Teacher) -> None:
    token = teachers.begin(wang, "", own=True)
    assert token not in "\n".join(teachers.database.conn.iterdump())


# -- guesses --------------------------------------------------------------------------------------------

def test_waits_grow_and_end(teachers: Teachers, wang: Teacher) -> None:
    caller, waits = Caller(CLASS), []
    for _ in range(20):
        fail(teachers, wang, caller, 1)
        waits.append(teachers.must_wait_s(wang, caller))
    assert waits[:9] == [0.0] * 9 and waits[9] == 15 and waits[10] == 30
    assert waits == sorted(waits) and waits[-1] == LIMITS["address"].most_s
    moved(teachers, waits[-1])
    assert teachers.must_wait_s(wang, caller) == 0
    moved(teachers, FORGET_S + 1)
    fail(teachers, wang, caller, 1)
    assert teachers.must_wait_s(wang, caller) == 0, "a day later it begins anew"


def test_a_child_who_guesses_for_ever_keeps_no_teacher_out(teachers: Teachers, wang: Teacher) -> None:
    """From the class's one address and from many others; the teacher's phone has signed in before, a fresh
    device at another address has not."""
    phone = Caller(CLASS, device_of("phone"))
    teachers.begin(wang, phone.device, own=True)
    fail(teachers, wang, Caller(CLASS, device_of("a child's")), 50)
    for number in range(30):
        fail(teachers, wang, Caller(f"198.51.100.{number}"), 5)
    assert teachers.must_wait_s(wang, Caller(CLASS)) > 0
    assert teachers.must_wait_s(wang, Caller("198.51.100.1")) > 0
    assert teachers.must_wait_s(wang, phone) == 0
    assert teachers.must_wait_s(wang, Caller("203.0.113.9")) == 0
    fail(teachers, wang, phone, 6)
    assert teachers.must_wait_s(wang, phone) > 0, "a known device has guesses of its own"
    teachers.set_password(wang, "other")
    assert teachers.must_wait_s(wang, Caller("198.51.100.1")) == 0, "the technician's way out"


def test_guesses_at_an_account_are_few_from_however_many_addresses(teachers: Teachers, wang: Teacher) -> None:
    """A day of guessing from 50 addresses, each as fast as it is let."""
    start, guesses = teachers.clock.now(), 0
    callers = [Caller(f"198.51.100.{number}") for number in range(50)]
    while teachers.clock.now() - start < 3600:
        free = [caller for caller in callers if teachers.must_wait_s(wang, caller) == 0]
        if free:
            teachers.failed(wang, free[0])
            guesses += 1
        else:
            moved(teachers, 5)
    assert guesses < 50 * 3 + 20 + 3600 / LIMITS["account"].most_s + 10


def test_logins_that_are_none_count_for_the_address(teachers: Teachers) -> None:
    fail(teachers, None, Caller(CLASS), 12)
    assert teachers.must_wait_s(None, Caller(CLASS)) > 0


def test_a_clock_that_is_set_back_makes_no_wait_longer(teachers: Teachers, wang: Teacher) -> None:
    caller = Caller(CLASS)
    fail(teachers, wang, caller, 11)
    left = teachers.must_wait_s(wang, caller)
    moved(teachers, -20 * 365 * 86400)
    assert teachers.must_wait_s(wang, caller) == left
    moved(teachers, left)
    assert teachers.must_wait_s(wang, caller) == 0


def test_waits_are_kept_over_a_restart(teachers: Teachers, wang: Teacher, tmp_path: Path) -> None:
    caller = Caller(CLASS)
    fail(teachers, wang, caller, 12)
    again = Teachers(Journal(open_database(tmp_path / "box.db", MIGRATIONS), teachers.clock))
    assert again.must_wait_s(wang, caller) == teachers.must_wait_s(wang, caller) > 0


@pytest.mark.parametrize(("one", "other", "same"), [
    ("2001:db8::1", "2001:db8::ffff:2", True), ("2001:db8::1", "2001:db8:0:1::1", False),
    ("fe80::1%eth0", "fe80::2%eth0", False), ("::ffff:192.0.2.7", CLASS, True), (CLASS, "192.0.2.8", False)])
def test_which_addresses_are_one(teachers: Teachers, wang: Teacher, one: str, other: str, same: bool) -> None:
    fail(teachers, wang, Caller(one), 11)
    assert (teachers.must_wait_s(None, Caller(other)) > 0) == same


def test_what_is_remembered_is_bounded(teachers: Teachers, wang: Teacher) -> None:
    for number in range(MOST_ATTEMPTS + 50):
        teachers.database.execute("INSERT INTO attempt VALUES (?, 1, ?, 0)", [f"address:x{number}", number])
    teachers.failed(wang, Caller(CLASS))
    assert teachers.database.execute("SELECT count(*) FROM attempt").fetchone()[0] == MOST_ATTEMPTS
    assert teachers.database.execute("SELECT 1 FROM attempt WHERE who = ?", [f"address:{CLASS}"]).fetchone()


# -- passwords ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("password", [
    "", "short1", "12345678", "aaaaaaaa", "wang-2026", "Password1", "abcd" * 51])
def test_passwords_that_are_easily_guessed(password: str) -> None:
    with pytest.raises(Refused) as refused:
        passwords.hashed(password, "wang")
    assert refused.value.code == "password-weak"


def test_passwords_are_compared_as_letters_and_hashed_by_argon2() -> None:
    kept = passwords.hashed("ｋｅｙ board é", "wang")
    assert kept.startswith("$argon2id$v=19$m=32768,t=2,p=1$") and "board" not in kept
    assert passwords.right(kept, "key board e\u0301") and not passwords.right(kept, "key board e")
    assert not passwords.right("no hash", "key board e") and not passwords.right(kept, "\ud800" * 5)


def test_a_login_that_is_none_takes_as_much_work() -> None:
    with pytest.raises(VerifyMismatchError):
        passwords._HASHER.verify(passwords._NOBODYS, "anything")
    assert not passwords.right("", "anything")


def test_made_up_passwords_are_strong_enough_and_differ() -> None:
    made = {passwords.made_up() for _ in range(50)}
    assert len(made) == 50 and all(passwords.hashed(one, "wang") for one in list(made)[:2])
