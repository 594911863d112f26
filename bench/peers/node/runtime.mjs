// Runs a handler as Lambda's runtime for Node does: node runtime.mjs <module>. AWS's own runtime interface client is not
// used, because its installation compiles curl. This one does less than that one, so it favours Node.
//
// Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

import http from "node:http";
import { pathToFileURL } from "node:url";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function call(method, path, value) {
  return new Promise((resolve, reject) => {
    const body = value === undefined ? "" : JSON.stringify(value);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const options = { agent, host, port, method, headers, path: `/2018-06-01/runtime/${path}` };
    const request = http.request(options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, text: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const report = (error) => ({ errorType: error.name, errorMessage: error.message });

let handler;
try {
  ({ handler } = await import(pathToFileURL(process.argv[2])));
} catch (error) {
  await call("POST", "init/error", report(error));
  process.exit(1);
}
for (;;) {
  const { headers, text } = await call("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  process.env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  try {
    await call("POST", `invocation/${id}/response`, await handler(JSON.parse(text)));
  } catch (error) {
    await call("POST", `invocation/${id}/error`, report(error));
  }
}
