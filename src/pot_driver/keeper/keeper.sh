# shellcheck shell=sh
# Runs one pot to its end and writes down how it ended.
#
# sh HOME/keeper.sh POT NAME LAST_RUN_STATS
#   HOME            the task's state directory: group, start.log and exit are written there
#   POT             the pot executable
#   LAST_RUN_STATS  the file in which pot leaves the exit code of the app
#   descriptor 0    write end of the `alive` FIFO: it closes when this shell is gone, however that comes
#   descriptors 1,2 the task's logs: the app gets them as 3 and 4, so that pot's own words stay in start.log
#
# It runs in a process group of its own, so that who must end it can end `pot start` with it.
# Only builtins and pot are used, so that nothing here can be missing on a host.

home=${0%/*}
exec 9>&0 3>&1 4>&2 </dev/null >>"$home/start.log" 2>&1 || exit 1
# Read and write: opening a FIFO only for writing would wait for a reader.
exec 6<>"$home/bell" 8<>"$home/starting" || exit 1
echo $$ >"$home/group" || exit 1

keep() {
	# Caught, not ignored: what is ignored here would be ignored by the app as well.
	trap : HUP INT TERM
	# Some shells pass on only descriptors that are named; 9 stays here, or the app would hold it.
	# The byte that the task's script writes is kept, and no more of what an image may write in its place. It gets
	# end-of-file when nobody is left who could write it.
	exec dd bs=1 count=1 <"$home/bell" >"$home/began" 2>/dev/null 8>&8 3>&- 4>&- 6>&- 9>&- &
	exec 8>&-
	"$1" start -p "$2" 3>&3 4>&4 5>&6 6>&- 9>&-
	status=$?
	exec 3>&- 4>&- 6>&-
	stats=
	if [ -r "$3" ]; then
		read -r stats <"$3" || :
	fi
	# The last line tells a whole record from one that a full disk cut short.
	printf 'status=%s\nstats=%s\nend\n' "$status" "$stats" >"$home/exit" || echo "keeper: $home/exit cannot be written"
}

keep "$@" &
