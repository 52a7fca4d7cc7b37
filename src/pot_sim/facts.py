"""What a pot is told about itself: the `_POT_*` variables of `pot info -E`, of tinirc and of hooks.

Not here: the variables that `set-env` gives it (`tinirc`).
"""

from __future__ import annotations

from pot_sim import conf, registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pot_sim.session import Pot


def of(pot: Pot, name: str) -> list[tuple[str, str]]:
    found = [("_POT_NAME", name), *_addresses(pot, name)]
    if conf.network_type(pot.root, name) == "private-bridge":
        found.append(("_POT_BRIDGE", conf.get(pot.root, name, "bridge")))
    record = registry.running(pot.root.run, name)
    if record is not None:
        found.append(("_POT_JID", str(record.jid)))
    return found


def exports(pot: Pot, name: str) -> list[str]:
    return [f"export {key}={value}" for key, value in of(pot, name)]


def _addresses(pot: Pot, name: str) -> list[tuple[str, str]]:
    if conf.network_type(pot.root, name) != "alias":
        return [("_POT_IP", conf.ip(pot.root, name))]
    found = []
    pairs = [each for family in (4, 6) if (each := alias(pot, name, family))]
    for index, pair in enumerate(pairs):
        nic, address = pair.partition("|")[0], pair.rpartition("|")[2]
        if index == 0:
            found.append(("_POT_IP", address))
        found += [(f"_POT_IP_{index}", address), (f"_POT_NIC_{index}", nic)]
    for kind in ("IP", "NIC"):
        found.append((f"_POT_{kind}_LIST", "\\ ".join(f"_POT_{kind}_{index}" for index in range(len(pairs)))))
    return found


def alias(pot: Pot, name: str, family: int) -> str:
    """The pot's addresses of one family as jail(8) wants them: `nic|address`, joined by commas."""
    from pot_sim import addresses  # noqa: PLC0415 (only for aliases)

    stack = conf.get(pot.root, name, "pot.stack") or pot.config["POT_NETWORK_STACK"]
    if stack == {4: "ipv6", 6: "ipv4"}[family]:
        return ""
    found = []
    for word in conf.ip(pot.root, name).split():
        nic, bar, address = word.partition("|")
        if not bar:
            nic, address = pot.config["POT_EXTIF"], word
        if addresses.family(address.split("|")[0]) == family:
            found.append(f"{nic}|{address.split('|')[0]}")
    return ",".join(found)
