"""Reading what others may have written or replaced."""

from __future__ import annotations

import os
from pathlib import Path

from pot_driver import files


def test_only_the_beginning_of_a_plain_file_is_read_and_nothing_is_waited_for(tmp_path: Path) -> None:
    plain, pipe, link = (tmp_path / name for name in ("plain", "pipe", "link"))
    plain.write_bytes(b"word \xff")
    os.mkfifo(pipe)
    link.symlink_to(plain)

    assert files.content(plain) == b"word \xff"
    assert files.content(plain, limit=2) == b"wo"
    assert files.content(plain, owner=os.getuid()) == b"word \xff"
    assert files.content(plain, owner=os.getuid() + 1) is None
    assert files.text(plain) == "word �"
    for other in (pipe, link, tmp_path, tmp_path / "absent", Path("/dev/zero")):
        assert files.content(other) is None
        assert files.text(other) == ""
