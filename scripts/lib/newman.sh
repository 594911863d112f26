# For scripts to source, after tools.sh. `run_collection ARGUMENT...` runs newman, and fails if an assertion or a request
# failed. It sets newman_passed to the number of assertions that passed, and newman_left_out to the names of the requests
# that were not sent, one a line.

run_collection() {
    local status=0 summary failed requests
    summary=$(mktemp)
    node .tools/newman/node_modules/newman/bin/newman.js run "$@" --reporters cli,json --reporter-cli-no-banner \
        --reporter-cli-no-success-assertions --reporter-json-export "$summary" --timeout 120000 || status=$?
    read -r newman_passed failed requests < <(node -e '
        const { stats, failures } = JSON.parse(require("fs").readFileSync(process.argv[1])).run;
        const { assertions, requests } = stats;
        console.log(assertions.total - assertions.failed, failures.length + requests.failed, requests.total);
    ' "$summary")
    newman_left_out=$(node -e '
        const { collection, run } = JSON.parse(require("fs").readFileSync(process.argv[1]));
        const ran = new Set(run.executions.filter((one) => one.response).map((one) => one.item.name));
        const inside = (item) => (item.item ? item.item.flatMap(inside) : [item.name]);
        for (const name of inside(collection)) if (!ran.has(name)) console.log(name);
    ' "$summary")
    rm -f "$summary"
    echo "newman: $newman_passed assertions passed, $failed failures, $requests requests"
    # A run that was cut off, or that asserted nothing, has not passed.
    [[ $status -eq 0 && $failed -eq 0 && $newman_passed -gt 0 ]]
}
