# For scripts/rehearse to source: `first_order` runs the section "From an empty account to the first order" of
# docs/deploy.md against the stack that is deployed, line by line. It fails where a line prints something else than the
# page says. It answers what the lines ask a person for, and sends to the emulator what is meant for AWS.
#   first_order ENDPOINT API    where the emulator is, and where it has the API

first_order() (
    endpoint=$1 api=$2
    printed=$(mktemp) script=$(mktemp)
    trap 'rm -f "$printed" "$script"' EXIT
    PATH=$PWD/.tools/aws/bin:$PATH

    said() { python3 scripts/lib/first_order.py said "$1"; }

    # What a person would type.
    read() {
        case ${*: -1} in
            EMAIL) EMAIL=grace@example.com ;;
            PASSWORD) PASSWORD=Tea-for-2-please ;;
            CODE) CODE=123456 ;; # MiniStack mails the same code to everybody, and to nowhere
            *) echo "docs/deploy.md asks for something new: read $*" >&2; return 1 ;;
        esac
    }

    curl() {
        local given=("$@")
        given=("${given[@]/#https:\/\/cognito-idp.us-east-1.amazonaws.com\//$endpoint/}")
        given=("${given[@]/#$API/$api}")
        command curl --fail-with-body "${given[@]}" || return
        # The code proves the address, which MiniStack does not note.
        if [[ $* == *ConfirmSignUp* ]]; then
            aws cognito-idp admin-update-user-attributes --user-pool-id "$POOL" --username "$EMAIL" \
                --user-attributes Name=email_verified,Value=true
        fi
    }

    python3 scripts/lib/first_order.py script docs/deploy.md >"$script"
    set -euo pipefail
    source "$script"
)
