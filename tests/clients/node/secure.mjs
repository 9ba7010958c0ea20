// Connects with the federation's CA, given by the environment of Node, and without any check.
import { FlightSQLClient } from "@gizmodata/gizmosql-client";

const server = {
  host: process.env.PROBE_HOST,
  port: Number(process.env.PROBE_PORT),
  username: process.env.PROBE_USER,
  password: process.env.PROBE_PASSWORD,
};

for (const more of [{}, { tlsSkipVerify: true }, { plaintext: true }]) {
  const client = new FlightSQLClient({ ...server, ...more });
  let found;
  try {
    found = (await client.execute("SHOW CLUSTERS")).numRows;
  } catch (fault) {
    found = fault.message;
  }
  console.log(JSON.stringify([Object.keys(more).join() || "checked", found]));
}
process.exit(0);
