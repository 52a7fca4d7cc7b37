"""What pot and ZFS say, classed: what may pass by itself is tried again by Nomad."""

from __future__ import annotations

import pytest

from pot_driver.errors import PotFailed, TryAgain
from pot_driver.pot.cli import kind_of
from pot_driver.pot.parse import error_text


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("cannot receive: out of space", TryAgain),
        ("cannot create 'zroot/pot/jails/web': out of space", TryAgain),
        ("cannot receive new filesystem stream: quota exceeded", TryAgain),
        ("cannot open 'zroot': pool I/O is currently suspended", TryAgain),
        ("cannot destroy 'zroot/pot/jails/web': dataset is busy", TryAgain),
        ("write: No space left on device", TryAgain),
        ("cannot receive: invalid stream (checksum mismatch)", PotFailed),
        ("cannot receive incremental stream: destination has been modified", PotFailed),
        ("The image and its hash do not overlap", PotFailed),
    ],
)
def test_words_of_zfs_are_passing_or_final(words: str, kind: type[Exception]) -> None:
    assert kind_of(words) is kind


def test_what_pot_goes_on_in_spite_of_is_not_told() -> None:
    stdout = (
        b"###>  Not able to clone imported pot as web\n###>  Couldn't disable the persistent attribute - ignoring\n"
    )

    assert error_text(stdout, b"") == "Not able to clone imported pot as web"
