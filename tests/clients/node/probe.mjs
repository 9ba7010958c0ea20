// Uses a server in the ways that these clients have, and tells what it found: a line of JSON each.
import { FlightSQLClient } from "@gizmodata/gizmosql-client";
import { Client } from "@lancedb/arrow-flight-sql-client";

const told = process.env;
const server = { host: told.PROBE_HOST, port: Number(told.PROBE_PORT), plaintext: true };
const user = { username: told.PROBE_USER, password: told.PROBE_PASSWORD };
const SAMPLES = "aviation.lab.samples@hangzhou";
const FLIGHTS = "aviation.nyc.flights@hangzhou";

function plain(value) {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (value === null || value === undefined || typeof value !== "object") return value ?? null;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
  if (typeof value.toJSON === "function") return plain(value.toJSON());
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
}

async function tell(name, question) {
  let found;
  try {
    found = plain(await question());
  } catch (fault) {
    found = { refused: fault.message };
  }
  console.log(JSON.stringify([name, found]));
}

const rows = (table) => table.toArray().map((row) => row.toJSON());

const client = new FlightSQLClient({ ...server, ...user });
await tell("query", async () => rows(await client.execute(`select count(*) as n from ${FLIGHTS}`)));
await tell("every row", async () => (await client.execute(`select flight from ${FLIGHTS}`)).numRows);
await tell("types", async () => rows(await client.execute(`select * from ${SAMPLES} where id = 1`)));
await tell("nulls", async () => rows(await client.execute(`select short, nothing from ${SAMPLES} where id = 0`)));
await tell("no rows", async () => (await client.execute(`select carrier from ${FLIGHTS} where false`)).numRows);
await tell("catalogs", () => client.getCatalogs());
await tell("schemas", () => client.getSchemas("aviation@hangzhou"));
await tell("tables", () => client.getTables());
await tell("tables of a catalog", () => client.getTables("aviation@hangzhou", "nyc", "fl%", ["TABLE"]));
await tell("table types", () => client.getTableTypes());
await tell("info", async () => Object.fromEntries(await client.getSqlInfo([0, 8])));
await tell("all info", async () => (await client.getSqlInfo()).size);
await tell("primary keys", () => client.getPrimaryKeys("aviation@hangzhou", "nyc", "flights"));
await tell("schema", async () => String(await client.getQuerySchema("select 1 as one")));
await tell("prepare", () => client.prepare("select 1"));
await tell("unknown-column", () => client.execute(`select carier from ${FLIGHTS}`));
await tell("not-found", () => client.execute("select * from payroll.hr.salaries@hangzhou"));
await tell("join-not-supported", () => client.execute(`select 1 from ${FLIGHTS} a, ${FLIGHTS} b`));
await tell("permission-denied", () => client.execute(`GRANT TABLE_READ ON ${FLIGHTS} TO user1@shanghai`));
await client.close();

const bearer = new FlightSQLClient({ ...server, token: told.PROBE_TOKEN });
await tell("token", async () => rows(await bearer.execute(`select count(*) as n from ${FLIGHTS}`)));
await bearer.close();
const stranger = new FlightSQLClient({ ...server, username: user.username, password: "wrong" });
await tell("wrong password", () => stranger.execute("select 1"));

const admin = new FlightSQLClient({ ...server, username: "admin", password: told.PROBE_ADMIN_PASSWORD });
const salaries = "TABLE_READ ON payroll.hr.salaries@hangzhou";
await tell("grant", async () => rows(await admin.execute(`GRANT ${salaries} TO user1@shanghai`)));
await tell("revoke", async () => rows(await admin.execute(`REVOKE ${salaries} FROM user1@shanghai`)));
await admin.close();

const address = `${server.host}:${server.port}`;
await tell("lancedb", async () => {
  const other = await Client.connect({ host: address, insecure: true, ...user });
  return (await other.query(told.PROBE_OWN)).collectToObjects();
});
await tell("lancedb, told an address", async () => {
  const other = await Client.connect({ host: address, insecure: true, ...user });
  return (await other.query(`select count(*) as n from ${FLIGHTS}`)).collectToObjects();
});
process.exit(0);
