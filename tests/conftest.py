"""What all tests share: chance is the same in each run, so that none fails for what was not changed.

`make fuzz` looks further, with other examples each time; what it finds becomes an example of its own.
"""

from __future__ import annotations

from hypothesis import settings

from tests.fuzz.running import SECONDS

settings.register_profile("suite", derandomize=True)
if not SECONDS:
    settings.load_profile("suite")
