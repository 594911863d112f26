# For scripts to source: `start_orderflow [FLAG...]` builds `orderflow`, starts it in memory on two free ports and sets
# orderflow_url and, where it answers AWS calls, orderflow_aws_url. It is ended with the script.
# ORDERFLOW_PROFILE is the cargo profile to build with; dev if not given.

start_orderflow() {
    local profile=${ORDERFLOW_PROFILE:-dev}
    local folder=$profile
    [[ $profile == dev ]] && folder=debug
    # The whole workspace, so that features are the same as under `cargo test` and nothing is built twice.
    cargo build --quiet --workspace --bin orderflow --profile "$profile"
    local binary=${CARGO_TARGET_DIR:-target}/$folder/orderflow
    orderflow_log=$(mktemp)
    trap 'kill "$orderflow_pid" 2>/dev/null; rm -f "$orderflow_log"' EXIT
    local starts tries aws_port
    for starts in {1..5}; do
        # 0 would mean none. Whether it is free shows when it is taken.
        aws_port=$((20000 + RANDOM % 10000))
        "$binary" --ephemeral --port 0 --aws-port "$aws_port" "$@" >"$orderflow_log" 2>&1 &
        orderflow_pid=$!
        for tries in {1..600}; do
            # It names its addresses once it is ready.
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
    echo "orderflow does not start:" >&2
    cat "$orderflow_log" >&2
    exit 1
}
