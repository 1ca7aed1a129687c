"""The sockets of a box, which nginx's workers share."""

from __future__ import annotations

import os

from edge.listen import Address, bind


def test_a_worker_whose_caller_another_has_taken_does_not_wait_for_the_next() -> None:
    """Blocking or not is a matter of the socket, not of the process that inherits it."""
    with bind(Address("127.0.0.1", 0)) as listener:
        inherited = os.dup(listener.fileno())
        try:
            assert not os.get_blocking(inherited)
        finally:
            os.close(inherited)
