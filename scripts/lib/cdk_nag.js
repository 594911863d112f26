// Runs cdk-nag on transformed templates, one per argument, and prints the findings as JSON:
// [{"file": ..., "rule": ..., "resource": <logical id>, "problem": ...}].
// Uses the packs AWS Solutions and Serverless. The CDK's own rules run too, and are left out: they repeat cfn-lint's.
"use strict";

const { existsSync, mkdtempSync, readFileSync, rmSync } = require("node:fs");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createRequire } = require("node:module");

const load = createRequire(join(process.cwd(), ".tools/cdk-nag/index.js"));
const cdk = load("aws-cdk-lib");
const { CfnInclude } = load("aws-cdk-lib/cloudformation-include");
const nag = load("cdk-nag");

const files = process.argv.slice(2);
const outdir = mkdtempSync(join(tmpdir(), "cdk-nag-"));
// cdk-nag also prints its findings for people and sets the exit code. The caller does both itself.
console.log = console.error = console.warn = () => {};
try {
    const app = new cdk.App({ outdir, analyticsReporting: false });
    files.forEach((templateFile, at) => {
        const stack = new cdk.Stack(app, `T${at}`, { synthesizer: new cdk.LegacyStackSynthesizer() });
        new CfnInclude(stack, "Included", { templateFile });
    });
    cdk.Validations.of(app).addPlugins(new nag.AwsSolutionsChecks(app), new nag.ServerlessChecks(app));
    let failure;
    try {
        app.synth();
    } catch (error) {
        failure = error; // A finding makes synth throw, after it has written the report.
    }
    const written = join(outdir, "validation-report.json");
    if (!existsSync(written)) throw failure ?? new Error("cdk-nag wrote no report");
    const report = JSON.parse(readFileSync(written, "utf8"));
    const found = [];
    for (const pack of ["AwsSolutions", "Serverless"]) {
        const ran = report.pluginReports.find((plugin) => plugin.pluginName === pack);
        if (!ran) throw new Error(`cdk-nag did not run ${pack}`);
        for (const violation of ran.violations) {
            for (const construct of violation.violatingConstructs) {
                const [stack, , resource] = construct.constructPath.split("/");
                found.push({
                    file: files[Number(stack.slice(1))],
                    rule: violation.ruleName,
                    resource,
                    problem: violation.description,
                });
            }
        }
    }
    process.stdout.write(JSON.stringify(found));
    process.exitCode = 0;
} finally {
    rmSync(outdir, { recursive: true, force: true });
}
