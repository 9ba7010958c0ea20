import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Properties;

/** Connects with the federation's CA, without it, and in plaintext to a server that has TLS. */
public final class Secure {
    private Secure() {}

    public static void main(String[] arguments) {
        Facts facts = new Facts("tls");
        facts.tell("with the CA", () -> clusters("tlsRootCerts", System.getenv("PROBE_CA")));
        facts.tell("without it", () -> clusters("useSystemTrustStore", "true"));
        facts.tell("in plaintext", () -> clusters("useEncryption", "false"));
        facts.tell("unchecked", () -> clusters("disableCertificateVerification", "true"));
    }

    private static String clusters(String name, String value) throws SQLException {
        Properties properties = new Properties();
        properties.put("user", System.getenv("PROBE_USER"));
        properties.put("password", System.getenv("PROBE_PASSWORD"));
        properties.put(name, value);
        try (Connection connection =
                DriverManager.getConnection(System.getenv("PROBE_URL"), properties)) {
            return Facts.rows(connection.createStatement().executeQuery("SHOW CLUSTERS"), "cluster_name");
        }
    }
}
