# For scripts to source, after tools.sh.
#   start_ministack [NAME=VALUE...]   installs MiniStack, starts it on a free port with these variables, sets ministack_url
#   stop_ministack                    ends MiniStack and every function that it runs
# A script that starts it must also stop it: `trap stop_ministack EXIT`.

ministack_pid='' ministack_folder=''

start_ministack() {
    install_ministack || return 1
    local port
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    ministack_url=http://127.0.0.1:$port
    ministack_folder=$(mktemp -d)
    # It gets a process group of its own, so that its functions' processes can be ended with it.
    # It hands AWS_ENDPOINT_URL on to the functions. It writes into one folder only.
    set -m
    env AWS_ENDPOINT_URL="$ministack_url" GATEWAY_PORT="$port" BIND_HOST=127.0.0.1 MINISTACK_HOST=127.0.0.1 \
        TMPDIR="$ministack_folder" STATE_DIR="$ministack_folder/state" S3_DATA_DIR="$ministack_folder/s3" \
        AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test "$@" \
        .tools/ministack/bin/python -B scripts/lib/ministack_mended.py >"$ministack_folder/log" 2>&1 &
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
    echo "MiniStack did not start. Its log:" >&2
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
