# For scripts to source, after tools.sh: `start_ministack [NAME=VALUE...]` installs MiniStack, starts it on a free port
# with these variables, and sets ministack_url; `stop_ministack` ends it and every function that it runs. Whoever starts
# it must see to it that it is stopped: `trap stop_ministack EXIT`.

ministack_pid='' ministack_folder=''

start_ministack() {
    install_ministack || return 1
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    ministack_url=http://127.0.0.1:$port
    ministack_folder=$(mktemp -d)
    # A process group of its own, so that the functions' processes end with it, however it ends.
    # AWS_ENDPOINT_URL is what it hands on to the functions. Everything it writes goes into the one folder.
    set -m
    env AWS_ENDPOINT_URL="$ministack_url" GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 \
        TMPDIR="$ministack_folder" STATE_DIR="$ministack_folder/state" S3_DATA_DIR="$ministack_folder/s3" \
        AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$@" \
        .tools/ministack/bin/ministack >"$ministack_folder/log" 2>&1 &
    ministack_pid=$!
    set +m
    local tries
    for tries in {1..600}; do
        if python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1])' \
            "$ministack_url/_ministack/health" 2>/dev/null; then
            return
        fi
        kill -0 "$ministack_pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "MiniStack does not start:" >&2
    cat "$ministack_folder/log" >&2
    return 1
}

stop_ministack() {
    [[ -n $ministack_pid ]] || return 0
    kill -TERM -- "-$ministack_pid" 2>/dev/null || true
    local tries
    for tries in {1..50}; do
        kill -0 -- "-$ministack_pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL -- "-$ministack_pid" 2>/dev/null || true
    wait "$ministack_pid" 2>/dev/null || true
    rm -rf "$ministack_folder"
    ministack_pid=''
}
