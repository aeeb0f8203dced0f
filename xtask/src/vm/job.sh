# Runs test programs on a test host, one after the other, as it is told on its standard input. What
# they print goes to the task, with a line before and a line after each; what the programs that
# they start print goes to the log.

# run NAME SECONDS DIRECTORY EXECUTABLE [ARGUMENT...]
run() {
    name=$1 seconds=$2
    cd "$3" || exit 121
    shift 3
    echo "=== $name begins"
    timeout --kill-after=5 "$seconds" "$@" </dev/null
    status=$?
    echo
    echo "=== $name ends $status"
}

while echo "=== ready" && read -r line; do
    eval "$line"
done
exit 122
