# For scripts to source. `start_orderflow [FLAG...]` builds `orderflow` and starts it in memory on two free ports. It sets
# orderflow_url, and orderflow_aws_url to the address that answers AWS calls. The process ends with the script.
# ORDERFLOW_PROFILE is the Cargo profile to build with; the default is dev.

start_orderflow() {
    local profile=${ORDERFLOW_PROFILE:-dev}
    local folder=$profile
    [[ $profile == dev ]] && folder=debug
    # Builds with the features that `cargo test --workspace` needs, so that nothing is built a second time.
    cargo build --quiet --workspace --bins --tests --profile "$profile"
    local binary=${CARGO_TARGET_DIR:-target}/$folder/orderflow
    orderflow_log=$(mktemp)
    trap 'kill "$orderflow_pid" 2>/dev/null; rm -f "$orderflow_log"' EXIT
    local starts tries aws_port
    for starts in {1..5}; do
        # Port 0 would switch the AWS port off, so a random one is tried. If it is in use, orderflow says so and ends.
        aws_port=$((20000 + RANDOM % 10000))
        "$binary" --ephemeral --port 0 --aws-port "$aws_port" "$@" >"$orderflow_log" 2>&1 &
        orderflow_pid=$!
        for tries in {1..600}; do
            # orderflow prints this line last, once it is ready.
            if grep -q '^Stop with' "$orderflow_log"; then
                orderflow_url=$(sed -n 's/^ *API *\(http:[^ ]*\)$/\1/p' "$orderflow_log")
                orderflow_aws_url=$(sed -n 's/^ *AWS *\(http:[^ ]*\)$/\1/p' "$orderflow_log")
                return
            fi
            kill -0 "$orderflow_pid" 2>/dev/null || break
            sleep 0.1
        done
        grep -q "port $aws_port of .* is in use" "$orderflow_log" || break
    done
    echo "orderflow did not start. It printed:" >&2
    cat "$orderflow_log" >&2
    exit 1
}
