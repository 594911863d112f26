# For scripts to source. `install_linters` installs the tools that scripts/lib/findings.py runs, and sets the variables
# that they need.

source scripts/lib/tools.sh

checkov_version=3.3.30
cdk_version=2.276.0
constructs_version=10.8.1
cdk_nag_version=3.0.2

install_linters() {
    install_sam
    python_tools checkov "checkov==$checkov_version"
    node_tools cdk-nag "cdk-nag@$cdk_nag_version" "aws-cdk-lib@$cdk_version" "constructs@$constructs_version"
    # The validation needs a region. Any region will do, since none is called.
    export SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1
}
