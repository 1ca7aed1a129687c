from __future__ import annotations

from pathlib import Path

import pytest

from sync.hub.settings import init_hub
from sync.hub.sites import add_site
from sync.pairing import write


@pytest.fixture(scope="session")
def pairing_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two pairing files of one hub: the sites s1 and s2. Not to be changed."""
    folder = tmp_path_factory.mktemp("pairing")
    hub = init_hub(folder / "hub", "中心校", ["127.0.0.1"], 2222)
    files = []
    for site in ("s1", "s2"):
        file = folder / f"{site}.toml"
        write(file, add_site(hub, site, f"教学点 {site}"))
        files.append(file)
    return files[0], files[1]


@pytest.fixture
def pairing_file(pairing_files: tuple[Path, Path]) -> Path:
    """The pairing file of the site s1."""
    return pairing_files[0]
