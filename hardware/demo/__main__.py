"""`make demo`: see `hardware/demo/tour.py` for what it does."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path

from hardware.demo import download, lessons
from hardware.demo.download import NoDownload
from hardware.demo.machine import Failed
from hardware.demo.tour import Tour, tell

TOP = Path(__file__).parent.parent.parent


def main() -> int:
    """Run the demo; its exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description="A hub and a box on this machine.")
    parser.add_argument("--once", action="store_true", help="check everything, stop, and exit 0")
    arguments = parser.parse_args()
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        folder = lessons.make_all(download.fetch_all(TOP / ".cache"), TOP / ".cache" / "lessons")
        with Tour(TOP / ".demo", folder) as tour:
            tour.begin()
            tour.look()
            if not arguments.once:
                stay(tour)
    except (Failed, NoDownload) as error:
        print(f"The demo stopped: {error}\nLogs lie in {TOP / '.demo'}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0
    tell(f"All of it worked, in {time.monotonic() - began:.0f} s.")
    return 0


def stay(tour: Tour) -> None:
    """Print the addresses and keep everything running until Ctrl-C."""
    tell("\nOpen in a browser:")
    for address in tour.addresses:
        tell(f"  the classroom   {address}")
    tell(f"  the classroom   http://teachpoint.local:{tour.box_url.rstrip('/').rpartition(':')[2]}/")
    tell(f"  the hub         {tour.hub_url}")
    tell(f"Drop a file into {tour.box_data}/uploads and it goes to the hub. Ctrl-C ends the demo.")
    while True:
        tour.hub.check()
        tour.box.check()
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
