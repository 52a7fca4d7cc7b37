"""Switches that make the simulator misbehave as a real host sometimes does.

One per line in `ROOT/etc/faults`, or separated by `;` in the variable POT_SIM_FAULTS:
`NAME [VALUE] [pot=PATTERN]`, the pattern in shell style, matched against the pot's or the image's name.

    slow VERB SECONDS       that command (`*`: each) takes so much longer
    hang VERB               that command never comes to an end
    fetch [TEXT]            downloads fail, with TEXT as fetch's reason
    fetch-slow SECONDS      each file takes that long
    corrupt                 downloaded images do not match their hash
    disk-full [TEXT]        no space for downloads, clones and copies; TEXT are zfs's words (default: out of space)
    receive                 `zfs receive` refuses the image; pot finds out late
    create                  `zfs create` fails for a new pot, which leaves a directory that pot can never destroy
    clone                   `zfs clone` fails, and pot says "Prepared" nevertheless
    clone-slow SECONDS      copying takes that long
    destroy [TEXT]          `zfs destroy` refuses, with these words (default: dataset is busy)
    busy SECONDS            `zfs destroy` refuses for so long after the pot's jail has ended
    dying SECONDS           a jail that has ended stays so long among the dying ones
    signal                  `pot signal` refuses every name, as on FreeBSD 12
    mount                   mounting a host directory fails
    resolv                  the host has no /etc/resolv.conf
    jail [TEXT]             jail(8) refuses to create the jail, with these words (default: jail_set: Invalid argument)
    epair                   no network interface for the pot
    pfctl                   pf rejects the redirection of exported ports
    pf                      pf is off, or has no anchors for pot: exported ports do not answer, and nobody says so
    vnet                    the kernel has no VIMAGE
    unmounted               the dataset of POT_FS_ROOT is not mounted
    racct                   kern.racct.enable=0
    clockrate               hw.clockrate is unknown, as on machines that are not x86
    usage                   rctl has no numbers for a jail that runs

Not here: what each of them breaks; the place that breaks asks for it by name.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.root import Root

VARIABLE = "POT_SIM_FAULTS"

NAMES = (
    *(
        "slow",
        "hang",
        "fetch",
        "fetch-slow",
        "corrupt",
        "disk-full",
        "receive",
        "create",
        "clone",
        "clone-slow",
        "destroy",
    ),
    *("busy", "dying", "signal", "mount", "resolv", "jail", "epair", "pfctl", "pf", "vnet", "unmounted"),
    *("racct", "clockrate", "usage"),
)


def value(root: Root, name: str, pot: str = "") -> str | None:
    """The switch's value, empty if it has none; None if it is off (for this pot)."""
    for words in _switches(root):
        if words[0] == name and (left := _applies(words[1:], pot)) is not None:
            return " ".join(left)
    return None


def on(root: Root, name: str, pot: str = "") -> bool:
    return value(root, name, pot) is not None


def delay(root: Root, verb: str) -> None:
    """Before each command: the switches `slow` and `hang`."""
    for words in _switches(root):
        if words[0] not in ("slow", "hang") or words[1:2] not in ([verb], ["*"]):
            continue
        import time  # noqa: PLC0415 (only with a fault)

        if words[0] == "slow":
            time.sleep(float(words[2]))
        while words[0] == "hang":
            time.sleep(3600)


def add(root: Root, line: str) -> None:
    problem = _problem(line.split())
    if problem:
        raise ValueError(f"{line}: {problem}")
    with open(root.faults, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def _problem(words: list[str]) -> str:
    name, *values = (word for word in words if not word.startswith("pot="))
    if name in ("slow", "hang") and not values:
        return "of which command? `*` is each"
    seconds = {
        "slow": values[1:2],
        "fetch-slow": values[:1],
        "clone-slow": values[:1],
        "busy": values[:1],
        "dying": values[:1],
    }.get(name)
    if seconds is not None and not (seconds and _is_number(seconds[0])):
        return "how many seconds?"
    return ""


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def clear(root: Root) -> None:
    if os.path.exists(root.faults):
        os.unlink(root.faults)


def switched_on(root: Root) -> list[str]:
    return [" ".join(words) for words in _switches(root)]


def _switches(root: Root) -> list[list[str]]:
    try:
        with open(root.faults, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        text = ""
    lines = text.splitlines() + os.environ.get(VARIABLE, "").split(";")
    return [words for line in lines if (words := line.split("#")[0].split())]


def _applies(words: list[str], pot: str) -> list[str] | None:
    patterns = [word[4:] for word in words if word.startswith("pot=")]
    if patterns:
        from fnmatch import fnmatchcase  # noqa: PLC0415 (only with a fault)

        if not any(fnmatchcase(pot, pattern) for pattern in patterns):
            return None
    return [word for word in words if not word.startswith("pot=")]
