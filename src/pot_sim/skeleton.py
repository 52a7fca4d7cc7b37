"""A pot's root that shows the host's own /usr: so small that an image of it is made, sent and cloned at once.

/bin and /sbin are directories of their own, so that what the start script of every bridge pot calls is on each PATH;
for all else they lead to /usr.

Not here: how the host's directories get into a jail (see `rootfs`), image files (see `images`).
"""

from __future__ import annotations

import os
import shutil
import sys

from pot_sim import rootfs

_DIRECTORIES = ("dev", "etc", "mnt", "opt", "proc", "root", "tmp", "usr", "var/db", "var/log", "var/run", "var/tmp")
_OPEN = ("tmp", "var/tmp")
_FROM_HOST = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "services", "protocols", "localtime")
# The host's own lie over these in a jail; who looks into the root of a stopped pot sees that they are there.
_PROGRAMS = ("/bin/sh", "/bin/realpath", "/bin/cp", "/bin/ls", "/usr/bin/env", "/usr/bin/id", "/usr/sbin/chroot")
_FILES = {
    "etc/passwd": """\
root:*:0:0:Charlie &:/root:/bin/sh
daemon:*:1:1:Owner of many system processes:/root:/usr/sbin/nologin
www:*:80:80:World Wide Web Owner:/nonexistent:/usr/sbin/nologin
nobody:*:65534:65534:Unprivileged user:/nonexistent:/usr/sbin/nologin
""",
    "etc/pwd.db": "",  # FreeBSD's hashed form of the accounts, which jail(8) wants to see
    "etc/group": "wheel:*:0:root\ndaemon:*:1:\ntty:*:4:\nwww:*:80:\nnogroup:*:65533:\nnobody:*:65534:\n",
    "etc/hosts": "::1 localhost\n127.0.0.1 localhost\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}
_BIN = """\
[ awk base64 basename bash bc busybox bzip2 cat chgrp chmod chown chroot cksum cmp comm cp curl cut dash date dc dd df
diff dirname dnsdomainname domainname du echo ed egrep env expr false fgrep find fold fuser getent getopt grep groups
gunzip gzip head hostname id install ip join kill ksh less ln logger login ls md5sum mkdir mkfifo mknod mksh mktemp
more mount mv nc netstat nice nl nohup od openssl paste pgrep ping ping6 pkill printenv printf ps pwd python3 readlink
realpath rm rmdir sed seq sh sha256sum sleep sort ss stat stty su sync tail tar tee test timeout top touch tr true
truncate tty umount uname uniq unxz vi wait wc wget which who xargs xz xzcat yash yes zcat zsh""".split()  # noqa: SIM905 - a list for people

SCRIPTS = {
    "ifconfig": """\
#!/bin/sh
# The simulator gives a pot its interfaces and addresses; this tells only whether an interface is there.
case $1 in
'' | -*) exec cat /proc/net/dev ;;
lo0) exit 0 ;;
esac
while IFS=: read -r name _; do
    # shellcheck disable=SC2086  # the name stands behind blanks
    if [ "$(echo $name)" = "$1" ]; then exit 0; fi
done </proc/net/dev
echo "ifconfig: interface $1 does not exist" >&2
exit 1
""",
    "route": """\
#!/bin/sh
# The simulator gives a pot its routes.
exit 0
""",
    "rtsol": """\
#!/bin/sh
# The simulator gives a pot its IPv6 address.
exit 0
""",
}

# FreeBSD's chroot(8), over the host's own, which has other options and lies in HOST_CHROOT meanwhile.
_CHROOT = f"""\
#!/bin/sh
usage() {{
    echo "usage: chroot [-g group] [-G group,group,...] [-u user] newroot [command]" >&2
    exit 1
}}
user='' group=0 groups=''
while getopts u:g:G: option; do
    case $option in
    u) user=$OPTARG ;;
    g) group=$OPTARG ;;
    G) groups=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
exec {rootfs.HOST_CHROOT} --userspec="$user:$group" --groups="$groups" "$@"
"""


def is_complete(directory: str) -> bool:
    """It brings its own shell and programs, and so needs nothing of the host's."""
    return any(os.path.lexists(f"{directory}/{shell}") for shell in ("bin/sh", "usr/bin/sh"))


def make(directory: str) -> None:
    """Lay the skeleton out in an existing directory."""
    for name in _DIRECTORIES:
        os.makedirs(f"{directory}/{name}")
    for name in _OPEN:
        os.chmod(f"{directory}/{name}", 0o1777)
    os.chmod(directory + "/root", 0o750)
    for name, text in _FILES.items():
        write(f"{directory}/{name}", text)
    for name in _FROM_HOST:
        _copy("/etc/" + name, f"{directory}/etc/{name}")
    shown = rootfs.host_directories()
    for path in shown:
        os.makedirs(directory + path, exist_ok=True)
    for name in ("lib", "lib32", "lib64", "libx32"):
        if os.path.islink("/" + name):
            os.symlink(os.readlink("/" + name), f"{directory}/{name}")
    if "/bin" not in shown:
        _make_commands(directory + "/bin", "/usr/bin", _BIN)
        if not os.path.lexists("/usr/bin/python3"):
            os.symlink(sys.base_prefix + "/bin/python3", directory + "/bin/python3")
    if "/sbin" not in shown:
        _make_commands(directory + "/sbin", "/usr/sbin", sorted({*os.listdir("/usr/sbin")} - {"chroot"}))
        write(directory + "/sbin/chroot", _CHROOT, mode=0o755)
        write(directory + rootfs.HOST_CHROOT, "", mode=0o755)
    for path in _PROGRAMS:
        shown_program = os.path.realpath(directory + path)
        os.makedirs(os.path.dirname(shown_program), exist_ok=True)
        write(shown_program, "", mode=0o755)
    write(directory + rootfs.HOST_LIST, "".join(path + "\n" for path in shown))


def _make_commands(place: str, host: str, names: list[str]) -> None:
    os.mkdir(place)
    for name in names:
        if name not in SCRIPTS and os.path.lexists(f"{host}/{name}"):
            os.symlink(f"..{host}/{name}", f"{place}/{name}")
    for name, text in SCRIPTS.items():
        write(f"{place}/{name}", text, mode=0o755)


def write(path: str, text: str, *, mode: int = 0o644) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def _copy(source: str, target: str) -> None:
    if os.path.isdir(source):
        shutil.copytree(source, target, symlinks=True)
    elif os.path.exists(source):
        shutil.copy(source, target)
