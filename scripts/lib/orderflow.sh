# For scripts to source: `start_orderflow [FLAG...]` builds `orderflow`, starts it in memory on a free port and sets
# orderflow_url. It is ended with the script.
# ORDERFLOW_PROFILE is the cargo profile to build with; dev if not given.

start_orderflow() {
    local profile=${ORDERFLOW_PROFILE:-dev}
    local folder=$profile
    [[ $profile == dev ]] && folder=debug
    # The whole workspace, so that features are the same as under `cargo test` and nothing is built twice.
    cargo build --quiet --workspace --bin orderflow --profile "$profile"
    local binary=${CARGO_TARGET_DIR:-target}/$folder/orderflow
    orderflow_log=$(mktemp)
    "$binary" --ephemeral --port 0 --aws-port 0 "$@" >"$orderflow_log" 2>&1 &
    orderflow_pid=$!
    trap 'kill "$orderflow_pid" 2>/dev/null; rm -f "$orderflow_log"' EXIT
    local tries
    for tries in {1..600}; do
        # It names its address once it is ready.
        orderflow_url=$(sed -n 's/^ *API *\(http:[^ ]*\)$/\1/p' "$orderflow_log")
        [[ -n $orderflow_url ]] && return
        kill -0 "$orderflow_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "orderflow does not start:" >&2
    cat "$orderflow_log" >&2
    exit 1
}
