# For scripts to source: `install_linters` installs what scripts/lib/findings.py runs, and sets what it needs.

source scripts/lib/tools.sh

checkov_version=3.3.30
cdk_version=2.276.0
constructs_version=10.8.1
cdk_nag_version=3.0.2

install_linters() {
    install_sam
    python_tools checkov "checkov==$checkov_version"
    node_tools cdk-nag "cdk-nag@$cdk_nag_version" "aws-cdk-lib@$cdk_version" "constructs@$constructs_version"
    # A region is part of what is checked; any will do, and none is called.
    export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
}
