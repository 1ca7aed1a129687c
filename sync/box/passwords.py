"""Passwords: made up, looked at, turned into argon2id hashes and compared with them. No database."""

from __future__ import annotations

import re
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from sync.errors import Refused
from sync.text import CLEAR_LETTERS

#: argon2id for a box of 1 GB with a small ARM processor: 32 MiB and two passes take 54 ms of a desktop's
#: core, about 0.3 s there; one is worked out at a time (`edge.sign_in`): 32 MiB is also the most.
MEMORY_KIB, PASSES, LANES = 32 * 1024, 2, 1
_HASHER = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)

#: Characters of a password, at least and at most; so many of them must differ.
LEAST_CHARACTERS, MOST_CHARACTERS, LEAST_DIFFERENT = 8, 200, 4
#: What is tried first by whoever guesses.
_COMMON = re.compile(r"(0?12345678\d*|87654321|password\d*|qwerty\w*|teach(er|point)\w*|admin\w*|laoshi\d*|"
                     r"abcd1234|1qaz2wsx|a1234567\d*)", re.IGNORECASE)


def made_up() -> str:
    """A password that can be read out and typed on a phone; three times four letters have 59 bits."""
    return "-".join("".join(secrets.choice(CLEAR_LETTERS) for _ in range(4)) for _ in range(3))


def hashed(password: str, login: str) -> str:
    """The hash to keep. Raises Refused `password-weak`."""
    text = _same(password)
    if not (LEAST_CHARACTERS <= len(text) <= MOST_CHARACTERS and len(set(text)) >= LEAST_DIFFERENT
            and login.casefold() not in text.casefold() and not _COMMON.fullmatch(text)):
        raise Refused("password-weak", least=LEAST_CHARACTERS)
    return _HASHER.hash(text)


def right(kept: str, password: str) -> bool:
    """Is it the password of the hash `kept`? An empty `kept` is nobody's, and takes as long to find out."""
    if len(password) > MOST_CHARACTERS:
        return False
    try:
        return _HASHER.verify(kept or _NOBODYS, _same(password)) and bool(kept)
    except (VerificationError, InvalidHashError):
        return False


def _same(password: str) -> str:
    """One form of what different keyboards make of the same letters."""
    return unicodedata.normalize("NFKC", password.encode("utf-8", "replace").decode())


#: A hash in our parameters that no password has: its 32 bytes are random.
_NOBODYS = (f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"
            "c29tZXRoaW5nLXJhbmRvbQ$Zm9yLW5vYm9keS1hdC1hbGwtYnV0LWFzLWxvbmctLS0")
