import { FlightSQLClient } from "@gizmodata/gizmosql-client";

const client = new FlightSQLClient({
  host: process.env.FLIGHT_HOST,
  port: Number(process.env.FLIGHT_PORT),
  plaintext: true, // only on the same machine
  username: process.env.FLIGHT_USER,
  password: process.env.FLIGHT_PASSWORD,
});

const table = await client.execute(`
  select carrier, count(*) as flights from aviation.nyc.flights@hangzhou
  where origin = 'JFK' group by carrier order by flights desc limit 3`);
for (const row of table) {
  console.log(row.carrier, Number(row.flights));
}
await client.close();
