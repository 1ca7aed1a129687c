"""A short chaos in every run of the tests: `make chaos` is the long one."""

from __future__ import annotations

import os

import pytest

from tests.e2e import chaos
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

SEED = int(os.environ.get("TEACHPOINT_SEED", "0")) or chaos.new_seed()
#: Of faults; what it takes until all is there again comes on top.
MINUTES = 0.4


def test_whatever_goes_wrong_nothing_promised_is_lost(stage: Stage) -> None:
    print(f"\nTEACHPOINT_SEED={SEED}", flush=True)
    report = chaos.run(stage, chaos.Options(kills=200, minutes=MINUTES, seed=SEED))
    print(report.text(), flush=True)
    assert report.kills > 0
