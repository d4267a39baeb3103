"""A site of our own for every test, and the moment it was made."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from jobmon_pki import names
from jobmon_pki.authority import der
from jobmon_pki.site import Site

BASE = "/DC=org/DC=example/O=Example"


@pytest.fixture
def now() -> float:
    """A moment: certificates last for days, so the real one serves."""
    return float(int(time.time()))


@pytest.fixture
def base() -> names.Name:
    """What every name of the site begins with."""
    return names.parse(BASE)


@pytest.fixture
def site(tmp_path: Path, now: float, base: names.Name) -> Site:
    """A site with nobody in it."""
    return Site.create(
        tmp_path / "site",
        ["localhost", "127.0.0.1"],
        "caf",
        base,
        "https://localhost:8443",
        "https://localhost:8444",
        now,
    )


@pytest.fixture
def der_of() -> Callable[[str], bytes]:
    """The DER of a certificate in PEM."""
    return lambda pem: der(x509.load_pem_x509_certificate(pem.encode()))
