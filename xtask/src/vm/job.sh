# Runs test programs one after the other on a test host. What they print goes to the task, with a
# line before and a line after each; what the programs that they start print goes to the log.

# run NAME SECONDS DIRECTORY EXECUTABLE [ARGUMENT…]
run() {
    name=$1 seconds=$2
    cd "$3"
    shift 3
    echo "=== $name begins"
    timeout --kill-after=5 "$seconds" "$@"
    status=$?
    echo
    echo "=== $name ends $status"
}

