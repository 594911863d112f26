# For scripts/rehearse to source: the three cases of docs/recovery.md, played on MiniStack. Uses the gestures of the
# rehearsal: `rehearsal`, `deploy`, `audit`, `say`, and the array `stacks`.
#   recover_adopted OLD NEW ARTEFACT LOG_LEVEL    a new stack adopts what a deleted one has left
#   recover_damaged NAME                          orders and stock are damaged by hand, and mended
#   recover_restored NAME LOG_LEVEL               a stack takes restored tables, and what was written since is carried over
#
# Three things are not rehearsed, since MiniStack does them otherwise. It restores a table as it is, whatever the time, so what
# is restored is always the present. It has no tags of CloudFormation on an imported resource. And a closed function that
# still runs is unknown to it, so nothing shows that a minute is long enough.

recover() { scripts/recover "$@" --account 000000000000 --region us-east-1; }

# play NAME COMMAND...: a step of recovery_play.py
play() {
    local name=$1
    shift
    .tools/ministack/bin/python -B scripts/lib/recovery_play.py --endpoint "$ministack_url" --stack "${stacks[$name]}" \
        --state "$scratch/$name.json" "$@"
}

# cut_off STEPS COMMAND ARGUMENT...: scripts/recover, cut off on the way.
cut_off() {
    must 2 .tools/sam/bin/python -B scripts/lib/interrupted.py "$@" --account 000000000000 --region us-east-1
}

# must STATUS COMMAND...: fails unless the command ends with this exit status.
must() {
    local wanted=$1 ended=0
    shift
    "$@" || ended=$?
    ((ended == wanted)) || { echo "this ended with $ended, not with $wanted: $*" >&2; return 1; }
}

# unchanged NAME COMMAND...: a dry run. Fails if anything changed that can be seen; otherwise it ends as the command does.
unchanged() {
    local name=$1 before ended=0
    shift
    before=$(play "$name" everything)
    "$@" || ended=$?
    [[ $before == "$(play "$name" everything)" ]] || { echo "a dry run changed something: $*" >&2; return 3; }
    return "$ended"
}

# refused SENTENCE COMMAND...: fails unless the command refuses with this sentence.
refused() {
    local sentence=$1 said ended=0
    shift
    said=$("$@" 2>&1) || ended=$?
    if ((ended != 2)) || [[ $said != *"$sentence"* ]]; then
        echo "this was not refused with '$sentence', but ended with $ended: $*" >&2
        echo "$said" >&2
        return 1
    fi
    echo "refused: $(grep '^scripts/recover: ' <<<"$said")"
}

# The tables of a stack, as scripts/recover takes them.
tables_of() {
    local which
    for which in Users Orders Inventory; do
        printf '%s=%s\n' "${which,,}" "$(rehearsal "$1" output "${which}TableName")"
    done
}

# restored_tables WORD...: what `recover restore` names at its end
restored_tables() { sed -n 's/^restored: //p' <<<"$1"; }

recover_adopted() {
    local old=${stacks[$1]} stack=${stacks[$2]} heir=$2 artefact=$3 level=$4 tables=("${@:5}")
    say "$heir: adopts what $old has left"
    refused 'name the user pool' recover adopt "$stack" "$artefact" "${tables[@]:0:3}" --yes
    refused 'name the table of users' recover adopt "$stack" "$artefact" "${tables[@]:1}" --yes
    refused 'there is no user pool' recover adopt "$stack" "$artefact" "${tables[@]:0:3}" pool=us-east-1_Missing --yes
    refused 'has other keys' recover adopt "$stack" "$artefact" "users=${tables[1]#*=}" "orders=${tables[0]#*=}" "${tables[@]:2}" --yes
    recover adopt "$stack" "$artefact" "${tables[@]}"
    refused 'there is no stack' recover check "$stack"
    # Cut off before the first change set, before the first customer, and between two customers.
    cut_off 0 adopt "$stack" "$artefact" "${tables[@]}" --yes
    cut_off writes=0 adopt "$stack" "$artefact" "${tables[@]}" --yes
    cut_off writes=3 adopt "$stack" "$artefact" "${tables[@]}" --yes
    recover adopt "$stack" "$artefact" "${tables[@]}" --yes
    play "$heir" heir "$scratch/$1.json"
    deploy "$heir" "$artefact"
    recover adopt "$stack" "$artefact" "${tables[@]}" --yes | grep 'none has a topic of another stack'
    play "$heir" asked
    recover check "$stack"
    audit "$heir" "$level"
}

recover_damaged() {
    local name=$1 stack=${stacks[$1]} copy ids said
    say "$name: orders and stock are damaged by hand"
    play "$name" recoverable
    said=$(recover restore "$stack" orders --at latest --yes)
    copy=$(restored_tables "$said")
    recover close "$stack" --yes --quiet-after 2
    damage() { .tools/ministack/bin/python -B scripts/lib/damage.py "$stack" "$scratch/damage.json" "$@"; }
    read -ra ids <<<"$(damage)"
    must 1 recover check "$stack" >"$scratch/said"
    damage found <"$scratch/said"
    refused 'orders are damaged' recover stock "$stack" --yes
    must 1 unchanged "$name" recover order "$stack" "${ids[@]}" --copy "${copy#*=}" >"$scratch/said"
    tail -1 "$scratch/said"
    # Some need no copy. The others are left as they are.
    must 1 recover order "$stack" "${ids[@]}" --yes >"$scratch/said"
    grep -c 'is mended$' "$scratch/said"
    cut_off writes=4 order "$stack" "${ids[@]}" --copy "${copy#*=}" --yes >"$scratch/said"
    recover order "$stack" "${ids[@]}" --copy "${copy#*=}" --yes >"$scratch/said"
    tail -1 "$scratch/said"
    recover stock "$stack" || true
    recover stock "$stack" --yes
    damage mended
    recover check "$stack"
    recover open "$stack" --yes
    # Two of the orders have lost their mark, and are mailed again.
    play "$name" swept
    # As docs/deploy.md deletes a table.
    .tools/aws/bin/aws dynamodb update-table --table-name "${copy#*=}" --no-deletion-protection-enabled >/dev/null
    .tools/aws/bin/aws dynamodb delete-table --table-name "${copy#*=}" >/dev/null
}

recover_restored() {
    local name=$1 level=$2 stack=${stacks[$1]} said restored former at
    say "$name: tables are restored while the shop is open, and the stack takes them"
    play "$name" recoverable
    refused 'is in account' scripts/recover close "$stack" --yes --account 111111111111 --region us-east-1
    refused 'there is no stack' scripts/recover close "$stack" --yes --account 000000000000 --region eu-west-1
    refused 'there is no stack' recover close "$stack-of-another-shop" --yes
    refused 'is out of reach' recover restore "$stack" orders --yes --at 2020-01-01T00:00:00Z
    refused 'is out of reach' recover restore "$stack" orders --yes --at 2099-01-01T00:00:00Z
    refused 'is neither' recover restore "$stack" orders --yes --at 2026-03-01T12:00:00
    play "$name" before-restore
    unchanged "$name" recover restore "$stack" orders inventory users --at latest
    said=$(recover restore "$stack" orders inventory users --at latest --yes)
    echo "$said"
    read -ra restored <<<"$(restored_tables "$said")"
    play "$name" since-restore
    mapfile -t former < <(tables_of "$name")

    refused 'there is no table' recover swap "$stack" orders=missing --yes
    refused 'has other keys' recover swap "$stack" "orders=${former[2]#*=}" --yes
    refused 'is open' recover swap "$stack" "${restored[@]}" --yes
    refused 'is open' recover stock "$stack" --yes
    unchanged "$name" recover close "$stack"
    # No client of the rehearsal is under way, so nothing has to be waited for.
    recover close "$stack" --yes --quiet-after 2
    recover close "$stack" --yes
    play "$name" closed
    unchanged "$name" recover swap "$stack" "${restored[@]}"
    # Cut off after each step, and finished by a repetition.
    cut_off 1 swap "$stack" "${restored[@]}" --yes | grep -v ' Modify '
    refused 'is between two tables' recover swap "$stack" "${restored[0]}" --yes
    cut_off 1 swap "$stack" "${restored[@]}" --yes | grep -v ' Modify '
    recover swap "$stack" "${restored[@]}" --yes | grep -v ' Modify '
    recover swap "$stack" "${restored[@]}" --yes | grep 'has these tables'
    rehearsal "$name" supply
    play "$name" set-up
    play "$name" closed

    refused 'is the table that the stack has' recover carry "$stack" "${restored[0]}"
    unchanged "$name" recover carry "$stack" "${former[@]}"
    cut_off writes=3 carry "$stack" "${former[@]}" --yes
    recover carry "$stack" "${former[@]}" --yes | grep ' rows of '
    must 1 recover check "$stack"
    recover stock "$stack" --yes
    recover check "$stack"
    recover open "$stack" --yes
    play "$name" carried
    recover check "$stack"
    audit "$name" "$level"
}
