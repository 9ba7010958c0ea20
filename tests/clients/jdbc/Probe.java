import java.sql.Connection;
import java.sql.SQLException;
import java.util.Map;

/** Uses a server through JDBC in every way that tools do, and tells what it found. */
public final class Probe {
    private Probe() {}

    /** Where and as whom comes from the environment, as passwords do not belong into arguments. */
    public static void main(String[] arguments) throws SQLException {
        Map<String, String> told = System.getenv();
        Map<String, String> secrets = Map.of(
                "user1@shanghai", told.get("PROBE_PASSWORD"),
                "admin", told.getOrDefault("PROBE_ADMIN_PASSWORD", ""),
                "token", told.get("PROBE_TOKEN"));
        Sessions sessions = new Sessions(told.get("PROBE_URL"), secrets);
        try (Connection reader = sessions.connect("user1@shanghai")) {
            Types.probe(reader);
            Metadata.probe(reader);
            Statements.probe(reader);
            if (told.containsKey("PROBE_ADMIN_PASSWORD")) {
                try (Connection admin = sessions.connect("admin")) {
                    Administration.probe(admin, reader);
                }
            }
        }
        sessions.probe();
    }
}
