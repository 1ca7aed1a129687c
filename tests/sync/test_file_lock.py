from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sync.file_lock import HeldByAnother, exclusive


def test_only_one_holds_it_and_it_is_free_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with exclusive(path), pytest.raises(HeldByAnother), exclusive(path, patience_s=0.1):
        pass
    with exclusive(path):
        pass


def test_a_waiter_gets_it_when_the_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    order: list[str] = []

    def wait() -> None:
        with exclusive(path, patience_s=60):
            order.append("waiter")

    with exclusive(path):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.15)
        order.append("holder")
    thread.join()
    assert order == ["holder", "waiter"]


def test_it_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x"), exclusive(tmp_path / "a.lock"):
        raise ValueError("x")
    with exclusive(tmp_path / "a.lock"):
        pass
